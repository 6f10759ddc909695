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
    /// Memory that they take.
    bytes: u64,
}

/// What a frame takes beside its bytes.
const OVERHEAD: u64 = 128;

fn size(frame: &Bytes) -> u64 {
    frame.len() as u64 + OVERHEAD
}

impl Unwritten {
    pub(super) fn add(&self, extents: Vec<Extent>) {
        let mut inner = self.inner.lock();
        for Extent { offset, frame } in extents {
            inner.bytes += size(&frame);
            if let Some(same) = inner.frames.insert(offset, frame) {
                inner.bytes -= size(&same);
            }
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
            if let Some(frame) = inner.frames.remove(&extent.offset) {
                inner.bytes -= size(&frame);
            }
        }
    }

    /// Lets go of all: nothing leads to them.
    pub(super) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// Memory that they take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}
