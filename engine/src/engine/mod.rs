//! [`Engine`]: all shards of a node. Opens the log and brings shards back after a crash (`replay`),
//! finds, makes and drops them, and looks after them in the background (`upkeep`). Never looks into a
//! shard's trees.

mod backlog;
mod env;
mod kept;
mod lives;
mod options;
mod registry;
mod replay;
mod reserve;
mod tasks;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

pub use env::{Commit, Listener};
pub(crate) use env::{Env, Job, remove_file};
pub use options::Options;
pub(crate) use tasks::Progress;
pub use tasks::Task;

use crate::Error;
use crate::check::shard_files;
use crate::index::{Index, Reducers, Signature};
use crate::io::{Room, Storage};
use crate::shard::{Shard, ShardId};
use registry::Registry;

/// All shards of a node. Cheap to clone; the last clone that is dropped closes it, without
/// checkpoints (see [`Engine::close`]).
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    env: Arc<Env>,
    registry: Arc<Registry>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Opens a data directory, or makes one; replays what the log holds.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Engine, Error> {
        let (env, registry) = replay::open(storage, options)?;
        let threads = upkeep::spawn(&env, &registry)?;
        Ok(Engine(Arc::new(Inner { env, registry, threads: Mutex::new(threads) })))
    }

    /// Makes an empty shard; durable when it returns. [`Error::ShardExists`].
    pub fn create_shard(&self, id: &ShardId) -> Result<Arc<Shard>, Error> {
        self.0.env.check_open()?;
        self.0.registry.create(&self.0.env, id)
    }

    /// A shard, opened if need be. Not for keeping: an idle shard is closed while nobody holds it.
    /// [`Error::ShardMissing`].
    pub fn shard(&self, id: &ShardId) -> Result<Arc<Shard>, Error> {
        self.0.env.check_open()?;
        self.0.registry.open(&self.0.env, id)
    }

    /// A shard if it is open. Never waits for the disk.
    #[must_use]
    pub fn shard_if_open(&self, id: &ShardId) -> Option<Arc<Shard>> {
        let shard = self.0.registry.find(id)?;
        shard.touch();
        Some(shard)
    }

    /// The shards there are, in no order. What is made or dropped meanwhile may be missing or not.
    pub fn shard_ids(&self) -> Result<Vec<ShardId>, Error> {
        self.0.env.check_open()?;
        // First the files: a shard that gets its file meanwhile is among the open ones.
        let files = shard_files(&*self.0.env.storage)?;
        let files = files.iter().filter_map(|path| ShardId::of_file(path));
        let ids: HashSet<_> = files.chain(self.0.registry.ids()).collect();
        Ok(ids.into_iter().collect())
    }

    /// Removes a shard for ever; durable when it returns. Snapshots of it stay readable.
    /// [`Error::ShardMissing`].
    pub fn drop_shard(&self, id: &ShardId) -> Result<(), Error> {
        self.0.env.check_open()?;
        self.0.registry.remove(&self.0.env, id)
    }

    /// An index of a shard, opened, or made if there is none. Its reducer is made of the plan that was
    /// kept with it. [`Error::ShardMissing`] if the shard was dropped.
    pub fn index(
        &self,
        shard: &Shard,
        signature: Signature,
        reducers: Reducers<'_>,
    ) -> Result<Arc<Index>, Error> {
        self.0.env.check_open()?;
        self.0.registry.indexes.open(&self.0.env, shard, signature, reducers)
    }

    /// The indexes of a shard, in order.
    pub fn indexes(&self, id: &ShardId) -> Result<Vec<Signature>, Error> {
        self.0.env.check_open()?;
        self.0.registry.indexes.list(&self.0.env, id)
    }

    /// Removes an index for ever, if it is there. Snapshots of it stay readable.
    pub fn drop_index(&self, id: &ShardId, signature: Signature) -> Result<(), Error> {
        self.0.env.check_open()?;
        self.0.registry.indexes.drop_one(&self.0.env, id, signature)
    }

    /// The same of this very index; `false` if another one has its name by now, or none.
    pub fn drop_this_index(&self, index: &Arc<Index>) -> Result<bool, Error> {
        self.0.env.check_open()?;
        self.0.registry.indexes.drop_this(&self.0.env, index)
    }

    /// Asks to be told of commits.
    pub fn on_commit(&self, listener: Listener) {
        self.0.env.listeners.write().push(listener);
    }

    /// Time since 1970, by the wall clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.env.now()
    }

    /// How full the disk is.
    pub fn room(&self) -> Result<Room, Error> {
        self.0.env.storage.room()
    }

    /// Compactions that are running.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        self.0.env.tasks.list()
    }

    /// How many shards are open.
    #[must_use]
    pub fn open_shards(&self) -> usize {
        self.0.registry.count()
    }

    /// How many shards and indexes wait to be compacted.
    #[must_use]
    pub fn waiting_compactions(&self) -> usize {
        self.0.env.compactions.len()
    }

    /// Stops taking writes, puts everything into the shards' files and closes the log, so that the
    /// next start has nothing to replay.
    pub fn close(&self) -> Result<(), Error> {
        let inner = &self.0;
        inner.registry.indexes.save_all();
        let saved = inner.registry.shards().iter().try_for_each(|shard| shard.checkpoint());
        inner.stop();
        let saved = saved
            .and_then(|()| inner.registry.shards().iter().try_for_each(|shard| shard.checkpoint()));
        let trimmed = saved.and_then(|()| self.trim());
        inner.env.log.close().and(trimmed)
    }

    /// Does what waits, one thing, if anything does; whether it did. For an engine without threads
    /// ([`Options::threads`]), of which this is all that ever writes, syncs or compacts.
    #[must_use]
    pub fn turn(&self) -> bool {
        let env = &self.0.env;
        let compacts = || env.compactions.next().inspect(Job::run);
        env.turn() || compacts().is_some()
    }

    /// One round of what happens by itself, for an engine without threads: checkpoints, closing, what
    /// is worth a compaction.
    pub fn look_after(&self) {
        upkeep::look_after(&self.0.env, &self.0.registry);
    }

    /// Bytes in memory that are in no shard file.
    #[cfg(test)]
    pub(crate) fn dirty_bytes(&self) -> u64 {
        self.0.env.dirty.load(Ordering::Relaxed)
    }

    /// Cuts off what of the log nobody needs.
    pub(crate) fn trim(&self) -> Result<(), Error> {
        self.0.registry.trim(&self.0.env)
    }
}

impl Inner {
    /// Ends the threads; writes that wait are finished first.
    fn stop(&self) {
        self.env.closed.store(true, Ordering::Release);
        self.env.ready.close();
        self.env.compactions.close();
        self.env.alarm.ring();
        while !self.env.options.threads && self.env.turn() {}
        for thread in self.threads.lock().drain(..) {
            // The last that holds the engine may be a task of one of its own threads.
            let own = thread.thread().id() == std::thread::current().id();
            if !own && thread.join().is_err() {
                tracing::error!("a thread of the engine had panicked");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}
