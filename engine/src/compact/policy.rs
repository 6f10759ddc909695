//! When a shard is worth compacting. Pure.

use crate::shard::Sizes;

/// When compaction starts by itself, and how hard it works.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether it starts by itself at all.
    pub automatic: bool,
    /// A file that is so many times as large as what is live in it is compacted.
    pub ratio: f64,
    /// Smaller files are left alone.
    pub min_file: u64,
    /// Bytes a second that a compaction may write; 0 means no limit.
    pub bytes_per_second: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { automatic: true, ratio: 1.25, min_file: 1 << 20, bytes_per_second: 64 << 20 }
    }
}

impl Policy {
    /// Whether a shard of that size is to be compacted.
    #[must_use]
    pub fn wants(&self, sizes: &Sizes) -> bool {
        self.automatic
            && sizes.file >= self.min_file
            && sizes.file as f64 >= self.ratio * sizes.active as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_collected_from_large_files_only() {
        let policy = Policy::default();
        let wants = |file, active| policy.wants(&Sizes { file, active, external: 0 });
        assert!(!wants(1000, 1));
        assert!(!wants(10 << 20, 9 << 20));
        assert!(wants(10 << 20, 8 << 20));
        assert!(wants(10 << 20, 0));
        let off = Policy { automatic: false, ..policy.clone() };
        assert!(!off.wants(&Sizes { file: 10 << 20, active: 0, external: 0 }));
    }
}
