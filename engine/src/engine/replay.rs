//! From a data directory to an engine: removes what was never finished, reads the log from its
//! oldest frame and brings every shard that has frames there to the state after the last of them.
//! Shards without frames are not looked at. Damage to one shard never stops the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use parking_lot::RwLock;

use super::env::{Alarm, DRAFTS, Queue, folder};
use super::registry::{Registry, Slot, UNKNOWN, load_from};
use super::tasks::Tasks;
use super::{Env, Options};
use crate::Error;
use crate::codec::Malformed;
use crate::codec::log::{self, FrameHead, Record};
use crate::io::Storage;
use crate::log::{Frame, Log};
use crate::page::Cache;
use crate::shard::state::State;
use crate::shard::store::Store;
use crate::shard::{Shard, ShardId, replay_frames};

/// Frames of a shard are applied when they are so many bytes together.
const GROUP_BYTES: usize = 1 << 20;

pub(super) fn open(
    storage: Arc<dyn Storage>,
    options: Options,
) -> Result<(Arc<Env>, Arc<Registry>), Error> {
    for draft in storage.list(DRAFTS)? {
        storage.remove(&format!("{DRAFTS}/{}", draft.name))?;
    }
    let cache = Cache::new(options.cache_bytes);
    let mut replay = Replay { storage: &*storage, cache: &cache, shards: HashMap::new() };
    let log = Log::open(storage.clone(), options.log.clone(), &mut |frame| replay.frame(frame))?;
    let shards = replay.finish();
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
    });
    let registry = Registry::new();
    for (id, found) in shards {
        let slot = match found {
            Found::Live { state, lsns } => {
                Slot::Open(Arc::new(Shard::new(id.clone(), env.clone(), *state, Some(lsns))))
            }
            Found::Lost { error, lsn } => {
                tracing::error!(shard = %id, %error, "a shard could not be recovered");
                Slot::Lost { error, lsn }
            }
        };
        registry.insert(id, slot);
    }
    Ok((env, Arc::new(registry)))
}

/// A shard that has frames in the log that are not in its file.
enum Found {
    Live { state: Box<State>, lsns: (u64, u64) },
    Lost { error: Error, lsn: u64 },
}

struct Replay<'a> {
    storage: &'a dyn Storage,
    cache: &'a Arc<Cache>,
    shards: HashMap<ShardId, Replayed>,
}

/// How far a shard has come.
enum Replayed {
    Live(Box<Live>),
    /// It was dropped.
    Gone,
    /// Its frames cannot be applied; maybe they are from a life that a later frame ends.
    Lost {
        error: Error,
        lsn: u64,
    },
}

struct Live {
    state: State,
    /// The newer header is torn and no frame has made up for it yet.
    torn: bool,
    /// Frames that wait to be applied.
    frames: Vec<Bytes>,
    bytes: usize,
    /// Number of the last of them.
    number: u64,
    /// The first frame that is not in the file, and the last one.
    lsns: Option<(u64, u64)>,
}

impl Replay<'_> {
    fn frame(&mut self, frame: Frame) -> Result<(), Error> {
        let id = ShardId::parse(&frame.shard)
            .map_err(|_| Error::corrupt("log", 0, "a frame names no shard"))?;
        let unreadable = |Malformed(what): Malformed| Error::corrupt("log", 0, what);
        let (head, mut records) = log::read_head(&frame.payload).map_err(unreadable)?;
        let first = records.next(&frame.payload).map_err(unreadable)?;
        match first {
            Some(Record::Create) => self.create(id, head, frame.lsn),
            Some(Record::Drop) => self.drop(id, head),
            _ => {
                self.change(id, head, frame);
                Ok(())
            }
        }
    }

    fn create(&mut self, id: ShardId, head: FrameHead, lsn: u64) -> Result<(), Error> {
        let live = match load_from(self.storage, self.cache, &id) {
            Ok((state, torn)) if state.epoch == head.epoch => Live::new(state, torn),
            // Left from a life before, or from none: this one has no file yet.
            Ok(_) | Err(Error::Missing { .. }) => {
                let store = Arc::new(Store::nowhere(id.file().into(), self.cache));
                let mut live = Live::new(State::new(head.epoch, store), false);
                live.lsns = Some((lsn, lsn));
                live
            }
            Err(error @ Error::Corrupt { .. }) => {
                self.shards.insert(id, Replayed::Lost { error, lsn });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.shards.insert(id, Replayed::Live(Box::new(live)));
        Ok(())
    }

    fn drop(&mut self, id: ShardId, head: FrameHead) -> Result<(), Error> {
        let path = id.file();
        // A file of another epoch is from a later life, whose creation stands further on.
        match load_from(self.storage, self.cache, &id) {
            Ok((state, _)) if state.epoch == head.epoch => {
                self.storage.remove(&path)?;
                self.storage.sync_dir(folder(&path))?;
            }
            Err(Error::Corrupt { .. }) if head.epoch == UNKNOWN => {
                self.storage.remove(&path)?;
                self.storage.sync_dir(folder(&path))?;
            }
            Ok(_) | Err(Error::Missing { .. } | Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        self.shards.insert(id, Replayed::Gone);
        Ok(())
    }

    fn change(&mut self, id: ShardId, head: FrameHead, frame: Frame) {
        let lsn = frame.lsn;
        let shard = self.shards.entry(id.clone()).or_insert_with(|| {
            match load_from(self.storage, self.cache, &id) {
                Ok((state, torn)) => Replayed::Live(Box::new(Live::new(state, torn))),
                Err(error) => Replayed::Lost { error, lsn },
            }
        });
        let Replayed::Live(live) = shard else { return };
        if let Err(error) = live.take(head, frame) {
            *shard = Replayed::Lost { error, lsn };
        }
    }

    /// The shards that have more than their files hold.
    fn finish(self) -> Vec<(ShardId, Found)> {
        let mut found = Vec::new();
        for (id, shard) in self.shards {
            match shard {
                Replayed::Gone => {}
                Replayed::Lost { error, lsn } => found.push((id, Found::Lost { error, lsn })),
                Replayed::Live(live) => found.extend(live.finish().map(|shard| (id, shard))),
            }
        }
        found
    }
}

impl Live {
    fn new(state: State, torn: bool) -> Live {
        let number = state.counters.number;
        Live { state, torn, frames: Vec::new(), bytes: 0, number, lsns: None }
    }

    /// Takes the next frame: an old one is passed over, a gap is damage.
    fn take(&mut self, head: FrameHead, frame: Frame) -> Result<(), Error> {
        if head.epoch != self.state.epoch {
            return Err(self.damage("the log has records of another life of the shard"));
        }
        if head.number <= self.number {
            return Ok(());
        }
        if head.number != self.number + 1 {
            return Err(self.damage("records are missing from the log"));
        }
        self.number = head.number;
        self.torn = false;
        let oldest = self.lsns.map_or(frame.lsn, |(oldest, _)| oldest);
        self.lsns = Some((oldest, frame.lsn));
        self.bytes += frame.payload.len();
        self.frames.push(frame.payload);
        if self.bytes >= GROUP_BYTES { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        self.state = replay_frames(&self.state, &std::mem::take(&mut self.frames))?;
        Ok(())
    }

    fn finish(mut self) -> Option<Found> {
        let lsn = self.lsns.map_or(0, |(oldest, _)| oldest);
        if self.torn {
            let error = self.damage("the newer header is damaged");
            return Some(Found::Lost { error, lsn });
        }
        let lsns = self.lsns?;
        match self.apply() {
            Ok(()) => Some(Found::Live { state: Box::new(self.state), lsns }),
            Err(error) => Some(Found::Lost { error, lsn }),
        }
    }

    fn damage(&self, what: &'static str) -> Error {
        Error::corrupt(self.state.store.name(), 0, what)
    }
}
