//! A disk in memory that forgets, tears, fills up and fails on request. Used by tests only; never
//! touches the host.

use std::{sync::Arc, time::SystemTime};

use super::{Entry, File, Storage};
use crate::Error;

/// A simulated disk; clones share it.
#[derive(Clone, Default)]
pub struct SimStorage {}

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// That one operation fails; a failed sync leaves its writes visible but never durable.
    Fail,
    /// The power goes: that operation and all later ones fail until [`SimStorage::crash`].
    PowerCut,
}

/// What of the unsynced state survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    LoseAll,
    /// Everything, as after the kill of a process.
    KeepAll,
    /// Whole sectors of `sector` bytes, some kept and some lost, chosen by `seed`.
    Tear {
        /// Sector size: 512 or 4096.
        sector: usize,
        /// Chooses the sectors.
        seed: u64,
    },
}

impl SimStorage {
    /// An empty disk.
    pub fn new() -> SimStorage {
        SimStorage::default()
    }

    /// Mutating operations (create, rename, remove, sync_dir, write, sync, truncate) so far.
    pub fn operations(&self) -> u64 {
        todo!()
    }

    /// Plans a fault for the mutating operation with this number (0 is the first ever).
    pub fn fail_at(&self, _operation: u64, _fault: Fault) {
        todo!()
    }

    /// Bytes that fit on the disk; `None` is no limit.
    pub fn set_capacity(&self, _bytes: Option<u64>) {
        todo!()
    }

    /// Restarts the machine: applies `crash` to what was not synced, forgets planned faults, and
    /// makes every handle opened before useless.
    pub fn crash(&self, _crash: Crash) {
        todo!()
    }

    /// Inverts one bit of the durable contents, as a bad disk does.
    pub fn flip_bit(&self, _path: &str, _offset: u64) {
        todo!()
    }
}

impl Storage for SimStorage {
    fn open(&self, _path: &str) -> Result<Arc<dyn File>, Error> {
        todo!()
    }
    fn create(&self, _path: &str) -> Result<Arc<dyn File>, Error> {
        todo!()
    }
    fn rename(&self, _from: &str, _to: &str) -> Result<(), Error> {
        todo!()
    }
    fn remove(&self, _path: &str) -> Result<(), Error> {
        todo!()
    }
    fn list(&self, _dir: &str) -> Result<Vec<Entry>, Error> {
        todo!()
    }
    fn sync_dir(&self, _dir: &str) -> Result<(), Error> {
        todo!()
    }
    fn now(&self) -> SystemTime {
        todo!()
    }
    fn random(&self) -> u64 {
        todo!()
    }
}
