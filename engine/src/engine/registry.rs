//! Which shards are open, and whose turn it is to open, make or drop one: that work is done outside
//! the locks, so that nobody who only looks waits for a disk. What the work is stands in `lives`.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::Env;
use crate::Error;
use crate::index::Indexes;
use crate::shard::{Shard, ShardId};

/// What is known of a shard without looking at the disk.
#[derive(Clone)]
pub(super) enum Slot {
    Open(Arc<Shard>),
    /// Somebody opens, makes or drops it. Until that is done the log keeps all from an lsn on.
    Busy {
        /// The shard that is being dropped.
        dropping: Option<Arc<Shard>>,
        needs: u64,
    },
    /// The log has records for it that cannot be applied; they are kept from that lsn on.
    Lost {
        error: Error,
        lsn: u64,
    },
}

impl Slot {
    /// The oldest frame of the log that is needed for it.
    fn needs(&self) -> Option<u64> {
        match self {
            Slot::Open(shard) => shard.oldest_lsn(),
            Slot::Busy { needs, .. } => Some(*needs),
            Slot::Lost { lsn, .. } => Some(*lsn),
        }
    }
}

#[derive(Default)]
struct Stripe {
    slots: Mutex<HashMap<ShardId, Slot>>,
    /// Somebody's turn has ended.
    settled: Condvar,
}

const STRIPES: usize = 64;

/// The open shards. Locks are held for a look into a map, never longer.
pub(super) struct Registry {
    stripes: Vec<Stripe>,
    hasher: RandomState,
    /// The open indexes of all shards.
    pub(super) indexes: Indexes,
    /// Held by who closes shards to make room.
    room: Mutex<()>,
    /// Held by who puts the log in order again.
    recovery: Mutex<()>,
}

/// The right to decide alone what becomes of a shard. When it ends the slot is what `after` says.
pub(super) struct Turn<'a> {
    stripe: &'a Stripe,
    id: &'a ShardId,
    pub(super) after: Option<Slot>,
}

/// What a shard's slot holds when one's turn has come.
pub(super) enum Claim<'a> {
    Open(Arc<Shard>),
    Turn(Turn<'a>),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let after = self.after.take();
        let mut slots = self.stripe.slots.lock();
        let before = match after {
            Some(slot) => slots.insert(self.id.clone(), slot),
            None => slots.remove(self.id),
        };
        drop(slots);
        self.stripe.settled.notify_all();
        // It may be the last to hold a file.
        drop(before);
    }
}

impl Registry {
    pub(super) fn new() -> Self {
        Registry {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            hasher: RandomState::new(),
            indexes: Indexes::default(),
            room: Mutex::default(),
            recovery: Mutex::default(),
        }
    }

    fn stripe(&self, id: &ShardId) -> Option<&Stripe> {
        let hash = self.hasher.hash_one(id);
        self.stripes.get(usize::try_from(hash % STRIPES as u64).unwrap_or(0))
    }

    pub(super) fn insert(&self, id: ShardId, slot: Slot) {
        if let Some(stripe) = self.stripe(&id) {
            stripe.slots.lock().insert(id, slot);
        }
    }

    /// A shard if it is open. Waits for nothing.
    pub(super) fn find(&self, id: &ShardId) -> Option<Arc<Shard>> {
        match self.stripe(id)?.slots.lock().get(id) {
            Some(Slot::Open(shard)) => Some(shard.clone()),
            _ => None,
        }
    }

    /// An open shard, or the turn to open or make it; waits while another has the turn.
    pub(super) fn claim<'a>(&'a self, env: &Env, id: &'a ShardId) -> Result<Claim<'a>, Error> {
        let stripe = self.stripe(id).ok_or(Error::Closed)?;
        let mut slots = stripe.slots.lock();
        loop {
            match slots.get(id) {
                Some(Slot::Open(shard)) => return Ok(Claim::Open(shard.clone())),
                Some(Slot::Lost { error, .. }) => return Err(error.clone()),
                Some(Slot::Busy { .. }) => stripe.settled.wait(&mut slots),
                None => {
                    let needs = env.log.next_lsn();
                    slots.insert(id.clone(), Slot::Busy { dropping: None, needs });
                    return Ok(Claim::Turn(Turn { stripe, id, after: None }));
                }
            }
        }
    }

    /// The turn to drop a shard, whatever its slot is now; without a success it is so again.
    pub(super) fn claim_end<'a>(&'a self, env: &Env, id: &'a ShardId) -> Result<Turn<'a>, Error> {
        let stripe = self.stripe(id).ok_or(Error::Closed)?;
        let mut slots = stripe.slots.lock();
        while let Some(Slot::Busy { .. }) = slots.get(id) {
            stripe.settled.wait(&mut slots);
        }
        let before = slots.get(id).cloned();
        let dropping = match &before {
            Some(Slot::Open(shard)) => Some(shard.clone()),
            _ => None,
        };
        // If the shard stays it needs its frames, and its last frame is needed until the file is gone.
        let next = env.log.next_lsn();
        let needs = before.as_ref().and_then(Slot::needs).map_or(next, |lsn| lsn.min(next));
        slots.insert(id.clone(), Slot::Busy { dropping, needs });
        Ok(Turn { stripe, id, after: before })
    }

    /// After the log has failed: all shards go back to what is durable, and when the log is in order
    /// again they go on.
    pub(super) fn recover(&self, env: &Env) -> Result<(), Error> {
        let _turn = self.recovery.lock();
        if let Some(error) = env.log.poisoned() {
            for shard in self.writable() {
                shard.fail(error.clone());
                shard.rewind();
            }
            if let Error::DiskFull { .. } = error {
                env.release_reserve();
            }
            env.log.recover()?;
        }
        // Those, too, that met the failure while they were opened.
        for shard in self.writable().into_iter().filter(|shard| shard.has_lost_log()) {
            shard.rewind();
            shard.resume();
        }
        Ok(())
    }

    /// Shards that may be written to: those that are open, and those that are being dropped.
    fn writable(&self) -> Vec<Arc<Shard>> {
        self.collect(|slot| match slot {
            Slot::Open(shard) => Some(shard.clone()),
            Slot::Busy { dropping, .. } => dropping.clone(),
            _ => None,
        })
    }

    /// Names of the shards that are open, or lost.
    pub(super) fn ids(&self) -> Vec<ShardId> {
        let named = |(id, slot): (&ShardId, &Slot)| {
            (!matches!(slot, Slot::Busy { .. })).then(|| id.clone())
        };
        let of = |stripe: &Stripe| stripe.slots.lock().iter().filter_map(named).collect::<Vec<_>>();
        self.stripes.iter().flat_map(of).collect()
    }

    /// All shards that are open. Not for keeping: what is held is not closed.
    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        self.collect(|slot| match slot {
            Slot::Open(shard) => Some(shard.clone()),
            _ => None,
        })
    }

    fn collect<T>(&self, wanted: impl Fn(&Slot) -> Option<T>) -> Vec<T> {
        let mut all = Vec::new();
        for stripe in &self.stripes {
            all.extend(stripe.slots.lock().values().filter_map(&wanted));
        }
        all
    }

    pub(super) fn count(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.slots.lock().len()).sum()
    }

    /// Closes a shard if nobody else holds it and its file has everything. Whether it did.
    pub(super) fn close(&self, shard: Arc<Shard>) -> bool {
        let id = shard.id().clone();
        let Some(stripe) = self.stripe(&id) else { return false };
        let mut slots = stripe.slots.lock();
        // One is held by the registry, one by the caller, who lets go of it after the lock.
        let free = Arc::strong_count(&shard) <= 2 && shard.is_saved();
        free && slots.remove(&id).is_some()
    }

    /// Closes shards if as many are open as may be: those that were not used for longest. If none can
    /// be closed as it is, one is saved first. There may be more for a while, when all are in use.
    pub(super) fn make_room(&self, env: &Env) {
        let limit = env.options.open_shards.max(1);
        if self.count() < limit {
            return;
        }
        let _turn = self.room.lock();
        let now = env.now_ms();
        let mut shards = self.shards();
        // They are used meanwhile: each is looked at once.
        shards.sort_by_cached_key(|shard| shard.idle_ms(now));
        let mut open = shards.len();
        let mut unsaved = Vec::new();
        // Some more than one, or each new one would have to look at all.
        while open >= limit - limit / 8 {
            match shards.pop() {
                Some(shard) if shard.is_saved() => open -= usize::from(self.close(shard)),
                Some(shard) => unsaved.push(shard),
                None => break,
            }
        }
        drop(shards);
        for shard in unsaved {
            if open < limit {
                return;
            }
            match shard.checkpoint() {
                Ok(()) => open -= usize::from(self.close(shard)),
                Err(error) => tracing::warn!(shard = %shard.id(), %error, "checkpoint failed"),
            }
        }
    }

    /// Lets the log forget what no shard needs.
    pub(super) fn trim(&self, env: &Env) -> Result<(), Error> {
        // A shard that is made or written to from here on needs nothing below this.
        let next = env.log.next_lsn();
        let needed = self.collect(Slot::needs).into_iter().min();
        env.log.trim(needed.map_or(next, |lsn| lsn.min(next)))
    }
}
