//! [`Portion`]: how many documents to read at once where nobody knows how large they are, so that what is
//! in memory stays small: few at first, then as many as there is room for. Pure.

/// Documents that are read at first.
const FIRST: usize = 16;
/// Documents that are read at once at most.
const MOST: usize = 512;
/// Bytes that they may have together, if those before are any guide.
const BYTES: usize = 256 * 1024;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion(usize);

impl Default for Portion {
    fn default() -> Self {
        Portion(FIRST)
    }
}

impl Portion {
    /// How many to read now.
    pub(crate) fn documents(self) -> usize {
        self.0
    }

    /// So many were read, which had so many bytes.
    pub(crate) fn had(&mut self, documents: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(documents) {
            self.0 = (BYTES / each.max(1)).clamp(1, MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_documents_are_read_in_large_portions() {
        let mut portion = Portion::default();
        assert_eq!(portion.documents(), 16);
        portion.had(16, 16 * 100);
        assert_eq!(portion.documents(), 512);
        portion.had(512, 512 * 64 * 1024);
        assert_eq!(portion.documents(), 4);
        portion.had(4, 4 * 8_000_000);
        assert_eq!(portion.documents(), 1);
        portion.had(0, 0);
        assert_eq!(portion.documents(), 1);
        portion.had(1, 0);
        assert_eq!(portion.documents(), 512);
    }
}
