//! [`Lenient`]: the reading half of a connection, whose request lines may hold characters that ought to be encoded.
//! CouchDB's clients have always sent `?startkey="a"` as it is; the parser behind this does not
//! take it, so it is encoded on the way in. Heads and bodies are told apart as the parser will; at
//! the first thing that is unclear this gets out of the way for good.

mod framing;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use framing::Framing;

/// The reading half of a connection, read leniently.
pub struct Lenient<S> {
    inner: S,
    framing: Framing,
    /// What became too long for the reader's buffer by being encoded.
    held: Vec<u8>,
    /// How much of it was given already.
    given: usize,
}

impl<S> Lenient<S> {
    /// Wraps a connection on which nothing was read yet.
    pub fn new(inner: S) -> Self {
        Lenient { inner, framing: Framing::default(), held: Vec::new(), given: 0 }
    }

    /// Gives what was held back; whether there was any.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.held.get(self.given..).unwrap_or_default();
        let fitting = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        if rest.is_empty() {
            self.held.clear();
            self.given = 0;
            return false;
        }
        buf.put_slice(fitting);
        self.given += fitting.len();
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.held.is_empty() && this.give(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if let Some(encoded) = this.framing.follow(fresh) {
            buf.set_filled(before);
            this.held = encoded;
            this.give(buf);
        }
        Poll::Ready(Ok(()))
    }
}
