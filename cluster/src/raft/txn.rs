//! Transactions and their outcomes: values only. What they do to the state is said in `state`.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Error;

/// Longest key, in bytes.
const KEY_MAX: usize = 4096;
/// Largest transaction, in bytes of keys and values.
const TXN_MAX: usize = 1 << 20;

/// Conditions, and what is written if all of them hold. It happens whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    /// All must hold for the writes to happen.
    pub compares: Vec<Compare>,
    /// Done in this order, under one revision.
    pub writes: Vec<Write>,
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// The key.
    pub key: Arc<str>,
    /// The revision that last wrote it; 0 if it must be absent.
    pub modified: u64,
}

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// The key gets a value.
    Put(Arc<str>, Bytes),
    /// The key goes; nothing happens if it is absent.
    Delete(Arc<str>),
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It happened; the store's revision after it.
    Done(u64),
    /// It did not: this key was last written by another revision than expected (0: absent).
    Conflict {
        /// The first key whose condition did not hold.
        key: Arc<str>,
        /// The revision that last wrote it; 0 if it is absent.
        modified: u64,
    },
}

/// One entry of the group's log: transactions that each succeed or fail by themselves, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command(pub Vec<Txn>);

impl Txn {
    /// A transaction that does nothing yet.
    pub fn new() -> Txn {
        Txn::default()
    }

    /// The key must have been written last by this revision.
    pub fn expect(mut self, key: impl Into<Arc<str>>, modified: u64) -> Txn {
        self.compares.push(Compare { key: key.into(), modified });
        self
    }

    /// The key must be absent.
    pub fn expect_absent(self, key: impl Into<Arc<str>>) -> Txn {
        self.expect(key, 0)
    }

    /// Gives the key a value.
    pub fn put(mut self, key: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Txn {
        self.writes.push(Write::Put(key.into(), value.into()));
        self
    }

    /// Removes the key.
    pub fn delete(mut self, key: impl Into<Arc<str>>) -> Txn {
        self.writes.push(Write::Delete(key.into()));
        self
    }

    /// Whether it is small enough and its keys are keys.
    pub(super) fn check(&self) -> Result<(), Error> {
        let compared = self.compares.iter().map(|compare| &compare.key);
        let mut keys = compared.chain(self.writes.iter().map(|write| write.parts().0));
        if keys.any(|key| key.is_empty() || key.len() > KEY_MAX) {
            return Err(Error::Invalid("a key has 1 to 4096 bytes".into()));
        }
        if self.size() > TXN_MAX {
            return Err(Error::Invalid("a transaction has at most 1 MiB".into()));
        }
        Ok(())
    }

    /// Bytes of keys and values.
    pub(super) fn size(&self) -> usize {
        let compared: usize = self.compares.iter().map(|compare| compare.key.len()).sum();
        let written = self.writes.iter().map(Write::parts).map(|(key, value)| key.len() + value);
        compared + written.sum::<usize>()
    }
}

impl Write {
    /// The key, and the bytes of its value.
    fn parts(&self) -> (&Arc<str>, usize) {
        match self {
            Write::Put(key, value) => (key, value.len()),
            Write::Delete(key) => (key, 0),
        }
    }
}
