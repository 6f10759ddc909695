//! Reading from one copy of a range after the other until one answers. A copy that cannot be read is
//! looked after, and the client does not notice.

use std::time::Duration;

use tokio::time::timeout;

use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::join::try_join_all;
use crate::raft::NodeId;

/// How long a copy may take to say what it knows beside an answer that is there already; then it
/// counts as not there.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a copy says soon, if it does.
pub(super) async fn soon<R>(asked: impl Future<Output = Result<R, Error>>) -> Option<R> {
    timeout(PATIENCE, asked).await.ok()?.ok()
}

/// Whether a copy did not answer, so that another one may; everything else is an answer.
pub(super) fn is_silence(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable(_)
            | Error::Timeout
            | Error::Overloaded
            | Error::Closing
            | Error::Storage(_)
            | Error::DatabaseMissing
    )
}

/// Sees to a copy that could not be read.
pub(super) fn look_after(database: &Database, copy: &ShardCopy, error: &Error) {
    tracing::debug!(home = ?copy.home(), %error, "a copy did not answer");
    if matches!(error, Error::Storage(_)) {
        (database.lacking())(copy);
    }
}

/// What the first copy of a range says that answers, and which one that is. Fails as the first one
/// did if none answers.
pub(super) async fn first<R, F: Future<Output = Result<R, Error>>>(
    database: &Database,
    shard: usize,
    ask: impl Fn(ShardCopy) -> F,
) -> Result<(ShardCopy, Result<R, Error>), Error> {
    let mut failed = None;
    for copy in database.readers(shard)? {
        match ask(copy.clone()).await {
            Err(error) if is_silence(&error) => {
                database.live()?;
                look_after(database, copy, &error);
                failed.get_or_insert(error);
            }
            answer => return Ok((copy.clone(), answer)),
        }
    }
    Err(failed.unwrap_or(Error::Timeout))
}

/// What any copy of a range says.
pub(super) async fn any<R, F: Future<Output = Result<R, Error>>>(
    database: &Database,
    shard: usize,
    ask: impl Fn(ShardCopy) -> F,
) -> Result<R, Error> {
    first(database, shard, ask).await?.1
}

/// What any copy of each range says, in the order of ranges.
pub(super) async fn of_all<R, F: Future<Output = Result<R, Error>>>(
    database: &Database,
    ask: impl Fn(ShardCopy) -> F,
) -> Result<Vec<R>, Error> {
    database.live()?;
    let ask = &ask;
    try_join_all((0..database.ranges()).map(|shard| any(database, shard, ask))).await
}

/// The same with the nodes that have the copies.
pub(super) async fn of_all_with_node<R, F: Future<Output = Result<R, Error>>>(
    database: &Database,
    ask: impl Fn(ShardCopy) -> F,
) -> Result<Vec<(NodeId, R)>, Error> {
    let ask = |copy: ShardCopy| {
        let (node, asked) = (database.node_of(&copy), ask(copy));
        async move { Ok((node, asked.await?)) }
    };
    of_all(database, ask).await
}
