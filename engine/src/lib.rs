//! One shard copy on one disk: write-ahead log, copy-on-write trees, attachments, compaction,
//! snapshots. Synchronous; never sees an async runtime, HTTP, the cluster or JavaScript.

pub mod error;
pub mod io;
pub mod log;
pub mod page;
pub mod tree;

pub use error::Error;
