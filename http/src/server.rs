//! [`serve`]: connections in, answers out. Speaks HTTP/1.1 and HTTP/2 in clear, whichever the
//! client begins with. Knows nothing of endpoints.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::context::{App, Peer};
use crate::patient::Patient;
use crate::reply::ReplyBody;
use crate::respond::respond;
use crate::wire::Lenient;

/// How long a connection may be idle, or take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(300);
/// How long a client may take nothing of what it is sent.
const READ_PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of a request's head in HTTP/2; a target alone may have half of it.
const LONGEST_HEAD: u32 = 128 << 10;
/// How long answers under way may take when the server stops; feeds would go on for ever.
const FAREWELL: Duration = Duration::from_secs(3);

/// Serves connections until `stop` is done, then lets answers under way finish.
///
/// # Errors
/// None of a single connection; the listener's own, if it is broken for good.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    max_connections: usize,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(false);
    let room = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &room) => match accepted {
                Ok((stream, peer, permit)) => {
                    let (app, closed) = (app.clone(), closed.clone());
                    connections.spawn(connection(app, stream, peer, closed, permit));
                }
                Err(error) => pause_after(error).await,
            },
        }
    }
    drop(listener);
    let _ = closing.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, all).await.is_err() {
        tracing::info!(open = connections.len(), "breaking off what does not end by itself");
    }
    Ok(())
}

/// The next connection for which there is room.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

/// A client that went away already is no reason to wait; too many open files are.
async fn pause_after(error: io::Error) {
    use io::ErrorKind as E;
    if matches!(error.kind(), E::ConnectionAborted | E::ConnectionReset | E::ConnectionRefused) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn connection(
    app: Arc<App>,
    stream: TcpStream,
    peer: Peer,
    mut closing: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(app.clone(), peer, request));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .title_case_headers(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(1000)
        .max_header_list_size(LONGEST_HEAD);
    let (read, written) = stream.into_split();
    let stream = tokio::io::join(Lenient::new(read), Patient::new(written, READ_PATIENCE));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let told = async move { drop(closing.wait_for(|closing| *closing).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "connection broken off");
    }
    drop(permit);
}

async fn answer(
    app: Arc<App>,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    Ok(respond(app, peer, request).await)
}
