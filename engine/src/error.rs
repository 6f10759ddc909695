//! What can go wrong in the engine. One type for all rooms, cheap to clone because one failed sync
//! is reported to every write that waited for it. Never carries document contents.

use std::{io, sync::Arc};

/// An engine failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk said no.
    #[error("{op} {file}: {source}")]
    Io {
        /// What was tried, e.g. `"write"`.
        op: &'static str,
        /// The file, relative to the data directory.
        file: Arc<str>,
        /// The operating system's error.
        source: Arc<io::Error>,
    },
    /// No space left (or the quota is used up).
    #[error("no space left for {file}")]
    DiskFull {
        /// The file that could not grow.
        file: Arc<str>,
    },
    /// The file or directory is not there.
    #[error("{file} is missing")]
    Missing {
        /// The file, relative to the data directory.
        file: Arc<str>,
    },
    /// Bytes on disk are not what was written there.
    #[error("{file} is damaged at {offset}: {what}")]
    Corrupt {
        /// The file, relative to the data directory.
        file: Arc<str>,
        /// Where the damaged page, batch or header starts.
        offset: u64,
        /// Which check failed.
        what: &'static str,
    },
    /// A page is not in memory and the caller asked not to wait for the disk.
    #[error("not in memory")]
    NotResident,
    /// The log, shard or engine was closed.
    #[error("closed")]
    Closed,
    /// A batch for a tree was not sorted by key, or named a key twice.
    #[error("keys are not in order")]
    Unordered,
    /// There is no shard of that name.
    #[error("there is no shard {shard}")]
    ShardMissing {
        /// The name.
        shard: Arc<str>,
    },
    /// An index was dropped while somebody had it; it may be there again.
    #[error("an index of {shard} was dropped")]
    IndexDropped {
        /// Its shard.
        shard: Arc<str>,
    },
    /// There is a shard of that name already.
    #[error("there is a shard {shard} already")]
    ShardExists {
        /// The name.
        shard: Arc<str>,
    },
    /// Too many writes wait at the shard; later there may be room again.
    #[error("too many writes are waiting")]
    Overloaded,
    /// An edit names an uploaded chunk that nobody holds any more.
    #[error("an uploaded attachment is gone")]
    UploadLost,
    /// The bytes that an edit brings are not what their name says.
    #[error("bytes of an attachment are not what their name says")]
    ChunkMismatch,
    /// Entries of an index could not be summarised; says why, in words of who does it.
    #[error("{what}")]
    Reduce {
        /// What went wrong.
        what: Arc<str>,
    },
    /// A value is larger than the format can hold.
    #[error("{what} is too large")]
    TooLarge {
        /// What it is.
        what: &'static str,
    },
}

impl Error {
    /// Sorts an operating system's error into the kinds above.
    pub fn io(op: &'static str, file: &str, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { file: file.into() },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { file: file.into() }
            }
            _ => Error::Io { op, file: file.into(), source: Arc::new(source) },
        }
    }

    /// Damage at a place of a file.
    pub fn corrupt(file: &str, offset: u64, what: &'static str) -> Error {
        Error::Corrupt { file: file.into(), offset, what }
    }
}
