//! Waiting for several futures at once, in one task. Spawns nothing: they go on only while somebody waits.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// The results of all futures, in their order. All run at the same time; meant for as many as a
/// database has shards, not for thousands.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<Wait<F>> = futures.into_iter().map(|f| Wait::For(Box::pin(f))).collect();
    poll_fn(|context| {
        let mut ready = true;
        for wait in &mut all {
            if let Wait::For(future) = wait {
                match future.as_mut().poll(context) {
                    Poll::Ready(result) => *wait = Wait::Done(result),
                    Poll::Pending => ready = false,
                }
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let results = all.into_iter().filter_map(|wait| match wait {
        Wait::Done(result) => Some(result),
        Wait::For(_) => None,
    });
    results.collect()
}

/// The same, or the first error of them.
pub(crate) async fn try_join_all<T, E, F: Future<Output = Result<T, E>>>(
    futures: impl IntoIterator<Item = F>,
) -> Result<Vec<T>, E> {
    join_all(futures).await.into_iter().collect()
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Futures that run in the task that waits for them, and give their results as they come.
pub(crate) struct Running<'a, T> {
    running: Vec<Boxed<'a, T>>,
    done: VecDeque<T>,
}

impl<'a, T> Running<'a, T> {
    pub(crate) fn new() -> Running<'a, T> {
        Running { running: Vec::new(), done: VecDeque::new() }
    }

    /// One more; it begins when somebody waits.
    pub(crate) fn push(&mut self, future: impl Future<Output = T> + Send + 'a) {
        self.running.push(Box::pin(future));
    }

    /// The next result; `None` if nothing runs any more. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            self.go_on(context);
            match self.done.pop_front() {
                None if !self.running.is_empty() => Poll::Pending,
                result => Poll::Ready(result),
            }
        })
        .await
    }

    /// The result of other work, during which all go on.
    pub(crate) async fn beside<R>(&mut self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.go_on(context);
            work.as_mut().poll(context)
        })
        .await
    }

    fn go_on(&mut self, context: &mut Context<'_>) {
        let Running { running, done } = self;
        running.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(result) => {
                done.push_back(result);
                false
            }
            Poll::Pending => true,
        });
    }
}

enum Wait<F: Future> {
    For(Pin<Box<F>>),
    Done(F::Output),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_run_at_once_and_answer_in_order() {
        let barrier = tokio::sync::Barrier::new(5);
        let wait = |number: usize| {
            let barrier = &barrier;
            async move {
                barrier.wait().await;
                number
            }
        };
        assert_eq!(join_all((0..5).map(wait)).await, [0, 1, 2, 3, 4]);
        let fail = |number: u8| async move { if number == 1 { Err(number) } else { Ok(number) } };
        assert_eq!(try_join_all((0..3).map(fail)).await, Err(1));
    }

    #[tokio::test]
    async fn running_futures_give_what_is_done_and_begin_with_the_wait() {
        let (begun, beginnings) = std::sync::mpsc::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let mut running = Running::new();
        let slow = begun.clone();
        running.push(async { "quick" });
        running.push(async move {
            slow.send(()).unwrap();
            gone.await.unwrap();
            "slow"
        });
        assert_eq!(running.next().await, Some("quick"));
        beginnings.try_recv().unwrap();
        running.push(async { "late" });
        assert_eq!(running.next().await, Some("late"));
        go.send(()).unwrap();
        assert_eq!((running.next().await, running.next().await), (Some("slow"), None));
    }
}
