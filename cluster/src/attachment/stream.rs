//! An attachment on its way out: a range of it, decoded or as stored.

use bytes::Bytes;

use crate::Error;

/// Bytes of an attachment, in pieces.
pub struct AttStream {}

impl AttStream {
    /// The next piece; `None` after the last. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        todo!()
    }
}
