//! Leaves of a step of changes what passes a filter that looks at documents: code of this node, which
//! copies elsewhere know nothing of, or functions that take their time.

use std::sync::Arc;

use settee_model::doc::StoredDoc;
use settee_model::rev::{Rev, RevPath};

use crate::Error;
use crate::changes::{Candidate, DocFilter, Filter, Style, Verdicts};
use crate::copy::ShardCopy;
use crate::docs::{BulkGet, RevResult, Revs};
use crate::portion::Portion;
use crate::shard::changes::{ChangeScan, ShardChange, ShardStep};
use crate::steps::blocking;

/// Candidates that a function is given at least, though fewer changes are wanted: it is a long way
/// to it.
pub(crate) const AT_LEAST: usize = 16;

/// What of a step passes; the copy is the one that made it. Its documents are looked at some at a time.
pub(crate) async fn sift(
    copy: &ShardCopy,
    scan: &ChangeScan,
    step: ShardStep,
) -> Result<ShardStep, Error> {
    if !matches!(scan.filter, Filter::Docs(_) | Filter::Judged(_)) {
        return Ok(step);
    }
    let mut portion = Portion::default();
    let mut passed = Vec::with_capacity(step.rows.len());
    while let Some(rows) = step.rows.get(passed.len()..).filter(|rows| !rows.is_empty()) {
        let rows = rows.get(..portion.documents()).unwrap_or(rows);
        let leaves = leaves(copy, scan, rows).await?;
        portion.had(rows.len(), leaves.iter().map(|leaf| leaf.doc.record.body.len()).sum());
        let (judged, fault) = judge(scan, rows, leaves).await?;
        passed.extend(judged);
        if let Some(fault) = fault {
            return cut(step, passed.len(), fault).map(|step| kept(step, &passed));
        }
    }
    Ok(kept(step, &passed))
}

/// What of a step lies before a row that could not be judged.
fn cut(mut step: ShardStep, rows: usize, fault: Error) -> Result<ShardStep, Error> {
    step.rows.truncate(rows);
    let Some(last) = step.rows.last() else { return Err(fault) };
    (step.at, step.pending, step.done) = (last.at, last.pending, false);
    Ok(ShardStep { fault: Some(fault), ..step })
}

/// Which of the leaves of each row pass; if not all rows could be judged, those before that and why.
async fn judge(
    scan: &ChangeScan,
    rows: &[ShardChange],
    leaves: Vec<Candidate>,
) -> Result<(Vec<Vec<Rev>>, Option<Error>), Error> {
    let revs: Vec<Option<Rev>> = leaves.iter().map(|leaf| leaf.doc.rev()).collect();
    let counts = counts(rows, &leaves);
    let verdicts = match &scan.filter {
        Filter::Docs(filter) => {
            let filter: Arc<dyn DocFilter> = filter.clone();
            let passes = move |leaf: &Candidate| filter.passes(leaf);
            let passes = blocking(move || leaves.iter().map(passes).collect::<Result<Vec<_>, _>>());
            Verdicts { passes: passes.await?, fault: None }
        }
        Filter::Judged(judge) => judge.judge(leaves).await,
        Filter::All | Filter::DocIds(_) | Filter::Design => {
            Verdicts { passes: vec![true; leaves.len()], fault: None }
        }
    };
    let mut judged = revs.into_iter().zip(verdicts.passes);
    let own = |count| {
        let own: Vec<_> = judged.by_ref().take(count).collect();
        let whole = own.len() == count;
        whole.then(|| {
            own.into_iter().filter(|(_, passes)| *passes).filter_map(|(rev, _)| rev).collect()
        })
    };
    Ok((counts.into_iter().map_while(own).collect(), verdicts.fault))
}

/// The leaves that rows name, in their order; one that was purged meanwhile is not
/// among them.
async fn leaves(
    copy: &ShardCopy,
    scan: &ChangeScan,
    rows: &[ShardChange],
) -> Result<Vec<Candidate>, Error> {
    let line = |row: &ShardChange| BulkGet {
        id: row.change.id.clone(),
        revs: Revs::Some(row.change.revs.clone()),
    };
    let found = copy.revisions_of_many(rows.iter().map(line).collect(), false).await?;
    let mut leaves = Vec::with_capacity(rows.len());
    for (row, results) in rows.iter().zip(found) {
        let mut docs: Vec<StoredDoc> = results.into_iter().filter_map(tip).collect();
        let place = |doc: &StoredDoc| {
            row.change.revs.iter().position(|rev| Some(rev) == doc.rev().as_ref())
        };
        docs.sort_by_key(place);
        // Of one leaf among all nobody asks what it conflicts with.
        let conflicts = match scan.style {
            Style::MainOnly => row.change.conflicts.clone(),
            Style::AllDocs => Vec::new(),
        };
        leaves.extend(docs.into_iter().map(|doc| Candidate { doc, conflicts: conflicts.clone() }));
    }
    Ok(leaves)
}

/// A leaf without its ancestors, as filters see it.
fn tip(result: RevResult) -> Option<StoredDoc> {
    let RevResult::Found(leaf) = result else { return None };
    Some(StoredDoc { revs: RevPath::single(leaf.rev()?), ..leaf })
}

/// How many of the leaves belong to each row.
fn counts(rows: &[ShardChange], leaves: &[Candidate]) -> Vec<usize> {
    let mut left = leaves.iter().peekable();
    let count = |row: &ShardChange| {
        let mut count = 0;
        while left.next_if(|leaf| leaf.doc.id == row.change.id).is_some() {
            count += 1;
        }
        count
    };
    rows.iter().map(count).collect()
}

/// The rows with the revisions that passed, best first as they were named.
fn kept(mut step: ShardStep, passed: &[Vec<Rev>]) -> ShardStep {
    let mut passed = passed.iter();
    step.rows.retain_mut(|row| {
        let passed = passed.next().map(Vec::as_slice).unwrap_or_default();
        row.change.revs.retain(|rev| passed.contains(rev));
        !row.change.revs.is_empty()
    });
    step
}
