//! Reading documents and revisions. Where copies differ on a document, `agree` says what is answered.

use std::collections::HashSet;

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use super::{agree, reads};
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::docs::{BulkGet, IdRevs, OpenOptions, OpenedDoc, RevResult, Revs, RevsDiff, RevsKnown};
use crate::join::try_join_all;
use crate::ring;

/// A document as it is now, or one of its revisions.
pub(crate) async fn open(
    database: &Database,
    id: &DocId,
    options: OpenOptions,
) -> Result<OpenedDoc, Error> {
    let mut opened = agree::open(database, id, options).await?;
    forget(database, &mut opened.doc);
    Ok(opened)
}

/// A history ends where `_revs_limit` says, from the moment on that it is set; shards forget what
/// is beyond it with the next edit or compaction.
fn forget(database: &Database, doc: &mut StoredDoc) {
    if doc.revs.ids.len() > 1 {
        doc.revs.ids.truncate(database.meta().revs_limit as usize);
    }
}

fn forget_all(database: &Database, results: &mut [RevResult]) {
    for result in results {
        if let RevResult::Found(doc) = result {
            forget(database, doc);
        }
    }
}

/// Revisions of one document in the order of CouchDB's answers: by generation and id, those found
/// before those missing, none twice.
pub(crate) async fn open_revs(
    database: &Database,
    id: &DocId,
    asked: Revs,
    latest: bool,
) -> Result<Vec<RevResult>, Error> {
    let mut results = agree::revisions(database, id, asked, latest).await?;
    forget_all(database, &mut results);
    results.sort_by_cached_key(|result| (matches!(result, RevResult::Missing(_)), rev_of(result)));
    results.dedup_by_key(|result| (matches!(result, RevResult::Missing(_)), rev_of(result)));
    Ok(results)
}

fn rev_of(result: &RevResult) -> Option<Rev> {
    match result {
        RevResult::Found(doc) => doc.rev(),
        RevResult::Missing(rev) => Some(rev.clone()),
    }
}

/// Revisions of many documents, each in the order of its tree.
pub(crate) async fn open_many(
    database: &Database,
    lines: Vec<BulkGet>,
    latest: bool,
) -> Result<Vec<Result<Vec<RevResult>, Error>>, Error> {
    let parts = database.ring().split(lines, |line| &line.id);
    let ask = |part: ring::Part<BulkGet>| async move {
        let count = part.items.len();
        let found = agree::revisions_of_many(database, part.shard, &part.items, latest).await;
        let answers = match found {
            Ok(mut answers) => {
                answers.iter_mut().for_each(|results| forget_all(database, results));
                answers.into_iter().map(Ok).collect()
            }
            Err(error @ Error::DatabaseMissing) => return Err(error),
            // One shard that cannot be read does not spoil the answers of the others.
            Err(error) => vec![Err(error); count],
        };
        Ok::<_, Error>((part.places, answers))
    };
    Ok(ring::join(try_join_all(parts.into_iter().map(ask)).await?))
}

/// What is missing of given revisions.
pub(crate) async fn revs_diff(
    database: &Database,
    asked: Vec<IdRevs>,
) -> Result<Vec<RevsDiff>, Error> {
    let parts = database.ring().split(asked, |line| &line.id);
    let ask = |part: ring::Part<IdRevs>| async move {
        let ask = |copy: ShardCopy| {
            let asked = part.items.clone();
            async move { copy.revs_diff(asked).await }
        };
        let answers = reads::any(database, part.shard, ask).await?;
        Ok::<_, Error>((part.places, answers))
    };
    Ok(ring::join(try_join_all(parts.into_iter().map(ask)).await?))
}

/// How widely given revisions are known.
pub(crate) async fn revs_known(
    database: &Database,
    asked: Vec<IdRevs>,
) -> Result<Vec<RevsKnown>, Error> {
    let parts = database.ring().split(asked, |line| &line.id);
    let ask = |ring::Part { shard, places, items }: ring::Part<IdRevs>| async move {
        let most = agree::wanted(database, shard, None)?;
        let ask = |copy: ShardCopy| {
            let asked = items.clone();
            async move { copy.revs_diff(asked).await }
        };
        let (near, own) = reads::first(database, shard, ask).await?;
        let mut told = vec![own?];
        let others = agree::others(database, shard, &near, most - 1, ask).await?;
        told.extend(others.into_iter().filter_map(|(_, diffs)| diffs.ok()));
        let known = |(at, asked): (usize, &IdRevs)| {
            known(asked, told.iter().filter_map(|diffs| diffs.get(at)), most)
        };
        Ok::<_, Error>((places, items.iter().enumerate().map(known).collect()))
    };
    Ok(ring::join(try_join_all(parts.into_iter().map(ask)).await?))
}

fn known<'a>(asked: &IdRevs, told: impl Iterator<Item = &'a RevsDiff>, most: usize) -> RevsKnown {
    let missing: Vec<HashSet<&Rev>> = told.map(|diff| diff.missing.iter().collect()).collect();
    let copies = |rev: &Rev| missing.iter().filter(|missing| !missing.contains(rev)).count();
    let known = |least| asked.revs.iter().filter(|rev| copies(rev) >= least).cloned().collect();
    RevsKnown { to_most: known(most), to_some: known(1) }
}

/// The purges that all shards remember.
pub(crate) async fn purged(database: &Database) -> Result<Vec<IdRevs>, Error> {
    let lists = reads::of_all(database, |copy| async move { copy.purged().await }).await?;
    Ok(lists.into_iter().flatten().collect())
}
