//! An attachment on its way out: a range of it, decoded or as stored. What a client's `Range` means
//! is HTTP's business.

use std::mem;
use std::ops::Range;
use std::vec;

use bytes::{Buf, Bytes};
use settee_engine::Snapshot;
use settee_model::doc::{AttContent, Chunk, Encoding};
use tokio::task::JoinHandle;

use super::gzip::Decoder;
use crate::Error;
use crate::copy::ShardCopy;
use crate::local::LocalCopy;
use crate::mesh::RemoteAttachment;
use crate::steps::{Steps, off};

/// Bytes of an attachment, in pieces.
pub struct AttStream {
    work: Steps<Work, Result<Piece, Error>>,
    ended: bool,
    /// How to go on with another copy when one fails.
    plan: Option<Plan>,
}

/// What is still to come, and who else has it.
struct Plan {
    others: vec::IntoIter<ShardCopy>,
    content: AttContent,
    range: Range<u64>,
    decode: bool,
}

/// What a step brought.
#[derive(Default)]
struct Piece {
    bytes: Bytes,
    /// There is no more.
    ended: bool,
}

/// Where pieces come from.
enum Work {
    Local(LocalWork),
    Remote(Box<RemoteAttachment>),
    /// There is nobody to ask.
    Failed(Error),
}

/// What is done on threads that may block.
struct LocalWork {
    copy: LocalCopy,
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
        let work = match copy {
            Ok(ShardCopy::Local(copy)) => Work::Local(LocalWork::new(copy, content, range, decode)),
            Ok(ShardCopy::Remote(copy)) => {
                Work::Remote(Box::new(copy.attachment(content, range, decode)))
            }
            Err(error) => Work::Failed(error),
        };
        AttStream { work: Steps::new(work), ended: false, plan: None }
    }

    /// The same from the first of several copies, and from the next where one fails.
    pub(crate) fn of_any(
        copies: Result<Vec<ShardCopy>, Error>,
        content: &AttContent,
        range: Option<Range<u64>>,
        decode: bool,
    ) -> AttStream {
        let (first, others) = match copies {
            Ok(copies) => {
                let mut copies = copies.into_iter();
                (copies.next().ok_or(Error::Timeout), copies)
            }
            Err(error) => (Err(error), Vec::new().into_iter()),
        };
        let range = range.unwrap_or(0..u64::MAX);
        let stream = AttStream::new(first, content, Some(range.clone()), decode);
        let plan = Plan { others, content: content.clone(), range, decode };
        AttStream { plan: Some(plan), ..stream }
    }

    /// The next piece; `None` after the last. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        if self.ended {
            return None;
        }
        let piece = loop {
            self.work.begin(Work::begin);
            let piece = match self.work.result().await {
                Ok(piece) => piece.unwrap_or_else(|| Ok(Piece::default())),
                Err(error) => Err(error),
            };
            match (piece, &mut self.plan) {
                (Ok(piece), Some(plan)) => {
                    plan.range.start += piece.bytes.len() as u64;
                    break Ok(piece);
                }
                (Err(_), Some(plan)) if plan.others.len() > 0 => {
                    let Plan { others, content, range, decode } = plan;
                    let next = others.next().ok_or(Error::Timeout);
                    self.work = AttStream::new(next, content, Some(range.clone()), *decode).work;
                }
                (piece, _) => break piece,
            }
        };
        self.ended = piece.as_ref().map_or(true, |piece| piece.ended);
        // While the client takes this piece the next one is read.
        if !self.ended {
            self.work.begin(Work::begin);
        }
        match piece {
            Ok(piece) if piece.bytes.is_empty() => None,
            other => Some(other.map(|piece| piece.bytes)),
        }
    }
}

impl Work {
    fn begin(self) -> JoinHandle<(Work, Result<Piece, Error>)> {
        match self {
            Work::Local(mut local) => off(move || {
                let piece = local.piece();
                (Work::Local(local), piece)
            }),
            Work::Remote(mut remote) => tokio::spawn(async move {
                let piece = remote.piece().await;
                let piece = piece.map(|bytes| Piece { ended: bytes.is_empty(), bytes });
                (Work::Remote(remote), piece)
            }),
            Work::Failed(error) => {
                tokio::spawn(async move { (Work::Failed(error.clone()), Err(error)) })
            }
        }
    }
}

impl LocalWork {
    fn new(copy: LocalCopy, content: &AttContent, range: Range<u64>, decode: bool) -> LocalWork {
        let decode = decode && content.encoding == Encoding::Gzip;
        let length = if decode { u64::MAX } else { content.stored_length };
        LocalWork {
            copy,
            snapshot: None,
            chunks: content.chunks.clone().into_iter(),
            stored: Bytes::new(),
            skip: range.start,
            left: range.end.min(length).saturating_sub(range.start),
            decoder: decode.then(Decoder::new),
        }
    }

    /// The next bytes that were asked for; none only at the end.
    fn piece(&mut self) -> Result<Piece, Error> {
        while self.left > 0 {
            let more = self.decoder.as_ref().is_some_and(Decoder::has_more);
            if self.stored.is_empty() && !more && !self.next_chunk()? {
                break;
            }
            let bytes = match &mut self.decoder {
                Some(decoder) => decoder.piece(&mut self.stored)?,
                None => mem::take(&mut self.stored),
            };
            let bytes = self.cut(bytes);
            if !bytes.is_empty() {
                return Ok(Piece { bytes, ended: self.left == 0 });
            }
        }
        let cut = self.decoder.as_ref().is_some_and(|decoder| self.left > 0 && !decoder.ended());
        if cut { Err(Error::BadEncoding) } else { Ok(Piece { bytes: Bytes::new(), ended: true }) }
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
                none => none.insert(self.copy.snapshot_now()?),
            };
            self.stored = snapshot.chunk(&chunk)?;
            return Ok(true);
        }
        Ok(false)
    }
}
