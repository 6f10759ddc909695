//! One shard copy on one disk: write-ahead log, copy-on-write trees, attachments, compaction,
//! snapshots. Synchronous; never sees an async runtime, HTTP, the cluster or JavaScript.

pub mod check;
mod codec;
pub mod compact;
pub mod engine;
pub mod error;
pub mod index;
pub mod io;
pub mod log;
pub mod page;
pub mod shard;
pub mod tree;

pub use engine::{Engine, Options, Task};
pub use error::Error;
pub use index::{Index, IndexSnapshot};
pub use io::Room;
pub use shard::{Shard, ShardId, Snapshot};
