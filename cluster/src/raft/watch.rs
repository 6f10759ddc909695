//! A watch: the changes under a prefix, in order, each once. It has no queue: it remembers where it
//! is and reads the applied copy's history when there is something new, so a slow reader costs
//! nothing and a reader that is too slow is told to start over.

use std::sync::Arc;

use tokio::sync::watch;

use super::Error;
use super::applied::{Applied, News};
use super::history::Revision;
use super::state::{Change, Stored};

/// Revisions that are read at once.
const BATCH: usize = 256;

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Changes under the prefix, by revision; never empty.
    Changes(Vec<Revision>),
    /// The history does not reach back: all keys under the prefix as they are. What was known
    /// before and is not among them is gone.
    Resync {
        /// The revision of the picture; changes after it follow.
        revision: u64,
        /// The keys in order.
        keys: Vec<(Arc<str>, Stored)>,
    },
}

/// See the module.
pub struct Watch {
    applied: Arc<Applied>,
    progress: watch::Receiver<u64>,
    stopped: watch::Receiver<Option<Error>>,
    prefix: Arc<str>,
    after: u64,
}

impl Watch {
    pub(super) fn new(
        applied: Arc<Applied>,
        stopped: watch::Receiver<Option<Error>>,
        prefix: Arc<str>,
        after: u64,
    ) -> Watch {
        let progress = applied.progress();
        Watch { applied, progress, stopped, prefix, after }
    }

    /// Whether the store was shut down.
    pub(crate) fn has_ended(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    /// Waits for the next update; it waits as long as nothing changes, and may be dropped at any
    /// time without loss. Fails once the store was shut down.
    pub async fn next(&mut self) -> Result<Update, Error> {
        loop {
            if self.stopped.borrow().is_some() {
                return Err(Error::Stopped);
            }
            self.progress.mark_unchanged();
            match self.applied.news(&self.prefix, self.after, BATCH) {
                News::Forgotten(revision, keys) => {
                    self.after = revision;
                    return Ok(Update::Resync { revision, keys });
                }
                News::Revisions(revisions) if !revisions.is_empty() => {
                    self.after = revisions.last().map_or(self.after, |last| last.revision);
                    let ours: Vec<_> =
                        revisions.iter().filter_map(|revision| self.ours(revision)).collect();
                    if !ours.is_empty() {
                        return Ok(Update::Changes(ours));
                    }
                }
                News::Revisions(_) => tokio::select! {
                    changed = self.progress.changed() => changed.map_err(|_| Error::Stopped)?,
                    stopped = self.stopped.changed() => stopped.map_err(|_| Error::Stopped)?,
                },
            }
        }
    }

    fn ours(&self, revision: &Revision) -> Option<Revision> {
        let ours = |change: &&Change| change.key.starts_with(&*self.prefix);
        let changes: Vec<_> = revision.changes.iter().filter(ours).cloned().collect();
        (!changes.is_empty()).then_some(Revision { revision: revision.revision, changes })
    }
}
