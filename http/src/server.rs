//! [`serve`]: connections in, in clear and over TLS, as many at once as there is room for. Never knows
//! what is said on them.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::context::App;
use crate::peer::Peer;
use crate::speak::speak;

/// How connections are secured; what is in it is taken for the next one.
pub type Secured = Arc<ServerConfig>;

/// Where connections come in.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// If they are secured: how.
    pub secured: Option<watch::Receiver<Secured>>,
}

/// Serves connections until `stop` is done, then lets answers under way finish.
///
/// # Errors
/// None of a single connection; the listeners' own, if they are broken for good.
pub async fn serve(
    app: Arc<App>,
    listeners: Vec<Listener>,
    max_connections: usize,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (closing, closed) = watch::channel(false);
    let room = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    let farewell = app.patience.farewell;
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listeners, &room) => match accepted {
                Ok((stream, address, secured, permit)) => {
                    let (app, closed) = (app.clone(), closed.clone());
                    connections.spawn(async move {
                        connection(app, stream, address, secured, closed).await;
                        drop(permit);
                    });
                }
                Err(error) => pause_after(error).await,
            },
        }
    }
    drop(listeners);
    let _ = closing.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(farewell, all).await.is_err() {
        tracing::info!(open = connections.len(), "breaking off what does not end by itself");
    }
    Ok(())
}

type Accepted = (TcpStream, SocketAddr, Option<TlsAcceptor>, OwnedSemaphorePermit);

/// The next connection for which there is room, on whichever listener it comes.
async fn accept(listeners: &[Listener], room: &Arc<Semaphore>) -> io::Result<Accepted> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let next = poll_fn(|cx| {
        let mut polled = listeners
            .iter()
            .map(|listener| listener.socket.poll_accept(cx).map(|accepted| (accepted, listener)));
        polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
    });
    let (accepted, listener) = next.await;
    let (stream, address) = accepted?;
    let secured = listener.secured.as_ref().map(|secured| secured.borrow().clone().into());
    Ok((stream, address, secured, permit))
}

/// A client that went away already is no reason to wait; too many open files are.
pub(crate) async fn pause_after(error: io::Error) {
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
    address: SocketAddr,
    secured: Option<TlsAcceptor>,
    mut closing: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let peer = Peer { address, secure: secured.is_some() };
    let told = async move { drop(closing.wait_for(|closing| *closing).await) };
    let Some(acceptor) = secured else {
        let (read, written) = stream.into_split();
        return speak(app, read, written, peer, told).await;
    };
    tokio::pin!(told);
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(app.patience.handshake, acceptor.accept(stream)) => agreed,
        () = &mut told => return,
    };
    match agreed {
        Ok(Ok(stream)) => {
            let (read, written) = tokio::io::split(stream);
            speak(app, read, written, peer, told).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "no agreement on TLS"),
        Err(_) => tracing::debug!(%address, "no agreement on TLS in time"),
    }
}
