//! Work that goes to every copy of every shard. Documents are never written this way (see `spread`).

use std::future::Future;

use crate::copy::ShardCopy;
use crate::join::join_all;
use crate::{Error, Written};

/// Copies that are worked on at once.
const AT_ONCE: usize = 64;

/// Does one thing on all copies, and says how far it has come with the range where it has come least
/// far. Fails if no copy of a range did it, with the reason of one of them.
pub(crate) async fn on_majority<F: Future<Output = Result<(), Error>>>(
    shards: &[Vec<ShardCopy>],
    work: impl Fn(ShardCopy) -> F,
) -> Result<Written, Error> {
    let copies: Vec<_> = shards
        .iter()
        .enumerate()
        .flat_map(|(range, copies)| copies.iter().map(move |copy| (range, copy)))
        .collect();
    let mut done = vec![0; shards.len()];
    let mut failure = None;
    for some in copies.chunks(AT_ONCE) {
        let work = some.iter().map(|(range, copy)| {
            let done = work((*copy).clone());
            async move { (*range, done.await) }
        });
        for (range, outcome) in join_all(work).await {
            match outcome {
                Ok(()) => done.get_mut(range).into_iter().for_each(|done: &mut usize| *done += 1),
                Err(error) => failure = Some(error),
            }
        }
    }
    let Some(failure) = failure else { return Ok(Written::Created) };
    if done.contains(&0) {
        return Err(failure);
    }
    let many = done.iter().zip(shards).all(|(done, copies)| *done > copies.len() / 2);
    Ok(if many { Written::Created } else { Written::Accepted })
}
