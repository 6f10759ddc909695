//! Gathers what comes in little pieces, so that it is worked on in large ones. Never copies a byte.

use std::mem;

use bytes::Bytes;

/// Bytes that are gathered before they are worked on.
const ENOUGH: usize = 256 * 1024;

/// What came and was not worked on yet.
#[derive(Default)]
pub(crate) struct Gathering {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Gathering {
    /// Adds a piece; all there is, once it is enough.
    pub(crate) fn add(&mut self, bytes: Bytes) -> Option<Vec<Bytes>> {
        self.length += bytes.len();
        self.pieces.push(bytes);
        (self.length >= ENOUGH).then(|| self.take())
    }

    /// All there is.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.length = 0;
        mem::take(&mut self.pieces)
    }
}
