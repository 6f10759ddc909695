//! Appends pages to a file in large writes. Never makes a page visible before it is synced: that is
//! what [`Synced`] stands for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Extent, Page, PagePtr, Pages, extent, frame};
use crate::Error;

/// Frames are collected to writes of about this size.
const WRITE_SIZE: usize = 1 << 20;

/// Appends frames to a file.
pub struct PageWriter {
    pages: Pages,
    tail: Arc<AtomicU64>,
    waiting: Vec<u8>,
    waiting_at: u64,
    written: u64,
}

/// Proof that everything a [`PageWriter`] put is durable.
pub struct Synced {
    pages: Pages,
}

impl Synced {
    /// Puts a page that was written into the cache.
    pub(crate) fn remember(&self, ptr: PagePtr, page: &Page) {
        self.pages.remember(ptr, page);
    }
}

impl PageWriter {
    /// Writes at `tail`, the end of the file's used part, which other writers of the same file may
    /// move as well: each takes its space with one atomic addition.
    pub fn new(pages: &Pages, tail: Arc<AtomicU64>) -> PageWriter {
        PageWriter {
            pages: pages.clone(),
            tail,
            waiting: Vec::with_capacity(WRITE_SIZE),
            waiting_at: 0,
            written: 0,
        }
    }

    /// Frames a payload and queues it for writing.
    pub fn put(&mut self, kind: u8, payload: &[u8]) -> Result<PagePtr, Error> {
        let start = self.waiting.len();
        extent::encode(&mut self.waiting, kind, payload)?;
        let len = (self.waiting.len() - start) as u64;
        let offset = self.tail.fetch_add(len, Ordering::Relaxed);
        if offset != self.waiting_at + start as u64 {
            self.flush(start)?;
            self.waiting_at = offset;
        }
        let start = (offset - self.waiting_at) as usize;
        if let Some(frame) = self.waiting.get_mut(start..) {
            frame::seal(frame, offset);
        }
        self.count(len)?;
        Ok(PagePtr { offset, len: len as u32 })
    }

    /// Queues a frame for writing that has its place already.
    pub fn put_extent(&mut self, extent: &Extent) -> Result<(), Error> {
        if extent.offset != self.waiting_at + self.waiting.len() as u64 {
            self.write_out()?;
            self.waiting_at = extent.offset;
        }
        self.waiting.extend_from_slice(&extent.frame);
        self.count(extent.frame.len() as u64)
    }

    fn count(&mut self, queued: u64) -> Result<(), Error> {
        self.written += queued;
        if self.waiting.len() >= WRITE_SIZE { self.write_out() } else { Ok(()) }
    }

    /// The pages of the file it writes to.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Bytes put so far, frames included.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes all that was put.
    pub fn write_out(&mut self) -> Result<(), Error> {
        self.flush(self.waiting.len())
    }

    /// Writes what is left and syncs the file.
    pub fn finish(mut self) -> Result<Synced, Error> {
        self.write_out()?;
        self.pages.sync()?;
        Ok(Synced { pages: self.pages })
    }

    /// Writes the first `len` waiting bytes; what is behind them starts the next write.
    fn flush(&mut self, len: usize) -> Result<(), Error> {
        if let Some(ready) = self.waiting.get(..len).filter(|ready| !ready.is_empty()) {
            self.pages.file().write_at(ready, self.waiting_at)?;
            self.waiting.drain(..len);
            self.waiting_at += len as u64;
        }
        Ok(())
    }
}
