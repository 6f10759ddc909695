//! Work that goes to every copy of every shard.

use std::future::Future;

use crate::Error;
use crate::copy::ShardCopy;
use crate::join::try_join_all;

/// Copies that are worked on at once.
const AT_ONCE: usize = 64;

/// Does one thing on all copies, some of them at a time.
pub(crate) async fn on_all<F: Future<Output = Result<(), Error>>>(
    shards: &[Vec<ShardCopy>],
    work: impl Fn(ShardCopy) -> F,
) -> Result<(), Error> {
    let copies: Vec<&ShardCopy> = shards.iter().flatten().collect();
    for some in copies.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|copy| work((*copy).clone()))).await?;
    }
    Ok(())
}
