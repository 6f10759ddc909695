//! The state machine: what a transaction does to the map. Pure: the same transactions in the same
//! order make the same state on every node, whatever the clock and the disk do.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::txn::{Outcome, Txn, Write};

/// A key's value and when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The value.
    pub value: Bytes,
    /// The revision that made the key, since it was absent last.
    pub created: u64,
    /// The revision that wrote this value.
    pub modified: u64,
}

/// What a revision did to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Arc<str>,
    /// What it holds now; `None` if it was deleted.
    pub stored: Option<Stored>,
}

/// The whole map at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    revision: u64,
    keys: BTreeMap<Arc<str>, Stored>,
}

impl State {
    /// A state as it was stored.
    pub(super) fn stored(revision: u64, keys: BTreeMap<Arc<str>, Stored>) -> State {
        State { revision, keys }
    }

    /// The revision of the last change; 0 before the first one.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// All keys in order.
    pub fn keys(&self) -> &BTreeMap<Arc<str>, Stored> {
        &self.keys
    }

    /// What a key holds.
    pub fn get(&self, key: &str) -> Option<&Stored> {
        self.keys.get(key)
    }

    /// All keys that begin with `prefix`, in order.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Stored)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.keys.range::<str, _>(from).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Does a transaction. Gives what changed; a revision is used up only if something did.
    pub fn apply(&mut self, txn: &Txn) -> (Outcome, Vec<Change>) {
        for compare in &txn.compares {
            let modified = self.get(&compare.key).map_or(0, |stored| stored.modified);
            if modified != compare.modified {
                return (Outcome::Conflict { key: compare.key.clone(), modified }, Vec::new());
            }
        }
        let revision = self.revision + 1;
        let changes: Vec<_> =
            txn.writes.iter().filter_map(|write| self.write(write, revision)).collect();
        if !changes.is_empty() {
            self.revision = revision;
        }
        (Outcome::Done(self.revision), changes)
    }

    fn write(&mut self, write: &Write, revision: u64) -> Option<Change> {
        match write {
            Write::Put(key, value) => {
                let created = self.get(key).map_or(revision, |stored| stored.created);
                let stored = Stored { value: value.clone(), created, modified: revision };
                self.keys.insert(key.clone(), stored.clone());
                Some(Change { key: key.clone(), stored: Some(stored) })
            }
            Write::Delete(key) => {
                self.keys.remove(key)?;
                Some(Change { key: key.clone(), stored: None })
            }
        }
    }
}
