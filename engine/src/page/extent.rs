//! [`Extent`]: a frame that has its place in a file before it is written there. Never writes it.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{PagePtr, frame};
use crate::Error;

/// Largest payload: what the frame's length fields and lz4's bound leave room for.
const MAX_PAYLOAD: usize = 3 << 30;

/// A frame and the place that is reserved for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// The whole frame; complete, for its checksum covers the offset.
    pub frame: Bytes,
}

impl Extent {
    /// Frames a payload and takes the space behind `tail` for it.
    pub fn reserve(kind: u8, payload: &[u8], tail: &AtomicU64) -> Result<Extent, Error> {
        let mut bytes = Vec::new();
        encode(&mut bytes, kind, payload)?;
        let offset = tail.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        frame::seal(&mut bytes, offset);
        // Packing makes room for the worst case, which is not to be kept.
        Ok(Extent { offset, frame: bytes.into_boxed_slice().into() })
    }

    /// What leads to it.
    #[must_use]
    pub fn ptr(&self) -> PagePtr {
        PagePtr { offset: self.offset, len: self.frame.len() as u32 }
    }

    /// Where the next one may begin.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.frame.len() as u64)
    }

    /// What is in it, or what is wrong with it.
    pub fn payload(&self, kind: u8) -> Result<Bytes, &'static str> {
        frame::decode(self.frame.clone(), kind, self.offset)
    }
}

/// Appends the frame of a payload; it is not valid before [`frame::seal`].
pub(super) fn encode(out: &mut Vec<u8>, kind: u8, payload: &[u8]) -> Result<(), Error> {
    if payload.len() > MAX_PAYLOAD {
        return Err(Error::TooLarge { what: "a page" });
    }
    frame::encode(out, kind, payload);
    Ok(())
}
