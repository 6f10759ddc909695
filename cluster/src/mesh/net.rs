//! Where the mesh gets its connections from: the operating system's TCP, or a network that somebody
//! else makes up. Never knows what travels on them.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_stream::Stream;

/// Rest after nobody could be let in, for want of file handles as a rule.
const REST: Duration = Duration::from_millis(100);

/// A connection that is being made, or waited for.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send + 'a>>;

/// An ear that is being opened.
pub type Listening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Ear>>> + Send + 'a>>;

/// See the module.
pub trait Net: Debug + Send + Sync {
    /// Listens at an address.
    fn listen(&self, at: SocketAddr) -> Listening<'_>;

    /// Connects to `host:port`.
    fn connect(&self, to: String) -> Connecting<'_>;
}

/// Hears others connect.
pub trait Ear: Send + Sync {
    /// Where it listens.
    fn address(&self) -> io::Result<SocketAddr>;

    /// The next who connects. Cancel safe.
    fn accept(&self) -> Connecting<'_>;
}

/// Both directions of a connection, whoever made it.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub struct Connection(Pin<Box<dyn Duplex>>);

impl Connection {
    /// Takes over a connection that somebody made.
    pub fn new(duplex: impl Duplex + 'static) -> Connection {
        Connection(Box::pin(duplex))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// The operating system's TCP.
#[derive(Debug)]
pub struct Tcp;

impl Tcp {
    /// For settings.
    #[must_use]
    pub fn shared() -> Arc<dyn Net> {
        Arc::new(Tcp)
    }
}

impl Net for Tcp {
    fn listen(&self, at: SocketAddr) -> Listening<'_> {
        Box::pin(async move {
            let listener: Box<dyn Ear> = Box::new(TcpListener::bind(at).await?);
            Ok(listener)
        })
    }

    fn connect(&self, to: String) -> Connecting<'_> {
        Box::pin(async move { at_once(TcpStream::connect(to).await?) })
    }
}

impl Ear for TcpListener {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn accept(&self) -> Connecting<'_> {
        Box::pin(async move { at_once(TcpListener::accept(self).await?.0) })
    }
}

/// Nothing waits for more to come before it leaves.
fn at_once(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}

/// All who connect, for ever: what fails is tried again.
pub(super) struct Incoming {
    ear: Arc<dyn Ear>,
    next: Connecting<'static>,
}

impl Incoming {
    pub(super) fn new(ear: Box<dyn Ear>) -> Incoming {
        let ear: Arc<dyn Ear> = ear.into();
        Incoming { next: next(ear.clone()), ear }
    }
}

fn next(ear: Arc<dyn Ear>) -> Connecting<'static> {
    Box::pin(async move {
        loop {
            match ear.accept().await {
                Ok(connection) => return Ok(connection),
                Err(error) => tracing::debug!(%error, "nobody could be let in"),
            }
            sleep(REST).await;
        }
    })
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Connection>>> {
        let come = self.next.as_mut().poll(context);
        if come.is_ready() {
            self.next = next(self.ear.clone());
        }
        come.map(Some)
    }
}
