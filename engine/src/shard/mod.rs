//! One shard copy: its trees, its writer, its snapshots, its file. [`Shard`] is what the rest of the
//! engine and the coordinator hold; the journeys are in `writer` (decide, apply, log, publish),
//! `snapshot` (read), `checkpoint` (memory to file) and `uploads` (attachments). Never knows the
//! other shards.

mod batch;
mod checkpoint;
mod cursor;
mod decide;
mod going;
pub(crate) mod id;
mod leap;
mod names;
mod partition;
mod queue;
mod snapshot;
pub(crate) mod state;
pub(crate) mod store;
mod swap;
mod unwritten;
mod uploads;
mod workspace;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

pub use crate::codec::change::{Change, ChangeLeaf};
pub use crate::codec::docinfo::DocHead;
pub use crate::codec::local::LocalDoc;
pub use crate::codec::purge::{PurgeInfo, PurgeRequest};
pub use crate::codec::reduce::{Counts, DocSizes};
pub use batch::{Batch, Decision, Done, LocalEdit, LocalReplica, Made, OnDecided, Outcome, Write};
pub use cursor::{ChangeCursor, DocCursor, DocRow, LocalCursor, PurgeCursor, Which};
pub use id::{BadShardId, ShardId};
pub use snapshot::{IdRange, Snapshot};
pub use uploads::{ChunkWriter, name_chunk};

use crate::Error;
use crate::engine::Env;
use going::Stop;
use queue::WriteQueue;
use state::State;
pub(crate) use store::CHUNK_KIND;
use uploads::Uploads;
pub(crate) use workspace::replay_frames;

/// A shard copy that is open. Everything waits on disks, never on other clients' reads.
///
/// Not for keeping: a shard is closed only while nobody holds it.
pub struct Shard {
    id: ShardId,
    env: Arc<Env>,
    queue: WriteQueue,
    /// The newest state, maybe not durable yet. Whoever holds it is the shard's one writer.
    head: Mutex<State>,
    durable: Mutex<Durable>,
    durable_moved: Condvar,
    /// Held by one compaction at a time.
    compaction: Mutex<()>,
    /// Held by who changes the shard's file: a checkpoint, or the end of a compaction.
    upkeep: Mutex<()>,
    /// A compaction is running or waits for its turn.
    compacting: AtomicBool,
    /// Generation of the header after which it was judged last whether to compact.
    judged: AtomicU64,
    /// Generations that who writes or compacts wants remembered; compaction forgets older ones.
    revs_limit: AtomicU32,
    uploads: Uploads,
    /// The log must keep frames from this one on; `NONE` if all is in the shard's file.
    oldest_lsn: AtomicU64,
    /// Bytes of `head` that are in no file.
    dirty: AtomicU64,
    /// When it was used and written to last, in milliseconds.
    used_ms: AtomicU64,
    written_ms: AtomicU64,
    /// Why it takes no writes any more.
    stopped: Mutex<Option<Stop>>,
}

/// The newest durable state, and what waits for the next ones.
struct Durable {
    state: Arc<State>,
    /// The frame that made it has this lsn or a higher one.
    lsn_bound: u64,
    /// To be called when the frame with that number is durable.
    waiting: Vec<(u64, Call)>,
}

type Call = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Bytes on disk and of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Length of the shard's file, and memory that goes there with the next checkpoint.
    pub file: u64,
    /// How much of that compaction would keep, about.
    pub active: u64,
    /// The content as clients see it: JSON and attachments.
    pub external: u64,
}

const NONE: u64 = u64::MAX;

/// Name of a property: the number, 8 bytes big endian, of the last purge that nobody needs to hear
/// of any more. Those after it are remembered whatever the limit says.
pub const PURGES_DONE: &[u8] = b"purges-done";

impl Shard {
    pub(crate) fn new(id: ShardId, env: Arc<Env>, state: State, lsns: Option<(u64, u64)>) -> Shard {
        let now = env.now_ms();
        let dirty = state.dirty_bytes();
        env.dirty.fetch_add(dirty, Ordering::Relaxed);
        let (oldest, newest) = lsns.unwrap_or((NONE, 0));
        Shard {
            id,
            queue: WriteQueue::default(),
            durable: Mutex::new(Durable {
                state: Arc::new(state.clone()),
                lsn_bound: newest,
                waiting: Vec::new(),
            }),
            head: Mutex::new(state),
            durable_moved: Condvar::new(),
            compaction: Mutex::new(()),
            upkeep: Mutex::new(()),
            compacting: AtomicBool::new(false),
            judged: AtomicU64::new(0),
            revs_limit: AtomicU32::new(u32::MAX),
            uploads: Uploads::default(),
            oldest_lsn: AtomicU64::new(oldest),
            dirty: AtomicU64::new(dirty),
            used_ms: AtomicU64::new(now),
            written_ms: AtomicU64::new(now),
            stopped: Mutex::new(None),
            env,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// The shard as it is now, as far as it is durable.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.durable_state())
    }

    /// Bytes on disk and of content.
    pub fn sizes(&self) -> Result<Sizes, Error> {
        let state = self.durable_state();
        Ok(Sizes {
            file: state.store.pages.file().len()? + state.dirty_bytes(),
            active: state.live_bytes()? + state.trees.dirty_bytes(),
            external: state.counts()?.sizes.external,
        })
    }

    /// Whether a compaction is running.
    #[must_use]
    pub fn compacting(&self) -> bool {
        self.compacting.load(Ordering::Relaxed)
    }

    /// A value of the shard's own; as durable as a document.
    pub fn property(&self, name: &[u8]) -> Result<Option<Bytes>, Error> {
        self.snapshot().property(name)
    }

    /// Sets a value of the shard's own, or removes it; durable when it returns.
    pub fn set_property(self: &Arc<Self>, name: &[u8], value: Option<Bytes>) -> Result<(), Error> {
        let write = Write::Property { name: Bytes::copy_from_slice(name), value };
        self.write(Batch::of(vec![write])).map(|_| ())
    }

    /// [`Shard::submit`] that waits. Not for threads that must not block.
    pub fn write(self: &Arc<Self>, batch: Batch) -> Result<Vec<Outcome>, Error> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.submit(batch, Box::new(move |result| drop(tell.send(result))));
        self.env.wait(&told)?
    }

    pub(crate) fn touch(&self) {
        self.used_ms.store(self.env.now_ms(), Ordering::Relaxed);
    }

    pub(crate) fn idle_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.used_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn quiet_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.written_ms.load(Ordering::Relaxed))
    }

    /// The first frame that is not in the shard's file, if there is one.
    pub(crate) fn oldest_lsn(&self) -> Option<u64> {
        Some(self.oldest_lsn.load(Ordering::Acquire)).filter(|lsn| *lsn != NONE)
    }

    /// Whether its file has everything.
    pub(crate) fn is_saved(&self) -> bool {
        self.oldest_lsn().is_none()
    }

    pub(crate) fn durable_state(&self) -> Arc<State> {
        self.durable.lock().state.clone()
    }

    pub(crate) fn dirty_bytes(&self) -> u64 {
        self.dirty.load(Ordering::Relaxed)
    }

    /// Keeps account of the memory that a new head holds.
    fn account(&self, head: &State) {
        let now = head.dirty_bytes();
        let before = self.dirty.swap(now, Ordering::Relaxed);
        let total = &self.env.dirty;
        if now >= before {
            total.fetch_add(now - before, Ordering::Relaxed);
        } else {
            total.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Wakes who looks after the shards if a write has made memory short.
    fn call_for_help(&self) {
        let (limits, total) = (&self.env.options, self.env.dirty.load(Ordering::Relaxed));
        if self.dirty_bytes() > limits.shard_dirty_bytes || total > limits.dirty_bytes {
            self.env.alarm.ring();
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.env.dirty.fetch_sub(self.dirty.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
