//! Indexes: rows that somebody makes of a shard copy's documents, sorted and summarised in a file
//! that follows the shard. [`Index`] is one of them: `apply` puts in what a batch of documents gave,
//! `snapshot` reads, `save` and `rewrite` put it on disk, `open` (of `registry`) finds it again.
//! Never makes rows, never knows what keys and values mean.

mod file;
mod registry;
mod rest;
mod rewrite;
mod rows;
mod save;
mod signature;
mod snapshot;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

pub(crate) use file::IndexFile;
pub(crate) use registry::{Indexes, remove_folder};
pub use rows::{DocRows, Row, first_row_key, last_row_key, split_row_key};
pub use signature::Signature;
pub use snapshot::IndexSnapshot;

use crate::Error;
use crate::engine::Env;
use crate::shard::{ShardId, Sizes};
use crate::tree::Reducer;
use state::State;
use store::Store;

/// How far an index has read its shard copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Which life of the shard; 0 if nothing was read yet.
    pub epoch: u64,
    /// The last change.
    pub update_seq: u64,
    /// The last purge.
    pub purge_seq: u64,
}

/// Makes the reducer of the rows' tree from what was kept with the index: its *plan*, empty for a
/// new index.
pub type Reducers<'a> = &'a dyn Fn(&[u8]) -> Result<Arc<dyn Reducer>, Error>;

/// An index that is open. Not for keeping, as it is closed only while nobody holds it.
pub struct Index {
    shard: ShardId,
    signature: Signature,
    env: Arc<Env>,
    state: Mutex<Arc<State>>,
    /// Held by who changes the state.
    writer: Mutex<()>,
    /// Held by who makes a new file.
    rewriting: Mutex<()>,
    /// A compaction is asked for.
    compacting: AtomicBool,
    /// It was dropped.
    gone: AtomicBool,
    used_ms: AtomicU64,
    changed_ms: AtomicU64,
    rest: rest::Rest,
}

impl Index {
    fn new(env: Arc<Env>, shard: ShardId, signature: Signature, state: State) -> Index {
        let now = AtomicU64::new(env.now_ms());
        Index {
            shard,
            signature,
            state: Mutex::new(Arc::new(state)),
            writer: Mutex::default(),
            rewriting: Mutex::default(),
            compacting: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            changed_ms: AtomicU64::new(env.now_ms()),
            used_ms: now,
            rest: rest::Rest::default(),
            env,
        }
    }

    /// The shard that it follows.
    #[must_use]
    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// Its name among the indexes of that shard.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// The index as it is now. What it shows may be lost in a crash, and is then made again.
    #[must_use]
    pub fn snapshot(&self) -> IndexSnapshot {
        self.touch();
        IndexSnapshot::new(self.state())
    }

    /// Puts in what documents gave instead of what these gave before; each document stands in the
    /// batch once, in whatever order. Then the index has come from `from` to `to`. If it is not at
    /// `from`, nothing happens, and the answer is `false`.
    ///
    /// Readers see it at once; it is on disk after a later [`Index::checkpoint`].
    pub fn apply(&self, docs: &[DocRows], from: Position, to: Position) -> Result<bool, Error> {
        let _writer = self.writer.lock();
        self.check()?;
        let state = self.state();
        if state.position != from {
            return Ok(false);
        }
        let next = state.apply(docs, to)?;
        self.publish(next);
        Ok(true)
    }

    /// Forgets everything, to begin anew.
    pub fn reset(&self) -> Result<(), Error> {
        let _writer = self.writer.lock();
        self.check()?;
        self.forget();
        Ok(())
    }

    /// Bytes on disk. What clients see (`external`) is not known here.
    pub fn sizes(&self) -> Result<Sizes, Error> {
        let state = self.state();
        let sizes = state.sizes();
        let file = state.store.pages.file().len()? + sizes.dirty;
        Ok(Sizes { file, active: sizes.stored + sizes.dirty, external: 0 })
    }

    /// Whether an error is about damage to this index.
    #[must_use]
    pub fn is_damage(&self, error: &Error) -> bool {
        // A file that was written anew keeps the name that it was made by until it is opened again.
        let own =
            |file: &str| file == self.path() || file == self.state().store.pages.file().path();
        matches!(error, Error::Corrupt { file, .. } if own(file))
    }

    /// Bytes in memory that are in no file.
    #[must_use]
    pub fn dirty_bytes(&self) -> u64 {
        self.state().sizes().dirty
    }

    /// Whether a compaction is running or asked for.
    #[must_use]
    pub fn compacting(&self) -> bool {
        self.compacting.load(Ordering::Relaxed)
    }

    fn state(&self) -> Arc<State> {
        self.state.lock().clone()
    }

    fn publish(&self, state: State) {
        self.changed_ms.store(self.env.now_ms(), Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.state.lock(), Arc::new(state));
        // It may be the last to hold a file.
        drop(before);
    }

    /// Goes back to the beginning, in memory; the file stays until another takes its place.
    fn forget(&self) {
        let state = self.state();
        let store = Store::nowhere(&self.path(), &self.env.cache);
        self.publish(State::empty(store, state.plan.clone(), state.reducer.clone()));
    }

    fn check(&self) -> Result<(), Error> {
        self.env.check_open()?;
        if self.gone.load(Ordering::Acquire) {
            return Err(Error::IndexDropped { shard: self.shard.shared().clone() });
        }
        Ok(())
    }

    /// Takes no writes any more, and writes nothing.
    fn end(&self) {
        let _writer = self.writer.lock();
        self.gone.store(true, Ordering::Release);
    }

    fn path(&self) -> String {
        registry::file_of(&self.shard, self.signature)
    }

    fn touch(&self) {
        self.used_ms.store(self.env.now_ms(), Ordering::Relaxed);
    }

    fn is_idle(&self, now_ms: u64, for_ms: u64) -> bool {
        now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed)) >= for_ms
    }

    fn is_settled(&self, now_ms: u64, for_ms: u64) -> bool {
        now_ms.saturating_sub(self.changed_ms.load(Ordering::Relaxed)) >= for_ms
    }
}

/// The note under which the plan is kept.
const PLAN: &[u8] = b"plan";

/// What a rows' tree is summarised by, and what that was made from.
#[derive(Clone)]
struct Planned {
    plan: Bytes,
    reducer: Arc<dyn Reducer>,
}
