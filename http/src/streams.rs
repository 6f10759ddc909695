//! The requests of a connection of HTTP/2: [`Streams`] runs each as a task and knows whether there are
//! any; [`Paced`] is an answer that knows whether it is taken. What nobody takes is reset, whatever
//! else the connection carries. Never looks at what is sent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;

use crate::lull::Lull;
use crate::reply::{Aborted, ReplyBody};

/// Longest piece of an answer that is handed over at once: what was handed over last may be all that
/// is taken within the patience.
const PIECE: usize = 16 << 10;

tokio::task_local! {
    /// Whether the answer of the request that this task is for is being taken.
    static TAKEN: Arc<Lull>;
}

/// Runs the requests of one connection.
#[derive(Clone)]
pub struct Streams {
    open: Arc<Lull>,
    patience: Duration,
}

impl Streams {
    /// Answers of which nothing is taken for so long are given up.
    pub fn new(patience: Duration) -> Self {
        Streams { open: Arc::default(), patience }
    }

    /// Done when no request was under way for so long.
    pub async fn rest(&self, patience: Duration) {
        self.open.lasts(patience).await;
    }
}

/// A request under way.
struct Open(Arc<Lull>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, request: F) {
        self.open.begin();
        let (open, patience) = (Open(self.open.clone()), self.patience);
        let taken = Arc::new(Lull::default());
        taken.begin();
        tokio::spawn(async move {
            let _open = open;
            tokio::select! {
                () = TAKEN.scope(taken.clone(), request) => {}
                () = taken.lasts(patience) => tracing::debug!("an answer is not taken"),
            }
        });
    }
}

/// The body of an answer, in pieces. While one is handed over and the next not wanted yet, there is a
/// lull.
pub struct Paced {
    body: ReplyBody,
    /// What came from it and was not handed over yet.
    rest: Bytes,
    taken: Option<Arc<Lull>>,
    /// Whether a piece was handed over since the last question.
    handed: bool,
}

impl Paced {
    /// The answer of the request that this task is for.
    pub fn new(body: ReplyBody) -> Self {
        let taken = TAKEN.try_with(Arc::clone).ok();
        Paced { body, rest: Bytes::new(), taken, handed: false }
    }

    /// Takes note of whether the other end is to act.
    fn hand(&mut self, handed: bool) {
        if std::mem::replace(&mut self.handed, handed) == handed {
            return;
        }
        match &self.taken {
            Some(taken) if handed => taken.end(),
            Some(taken) => taken.begin(),
            None => {}
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = self.get_mut();
        this.hand(false);
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.hand(true);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.length() {
            Some(left) => SizeHint::with_exact(left + self.rest.len() as u64),
            None => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn long_answers_are_handed_over_in_pieces() {
        let bytes = Bytes::from(vec![7; 2 * PIECE + 1]);
        let mut body = Paced::new(ReplyBody::Full(bytes.clone()));
        let mut whole = Vec::new();
        for length in [PIECE, PIECE, 1] {
            assert!(!body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some((bytes.len() - whole.len()) as u64));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(piece.len(), length);
            whole.extend_from_slice(&piece);
        }
        assert!(body.is_end_stream() && body.frame().await.is_none());
        assert_eq!(whole, bytes);
    }

    #[tokio::test]
    async fn it_is_a_lull_while_the_next_piece_is_not_wanted() {
        let patience = Duration::from_millis(50);
        let taken = Arc::new(Lull::default());
        taken.begin();
        let body = ReplyBody::Full(vec![7; PIECE + 1].into());
        let mut body = TAKEN.sync_scope(taken.clone(), || Paced::new(body));
        let lasts = |times| tokio::time::timeout(times * patience, taken.lasts(patience));
        assert!(lasts(3).await.is_err(), "nothing was handed over yet");
        assert!(body.frame().await.is_some());
        assert!(lasts(40).await.is_ok());
        assert!(body.frame().await.is_some() && body.frame().await.is_none());
        assert!(lasts(3).await.is_err(), "all was wanted");
    }
}
