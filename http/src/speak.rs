//! [`speak`]: a connection from its first byte to its last. Its first bytes tell whether it is
//! HTTP/1.1 or HTTP/2; whichever it is, it ends when its client does nothing for long, and goes on
//! while an answer is under way that is being taken. Knows nothing of endpoints.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Cursor};
use std::pin::{Pin, pin};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{sleep, timeout};

use crate::context::App;
use crate::patient::Patient;
use crate::peer::Peer;
use crate::reply::ReplyBody;
use crate::respond::respond;
use crate::streams::{Paced, Streams};
use crate::wire::Lenient;

/// What HTTP/2 begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a request's head in HTTP/2; a target alone may have half of it.
const LONGEST_HEAD: u32 = 128 << 10;
/// Requests at once on a connection of HTTP/2.
const MOST_STREAMS: u32 = 1000;
/// Bytes of an answer by HTTP/2 that wait to be sent. Once these are the last of it nobody asks
/// whether they are taken, but for the patience with a connection without requests.
const MOST_HELD: usize = 64 << 10;

/// Answers requests until the client goes away or does nothing for long, or until the server stops,
/// as `told`, and nothing is under way.
pub async fn speak<R, W>(
    app: Arc<App>,
    mut read: R,
    written: W,
    peer: Peer,
    told: impl Future<Output = ()>,
) where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let mut told = pin!(told);
    let begun = tokio::select! {
        begun = timeout(app.patience.beginning, begin(&mut read)) => begun,
        () = &mut told => return,
    };
    let begun = match begun {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "connection without a beginning"),
        Err(_) => return tracing::debug!(%peer, "connection on which nothing began in time"),
    };
    let written = Patient::new(written, app.patience.answer);
    let ended = match begun {
        Begun::Plain(bytes) => {
            let stream = tokio::io::join(Lenient::new(Cursor::new(bytes).chain(read)), written);
            plain(app, TokioIo::new(stream), peer, told).await
        }
        Begun::Framed => {
            let stream = tokio::io::join(Cursor::new(&PREFACE[..]).chain(read), written);
            framed(app, TokioIo::new(stream), peer, told).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection broken off");
    }
}

/// A connection as hyper reads and writes it.
trait Stream: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

impl<S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static> Stream for S {}

/// What a connection begins with.
enum Begun {
    /// HTTP/1.1, and its first bytes.
    Plain(Vec<u8>),
    /// HTTP/2.
    Framed,
}

/// Reads as many bytes as are needed to know.
async fn begin(read: &mut (impl AsyncRead + Unpin)) -> io::Result<Begun> {
    let mut bytes = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&bytes) {
        let left = PREFACE.len() - bytes.len();
        if left == 0 {
            return Ok(Begun::Framed);
        }
        if (&mut *read).take(left as u64).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Begun::Plain(bytes))
}

async fn plain(
    app: Arc<App>,
    stream: impl Stream,
    peer: Peer,
    told: Pin<&mut impl Future<Output = ()>>,
) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(app.patience.idle)
        .title_case_headers(true);
    let service = service_fn(move |request| answer(app.clone(), peer, request));
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

async fn framed(
    app: Arc<App>,
    stream: impl Stream,
    peer: Peer,
    told: Pin<&mut impl Future<Output = ()>>,
) -> hyper::Result<()> {
    let patience = app.patience;
    let streams = Streams::new(patience.answer);
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(patience.ping)
        .keep_alive_timeout(patience.answer)
        .max_concurrent_streams(MOST_STREAMS)
        .max_send_buf_size(MOST_HELD)
        .max_header_list_size(LONGEST_HEAD);
    let service = service_fn(move |request| {
        let answer = answer(app.clone(), peer, request);
        async move { answer.await.map(|response| response.map(Paced::new)) }
    });
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = streams.rest(patience.idle) => {}
        () = told => {}
    }
    // The other end is told; a request that came meanwhile is still answered.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended,
        () = async {
            sleep(patience.farewell).await;
            streams.rest(patience.farewell).await;
        } => Ok(()),
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, Infallible>> + Send>>;

/// On the heap: a connection keeps the room for this while it is idle, too, and most are.
fn answer(app: Arc<App>, peer: Peer, request: Request<Incoming>) -> Answering {
    Box::pin(async move { Ok(respond(app, peer, request).await) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell_what_is_spoken() {
        for (bytes, plain) in [
            (&PREFACE[..], Some(0)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Some(0)),
            (b"GET / HTTP/1.1\r\nHost: here\r\n", Some(24)),
            (b"PUT", Some(3)),
            (b"PRI * HTTP/1.0\r\n\r\n", Some(18)),
            (b"P", None),
            (b"", None),
        ] {
            let begun = begin(&mut &*bytes).await;
            match (begun, plain) {
                (Ok(Begun::Framed), Some(0)) | (Err(_), None) => {}
                (Ok(Begun::Plain(read)), Some(length)) => assert_eq!(read, bytes[..length]),
                (_, plain) => panic!("{bytes:?}: {plain:?}"),
            }
        }
    }
}
