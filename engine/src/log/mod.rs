//! The node's write-ahead log: frames of all shards in one sequence, made durable in groups by one
//! thread. Never knows what a payload means, never retries after a failed write or sync.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Error, io::Storage};

/// What the log is told at the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the segments, below the storage's root.
    pub dir: String,
    /// A new segment is begun when one is larger than this, in bytes.
    pub segment_bytes: u64,
    /// Appends wait when so many bytes are waiting for the disk.
    pub queue_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { dir: "log".into(), segment_bytes: 64 << 20, queue_bytes: 64 << 20 }
    }
}

/// A frame as replay gives it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its number: 1, 2, 3, … over all shards.
    pub lsn: u64,
    /// The shard's name.
    pub shard: Arc<str>,
    /// The record.
    pub payload: Bytes,
}

/// Called once on the log's thread, in lsn order, when the frame is durable or never will be.
/// Must be quick and must not append.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The open log. Shared behind an `Arc`.
pub struct Log {}

impl Log {
    /// Replays what is there, in order, then opens the log for appending behind it.
    pub fn open(
        _storage: Arc<dyn Storage>,
        _options: Options,
        _replay: &mut dyn FnMut(Frame) -> Result<(), Error>,
    ) -> Result<Log, Error> {
        todo!()
    }

    /// Queues a frame and returns its lsn. Waits while the queue is full. An error here means that
    /// the frame is not queued and `done` is never called.
    pub fn append(&self, _shard: &Arc<str>, _payload: Bytes, _done: Done) -> Result<u64, Error> {
        todo!()
    }

    /// The lsn the next frame will get.
    pub fn next_lsn(&self) -> u64 {
        todo!()
    }

    /// Removes segments whose frames are all below `lsn`.
    pub fn trim(&self, _lsn: u64) -> Result<(), Error> {
        todo!()
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// The failure that stopped the log, if one did.
    pub fn poisoned(&self) -> Option<Error> {
        todo!()
    }

    /// Writes what is queued and stops the thread. Dropping the log does the same.
    pub fn close(&self) -> Result<(), Error> {
        todo!()
    }
}

/// Reads all segments without changing anything: for `settee check`.
pub fn verify(
    _storage: &dyn Storage,
    _dir: &str,
    _frames: &mut dyn FnMut(Frame) -> Result<(), Error>,
) -> Result<(), Error> {
    todo!()
}
