//! What edits edit, as far as it takes to judge them: the one revision that each edit comes from, never
//! the others of its document. Judges nothing.

use settee_cluster::docs::{BulkGet, EditMode, IdRevs, OpenOptions, RevResult, Revs};
use settee_cluster::{Db, Error as ClusterError};
use settee_model::doc::{DocEdit, StoredDoc};
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevPath};

use crate::error::Error;

/// Ancestors that are looked up at once, if the nearest is not stored any more.
const ANCESTORS: usize = 16;

/// What an edit is made of.
pub(super) enum Base {
    /// The revision that it edits, or nothing.
    Edits(Option<Box<StoredDoc>>),
    /// It edits what is no leaf.
    Conflict,
    /// This is what it would write, and most copies have it.
    Known(Rev),
}

/// What each of some edits is made of, in their order.
///
/// # Errors
/// Shards that cannot be read.
pub(super) async fn bases(db: &Db, edits: &[&DocEdit], mode: EditMode) -> Result<Vec<Base>, Error> {
    match mode {
        EditMode::Interactive => edited(db, edits).await,
        EditMode::Replicated => ancestors(db, edits).await,
    }
}

/// What interactive edits edit: a leaf, or nothing that lives.
async fn edited(db: &Db, edits: &[&DocEdit]) -> Result<Vec<Base>, Error> {
    let line = |edit: &&DocEdit| Some(line(edit, vec![edit.revs.tip()?]));
    let lines: Vec<BulkGet> = edits.iter().filter_map(line).collect();
    let new = edits.iter().filter(|edit| edit.revs.tip().is_none());
    let new: Vec<DocId> = new.map(|edit| edit.id.clone()).collect();
    // In the place of a revision that something came of comes what came of it.
    let mut leaves = db.open_many(lines, true).await?.into_iter();
    let mut rows = db.rows_of(new).await?.into_iter();
    let mut bases = Vec::with_capacity(edits.len());
    for edit in edits {
        bases.push(match edit.revs.tip() {
            Some(rev) => {
                let leaves = leaves.next().unwrap_or(Ok(Vec::new()))?;
                let mut leaves = leaves.into_iter().filter_map(stored);
                match leaves.find(|leaf| leaf.rev().as_ref() == Some(&rev)) {
                    Some(leaf) => Base::Edits(Some(Box::new(leaf))),
                    None => Base::Conflict,
                }
            }
            None => {
                let lives = rows.next().flatten().is_some_and(|row| !row.deleted);
                if lives && lives_on_most(db, &edit.id).await? {
                    Base::Conflict
                } else {
                    Base::Edits(None)
                }
            }
        });
    }
    Ok(bases)
}

async fn lives_on_most(db: &Db, id: &DocId) -> Result<bool, Error> {
    match db.open_doc(id, OpenOptions::default()).await {
        Ok(_) => Ok(true),
        Err(ClusterError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What replicated edits come from: the nearest of their ancestors that is stored here.
async fn ancestors(db: &Db, edits: &[&DocEdit]) -> Result<Vec<Base>, Error> {
    let all = |edit: &&DocEdit| IdRevs { id: edit.id.clone(), revs: revs_of(&edit.revs).collect() };
    let known = db.revs_known(edits.iter().map(all).collect()).await?;
    let mut bases = Vec::with_capacity(edits.len());
    // Of which edits ancestors are known, newest first.
    let mut left: Vec<(usize, Vec<Rev>)> = Vec::new();
    for (place, (edit, known)) in edits.iter().zip(known).enumerate() {
        let tip = edit.revs.tip();
        bases.push(match tip.clone().filter(|tip| known.to_most.contains(tip)) {
            Some(tip) => Base::Known(tip),
            None => {
                let ancestors = known.to_some.into_iter().filter(|rev| Some(rev) != tip.as_ref());
                left.push((place, ancestors.collect()));
                Base::Edits(None)
            }
        });
    }
    let mut most = 1;
    loop {
        left.retain(|(_, revs)| !revs.is_empty());
        if left.is_empty() {
            return Ok(bases);
        }
        find_nearest(db, edits, &mut left, most, &mut bases).await?;
        most = ANCESTORS;
    }
}

/// Looks for the nearest ancestors of edits among so many of those that are left for each; leaves
/// nothing for those that have found theirs.
async fn find_nearest(
    db: &Db,
    edits: &[&DocEdit],
    left: &mut [(usize, Vec<Rev>)],
    most: usize,
    bases: &mut [Base],
) -> Result<(), Error> {
    let some = |revs: &Vec<Rev>| revs.iter().take(most).cloned().collect::<Vec<_>>();
    let line = |(place, revs): &(usize, Vec<Rev>)| Some(line(edits.get(*place)?, some(revs)));
    let found = db.open_many(left.iter().filter_map(line).collect(), false).await?;
    for ((place, revs), found) in left.iter_mut().zip(found) {
        let found: Vec<StoredDoc> = found?.into_iter().filter_map(stored).collect();
        let is = |doc: &StoredDoc, rev: &Rev| doc.rev().as_ref() == Some(rev);
        let near = |rev: &Rev| found.iter().position(|doc| is(doc, rev));
        match revs.iter().take(most).find_map(near) {
            Some(at) => {
                if let Some(base) = bases.get_mut(*place) {
                    *base = Base::Edits(found.into_iter().nth(at).map(Box::new));
                }
                revs.clear();
            }
            None => drop(revs.drain(..most.min(revs.len()))),
        }
    }
    Ok(())
}

fn line(edit: &DocEdit, revs: Vec<Rev>) -> BulkGet {
    BulkGet { id: edit.id.clone(), revs: Revs::Some(revs) }
}

fn stored(result: RevResult) -> Option<StoredDoc> {
    match result {
        RevResult::Found(doc) => Some(doc),
        RevResult::Missing(_) => None,
    }
}

fn revs_of(path: &RevPath) -> impl Iterator<Item = Rev> {
    let pos = |back: usize| path.start.saturating_sub(back as u64);
    path.ids.iter().enumerate().map(move |(back, id)| Rev { pos: pos(back), id: id.clone() })
}
