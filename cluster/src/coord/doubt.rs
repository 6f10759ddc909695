//! Doubts about conflicts. A copy that was away refuses an edit of a revision that it has not seen,
//! though the client was told that it is written. So a refusal is believed only if the copy that
//! decided knows what followed the revision, or no copy that lives ends with it.

use std::time::Duration;

use settee_engine::shard::{Batch, Outcome, Write};
use settee_model::docid::DocId;
use settee_model::edit::EditError;
use settee_model::rev::Rev;
use tokio::time::timeout;

use crate::Error;
use crate::copy::ShardCopy;
use crate::docs::{IdRevs, RevsDiff};
use crate::quorum::acks::Acked;
use crate::sync::ask::{Answer, Ask};

/// How long a copy may take to say what it knows; then the refusal stands.
const PATIENCE: Duration = Duration::from_millis(500);

/// Edits that were refused by who did not know better.
pub(super) struct Doubt {
    /// Their places in the batch.
    pub(super) places: Vec<usize>,
    /// The copy that has what they replace.
    pub(super) knows: usize,
}

/// An edit that was refused.
struct Refused {
    place: usize,
    id: DocId,
    /// What it replaces.
    base: Rev,
}

/// Which refusals of a copy, that of number `by`, another one should look at. What it decided is
/// durable there, so that it shows all it knew.
pub(super) async fn doubt(
    copies: &[ShardCopy],
    by: usize,
    batch: &Batch,
    acked: &[Acked],
) -> Option<Doubt> {
    let refused = batch.writes.iter().zip(acked).enumerate().filter_map(refused).collect();
    let decided = copies.get(by)?;
    let (known, unknown) = sort(decided, refused).await?;
    // It may have come while the refusal was on its way.
    let places = ending(decided, &known).await;
    if !places.is_empty() {
        return Some(Doubt { places, knows: by });
    }
    for (knows, copy) in copies.iter().enumerate() {
        let places = match knows != by && copy.is_live() {
            true => ending(copy, &unknown).await,
            false => Vec::new(),
        };
        if !places.is_empty() {
            return Some(Doubt { places, knows });
        }
    }
    None
}

fn refused((place, (write, (result, _))): (usize, (&Write, &Acked))) -> Option<Refused> {
    match (write, result) {
        (Write::Interactive(edit), Ok(Outcome::Failed(EditError::Conflict))) => {
            Some(Refused { place, id: edit.id.clone(), base: edit.revs.tip()? })
        }
        _ => None,
    }
}

/// Those of which the copy has seen what they replace, and the others; none if there are none.
async fn sort(copy: &ShardCopy, refused: Vec<Refused>) -> Option<(Vec<Refused>, Vec<Refused>)> {
    if refused.is_empty() {
        return None;
    }
    let revs =
        |refused: &Refused| IdRevs { id: refused.id.clone(), revs: vec![refused.base.clone()] };
    let lacks = in_time(copy.revs_diff(refused.iter().map(revs).collect())).await?;
    let sorted = refused.into_iter().zip(lacks);
    let (known, unknown): (Vec<_>, Vec<_>) =
        sorted.partition(|(_, lacks)| lacks.missing.is_empty());
    let alone = |pairs: Vec<(Refused, RevsDiff)>| pairs.into_iter().map(|(it, _)| it).collect();
    Some((alone(known), alone(unknown)))
}

/// The places of those of which a document ends, on the copy, with what they replace.
async fn ending(copy: &ShardCopy, refused: &[Refused]) -> Vec<usize> {
    if refused.is_empty() {
        return Vec::new();
    }
    let ask = Ask::Ends(refused.iter().map(|refused| refused.id.clone()).collect());
    let Some(Answer::Leaves(leaves)) = in_time(copy.sync(ask)).await else { return Vec::new() };
    let ends = |(refused, doc): (&Refused, &IdRevs)| {
        doc.revs.contains(&refused.base).then_some(refused.place)
    };
    refused.iter().zip(&leaves.docs).filter_map(ends).collect()
}

async fn in_time<R>(asked: impl Future<Output = Result<R, Error>>) -> Option<R> {
    timeout(PATIENCE, asked).await.ok()?.ok()
}
