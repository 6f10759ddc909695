//! An attachment on its way out: a range of it, decoded or as stored.

use std::mem;
use std::ops::Range;
use std::vec;

use bytes::{Buf, Bytes};
use settee_engine::Snapshot;
use settee_model::doc::{AttContent, Chunk, Encoding};

use super::gzip::Decoder;
use crate::Error;
use crate::copy::ShardCopy;
use crate::steps::Steps;

/// Bytes of an attachment, in pieces.
pub struct AttStream(Steps<Work, Result<Option<Bytes>, Error>>);

/// What is done on threads that may block.
struct Work {
    copy: Result<ShardCopy, Error>,
    snapshot: Option<Snapshot>,
    chunks: vec::IntoIter<Chunk>,
    /// What of the current chunk was not looked at yet.
    stored: Bytes,
    /// Bytes to leave out before the next piece, and to give from there on.
    skip: u64,
    left: u64,
    decoder: Option<Decoder>,
}

impl AttStream {
    pub(crate) fn new(
        copy: Result<ShardCopy, Error>,
        content: &AttContent,
        range: Option<Range<u64>>,
        decode: bool,
    ) -> AttStream {
        let range = range.unwrap_or(0..u64::MAX);
        let work = Work {
            copy,
            snapshot: None,
            chunks: content.chunks.clone().into_iter(),
            stored: Bytes::new(),
            skip: range.start,
            left: range.end.saturating_sub(range.start),
            decoder: (decode && content.encoding == Encoding::Gzip).then(Decoder::new),
        };
        AttStream(Steps::new(work))
    }

    /// The next piece; `None` after the last. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.0.begin(Work::piece);
        let piece = match self.0.result().await {
            Ok(piece) => piece.unwrap_or(Ok(None)),
            Err(error) => Err(error),
        };
        // While the client takes this piece the next one is read.
        if matches!(piece, Ok(Some(_))) {
            self.0.begin(Work::piece);
        }
        piece.transpose()
    }
}

impl Work {
    fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        while self.left > 0 {
            let more = self.decoder.as_ref().is_some_and(Decoder::has_more);
            if self.stored.is_empty() && !more && !self.next_chunk()? {
                let cut = self.decoder.as_ref().is_some_and(|decoder| !decoder.ended());
                return if cut { Err(Error::BadEncoding) } else { Ok(None) };
            }
            let piece = match &mut self.decoder {
                Some(decoder) => decoder.piece(&mut self.stored)?,
                None => mem::take(&mut self.stored),
            };
            let piece = self.cut(piece);
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Leaves of a piece what was asked for.
    fn cut(&mut self, mut piece: Bytes) -> Bytes {
        let skipped = self.skip.min(piece.len() as u64);
        self.skip -= skipped;
        piece.advance(usize::try_from(skipped).unwrap_or(piece.len()));
        let given = self.left.min(piece.len() as u64);
        self.left -= given;
        piece.truncate(usize::try_from(given).unwrap_or(piece.len()));
        piece
    }

    /// Reads the next chunk of which something is needed; false after the last.
    fn next_chunk(&mut self) -> Result<bool, Error> {
        for chunk in self.chunks.by_ref() {
            let length = u64::from(chunk.length);
            if self.decoder.is_none() && self.skip >= length {
                self.skip -= length;
                continue;
            }
            let snapshot = match &mut self.snapshot {
                Some(snapshot) => snapshot,
                none => none.insert(self.copy.clone()?.snapshot_now()?),
            };
            self.stored = snapshot.chunk(&chunk)?;
            return Ok(true);
        }
        Ok(false)
    }
}
