//! Doubts about conflicts. A copy that was away refuses an edit of a revision that it has not seen,
//! though the client was told that it is written. So a refusal is believed only if some copy knows
//! what followed the revision, or no copy that lives ends with it.

use settee_engine::shard::{Batch, Outcome, Write};
use settee_model::docid::DocId;
use settee_model::edit::EditError;
use settee_model::rev::Rev;

use super::reads::soon;
use crate::copy::ShardCopy;
use crate::docs::{BulkGet, IdRevs, RevResult, Revs};
use crate::join::join_all;
use crate::quorum::acks::Acked;

/// Edits that were refused by who did not know better.
pub(super) struct Doubt {
    /// Their places in the batch.
    pub(super) places: Vec<usize>,
    /// The copy that has what they replace.
    pub(super) knows: usize,
}

/// An edit that was refused.
#[derive(Clone)]
struct Refused {
    place: usize,
    id: DocId,
    /// What it replaces.
    base: Rev,
}

/// How a copy stands to what an edit replaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knows {
    /// The document ends with it here.
    Ends,
    /// Something followed it here.
    Followed,
    /// It was never seen here.
    Nothing,
}

/// Which refusals of a copy, that of number `by`, another one should look at, of those at the given
/// places. What it decided is durable there, so that it shows all it knew.
pub(super) async fn doubt(
    copies: &[ShardCopy],
    by: usize,
    batch: &Batch,
    acked: &[Acked],
    places: &[usize],
) -> Vec<Doubt> {
    let refused = |place: &usize| refused(*place, batch.writes.get(*place)?, acked.get(*place)?);
    let refused: Vec<Refused> = places.iter().filter_map(refused).collect();
    let Some(decided) = copies.get(by).filter(|_| !refused.is_empty()) else { return Vec::new() };
    let Some(own) = standing(decided, &refused).await else { return Vec::new() };
    // It may have come while the refusal was on its way.
    let come = refused.iter().zip(&own).filter(|(_, knows)| **knows == Knows::Ends);
    let come: Vec<usize> = come.map(|(refused, _)| refused.place).collect();
    let unknown = refused.iter().zip(&own).filter(|(_, knows)| **knows == Knows::Nothing);
    let unknown: Vec<Refused> = unknown.map(|(refused, _)| refused.clone()).collect();
    let mut doubts = Vec::new();
    if !come.is_empty() {
        doubts.push(Doubt { places: come, knows: by });
    }
    doubts.extend(known_elsewhere(copies, by, decided, unknown).await);
    doubts
}

fn refused(place: usize, write: &Write, (result, _): &Acked) -> Option<Refused> {
    match (write, result) {
        (Write::Interactive(edit), Ok(Outcome::Failed(EditError::Conflict))) => {
            Some(Refused { place, id: edit.id.clone(), base: edit.revs.tip()? })
        }
        _ => None,
    }
}

/// Those that other copies end with, and none of them knows more.
async fn known_elsewhere(
    copies: &[ShardCopy],
    by: usize,
    decided: &ShardCopy,
    unknown: Vec<Refused>,
) -> Vec<Doubt> {
    if unknown.is_empty() {
        return Vec::new();
    }
    let others = copies.iter().enumerate().filter(|(number, copy)| *number != by && copy.is_live());
    let (numbers, others): (Vec<usize>, Vec<&ShardCopy>) = others.unzip();
    let told = join_all(others.iter().map(|copy| standing(copy, &unknown))).await;
    let told: Vec<(usize, Vec<Knows>)> =
        numbers.into_iter().zip(told).filter_map(|(number, told)| Some((number, told?))).collect();
    let knows = |place: usize| {
        let all = || told.iter().filter_map(|(number, knows)| Some((*number, *knows.get(place)?)));
        match all().any(|(_, knows)| knows == Knows::Followed) {
            true => None,
            false => all().find(|(_, knows)| *knows == Knows::Ends).map(|(number, _)| number),
        }
    };
    let doubted = unknown.iter().enumerate().filter_map(|(place, it)| Some((it, knows(place)?)));
    let (doubted, known): (Vec<&Refused>, Vec<usize>) = doubted.unzip();
    let forgot = forgot(decided, &doubted).await;
    let mut doubts: Vec<Doubt> = Vec::new();
    for ((refused, knows), forgot) in doubted.into_iter().zip(known).zip(forgot) {
        match doubts.iter_mut().find(|doubt| doubt.knows == knows) {
            _ if forgot => {}
            Some(doubt) => doubt.places.push(refused.place),
            None => doubts.push(Doubt { places: vec![refused.place], knows }),
        }
    }
    doubts
}

/// How a copy stands to what edits replace; `None` if it does not say so in time.
async fn standing(copy: &ShardCopy, refused: &[Refused]) -> Option<Vec<Knows>> {
    let line =
        |refused: &Refused| IdRevs { id: refused.id.clone(), revs: vec![refused.base.clone()] };
    let lacks = soon(copy.revs_diff(refused.iter().map(line).collect())).await?;
    // Asked second: what came in between is then seen as an end, not as nothing.
    let ids = refused.iter().map(|refused| refused.id.clone()).collect();
    let ends = soon(copy.ends(ids)).await?;
    let ends = refused.iter().zip(&ends).map(|(it, revs)| revs.contains(&it.base));
    let stand = |(ends, lacks): (bool, bool)| match (ends, lacks) {
        (true, _) => Knows::Ends,
        (false, false) => Knows::Followed,
        (false, true) => Knows::Nothing,
    };
    Some(ends.zip(lacks.iter().map(|lacks| !lacks.missing.is_empty())).map(stand).collect())
}

/// Whether a copy may have known what edits replace, and forgotten it: histories are kept only so
/// far back. If it does not say, it may have.
async fn forgot(copy: &ShardCopy, refused: &[&Refused]) -> Vec<bool> {
    if refused.is_empty() {
        return Vec::new();
    }
    let line = |refused: &&Refused| BulkGet { id: refused.id.clone(), revs: Revs::All };
    let lines = refused.iter().map(line).collect();
    let Some(found) = soon(copy.revisions_of_many(lines, false)).await else {
        return vec![true; refused.len()];
    };
    let forgot = |(refused, found): (&&Refused, Vec<RevResult>)| {
        found.iter().any(|leaf| match leaf {
            RevResult::Found(doc) => doc.revs.start >= refused.base.pos + doc.revs.ids.len() as u64,
            RevResult::Missing(_) => false,
        })
    };
    refused.iter().zip(found).map(forgot).collect()
}
