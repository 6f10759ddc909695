//! From a data directory to an engine: removes what was never finished, reads the log from its
//! oldest frame and brings every shard that has frames there to the state after the last of them,
//! one after the other, so that never more shards are open than may be. Shards without frames are
//! not looked at. Damage to one shard never stops the others: its frames are kept beside its file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::backlog::Backlog;
use super::env::{Alarm, DRAFTS, Queue, remove_file};
use super::kept;
use super::lives::{UNKNOWN, load_from};
use super::registry::{Registry, Slot};
use super::reserve::Reserve;
use super::tasks::Tasks;
use super::{Env, Options};
use crate::Error;
use crate::codec::Malformed;
use crate::codec::log::{self, FrameHead, Record};
use crate::index::remove_folder;
use crate::io::Storage;
use crate::log::{Frame, Log};
use crate::page::Cache;
use crate::shard::id::FOLDER;
use crate::shard::state::State;
use crate::shard::store::Store;
use crate::shard::{Shard, ShardId};

pub(super) fn open(
    storage: Arc<dyn Storage>,
    options: Options,
) -> Result<(Arc<Env>, Arc<Registry>), Error> {
    for draft in storage.list(DRAFTS)? {
        storage.remove(&format!("{DRAFTS}/{}", draft.name))?;
    }
    let cache = Cache::new(options.cache_bytes);
    let mut replay = Replay { storage: &*storage, cache: &cache, shards: BTreeMap::new() };
    let log_options = crate::log::Options { thread: options.threads, ..options.log.clone() };
    let log = Log::open(storage.clone(), log_options, &mut |frame| replay.frame(frame))?;
    let shards = replay.shards;
    if !shards.is_empty() {
        // What a killed process wrote may be in the system's memory only. Where files hold what the log
        // holds, too, the log will be cut: from here on they are relied on.
        storage.sync_below(FOLDER)?;
    }
    let env = Arc::new(Env {
        storage,
        options,
        log,
        cache,
        ready: Queue::new(),
        compactions: Queue::new(),
        listeners: RwLock::default(),
        tasks: Tasks::default(),
        dirty: AtomicU64::new(0),
        alarm: Alarm::new(),
        closed: AtomicBool::new(false),
        reserve: Reserve::default(),
    });
    let registry = Registry::new();
    for (id, backlog) in shards {
        if let Some(backlog) = backlog {
            bring_back(&env, &registry, id, &backlog)?;
        }
    }
    Ok((env, Arc::new(registry)))
}

/// Brings a shard to the state after its last frame.
fn bring_back(
    env: &Arc<Env>,
    registry: &Registry,
    id: ShardId,
    backlog: &Backlog,
) -> Result<(), Error> {
    let Some((oldest, newest)) = backlog.lsns() else { return Ok(()) };
    registry.make_room(env);
    match carry_out(env, &id, backlog) {
        Ok(state) => {
            let shard = Shard::new(id.clone(), env.clone(), state, Some((oldest, newest)));
            let shard = Arc::new(shard);
            if env.dirty.load(Ordering::Relaxed) > env.options.dirty_bytes || backlog.is_kept() {
                save(env, &shard, backlog.is_kept());
            }
            registry.insert(id, Slot::Open(shard));
        }
        Err(error) => {
            tracing::error!(shard = %id, %error, "a shard could not be recovered");
            let kept = backlog.to_keep().map(|frames| kept::write(env, &id, frames));
            match (kept, &error) {
                // The log need not keep them any more.
                (Some(Ok(())), _) => {}
                (None | Some(Err(_)), Error::Corrupt { .. } | Error::Missing { .. }) => {
                    registry.insert(id, Slot::Lost { error, lsn: oldest });
                }
                (None | Some(Err(_)), _) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Puts a shard's backlog into its file. If that fails the backlog is there for the next time.
pub(super) fn save(env: &Env, shard: &Arc<Shard>, kept: bool) {
    let id = shard.id();
    let forget = || if kept { kept::remove(&*env.storage, id) } else { Ok(()) };
    if let Err(error) = shard.checkpoint().and_then(|()| forget()) {
        tracing::warn!(shard = %id, %error, "checkpoint failed");
    }
}

fn carry_out(env: &Env, id: &ShardId, backlog: &Backlog) -> Result<State, Error> {
    let base = match backlog.fresh_epoch() {
        Some(epoch) => State::new(epoch, Store::nowhere(id.file().into(), &env.cache).into()),
        None => load_from(&*env.storage, &env.cache, id)?.0,
    };
    backlog.apply(base)
}

/// Gathers the log's frames by shard.
struct Replay<'a> {
    storage: &'a dyn Storage,
    cache: &'a Arc<Cache>,
    /// What the log has of each; `None` of one that was dropped.
    shards: BTreeMap<ShardId, Option<Backlog>>,
}

impl Replay<'_> {
    fn frame(&mut self, frame: Frame) -> Result<(), Error> {
        let id = ShardId::parse(&frame.shard)
            .map_err(|_| Error::corrupt("log", 0, "a frame names no shard"))?;
        let unreadable = |Malformed(what): Malformed| Error::corrupt("log", 0, what);
        let (head, mut records) = log::read_head(&frame.payload).map_err(unreadable)?;
        let first = records.next(&frame.payload).map_err(unreadable)?;
        match first {
            Some(Record::Create) => self.create(id, head, frame),
            Some(Record::Drop) => self.drop(id, head),
            _ => {
                self.change(id, head, frame);
                Ok(())
            }
        }
    }

    fn load(&self, id: &ShardId) -> Result<(State, bool), Error> {
        load_from(self.storage, self.cache, id)
    }

    fn create(&mut self, id: ShardId, head: FrameHead, frame: Frame) -> Result<(), Error> {
        let mut backlog = match self.load(&id) {
            Ok((state, torn)) if state.epoch == head.epoch => {
                Backlog::after(id.file(), &state, torn)
            }
            // Left from a life before, or from none: this one has no file yet.
            Ok(_) | Err(Error::Missing { .. }) => Backlog::fresh(id.file(), head.epoch, frame.lsn),
            Err(error) => Backlog::damaged(id.file(), error),
        };
        let mut kept = kept::read(self.storage, &id);
        if let Ok(frames) = &mut kept {
            frames.retain(|(kept, _)| kept.epoch == head.epoch);
        }
        backlog.take_kept(kept);
        backlog.take(head, frame.payload, frame.lsn);
        self.shards.insert(id, Some(backlog));
        Ok(())
    }

    fn drop(&mut self, id: ShardId, head: FrameHead) -> Result<(), Error> {
        // A file of another epoch is from a later life, whose creation stands further on.
        let (file, indexes) = match self.load(&id) {
            Ok((state, _)) => (state.epoch == head.epoch, state.epoch == head.epoch),
            Err(Error::Corrupt { .. }) => (head.epoch == UNKNOWN, true),
            Err(Error::Missing { .. }) => (false, true),
            Err(error) => return Err(error),
        };
        if indexes {
            remove_folder(self.storage, &id)?;
        }
        if file {
            remove_file(self.storage, &id.file())?;
        }
        kept::remove_of(self.storage, &id, head.epoch)?;
        self.shards.insert(id, None);
        Ok(())
    }

    fn change(&mut self, id: ShardId, head: FrameHead, frame: Frame) {
        if !self.shards.contains_key(&id) {
            let mut backlog = match self.load(&id) {
                Ok((state, torn)) => Backlog::after(id.file(), &state, torn),
                Err(error) => Backlog::damaged(id.file(), error),
            };
            backlog.take_kept(kept::read(self.storage, &id));
            self.shards.insert(id.clone(), Some(backlog));
        }
        if let Some(Some(backlog)) = self.shards.get_mut(&id) {
            backlog.take(head, frame.payload, frame.lsn);
        }
    }
}
