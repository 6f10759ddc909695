//! Which shards are open. Opening, making and dropping one shard never overlap; different shards
//! seldom wait for each other. Never decides when to close one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc;

use parking_lot::Mutex;

use super::Env;
use super::env::folder;
use crate::Error;
use crate::codec::log::{self, FrameHead, Record};
use crate::shard::state::{State, Trees};
use crate::shard::store::Store;
use crate::shard::{Shard, ShardId};

/// What is known of a shard without looking at the disk.
pub(super) enum Slot {
    Open(Arc<Shard>),
    /// The log has records for it that cannot be applied; they are kept from that lsn on.
    Lost {
        error: Error,
        lsn: u64,
    },
}

type Stripe = HashMap<ShardId, Slot>;

const STRIPES: usize = 64;

/// Epoch of a shard that is dropped unread.
pub(super) const UNKNOWN: u64 = 0;

/// The open shards. Whoever holds the lock of a shard's stripe decides about it alone.
pub(super) struct Registry {
    stripes: Vec<Mutex<Stripe>>,
    hasher: RandomState,
}

impl Registry {
    pub(super) fn new() -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        Registry { stripes, hasher: RandomState::new() }
    }

    fn stripe(&self, id: &ShardId) -> Option<&Mutex<Stripe>> {
        let hash = self.hasher.hash_one(id);
        self.stripes.get(usize::try_from(hash % STRIPES as u64).unwrap_or(0))
    }

    fn lock(&self, id: &ShardId) -> Result<parking_lot::MutexGuard<'_, Stripe>, Error> {
        self.stripe(id).map(Mutex::lock).ok_or(Error::Closed)
    }

    pub(super) fn insert(&self, id: ShardId, slot: Slot) {
        if let Some(stripe) = self.stripe(&id) {
            stripe.lock().insert(id, slot);
        }
    }

    pub(super) fn find(&self, id: &ShardId) -> Option<Arc<Shard>> {
        match self.stripe(id)?.lock().get(id) {
            Some(Slot::Open(shard)) => Some(shard.clone()),
            _ => None,
        }
    }

    pub(super) fn open(&self, env: &Arc<Env>, id: &ShardId) -> Result<Arc<Shard>, Error> {
        let mut stripe = self.lock(id)?;
        let shard = open_in(&mut stripe, env, id)?;
        shard.touch();
        Ok(shard)
    }

    pub(super) fn create(&self, env: &Arc<Env>, id: &ShardId) -> Result<Arc<Shard>, Error> {
        let mut stripe = self.lock(id)?;
        match open_in(&mut stripe, env, id) {
            Ok(_) => return Err(Error::ShardExists { shard: id.shared().clone() }),
            Err(Error::ShardMissing { .. }) => {}
            Err(error) => return Err(error),
        }
        let state = State::new(env.storage.random(), nowhere(env, id));
        let lsn = append(env, id, state.epoch, 0, &Record::Create)?;
        let shard = Arc::new(Shard::new(id.clone(), env.clone(), state, Some((lsn, lsn))));
        stripe.insert(id.clone(), Slot::Open(shard.clone()));
        Ok(shard)
    }

    pub(super) fn remove(&self, env: &Arc<Env>, id: &ShardId) -> Result<(), Error> {
        let mut stripe = self.lock(id)?;
        match open_in(&mut stripe, env, id) {
            Ok(shard) => {
                let (epoch, number) = shard.end();
                append(env, id, epoch, number, &Record::Drop).inspect_err(|_| shard.go_on())?;
            }
            // A damaged shard can be dropped, too.
            Err(Error::Corrupt { .. }) => {
                let epoch = load(env, id).map_or(UNKNOWN, |(state, _)| state.epoch);
                append(env, id, epoch, 0, &Record::Drop)?;
            }
            Err(error) => return Err(error),
        };
        stripe.remove(id);
        remove_file(env, id)
    }

    /// After the log has failed: all shards go back to what is durable, and when the log is in order
    /// again they go on.
    pub(super) fn recover(&self, env: &Env) -> Result<(), Error> {
        let Some(error) = env.log.poisoned() else { return Ok(()) };
        let shards = self.shards();
        for shard in &shards {
            shard.fail(error.clone());
            shard.rewind();
        }
        env.log.recover()
    }

    /// All shards that are open.
    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        let mut shards = Vec::new();
        for stripe in &self.stripes {
            shards.extend(stripe.lock().values().filter_map(|slot| match slot {
                Slot::Open(shard) => Some(shard.clone()),
                Slot::Lost { .. } => None,
            }));
        }
        shards
    }

    /// Closes a shard if nobody holds it and its file has everything.
    pub(super) fn close(&self, shard: Arc<Shard>) {
        let id = shard.id().clone();
        let Some(stripe) = self.stripe(&id) else { return };
        let mut stripe = stripe.lock();
        // One is held by the registry, one by the caller.
        if Arc::strong_count(&shard) <= 2 && shard.is_saved() {
            stripe.remove(&id);
        }
    }

    /// Lets the log forget what no shard needs.
    pub(super) fn trim(&self, env: &Env) -> Result<(), Error> {
        // A shard that is made or written to from here on needs nothing below this.
        let mut needed = env.log.next_lsn();
        for stripe in &self.stripes {
            for slot in stripe.lock().values() {
                let lsn = match slot {
                    Slot::Open(shard) => shard.oldest_lsn(),
                    Slot::Lost { lsn, .. } => Some(*lsn),
                };
                needed = needed.min(lsn.unwrap_or(u64::MAX));
            }
        }
        env.log.trim(needed)
    }
}

fn open_in(stripe: &mut Stripe, env: &Arc<Env>, id: &ShardId) -> Result<Arc<Shard>, Error> {
    match stripe.get(id) {
        Some(Slot::Open(shard)) => return Ok(shard.clone()),
        Some(Slot::Lost { error, .. }) => return Err(error.clone()),
        None => {}
    }
    let (state, torn) = match load(env, id) {
        Ok(loaded) => loaded,
        Err(Error::Missing { .. }) => {
            return Err(Error::ShardMissing { shard: id.shared().clone() });
        }
        Err(error) => return Err(error),
    };
    if torn {
        // A torn header is mended by the log; there the shard has no record that could do it.
        return Err(Error::corrupt(&id.file(), 0, "the newer header is damaged"));
    }
    let shard = Arc::new(Shard::new(id.clone(), env.clone(), state, None));
    stripe.insert(id.clone(), Slot::Open(shard.clone()));
    Ok(shard)
}

/// The state that a shard's file holds, and whether its newer header is torn.
fn load(env: &Env, id: &ShardId) -> Result<(State, bool), Error> {
    load_from(&*env.storage, &env.cache, id)
}

pub(super) fn load_from(
    storage: &dyn crate::io::Storage,
    cache: &Arc<crate::page::Cache>,
    id: &ShardId,
) -> Result<(State, bool), Error> {
    let (store, opened) = Store::open(storage, &id.file(), cache)?;
    let header = opened.header;
    let state = State {
        epoch: header.epoch,
        counters: header.counters,
        trees: Trees::open(header.roots),
        store: Arc::new(store),
    };
    Ok((state, opened.torn))
}

fn nowhere(env: &Env, id: &ShardId) -> Arc<Store> {
    Arc::new(Store::nowhere(id.file().into(), &env.cache))
}

/// Logs that a shard begins or ends, and waits until that is durable.
fn append(env: &Env, id: &ShardId, epoch: u64, number: u64, record: &Record) -> Result<u64, Error> {
    let mut frame = Vec::new();
    log::put_head(&mut frame, FrameHead { epoch, number });
    log::put_record(&mut frame, record);
    let (tell, told) = mpsc::sync_channel(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    let lsn = env.log.append(id.shared(), frame.into(), done)?;
    told.recv().unwrap_or(Err(Error::Closed))?;
    Ok(lsn)
}

/// Removes a dropped shard's file, durably, so that the log may forget that it was dropped.
fn remove_file(env: &Env, id: &ShardId) -> Result<(), Error> {
    let path = id.file();
    match env.storage.remove(&path) {
        Ok(()) => env.storage.sync_dir(folder(&path)),
        Err(Error::Missing { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
