//! What all shards of an engine share: disk, log, cache, the queue of shards that have something to
//! write, and who wants to hear of commits. No decisions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use parking_lot::{Condvar, Mutex, RwLock};

use super::Options;
use super::reserve::Reserve;
use super::tasks::Tasks;
use crate::Error;
use crate::index::Index;
use crate::io::Storage;
use crate::log::Log;
use crate::page::Cache;
use crate::shard::{Shard, ShardId};

/// Called after each commit that may have changed documents; on the log's thread, so it must be quick
/// and must not write.
pub type Listener = Box<dyn Fn(&ShardId, Commit) + Send + Sync>;

/// What a listener is told of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The shard's new update sequence.
    pub update_seq: u64,
    /// Whether there may be design documents among the documents that changed.
    pub design: bool,
}

/// Where files are until they are finished.
pub(crate) const DRAFTS: &str = "tmp";

/// The folder of a path.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Removes a file, durably, if it is there.
pub(crate) fn remove_file(storage: &dyn Storage, path: &str) -> Result<(), Error> {
    match storage.remove(path) {
        Ok(()) => storage.sync_dir(folder(path)),
        Err(Error::Missing { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) struct Env {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) options: Options,
    pub(crate) log: Log,
    pub(crate) cache: Arc<Cache>,
    /// Shards that have writes waiting.
    pub(crate) ready: Queue<Arc<Shard>>,
    pub(crate) listeners: RwLock<Vec<Listener>>,
    pub(crate) tasks: Tasks,
    /// Bytes in memory that are in no shard file, of all shards.
    pub(crate) dirty: AtomicU64,
    /// What is to be compacted.
    pub(crate) compactions: Queue<Job>,
    /// Wakes the one who looks after the shards.
    pub(crate) alarm: Alarm,
    pub(crate) closed: AtomicBool,
    pub(super) reserve: Reserve,
}

impl Env {
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Milliseconds on the wall clock; only differences are used, and none of them for correctness.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)
    }

    /// Time since 1970 on the wall clock.
    pub(crate) fn now(&self) -> Duration {
        self.storage.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// A name for a file that is not finished; what lies there is removed at the next start.
    pub(crate) fn draft_path(&self) -> String {
        format!("{DRAFTS}/{:016x}.shard", self.storage.random())
    }

    /// Gives a finished, synced file its name, durably.
    pub(crate) fn put_in_place(&self, draft: &str, place: &str) -> Result<(), Error> {
        self.storage.sync_dir(DRAFTS)?;
        self.storage.rename(draft, place)?;
        self.storage.sync_dir(folder(place))
    }

    /// Removes a draft that is of no use; if that fails the next start does it.
    pub(crate) fn discard(&self, draft: &str) {
        if let Err(error) = self.storage.remove(draft) {
            tracing::debug!(draft, %error, "could not remove an unfinished file");
        }
    }

    /// Does what waits, one thing, if anything does; whether it did. For an engine without threads.
    pub(crate) fn turn(&self) -> bool {
        if let Some(shard) = self.ready.next() {
            shard.write_waiting();
            return true;
        }
        self.log.turn()
    }

    /// Waits for what is told when a write is durable.
    pub(crate) fn wait<T>(&self, told: &mpsc::Receiver<T>) -> Result<T, Error> {
        // The log is waited for by `Log::wait`, but the write may have to be decided first.
        while !self.options.threads && self.turn() {}
        self.log.wait(told)
    }

    pub(crate) fn notify(&self, id: &ShardId, commit: Commit) {
        self.listeners.read().iter().for_each(|listener| listener(id, commit));
    }
}

/// Something to be compacted.
pub(crate) enum Job {
    Shard(Arc<Shard>),
    Index(Arc<Index>),
}

impl Job {
    pub(crate) fn run(&self) {
        match self {
            Job::Shard(shard) => shard.compact_requested(),
            Job::Index(index) => index.compact_requested(),
        }
    }
}

/// Things that wait for one of several threads. Whoever puts something in bounds how much.
pub(crate) struct Queue<T> {
    state: Mutex<(VecDeque<T>, bool)>,
    changed: Condvar,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Queue { state: Mutex::new((VecDeque::new(), false)), changed: Condvar::new() }
    }

    pub(crate) fn push(&self, item: T) {
        self.state.lock().0.push_back(item);
        self.changed.notify_one();
    }

    /// The next item; waits for one. `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            match (state.0.pop_front(), state.1) {
                (Some(item), _) => return Some(item),
                (None, true) => return None,
                (None, false) => self.changed.wait(&mut state),
            }
        }
    }

    /// The next item, if there is one.
    pub(crate) fn next(&self) -> Option<T> {
        self.state.lock().0.pop_front()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().0.len()
    }

    pub(crate) fn close(&self) {
        self.state.lock().1 = true;
        self.changed.notify_all();
    }
}

/// Lets a thread sleep until a while has passed or somebody rings.
pub(crate) struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Alarm { rung: Mutex::new(false), changed: Condvar::new() }
    }

    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_all();
    }

    pub(crate) fn sleep(&self, at_most: Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.changed.wait_for(&mut rung, at_most);
        }
        *rung = false;
    }
}
