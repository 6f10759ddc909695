//! Whether design documents of a database may have changed since somebody looked. Touched by the
//! log's threads and by every write, so it is a table of numbers and nothing else: databases may
//! share one, and look once more than needed then.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use settee_model::docid::DbName;

const MARKS: usize = 1024;

/// See the module.
pub(crate) struct Marks(Vec<AtomicU64>);

impl Default for Marks {
    fn default() -> Self {
        Marks((0..MARKS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Marks {
    /// Design documents of a database changed.
    pub(crate) fn changed(&self, name: &DbName) {
        if let Some(mark) = self.of(name) {
            mark.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A number that is another one when they have changed.
    pub(crate) fn now(&self, name: &DbName) -> u64 {
        self.of(name).map_or(0, |mark| mark.load(Ordering::Acquire))
    }

    fn of(&self, name: &DbName) -> Option<&AtomicU64> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.0.get(usize::try_from(hasher.finish() % MARKS as u64).unwrap_or(0))
    }
}
