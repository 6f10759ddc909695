//! The last revisions, for watches: bounded in number and in bytes. What was forgotten is said to
//! be, so that a watch never skips a change in silence.

use std::collections::VecDeque;
use std::sync::Arc;

use super::state::Change;

/// Revisions that are kept at most.
const REVISIONS_MAX: usize = 10_000;
/// Bytes of keys and values that are kept at most.
const BYTES_MAX: usize = 8 << 20;

/// All that one revision changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// What it did, in order.
    pub changes: Vec<Change>,
}

/// The revisions after `floor`, without a gap.
#[derive(Debug)]
pub(super) struct History {
    floor: u64,
    kept: VecDeque<Arc<Revision>>,
    bytes: usize,
    revisions_max: usize,
    bytes_max: usize,
}

impl History {
    /// Knows nothing of what happened up to and with `floor`.
    pub(super) fn new(floor: u64) -> History {
        History::bounded(floor, REVISIONS_MAX, BYTES_MAX)
    }

    /// The same with bounds of one's own.
    pub(super) fn bounded(floor: u64, revisions_max: usize, bytes_max: usize) -> History {
        History { floor, kept: VecDeque::new(), bytes: 0, revisions_max, bytes_max }
    }

    /// Forgets everything, up to and with `floor`.
    pub(super) fn restart(&mut self, floor: u64) {
        *self = History::bounded(floor, self.revisions_max, self.bytes_max);
    }

    /// Remembers the next revision.
    pub(super) fn push(&mut self, revision: Revision) {
        self.bytes += size(&revision);
        self.kept.push_back(Arc::new(revision));
        while self.kept.len() > self.revisions_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.floor = oldest.revision;
        }
    }

    /// Up to `max` of the revisions after `after`; `None` if some of them were forgotten.
    pub(super) fn after(&self, after: u64, max: usize) -> Option<Vec<Arc<Revision>>> {
        let skip = usize::try_from(after.checked_sub(self.floor)?).ok()?;
        Some(self.kept.iter().skip(skip).take(max).cloned().collect())
    }
}

fn size(revision: &Revision) -> usize {
    let of = |change: &Change| {
        change.key.len() + change.stored.as_ref().map_or(0, |stored| stored.value.len())
    };
    revision.changes.iter().map(of).sum()
}
