//! [`Rest`]: how long upkeep leaves an index alone whose save or compaction failed. What fails is often
//! somebody's reduce, and takes as long as that may run; or the disk is full. Never keeps anybody from
//! asking for either.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Milliseconds after the first failure; each that follows doubles them.
const FIRST_MS: u64 = 1000;
/// Times that they are doubled: at most about a minute.
const DOUBLINGS: u32 = 6;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// In a row.
    failures: AtomicU32,
    until_ms: AtomicU64,
}

impl Rest {
    /// Whether it may be tried again.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms.load(Ordering::Relaxed)
    }

    /// It worked.
    pub(super) fn end(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.until_ms.store(0, Ordering::Relaxed);
    }

    /// It failed, and this is when.
    pub(super) fn begin(&self, now_ms: u64) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed).min(DOUBLINGS);
        self.until_ms.store(now_ms.saturating_add(FIRST_MS << before), Ordering::Relaxed);
    }
}
