//! [`Patient`]: the writing half of a connection, which fails when the other end takes nothing for
//! long. Never looks at what is written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::{Sleep, sleep};

/// The writing half of a connection, with an end to its patience.
pub struct Patient<S> {
    inner: S,
    patience: Duration,
    /// Runs while there is something to be taken.
    late: Late,
    /// Runs while what was taken on the way, as TLS does, is not sent on.
    held: Late,
}

type Late = Option<Pin<Box<Sleep>>>;

impl<S> Patient<S> {
    /// Gives the other end so long to take anything.
    pub fn new(inner: S, patience: Duration) -> Self {
        Patient { inner, patience, late: None, held: None }
    }
}

fn wait<T>(
    late: &mut Late,
    patience: Duration,
    cx: &mut Context<'_>,
    written: Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    if written.is_ready() {
        *late = None;
        return written;
    }
    let late = late.get_or_insert_with(|| Box::pin(sleep(patience)));
    ready!(late.as_mut().poll(cx));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        wait(&mut this.late, this.patience, cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(cx, pieces);
        wait(&mut this.late, this.patience, cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.inner).poll_flush(cx);
        wait(&mut this.held, this.patience, cx, sent)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let sent = Pin::new(&mut this.inner).poll_shutdown(cx);
        wait(&mut this.held, this.patience, cx, sent)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_ends_the_connection() {
        let (here, mut there) = duplex(4);
        let mut here = Patient::new(here, Duration::from_millis(50));
        let reader = tokio::spawn(async move {
            let mut taken = [0; 4];
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(30)).await;
                there.read_exact(&mut taken).await.unwrap();
            }
            there
        });
        // A slow reader is one: it takes longer in all.
        here.write_all(&[1; 16]).await.unwrap();
        let _there = reader.await.unwrap();
        let error = here.write_all(&[1; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn neither_does_what_is_kept_on_the_way_wait_for_ever() {
        let (here, _there) = duplex(4);
        // It takes more than the other end does, and keeps it.
        let here = tokio::io::BufWriter::new(here);
        let mut here = Patient::new(here, Duration::from_millis(50));
        here.write_all(&[1; 16]).await.unwrap();
        for shut in [false, true] {
            let sent = if shut { here.shutdown().await } else { here.flush().await };
            assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }
}
