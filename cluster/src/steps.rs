//! Work that may block, done step by step off the async threads. Between steps no thread is held,
//! so any number of slow clients costs memory only. How much goes on at once is for others to say.

use std::future::Future;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Error;

/// A state that travels to another thread or task for each step and comes back with its result.
pub(crate) struct Steps<S, R>(At<S, R>);

enum At<S, R> {
    Idle(S),
    Running(JoinHandle<(S, R)>),
    /// A step panicked or the runtime is going down.
    Lost,
}

impl<S: Send + 'static, R: Send + 'static> Steps<S, R> {
    pub(crate) fn new(state: S) -> Self {
        Steps(At::Idle(state))
    }

    /// Begins a step as a task that gives the state back, unless one is running.
    pub(crate) fn begin(&mut self, start: impl FnOnce(S) -> JoinHandle<(S, R)>) {
        self.0 = match std::mem::replace(&mut self.0, At::Lost) {
            At::Idle(state) => At::Running(start(state)),
            other => other,
        };
    }

    /// The result of the running step; `None` if none was begun. Cancel safe.
    pub(crate) async fn result(&mut self) -> Result<Option<R>, Error> {
        match &mut self.0 {
            At::Idle(_) => Ok(None),
            At::Lost => Err(Error::Closing),
            At::Running(running) => match running.await {
                Ok((state, result)) => {
                    self.0 = At::Idle(state);
                    Ok(Some(result))
                }
                Err(error) => {
                    self.0 = At::Lost;
                    Err(lost(&error))
                }
            },
        }
    }

    /// The state, once no step is running.
    pub(crate) async fn into_state(mut self) -> Result<S, Error> {
        self.result().await?;
        match self.0 {
            At::Idle(state) => Ok(state),
            At::Running(_) | At::Lost => Err(Error::Closing),
        }
    }
}

/// Threads that work may be spread over, beside the one that it is begun on: none where all that happens
/// is to be repeated.
pub(crate) fn threads() -> usize {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => 0,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Begins work that may block, on a thread that may. A runtime with a single thread has no other: it
/// does the work itself, as one task among the others, so that all happens in an order that can be
/// repeated.
pub(crate) fn off<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => tokio::spawn(async move { work() }),
        _ => tokio::task::spawn_blocking(work),
    }
}

/// Does one thing on a thread that may block.
pub(crate) async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    off(work).await.unwrap_or_else(|error| Err(lost(&error)))
}

/// Does work to its end although the request that wanted it may be given up in the middle.
pub(crate) async fn uninterrupted<R: Send + 'static>(
    work: impl Future<Output = Result<R, Error>> + Send + 'static,
) -> Result<R, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(lost(&error)))
}

/// The same where the answer is known before the end: `work` is given whom to tell.
pub(crate) async fn uninterrupted_after<R: Send + 'static, F>(
    work: impl FnOnce(oneshot::Sender<R>) -> F,
) -> Result<R, Error>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let running = tokio::spawn(work(tell));
    match told.await {
        Ok(answer) => Ok(answer),
        // It ended without a word.
        Err(_) => Err(running.await.map_or_else(|error| lost(&error), |()| Error::Closing)),
    }
}

fn lost(error: &tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        return Error::Closing;
    }
    tracing::error!(%error, "work was lost");
    Error::Storage("internal error".into())
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn the_answer_comes_before_the_end_of_the_work() {
        let (go, gone) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let answer = uninterrupted_after(|tell| async move {
            tell.send(7).unwrap();
            gone.await.unwrap();
            end.send(()).unwrap();
        });
        assert_eq!(answer.await, Ok(7));
        go.send(()).unwrap();
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_its_answer() {
        let (go, gone) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut asked = Box::pin(uninterrupted_after(|tell: oneshot::Sender<()>| async move {
            gone.await.unwrap();
            end.send(tell.send(())).unwrap();
        }));
        let begun = std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context)));
        assert!(begun.await.is_pending());
        drop(asked);
        go.send(()).unwrap();
        assert_eq!(ended.await, Ok(Err(())));
    }

    #[tokio::test]
    async fn work_that_ends_without_a_word_is_an_error() {
        let silent = uninterrupted_after(|tell: oneshot::Sender<()>| async move { drop(tell) });
        assert_eq!(silent.await, Err(Error::Closing));
        let lost = uninterrupted_after(|_: oneshot::Sender<()>| async { panic!("by a test") });
        assert_eq!(lost.await, Err(Error::Storage("internal error".into())));
    }
}
