//! Waiting for several futures at once, in one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

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
}
