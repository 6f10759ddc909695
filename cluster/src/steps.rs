//! Work that may block, done step by step off the async threads. Between steps no thread is held,
//! so any number of slow clients costs memory only.

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
