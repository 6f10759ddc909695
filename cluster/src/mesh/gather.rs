//! A connection whose bytes leave together: before they are written, everything else that is
//! ready on this thread may run, so that what it has to say goes with them. One system call, and one
//! wake-up at the other end, then serve all messages of a moment. Knows no messages.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::task::yield_now;
use tonic::transport::server::Connected;

/// Bytes that are gathered at most.
const ROOM: usize = 64 << 10;

/// See the module.
pub(super) struct Gather<S> {
    stream: BufWriter<S>,
    /// Others had their turn since something was gathered.
    waited: bool,
}

impl<S: AsyncWrite> Gather<S> {
    pub(super) fn new(stream: S) -> Gather<S> {
        Gather { stream: BufWriter::with_capacity(ROOM, stream), waited: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waited && !self.stream.buffer().is_empty() {
            self.waited = true;
            // The first look at it never ends: it puts the task behind the others.
            return pin!(yield_now()).poll(context).map(Ok);
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.waited = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S> Connected for Gather<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
