//! Names of indexes: what stands for everything that decides about an index's rows. Never knows what
//! that is.

use std::fmt;

/// 16 bytes that name an index among those of a shard copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 16]);

/// The end of an index file's name.
const SUFFIX: &str = ".index";

impl Signature {
    /// Reads what [`Signature`] displays as: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Signature> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return None;
        }
        let mut bytes = [0; 16];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Signature(bytes))
    }

    /// The name of the index's file in its folder.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{self}{SUFFIX}")
    }

    /// The index that a file of that name holds.
    pub(crate) fn of_file_name(name: &str) -> Option<Signature> {
        Signature::parse(name.strip_suffix(SUFFIX)?)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_refused() {
        let signature = Signature([0, 1, 255, 0xab, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(Signature::parse(&signature.to_string()), Some(signature));
        assert_eq!(Signature::of_file_name(&signature.file_name()), Some(signature));
        let upper = signature.to_string().to_uppercase();
        for bad in ["", "0", "../0000000000000000000000000000000", &upper] {
            assert_eq!(Signature::parse(bad), None, "{bad}");
        }
    }
}
