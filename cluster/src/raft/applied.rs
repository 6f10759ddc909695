//! The applied copy: the state that this node has reached, which it serves without asking anybody.
//! Never waits for the disk or for other nodes.

use std::sync::Arc;

use openraft::EntryPayload;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::history::{History, Revision};
use super::state::{Change, State, Stored};
use super::txn::Outcome;
use super::{Entry, LogId, Membership};

/// How far the log was applied, and what is known besides the keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The last entry that was applied.
    pub(super) last: Option<LogId>,
    /// The last membership among them.
    pub(super) membership: Membership,
    /// The revision of the state.
    pub(super) revision: u64,
}

/// Everything at one moment; also what a snapshot is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) header: Header,
    pub(super) state: State,
}

/// What a batch of entries did, for the disk.
pub(super) struct Delta {
    pub(super) header: Header,
    pub(super) changes: Vec<Change>,
}

/// What a watch finds when it looks.
pub(super) enum News {
    /// These revisions came, in order; none if there is nothing new.
    Revisions(Vec<Arc<Revision>>),
    /// Some revisions are forgotten: the keys as they are, and the revision of that.
    Forgotten(u64, Vec<(Arc<str>, Stored)>),
}

/// See the module.
pub(super) struct Applied {
    inner: RwLock<Inner>,
    /// Number of entries applied, that is the index of the next one.
    progress: watch::Sender<u64>,
}

struct Inner {
    copy: Image,
    history: History,
}

impl Applied {
    pub(super) fn new(copy: Image) -> Applied {
        let (progress, _) = watch::channel(next_index(&copy.header));
        let history = History::new(copy.state.revision());
        Applied { inner: RwLock::new(Inner { copy, history }), progress }
    }

    /// Looks at the state; `look` must be quick.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner.read().copy.state)
    }

    pub(super) fn header(&self) -> Header {
        self.inner.read().copy.header.clone()
    }

    pub(super) fn copy(&self) -> Image {
        self.inner.read().copy.clone()
    }

    /// Follows the number of entries applied.
    pub(super) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    /// What came after a revision: at most `max` revisions at once.
    pub(super) fn news(&self, prefix: &str, after: u64, max: usize) -> News {
        let inner = self.inner.read();
        let state = &inner.copy.state;
        match inner.history.after(after, max) {
            Some(revisions) if after <= state.revision() => News::Revisions(revisions),
            _ => {
                let keys = state.range(prefix).map(|(key, stored)| (key.clone(), stored.clone()));
                News::Forgotten(state.revision(), keys.collect())
            }
        }
    }

    /// Applies entries in order; gives each one's outcomes and what the disk has to learn.
    pub(super) fn apply(&self, entries: Vec<Entry>) -> (Vec<Vec<Outcome>>, Delta) {
        let mut inner = self.inner.write();
        let mut changes = Vec::new();
        let outcomes = entries.into_iter().map(|entry| inner.apply(entry, &mut changes)).collect();
        let header = inner.copy.header.clone();
        drop(inner);
        self.progress.send_replace(next_index(&header));
        (outcomes, Delta { header, changes })
    }

    /// Replaces everything. Watches that stood elsewhere get all keys anew.
    pub(super) fn replace(&self, copy: Image) {
        let progress = next_index(&copy.header);
        let mut inner = self.inner.write();
        if inner.copy.state.revision() != copy.state.revision() {
            inner.history.restart(copy.state.revision());
        }
        inner.copy = copy;
        drop(inner);
        self.progress.send_replace(progress);
    }
}

impl Inner {
    fn apply(&mut self, entry: Entry, all: &mut Vec<Change>) -> Vec<Outcome> {
        let copy = &mut self.copy;
        copy.header.last = Some(entry.log_id);
        let txns = match entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                copy.header.membership = Membership::new(Some(entry.log_id), membership);
                Vec::new()
            }
            EntryPayload::Normal(command) => command.0,
        };
        let mut outcomes = Vec::with_capacity(txns.len());
        for txn in &txns {
            let (outcome, changes) = copy.state.apply(txn);
            outcomes.push(outcome);
            if !changes.is_empty() {
                all.extend(changes.iter().cloned());
                self.history.push(Revision { revision: copy.state.revision(), changes });
            }
        }
        copy.header.revision = copy.state.revision();
        outcomes
    }
}

fn next_index(header: &Header) -> u64 {
    header.last.map_or(0, |last| last.index + 1)
}
