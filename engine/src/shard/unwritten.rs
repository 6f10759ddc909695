//! Chunks that came with their edits and are not in the shard's file yet: the log has them, and the next
//! checkpoint writes each to the place that it got when it came. So a chunk is written once beside the
//! log and never moves when others come. Does no IO.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::page::{Extent, PagePtr};

/// See the module's description.
#[derive(Default)]
pub(crate) struct Unwritten {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Frames by their places in the file.
    frames: BTreeMap<u64, Bytes>,
    /// Their lengths together.
    bytes: u64,
}

impl Unwritten {
    pub(super) fn add(&self, extents: Vec<Extent>) {
        let mut inner = self.inner.lock();
        for Extent { offset, frame } in extents {
            inner.bytes += frame.len() as u64;
            inner.frames.insert(offset, frame);
        }
    }

    /// The extent at a place, unless it is in the file.
    pub(super) fn get(&self, ptr: PagePtr) -> Option<Extent> {
        let frame = self.inner.lock().frames.get(&ptr.offset)?.clone();
        Some(Extent { offset: ptr.offset, frame })
    }

    /// All of them, in the order of their places.
    pub(super) fn all(&self) -> Vec<Extent> {
        let inner = self.inner.lock();
        let extent =
            |(offset, frame): (&u64, &Bytes)| Extent { offset: *offset, frame: frame.clone() };
        inner.frames.iter().map(extent).collect()
    }

    /// Lets go of what is in the file, synced.
    pub(super) fn remove(&self, written: &[Extent]) {
        let mut inner = self.inner.lock();
        for extent in written {
            if inner.frames.remove(&extent.offset).is_some() {
                inner.bytes -= extent.frame.len() as u64;
            }
        }
    }

    /// Bytes of memory that they take.
    pub(super) fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}
