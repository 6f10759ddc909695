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

use super::net::Connection;

/// Bytes that are gathered at most.
const ROOM: usize = 64 << 10;

/// See the module.
pub(super) struct Gather {
    stream: BufWriter<Connection>,
    /// Others had their turn since something was gathered.
    waited: bool,
}

impl Gather {
    pub(super) fn new(stream: Connection) -> Gather {
        Gather { stream: BufWriter::with_capacity(ROOM, stream), waited: false }
    }
}

impl AsyncRead for Gather {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Gather {
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

impl Connected for Gather {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::io::{AsyncWriteExt, join, sink};

    use super::*;

    /// Remembers what was written at once.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl AsyncWrite for Writes {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.lock().push(String::from_utf8_lossy(bytes).into_owned());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_others_say_meanwhile_leaves_together() {
        let writes = Writes::default();
        let connection = Connection::new(join(tokio::io::empty(), writes.clone()));
        let gather = Arc::new(tokio::sync::Mutex::new(Gather::new(connection)));
        gather.lock().await.write_all(b"one ").await.unwrap();
        let other = gather.clone();
        let other = tokio::spawn(async move { other.lock().await.write_all(b"two").await });
        // The lock is free while the flush gives the others their turn.
        poll_fn(|context| {
            let Ok(mut gather) = gather.try_lock() else { return Poll::Pending };
            Pin::new(&mut *gather).poll_flush(context)
        })
        .await
        .unwrap();
        other.await.unwrap().unwrap();
        assert_eq!(*writes.0.lock(), ["one two"]);
        let mut gather = gather.lock().await;
        gather.write_all(b"three").await.unwrap();
        gather.flush().await.unwrap();
        assert_eq!(*writes.0.lock(), ["one two", "three"]);
    }

    #[tokio::test]
    async fn nothing_to_say_makes_nobody_wait() {
        let mut gather = Gather::new(Connection::new(join(tokio::io::empty(), sink())));
        let mut flush = pin!(gather.flush());
        let first = poll_fn(|context| Poll::Ready(flush.as_mut().poll(context).is_ready())).await;
        assert!(first);
    }
}
