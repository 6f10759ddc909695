//! One connection to a peer as calls are made on it: HTTP/2, and nothing between a call and the
//! connection. A call is written into the connection's buffer by the task that makes it, and
//! that task is woken by the answer. A connection that is broken stays so; `peer` makes another one.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http_body::Frame;
use tokio::task::AbortHandle;
// What gRPC travels on; it has nothing to do with the API that clients see.
use tonic::codegen::http as web;
use tonic::codegen::{Body, BoxFuture, Service, StdError};
use web::uri::{Authority, Scheme};

use super::gather::Gather;
use super::net::Connection;
use super::peer::{STREAM_WINDOW, connection_window};

/// Calls that were given up and may still be answered.
const RESET: usize = 4096;

/// A connection. Clones are the same one; when all are gone and every call is done, it is closed.
#[derive(Clone)]
pub(crate) struct Channel {
    calls: SendRequest<Bytes>,
    peer: Authority,
}

impl Channel {
    /// Begins to speak on a connection to `host:port`, with so many streams at once.
    pub(crate) async fn open(
        connection: Connection,
        address: &str,
        streams: usize,
    ) -> Result<Channel, StdError> {
        let peer = Authority::try_from(address)?;
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window(streams))
            // Answers that come after their call was given up are nobody's fault.
            .max_concurrent_reset_streams(RESET)
            .max_local_error_reset_streams(None)
            .handshake(Gather::new(connection));
        let (calls, connection) = handshake.await?;
        tokio::spawn(async move {
            // Whoever calls on it is told why it ended.
            let _ = connection.await;
        });
        Ok(Channel { calls, peer })
    }
}

impl Service<web::Request<tonic::body::Body>> for Channel {
    type Response = web::Response<Answer>;
    type Error = StdError;
    type Future = BoxFuture<Self::Response, StdError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.calls.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: web::Request<tonic::body::Body>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let mut uri = mem::take(&mut head.uri).into_parts();
        (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(self.peer.clone()));
        // The one that is ready makes the call; its copy has to ask again.
        let copy = self.calls.clone();
        let mut calls = mem::replace(&mut self.calls, copy);
        Box::pin(async move {
            head.uri = web::Uri::from_parts(uri)?;
            let (answer, stream) = calls.send_request(web::Request::from_parts(head, ()), false)?;
            // All of a single message is there; what streams goes on beside its answer.
            let mut sending = Box::pin(send(body, stream));
            let more = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context).is_pending()));
            let sending = more.await.then(|| Sending(tokio::spawn(sending).abort_handle()));
            Ok(answer.await?.map(|body| Answer { body: Some(body), _sending: sending }))
        })
    }
}

/// Sends a body piece by piece, no faster than the other end lets it. What became of it is for the
/// answer to say.
async fn send(mut body: tonic::body::Body, mut stream: SendStream<Bytes>) {
    let mut held = Bytes::new();
    loop {
        let next = poll_fn(|context| {
            if stream.poll_reset(context).is_ready() {
                return Poll::Ready(Next::Refused);
            }
            match Pin::new(&mut body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    Poll::Ready(Next::Data(frame.into_data().unwrap_or_default()))
                }
                Poll::Ready(None) => Poll::Ready(Next::End),
                Poll::Ready(Some(Err(_))) => Poll::Ready(Next::Failed),
                Poll::Pending if held.is_empty() => Poll::Pending,
                Poll::Pending => Poll::Ready(Next::Data(Bytes::new())),
            }
        });
        let sent = match next.await {
            Next::Data(data) => match mem::replace(&mut held, data) {
                piece if piece.is_empty() => Ok(()),
                piece => put(&mut stream, piece).await,
            },
            // The last piece is known to be the last: that spares a frame.
            Next::End => return drop(stream.send_data(held, true)),
            Next::Failed => return stream.send_reset(Reason::CANCEL),
            Next::Refused => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// What comes next of a body.
enum Next {
    /// A piece; an empty one if what is held shall not wait for the next.
    Data(Bytes),
    End,
    Failed,
    /// The other end wants no more.
    Refused,
}

/// Sends a piece of a stream once there is room for any of it.
async fn put(stream: &mut SendStream<Bytes>, piece: Bytes) -> Result<(), h2::Error> {
    stream.reserve_capacity(1);
    while stream.capacity() == 0 {
        match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(room) => room.map(drop)?,
            None => return Err(Reason::CANCEL.into()),
        }
    }
    stream.send_data(piece, false)
}

/// What is still being sent for a call; nothing more of it once the call is given up.
struct Sending(AbortHandle);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of an answer; of an answer that was made here there is none.
#[derive(Default)]
pub(crate) struct Answer {
    body: Option<RecvStream>,
    _sending: Option<Sending>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let Some(stream) = &mut self.body else { return Poll::Ready(None) };
        if let Some(data) = ready!(stream.poll_data(context)) {
            let data = data?;
            // What is taken here makes room for as much.
            stream.flow_control().release_capacity(data.len())?;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(stream.poll_trailers(context)?);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(RecvStream::is_end_stream)
    }
}
