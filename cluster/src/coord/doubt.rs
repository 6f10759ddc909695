//! Doubts about conflicts. A copy that was away refuses an edit of a revision that it has not seen,
//! though the client was told that it is written. So a refusal is believed only if the copy that
//! decided knows the revision, or no other copy that lives ends with it.

use std::time::Duration;

use settee_engine::shard::{Batch, Outcome, Write};
use settee_model::docid::DocId;
use settee_model::edit::EditError;
use settee_model::rev::Rev;
use tokio::time::timeout;

use crate::Error;
use crate::copy::ShardCopy;
use crate::docs::IdRevs;
use crate::quorum::acks::Acked;
use crate::sync::ask::{Answer, Ask};

/// How long a copy may take to say what it knows; then the refusal stands.
const PATIENCE: Duration = Duration::from_millis(500);

/// Edits that the wrong copy refused.
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
    let unknown = unknown(copies.get(by)?, refused).await?;
    for (knows, copy) in copies.iter().enumerate() {
        if knows == by || !copy.is_live() {
            continue;
        }
        let ask = Ask::Ends(unknown.iter().map(|refused| refused.id.clone()).collect());
        let Some(Answer::Leaves(leaves)) = in_time(copy.sync(ask)).await else { continue };
        let ends = |(refused, doc): (&Refused, &IdRevs)| {
            doc.revs.contains(&refused.base).then_some(refused.place)
        };
        let places: Vec<_> = unknown.iter().zip(&leaves.docs).filter_map(ends).collect();
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

/// Those of which the copy has never seen what they replace; none at all if there are none.
async fn unknown(copy: &ShardCopy, refused: Vec<Refused>) -> Option<Vec<Refused>> {
    if refused.is_empty() {
        return None;
    }
    let revs =
        |refused: &Refused| IdRevs { id: refused.id.clone(), revs: vec![refused.base.clone()] };
    let lacks = in_time(copy.revs_diff(refused.iter().map(revs).collect())).await?;
    let unknown = refused.into_iter().zip(lacks);
    let unknown = unknown.filter(|(_, lacks)| !lacks.missing.is_empty());
    let unknown: Vec<_> = unknown.map(|(refused, _)| refused).collect();
    (!unknown.is_empty()).then_some(unknown)
}

async fn in_time<R>(asked: impl Future<Output = Result<R, Error>>) -> Option<R> {
    timeout(PATIENCE, asked).await.ok()?.ok()
}
