//! The indexes that are open, and those that there are: finds them, makes them, closes idle ones,
//! drops them. Its lock is held for a look into a map, never for a disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::state::State;
use super::store::Store;
use super::{Index, Reducers, Signature};
use crate::Error;
use crate::engine::{Env, Job, Options, remove_file};
use crate::io::Storage;
use crate::shard::{Shard, ShardId};

type Key = (ShardId, Signature);

/// An index that is open, or will be: who finds it empty opens it.
type Slot = Arc<Mutex<Option<Arc<Index>>>>;

/// See the module's description.
#[derive(Default)]
pub(crate) struct Indexes {
    slots: Mutex<HashMap<Key, Slot>>,
}

/// Where a shard's indexes are.
pub(super) fn folder(shard: &ShardId) -> String {
    format!("indexes/{shard}")
}

/// The file of an index.
pub(super) fn file_of(shard: &ShardId, signature: Signature) -> String {
    format!("{}/{}", folder(shard), signature.file_name())
}

/// Removes all indexes of a shard from the disk, durably.
pub(crate) fn remove_folder(storage: &dyn Storage, shard: &ShardId) -> Result<(), Error> {
    let folder = folder(shard);
    let found = signatures(storage, shard)?;
    for signature in &found {
        remove(storage, &file_of(shard, *signature))?;
    }
    if found.is_empty() { Ok(()) } else { storage.sync_dir(&folder) }
}

fn remove(storage: &dyn Storage, path: &str) -> Result<(), Error> {
    match storage.remove(path) {
        Err(Error::Missing { .. }) => Ok(()),
        other => other,
    }
}

fn signatures(storage: &dyn Storage, shard: &ShardId) -> Result<Vec<Signature>, Error> {
    let entries = storage.list(&folder(shard))?;
    let files = entries.iter().filter(|entry| !entry.is_dir);
    Ok(files.filter_map(|entry| Signature::of_file_name(&entry.name)).collect())
}

impl Indexes {
    /// An index of a shard, opened or made if need be.
    pub(crate) fn open(
        &self,
        env: &Arc<Env>,
        shard: &Shard,
        signature: Signature,
        reducers: Reducers<'_>,
    ) -> Result<Arc<Index>, Error> {
        let key = (shard.id().clone(), signature);
        let slot = self.slots.lock().entry(key.clone()).or_default().clone();
        let mut opened = slot.lock();
        let in_place = self.slots.lock().get(&key).is_some_and(|other| Arc::ptr_eq(other, &slot));
        if !in_place {
            // It was dropped in between.
            drop(opened);
            return self.open(env, shard, signature, reducers);
        }
        if let Some(index) = &*opened {
            index.touch();
            return Ok(index.clone());
        }
        // A shard that ends from here on finds this slot; one that had ended is seen here.
        let dropped = Error::ShardMissing { shard: shard.id().shared().clone() };
        let going = if shard.is_dropped() { Err(dropped) } else { Ok(()) };
        match going.and_then(|()| open(env, shard, signature, reducers)) {
            Ok(index) => {
                let index = Arc::new(index);
                *opened = Some(index.clone());
                drop(opened);
                self.make_room(env);
                Ok(index)
            }
            Err(error) => {
                drop(opened);
                self.forget_if_empty(&key);
                Err(error)
            }
        }
    }

    fn forget_if_empty(&self, key: &Key) {
        let mut slots = self.slots.lock();
        // One is in the map; who else holds it is about to open it.
        let unused = |slot: &Slot| Arc::strong_count(slot) <= 1;
        if slots.get(key).is_some_and(unused) {
            slots.remove(key);
        }
    }

    /// Names of a shard's indexes, open or on disk, in order.
    pub(crate) fn list(&self, env: &Env, shard: &ShardId) -> Result<Vec<Signature>, Error> {
        let mut found = signatures(&*env.storage, shard)?;
        let slots = self.slots.lock();
        found.extend(slots.keys().filter(|(of, _)| of == shard).map(|(_, signature)| *signature));
        drop(slots);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes an index for ever, if it is there. Snapshots of it stay readable.
    pub(crate) fn drop_one(
        &self,
        env: &Env,
        shard: &ShardId,
        signature: Signature,
    ) -> Result<(), Error> {
        self.end(&[(shard.clone(), signature)]);
        remove_file(&*env.storage, &file_of(shard, signature))
    }

    /// The same of this very index; `false` if it is not the one that is open.
    pub(crate) fn drop_this(&self, env: &Env, index: &Arc<Index>) -> Result<bool, Error> {
        let key = (index.shard.clone(), index.signature);
        let Some(slot) = self.slots.lock().get(&key).cloned() else { return Ok(false) };
        // Held until the file is gone, so that nobody opens it meanwhile.
        let mut opened = slot.lock();
        if !opened.as_ref().is_some_and(|open| Arc::ptr_eq(open, index)) {
            return Ok(false);
        }
        index.end();
        *opened = None;
        let removed = remove_file(&*env.storage, &file_of(&key.0, key.1));
        drop(opened);
        drop(slot);
        self.forget_if_empty(&key);
        removed.map(|()| true)
    }

    /// Removes all indexes of a shard for ever. The shard must have ended.
    pub(crate) fn drop_all(&self, env: &Env, shard: &ShardId) -> Result<(), Error> {
        let keys: Vec<Key> = {
            let slots = self.slots.lock();
            slots.keys().filter(|(of, _)| of == shard).cloned().collect()
        };
        self.end(&keys);
        remove_folder(&*env.storage, shard)
    }

    fn end(&self, keys: &[Key]) {
        for key in keys {
            let slot = self.slots.lock().remove(key);
            let index = slot.and_then(|slot| slot.lock().take());
            if let Some(index) = index {
                index.end();
            }
        }
    }

    /// The indexes that are open. Not for keeping: what is held is not closed.
    pub(crate) fn all(&self) -> Vec<Arc<Index>> {
        let slots: Vec<Slot> = self.slots.lock().values().cloned().collect();
        // One that is being opened has nothing to look after.
        slots.iter().filter_map(|slot| slot.try_lock()?.clone()).collect()
    }

    /// What happens by itself: checkpoints, closing, what is worth a compaction.
    pub(crate) fn look_after(&self, env: &Env) {
        let (now, options) = (env.now_ms(), &env.options);
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let indexes = self.all();
        let mut dirty: u64 = indexes.iter().map(|index| index.dirty_bytes()).sum();
        for index in &indexes {
            let own = index.dirty_bytes();
            let settled = index.is_settled(now, millis(options.checkpoint_idle));
            if own > options.shard_dirty_bytes || dirty > options.dirty_bytes || settled {
                if index.rest.is_over(now) {
                    save(index);
                }
                // It may have grown since they were added up.
                dirty = dirty.saturating_sub(own);
            }
            if options.compaction.automatic && index.rest.is_over(now) {
                index.compact_if_worth_it();
            }
        }
        drop(indexes);
        self.close_idle(now, millis(options.close_idle));
        self.make_room(env);
    }

    fn close_idle(&self, now: u64, after: u64) {
        for index in self.all() {
            if index.is_idle(now, after) {
                self.close(index);
            }
        }
    }

    /// Closes those that nobody used for longest, if more are open than may be.
    fn make_room(&self, env: &Env) {
        let limit = Options::indexes_beside(env.options.open_shards);
        if self.slots.lock().len() <= limit {
            return;
        }
        let mut indexes = self.all();
        // They are used meanwhile: each is looked at once.
        indexes.sort_by_cached_key(|index| index.used_ms.load(Ordering::Relaxed));
        let excess = indexes.len().saturating_sub(limit);
        for index in indexes.into_iter().take(excess) {
            save(&index);
            self.close(index);
        }
    }

    /// Closes an index if nobody else holds it. What is not in its file yet is made again.
    fn close(&self, index: Arc<Index>) {
        let key = (index.shard.clone(), index.signature);
        let mut slots = self.slots.lock();
        let free = slots.get(&key).is_some_and(|slot| {
            // One is in the slot, one is the caller's.
            Arc::strong_count(slot) <= 1 && Arc::strong_count(&index) <= 2
        });
        let slot = if free && index.state().is_saved() { slots.remove(&key) } else { None };
        drop(slots);
        drop(slot);
    }

    /// Puts what is open into files, before the end.
    pub(crate) fn save_all(&self) {
        self.all().iter().for_each(|index| save(index));
    }
}

fn save(index: &Index) {
    index.rest_after("checkpoint", index.checkpoint());
}

/// Opens an index's file; begins anew without one, or with one that cannot be used.
fn open(
    env: &Arc<Env>,
    shard: &Shard,
    signature: Signature,
    reducers: Reducers<'_>,
) -> Result<Index, Error> {
    let path = file_of(shard.id(), signature);
    let opened = Store::open(&*env.storage, &path, &env.cache)
        .and_then(|(store, header)| State::open(store, header, reducers));
    let state = match opened {
        Ok(state) if follows(&state, shard) => state,
        Ok(_) | Err(Error::Missing { .. }) => anew(env, &path, reducers)?,
        Err(error @ Error::Corrupt { .. }) => {
            tracing::warn!(%error, "an index is made anew");
            anew(env, &path, reducers)?
        }
        Err(error) => return Err(error),
    };
    Ok(Index::new(env.clone(), shard.id().clone(), signature, state))
}

fn anew(env: &Env, path: &str, reducers: Reducers<'_>) -> Result<State, Error> {
    let store = Store::nowhere(path, &env.cache);
    Ok(State::empty(store, bytes::Bytes::new(), reducers(&[])?))
}

/// Whether an index was made of this life of the shard.
fn follows(state: &State, shard: &Shard) -> bool {
    let (at, shard) = (state.position, shard.snapshot());
    at.epoch == shard.epoch()
        && at.update_seq <= shard.update_seq()
        && at.purge_seq <= shard.purge_seq()
}

impl Index {
    /// Takes note of how upkeep of this index ended, and for how long to leave it alone.
    pub(super) fn rest_after(&self, what: &'static str, ended: Result<(), Error>) {
        match ended {
            // It was dropped meanwhile.
            Ok(()) | Err(Error::IndexDropped { .. } | Error::Closed) => self.rest.end(),
            Err(error) => {
                tracing::warn!(shard = %self.shard, index = %self.signature, %error, "{what} failed");
                self.rest.begin(self.env.now_ms());
            }
        }
    }

    /// Asks for a compaction; it runs in the background.
    pub fn ask_for_compaction(self: &Arc<Self>) {
        if !self.compacting.swap(true, Ordering::Relaxed) {
            self.env.compactions.push(Job::Index(self.clone()));
        }
    }

    fn compact_if_worth_it(self: &Arc<Self>) {
        let has_file = self.state().store.has_file();
        match self.sizes() {
            Ok(sizes) if has_file && self.env.options.compaction.wants(&sizes) => {
                self.ask_for_compaction();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(index = %self.signature, %error, "cannot tell the size"),
        }
    }
}
