//! Attachments from and to a copy on another node, piece by piece. Neither compresses nor decodes:
//! the one is done before, the other where the copy is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use settee_model::doc::{AttContent, Chunk, Hold};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::peer::{Line, Thread};
use super::remote::RemoteCopy;
use super::wire::{self, upload_part::Part};
use crate::Error;
use crate::attachment::Lane;

/// An attachment on its way here.
pub(crate) struct RemoteAttachment {
    copy: RemoteCopy,
    ask: wire::AttachmentAsk,
    /// Begun by the first piece.
    under_way: Option<(Streaming<wire::Piece>, Thread)>,
}

impl RemoteAttachment {
    /// The next piece; an empty one is the end.
    pub(crate) async fn piece(&mut self) -> Result<Bytes, Error> {
        let (pieces, thread) = match &mut self.under_way {
            Some(under_way) => under_way,
            none => {
                let ask = self.ask.clone();
                let ask = async |line: Line| line.shards().read_attachment(ask).await;
                none.insert(self.copy.peer.stream(ask).await?)
            }
        };
        let piece = thread.step(pieces.message()).await?;
        Ok(piece.map(|piece| piece.bytes).unwrap_or_default())
    }
}

/// Attachments of a request's edits on their way there, one after the other.
pub(crate) struct RemoteUpload {
    /// There until this is dropped.
    stream: Option<UploadStream>,
    kept: Arc<Kept>,
}

/// What was uploaded by one stream: held there for as long as the stream lives here, and goes well.
#[derive(Default)]
struct Kept {
    /// The stream, once nothing more is uploaded.
    stream: Mutex<Option<UploadStream>>,
    broken: AtomicBool,
}

/// Whether what a hold was for may be gone, because a later upload by the same stream failed.
pub(crate) fn is_broken(hold: &Hold) -> bool {
    hold.kept::<Kept>().is_some_and(|kept| kept.broken.load(Ordering::Relaxed))
}

struct UploadStream {
    parts: mpsc::Sender<wire::UploadPart>,
    answers: Streaming<wire::UploadDone>,
    thread: Thread,
}

impl RemoteCopy {
    /// A range of an attachment, decoded or as stored.
    pub(crate) fn attachment(
        &self,
        content: &AttContent,
        range: Range<u64>,
        decode: bool,
    ) -> RemoteAttachment {
        let end = (range.end != u64::MAX).then_some(range.end);
        let ask = wire::AttachmentAsk {
            shard: self.shard(),
            content: Some(content.into()),
            end,
            start: range.start,
            decode,
        };
        RemoteAttachment { copy: self.clone(), ask, under_way: None }
    }

    /// Begins to take attachments in.
    pub(crate) async fn upload(&self) -> Result<Lane, Error> {
        let (parts, stream) = mpsc::channel(1);
        let begin = wire::ShardAsk { shard: self.shard() };
        // There is room: it was just made.
        let _ = parts.try_send(wire::UploadPart { part: Some(Part::Begin(begin)) });
        let ask = async |line: Line| line.shards().upload(ReceiverStream::new(stream)).await;
        let (answers, thread) = self.peer.stream(ask).await?;
        Ok(Lane::remote(RemoteUpload {
            stream: Some(UploadStream { parts, answers, thread }),
            kept: Arc::default(),
        }))
    }
}

impl RemoteUpload {
    /// Sends bytes; waits while the other node's disk is behind.
    pub(crate) async fn send(&mut self, gathered: Vec<Bytes>) -> Result<(), Error> {
        let stream = self.stream.as_mut().ok_or(Error::Closing)?;
        for bytes in gathered {
            self.kept.note(stream.part(Part::Bytes(bytes)).await)?;
        }
        Ok(())
    }

    /// Ends an attachment. It is held there as long as this or the hold lives.
    pub(crate) async fn finish(&mut self) -> Result<(Vec<Chunk>, Hold), Error> {
        let stream = self.stream.as_mut().ok_or(Error::Closing)?;
        let chunks = self.kept.note(stream.finish().await)?;
        Ok((chunks, Hold::new(self.kept.clone())))
    }
}

impl Kept {
    /// After a failure the other node holds nothing any more.
    fn note<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        if done.is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
        done
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        // If nobody holds what was uploaded, this ends the stream.
        *self.kept.stream.lock() = self.stream.take();
    }
}

impl UploadStream {
    async fn part(&mut self, part: Part) -> Result<(), Error> {
        let part = wire::UploadPart { part: Some(part) };
        if self.thread.wait(async { Ok(self.parts.send(part).await.is_ok()) }).await? {
            return Ok(());
        }
        // It takes no more: its answer says why.
        match self.thread.step(self.answers.message()).await {
            Ok(_) => Err(self.thread.cut()),
            Err(error) => Err(error),
        }
    }

    async fn finish(&mut self) -> Result<Vec<Chunk>, Error> {
        self.part(Part::Finish(wire::Nothing {})).await?;
        let done = self.thread.step(self.answers.message()).await?;
        let done = done.ok_or_else(|| self.thread.cut())?;
        wire::all(done.chunks)
    }
}
