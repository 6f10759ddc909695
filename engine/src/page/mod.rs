//! Pages of a shard file: pointers, frames with checksum and compression, the node-wide cache, the
//! writer that appends. Never knows what an entry of a page means.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;

use crate::{Error, io::File};

/// Where a page's frame stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PagePtr {
    /// Byte offset of the frame.
    pub offset: u64,
    /// Length of the whole frame in bytes.
    pub len: u32,
}

/// The node-wide cache of clean pages, under one budget in bytes. Shared by all files.
pub struct Cache {}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

impl Cache {
    /// A cache that holds about `budget` bytes.
    pub fn new(_budget: u64) -> Arc<Cache> {
        todo!()
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        todo!()
    }

    /// Changes the budget; shrinking evicts.
    pub fn set_budget(&self, _budget: u64) {
        todo!()
    }
}

/// Reads pages of one file through the cache. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    _file: Arc<dyn File>,
    _cache: Arc<Cache>,
}

impl Pages {
    /// Gives the file a cache identity of its own (each call a new one).
    pub fn new(file: Arc<dyn File>, cache: Arc<Cache>) -> Pages {
        Pages { _file: file, _cache: cache }
    }

    /// The same pages, but a page that is not in memory gives [`Error::NotResident`].
    pub fn resident_only(&self) -> Pages {
        todo!()
    }

    /// The same pages, but read from the disk and not put into the cache: for scans that touch
    /// everything once (compaction, check).
    pub fn uncached(&self) -> Pages {
        todo!()
    }

    /// The file.
    pub fn file(&self) -> &Arc<dyn File> {
        todo!()
    }

    /// Forgets everything cached of this file.
    pub fn evict(&self) {
        todo!()
    }

    /// Reads and checks one frame of a kind that the trees don't use, past the cache.
    pub fn read(&self, _ptr: PagePtr, _kind: u8) -> Result<Bytes, Error> {
        todo!()
    }
}

/// Appends pages to a file. What it wrote counts only after [`PageWriter::finish`].
pub struct PageWriter {
    _pages: Pages,
}

impl PageWriter {
    /// Writes at `tail`, which other writers of the same file may move too.
    pub fn new(_pages: &Pages, _tail: Arc<AtomicU64>) -> PageWriter {
        todo!()
    }

    /// Frames a payload and queues it for writing.
    pub fn put(&mut self, _kind: u8, _payload: &[u8]) -> Result<PagePtr, Error> {
        todo!()
    }

    /// Bytes put so far, frames included.
    pub fn written(&self) -> u64 {
        todo!()
    }

    /// Writes what is left, syncs the file, and only then tells the checkpointed nodes their place.
    pub fn finish(self) -> Result<(), Error> {
        todo!()
    }
}
