//! What an engine is told at the start. Plain values with defaults.

use std::time::Duration;

use crate::compact::Policy;
use crate::log;

/// Sizes in bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for clean pages of all shards.
    pub cache_bytes: u64,
    /// Memory for pages and chunks that are not in a shard file yet, of all shards; beyond it the
    /// shards that hold most are checkpointed. Writes wait when it is twice as much.
    pub dirty_bytes: u64,
    /// The same for a single shard. Writes to a shard wait when it holds four times as much.
    pub shard_dirty_bytes: u64,
    /// Shards that keep the log larger than this are checkpointed.
    pub log_bytes: u64,
    /// The log's own options.
    pub log: log::Options,
    /// Whether the engine has threads of its own. Without, what waits is done when somebody calls
    /// [`Engine::turn`](super::Engine::turn), [`Engine::look_after`](super::Engine::look_after), or
    /// something that must wait for it; so everything happens in an order that can be repeated.
    pub threads: bool,
    /// Threads that decide writes; 0 means one for each core.
    pub writers: usize,
    /// Threads for checkpoints and compactions; 0 turns off all that happens by itself.
    pub workers: usize,
    /// Memory for the writes that wait at one shard; more are refused.
    pub queue_bytes: usize,
    /// A shard that was not written to for so long is checkpointed.
    pub checkpoint_idle: Duration,
    /// A shard that was not used for so long is closed.
    pub close_idle: Duration,
    /// Shards that may be open at once; beyond it those that are idle are closed at once. For
    /// indexes see [`Options::indexes_beside`].
    pub open_shards: usize,
    /// Room on the disk that is kept free by a file, for getting out of a full disk; 0 keeps none.
    pub reserve_bytes: u64,
    /// When compaction starts by itself, and how hard it works.
    pub compaction: Policy,
}

impl Options {
    /// Indexes that may be open at once beside so many shards.
    #[must_use]
    pub fn indexes_beside(open_shards: usize) -> usize {
        (open_shards / 4).max(2)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 24 << 20,
            dirty_bytes: 16 << 20,
            shard_dirty_bytes: 8 << 20,
            log_bytes: 24 << 20,
            log: log::Options { segment_bytes: 16 << 20, ..log::Options::default() },
            threads: true,
            writers: 0,
            workers: 1,
            queue_bytes: 64 << 20,
            checkpoint_idle: Duration::from_secs(10),
            close_idle: Duration::from_secs(60),
            open_shards: 1000,
            reserve_bytes: 8 << 20,
            compaction: Policy::default(),
        }
    }
}
