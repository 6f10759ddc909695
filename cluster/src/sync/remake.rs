//! A copy that cannot be read is made anew: dropped, created empty, and filled by pulling from the
//! others. Only if enough of the others can be read that every write that a majority acknowledged
//! is on one of them; so never the only copy.

use settee_engine::shard::Which;
use settee_engine::tree::Direction;
use settee_engine::{Engine, Error as EngineError, ShardId, Snapshot};

use super::ask::{Source, Target};
use crate::Error;
use crate::quorum::acks::majority;
use crate::steps::blocking;

/// Others that must be readable: together with any majority that this copy belonged to they have a
/// copy in common.
pub(super) fn needed(copies: usize) -> usize {
    (copies + 1).saturating_sub(majority(copies)).max(1)
}

/// Whether something of the copy cannot be read any more. Reads all of it.
pub(super) async fn is_damaged(target: &Target) -> Result<bool, Error> {
    let (engine, id) = (target.copy.engine().clone(), target.copy.id().clone());
    blocking(move || Ok(matches!(read_all(&engine, &id), Err(EngineError::Corrupt { .. })))).await
}

fn read_all(engine: &Engine, id: &ShardId) -> Result<(), EngineError> {
    let snapshot = engine.shard(id)?.snapshot();
    for row in snapshot.docs(&all(), Direction::Forward, Which::All) {
        let info = row?.info()?;
        for leaf in info.tree.leaves_unordered() {
            if let Some(body) = leaf.value.body {
                read_record(&snapshot, body)?;
            }
        }
    }
    snapshot.changes(0, Direction::Forward).try_for_each(|change| change.map(drop))?;
    snapshot.locals(&all(), Direction::Forward).try_for_each(|local| local.map(drop))?;
    snapshot.purges(0).try_for_each(|purge| purge.map(drop))
}

fn read_record(snapshot: &Snapshot, body: u64) -> Result<(), EngineError> {
    let record = snapshot.record(body)?;
    let mut chunks = record.atts.iter().flat_map(|att| &att.content.chunks);
    chunks.try_for_each(|chunk| snapshot.chunk(chunk).map(drop))
}

fn all() -> settee_engine::shard::IdRange {
    (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded)
}

/// Makes the copy anew, empty, if the others allow that; whether it did. Before that all are told that
/// nobody shall read from it.
pub(super) async fn remake<F: Future<Output = Result<(), Error>>>(
    target: &Target,
    sources: &[Source],
    tell: impl FnOnce() -> F,
) -> Result<bool, Error> {
    let mut readable = 0;
    for source in sources.iter().filter(|source| source.full) {
        readable += usize::from(source.head(target.node).await.is_ok());
    }
    let id = target.copy.id().clone();
    if readable < needed(sources.len() + 1) {
        tracing::error!(shard = %id, readable, "damaged, and too few other copies can be read");
        return Ok(false);
    }
    tracing::error!(shard = %id, "damaged; it is made anew from the other copies");
    tell().await?;
    let engine = target.copy.engine().clone();
    blocking(move || {
        engine.drop_shard(&id)?;
        engine.create_shard(&id)?;
        Ok(true)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_have_what_any_majority_has_acknowledged() {
        assert_eq!([2, 3, 4, 5, 7].map(needed), [1, 2, 2, 3, 4]);
        for copies in 2..10 {
            // A majority that counts this copy has so many others in it.
            let others = majority(copies) - 1;
            assert!(others + needed(copies) > copies - 1);
            assert!(needed(copies) < copies);
        }
    }
}
