//! [`Reply`]: what a handler gives back. Full bytes, or a stream that is written by straight-line
//! code and pulled by the connection, so that a slow reader slows the writer and nothing is queued.
//! Headers that every answer has are added by the server, not here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::error::Error;

impl ReplyBody {
    /// Bytes still to come, if known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            ReplyBody::Full(bytes) => Some(bytes.len() as u64),
            ReplyBody::Stream(stream) => stream.length,
        }
    }
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Headers of this answer alone.
    pub headers: HeaderMap,
    /// What follows them.
    pub body: ReplyBody,
}

/// The body of a [`Reply`].
#[derive(Debug)]
pub enum ReplyBody {
    /// All there is; `Content-Length` follows from it.
    Full(Bytes),
    /// Made while it is sent; chunked unless its length is known ahead.
    Stream(StreamBody),
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REVALIDATE: HeaderValue = HeaderValue::from_static("must-revalidate");

impl Reply {
    /// No body, no headers.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self::bytes(status, Bytes::new())
    }

    /// Bytes as they are, without a content type.
    #[must_use]
    pub fn bytes(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Reply { status, headers: HeaderMap::new(), body: ReplyBody::Full(body.into()) }
    }

    /// JSON text, to which the newline at the end is added.
    #[must_use]
    pub fn json(status: StatusCode, text: impl Into<Vec<u8>>) -> Self {
        let mut text = text.into();
        text.push(b'\n');
        let mut reply = Self::bytes(status, text);
        reply.headers = json_headers();
        reply
    }

    /// `{"ok":true}`
    #[must_use]
    pub fn ok(status: StatusCode) -> Self {
        let mut reply = Self::bytes(status, Bytes::from_static(b"{\"ok\":true}\n"));
        reply.headers = json_headers();
        reply
    }

    /// JSON that `write` writes piece by piece. It is not started for `HEAD`, and dropped when the
    /// client goes away. An error in it breaks the connection off, unless it comes before the first
    /// piece ([`Reply::begun`]). It writes the newline at the end itself.
    pub fn json_stream<W, F>(status: StatusCode, write: W) -> Self
    where
        W: FnOnce(Sink) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let mut reply = Self::stream(status, None, write);
        reply.headers = json_headers();
        reply
    }

    /// Like [`Reply::json_stream`] for any content; `length` gives `Content-Length`, and must be
    /// what is written.
    pub fn stream<W, F>(status: StatusCode, length: Option<u64>, write: W) -> Self
    where
        W: FnOnce(Sink) -> F,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let writer: Writer = Box::pin(write(Sink { slot: slot.clone() }));
        let writer = Some(writer);
        let body = StreamBody { slot, writer, length, failed: false, over: None };
        Reply { status, headers: HeaderMap::new(), body: ReplyBody::Stream(body) }
    }

    /// The same when its first piece is there: until then its head is not sent, and an error can take
    /// its place.
    ///
    /// # Errors
    /// The writer's, if it wrote nothing before.
    pub async fn begun(mut self) -> Result<Self, Error> {
        if let ReplyBody::Stream(stream) = &mut self.body {
            std::future::poll_fn(|cx| stream.poll_begun(cx)).await?;
        }
        Ok(self)
    }

    /// Sets a header; a value that no header can have is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets `ETag`; `tag` has its quotes already.
    #[must_use]
    pub fn etag(self, tag: &str) -> Self {
        self.header(http::header::ETAG, tag)
    }

    /// 304 with the tag that matched.
    #[must_use]
    pub fn not_modified(tag: &str) -> Self {
        Self::empty(StatusCode::NOT_MODIFIED).etag(tag)
    }
}

fn json_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(10);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, REVALIDATE);
    headers
}

impl From<Reply> for Response<ReplyBody> {
    fn from(reply: Reply) -> Self {
        let mut response = Response::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        let mut reply = Reply::json(error.info().0, error_members(&error));
        if let Error::MethodNotAllowed(allow) = error {
            reply.headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        reply
    }
}

/// `{"error":…,"reason":…}` of an error.
#[must_use]
pub fn error_members(error: &Error) -> Vec<u8> {
    let (_, name, reason) = error.info();
    match error {
        // A reason of any shape, which the function chose.
        Error::Script(error) => error_json_of(name, error.reason().as_bytes()),
        _ => error_json(name, &reason),
    }
}

/// `{"error":…,"reason":…}`, also for the rows of a bulk answer.
#[must_use]
pub fn error_json(error: &str, reason: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(reason.len() + 2);
    push_string(&mut quoted, reason);
    error_json_of(error, &quoted)
}

/// The same with a reason that is any JSON.
#[must_use]
pub fn error_json_of(error: &str, reason: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + error.len() + reason.len());
    out.extend_from_slice(b"{\"error\":");
    push_string(&mut out, error);
    out.extend_from_slice(b",\"reason\":");
    out.extend_from_slice(reason);
    out.push(b'}');
    out
}

/// Appends a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector cannot fail, and a string has no key that could not be written.
    let _ = serde_json::to_writer(out, text);
}

/// Where the writer of a stream puts its pieces.
#[derive(Debug)]
pub struct Sink {
    slot: Slot,
}

type Slot = Arc<Mutex<Option<Bytes>>>;
type Writer = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Sink {
    /// Hands a piece over and waits until the connection took it. Pieces of some tens of kilobytes
    /// are best; an empty one is nothing.
    pub async fn send(&mut self, piece: impl Into<Bytes>) {
        let piece = piece.into();
        if piece.is_empty() {
            return;
        }
        *self.slot.lock() = Some(piece);
        // The body polls its writer whenever the connection wants more, which is when the slot is
        // empty again: no waker is needed.
        std::future::poll_fn(|_| match self.slot.lock().is_none() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// A body made by a writer.
pub struct StreamBody {
    slot: Slot,
    writer: Option<Writer>,
    /// Bytes still to come, if known.
    length: Option<u64>,
    /// Whether the writer gave up.
    failed: bool,
    over: Option<Over>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All of it was taken.
    Whole,
    /// Its writer failed, or the client went away.
    BrokenOff,
}

type Over = Box<dyn FnOnce(Ended) + Send>;

impl Drop for StreamBody {
    fn drop(&mut self) {
        let whole = self.length == Some(0) || (self.writer.is_none() && !self.failed);
        if let Some(over) = self.over.take() {
            over(if whole { Ended::Whole } else { Ended::BrokenOff });
        }
    }
}

impl std::fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamBody").field("length", &self.length).finish_non_exhaustive()
    }
}

/// The writer of a body failed after the head was sent: the connection is broken off.
#[derive(Debug)]
pub struct Aborted(Error);

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, name, reason) = self.0.info();
        write!(f, "{name}: {reason}")
    }
}

impl std::error::Error for Aborted {}

impl From<Aborted> for Error {
    fn from(aborted: Aborted) -> Self {
        aborted.0
    }
}

impl StreamBody {
    /// Bytes still to come, if known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Has `over` called when nothing of it is left to be sent, or nothing more will be.
    pub fn when_over(&mut self, over: Box<dyn FnOnce(Ended) + Send>) {
        self.over = Some(over);
    }

    /// Lets the writer write until a piece lies in the slot, or there will be none.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(writer) = &mut self.writer else { return Poll::Ready(Ok(())) };
        let written = writer.as_mut().poll(cx);
        if written.is_ready() {
            self.writer = None;
        }
        match written {
            Poll::Pending if self.slot.lock().is_none() => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
            Poll::Ready(over) => {
                self.failed = over.is_err();
                Poll::Ready(over)
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        // The first piece may lie there since the answer began.
        if self.slot.lock().is_none() {
            ready!(self.poll_begun(cx)).map_err(Aborted)?;
        }
        let Some(piece) = self.slot.lock().take() else { return Poll::Ready(None) };
        self.length = self.length.map(|left| left.saturating_sub(piece.len() as u64));
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            ReplyBody::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            ReplyBody::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ReplyBody::Stream(stream) => {
                stream.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Full(bytes) => bytes.is_empty(),
            ReplyBody::Stream(stream) => stream.writer.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use http_body_util::BodyExt;

    use super::*;

    async fn collected(reply: Reply) -> Result<Bytes, Aborted> {
        reply.body.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_stream_is_written_as_it_is_read() {
        let written = Arc::new(AtomicBool::new(false));
        let seen = written.clone();
        let mut reply = Reply::json_stream(StatusCode::OK, |mut sink| async move {
            sink.send(&b"["[..]).await;
            seen.store(true, Ordering::Relaxed);
            sink.send(&b""[..]).await;
            tokio::task::yield_now().await;
            sink.send(&b"1]\n"[..]).await;
            Ok(())
        });
        let first = reply.body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&first[..], b"[");
        assert!(!written.load(Ordering::Relaxed), "nothing is written ahead of the reader");
        assert_eq!(&collected(reply).await.unwrap()[..], b"1]\n");
    }

    #[tokio::test]
    async fn a_failing_writer_breaks_the_answer_off() {
        let reply = Reply::stream(StatusCode::OK, Some(10), |mut sink| async move {
            sink.send(&b"12345"[..]).await;
            Err(Error::Timeout)
        });
        assert_eq!(reply.body.length(), Some(10));
        assert!(collected(reply).await.is_err());
    }

    #[tokio::test]
    async fn what_fails_before_its_first_piece_is_no_answer() {
        let of = |pieces: usize, end: Result<(), Error>| {
            Reply::stream(StatusCode::OK, Some(pieces as u64), move |mut sink| async move {
                for _ in 0..pieces {
                    sink.send(&b"1"[..]).await;
                    tokio::task::yield_now().await;
                }
                end
            })
        };
        let failed = of(0, Err(Error::Timeout)).begun().await;
        assert_eq!(failed.err(), Some(Error::Timeout));
        let broken_off = of(1, Err(Error::Timeout)).begun().await.unwrap();
        assert!(collected(broken_off).await.is_err());
        for pieces in 0..3 {
            let whole = of(pieces, Ok(())).begun().await.unwrap();
            assert_eq!(whole.body.length(), Some(pieces as u64));
            assert_eq!(collected(whole).await.unwrap().len(), pieces);
        }
    }

    #[tokio::test]
    async fn it_is_told_how_a_stream_ended() {
        let (told, heard) = std::sync::mpsc::channel();
        let stream = |outcome: Result<(), Error>| {
            let told = told.clone();
            let mut reply = Reply::stream(StatusCode::OK, None, |mut sink| async move {
                sink.send(&b"1"[..]).await;
                outcome
            });
            if let ReplyBody::Stream(stream) = &mut reply.body {
                stream.when_over(Box::new(move |ended| told.send(ended).unwrap()));
            }
            reply
        };
        drop(collected(stream(Ok(()))).await);
        assert_eq!(heard.try_recv(), Ok(Ended::Whole));
        drop(collected(stream(Err(Error::Timeout))).await);
        assert_eq!(heard.try_recv(), Ok(Ended::BrokenOff));
        let mut left = stream(Ok(()));
        assert!(left.body.frame().await.is_some());
        assert!(heard.try_recv().is_err(), "it is not over yet");
        drop(left);
        assert_eq!(heard.try_recv(), Ok(Ended::BrokenOff));
    }

    #[tokio::test]
    async fn errors_and_plain_answers_end_with_a_newline() {
        let reply = Reply::from(Error::MethodNotAllowed("GET,HEAD"));
        assert_eq!(reply.headers.get(ALLOW).unwrap(), "GET,HEAD");
        assert_eq!(
            &collected(reply).await.unwrap()[..],
            b"{\"error\":\"method_not_allowed\",\"reason\":\"Only GET,HEAD allowed\"}\n"
        );
        let reply = Reply::ok(StatusCode::CREATED);
        assert_eq!(reply.headers.get(CONTENT_TYPE).unwrap(), "application/json");
        assert_eq!(&collected(reply).await.unwrap()[..], b"{\"ok\":true}\n");
    }
}
