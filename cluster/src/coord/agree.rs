//! Reads that several copies must agree on. One copy opens the document, the others say with which
//! revisions it ends there. If they differ the answer comes from all of them together, and those
//! that lack something are told to look at the others. Repairs nothing itself: that is for `sync`.

use std::future::Future;
use std::time::Duration;

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::Rev;
use settee_model::revtree::{RevTree, Tombstone};
use tokio::time::timeout;

use super::reads::{first, is_silence, look_after, soon};
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::docs::{BulkGet, Facts, OpenOptions, OpenedDoc, RevResult, RevStatus, Revs};
use crate::join::{Running, join_all};
use crate::quorum::acks::majority;

/// After so long without an answer another copy is asked, too.
const HEDGE: Duration = Duration::from_millis(100);

/// Documents that copies disagree on and that are read again at once.
const AT_ONCE: usize = 16;

/// How many copies are to agree.
pub(super) fn wanted(database: &Database, shard: usize, r: Option<u32>) -> Result<usize, Error> {
    let copies = database.copies(shard)?.len();
    let r = r.map_or(majority(copies), |r| usize::try_from(r).unwrap_or(usize::MAX));
    Ok(r.clamp(1, copies.max(1)))
}

/// A document as so many copies have it.
pub(super) async fn open(
    database: &Database,
    id: &DocId,
    options: OpenOptions,
) -> Result<OpenedDoc, Error> {
    let shard = database.ring().shard_of(id);
    let r = wanted(database, shard, options.r)?;
    let ask = |copy: ShardCopy| {
        let (id, options) = (id.clone(), options.clone());
        async move { copy.open(id, options).await }
    };
    if r == 1 {
        return first(database, shard, ask).await?.1;
    }
    if id.is_local() || options.rev.is_some() {
        let (near, opened) = first(database, shard, ask).await?;
        if options.rev.is_some() && opened.is_ok() {
            return opened;
        }
        let others = others(database, shard, &near, r - 1, ask).await?;
        return best(opened, others.into_iter().map(|(_, opened)| opened));
    }
    let (near, (own, opened)) = with_ends(database, shard, id, ask).await?;
    let copies = ends(database, shard, id, near, own, r).await?;
    if agree(&copies) {
        return opened;
    }
    let merged = merged(database, id, &copies).await;
    let known = match merged.0.winner().map(|winner| winner.rev()) {
        Some(winner) if options.facts => {
            facts_beside(&winner, &copies, id, &options, &opened).await
        }
        _ => Facts::default(),
    };
    together(&options, opened, merged, known)
}

/// What a copy whose winner is that revision knows beside it; else what the first copy said.
async fn facts_beside(
    winner: &Rev,
    copies: &[Ends],
    id: &DocId,
    options: &OpenOptions,
    first: &Result<OpenedDoc, Error>,
) -> Facts {
    let is_of = |opened: &&OpenedDoc| opened.doc.rev().as_ref() == Some(winner);
    let told = |opened: &OpenedDoc| opened.facts.clone();
    let first = first.as_ref().ok();
    if let Some(facts) = first.filter(is_of).and_then(told) {
        return facts;
    }
    for (copy, _) in copies.iter().skip(1).filter(|(_, ends)| ends.contains(winner)) {
        let opened = soon(copy.open(id.clone(), options.clone())).await;
        if let Some(facts) = opened.as_ref().filter(is_of).and_then(told) {
            return facts;
        }
    }
    first.and_then(told).unwrap_or_default()
}

fn agree(copies: &[Ends]) -> bool {
    copies.windows(2).all(|two| matches!(two, [one, other] if one.1 == other.1))
}

/// All leaves of a document as so many copies have them, or given revisions as any of them has.
pub(super) async fn revisions(
    database: &Database,
    id: &DocId,
    asked: Revs,
    latest: bool,
) -> Result<Vec<RevResult>, Error> {
    let shard = database.ring().shard_of(id);
    let r = wanted(database, shard, None)?;
    let ask = |copy: ShardCopy| {
        let (id, asked) = (id.clone(), asked.clone());
        async move { copy.revisions(id, asked, latest).await }
    };
    if r == 1 || id.is_local() {
        return first(database, shard, ask).await?.1;
    }
    if asked == Revs::All {
        let (near, (own, found)) = with_ends(database, shard, id, ask).await?;
        let copies = ends(database, shard, id, near, own, r).await?;
        if agree(&copies) {
            return found;
        }
        return Ok(leaves_of(merged(database, id, &copies).await));
    }
    let (near, found) = first(database, shard, ask).await?;
    let mut all = found?;
    if all.iter().any(|result| matches!(result, RevResult::Missing(_))) {
        let mut found: Vec<Rev> = all.iter().filter_map(found_rev).collect();
        for (_, other) in others(database, shard, &near, r - 1, ask).await? {
            for result in other.into_iter().flatten() {
                let Some(rev) = found_rev(&result).filter(|rev| !found.contains(rev)) else {
                    continue;
                };
                found.push(rev);
                all.push(result);
            }
        }
        all.retain(|result| match result {
            RevResult::Missing(rev) => !found.contains(rev),
            RevResult::Found(_) => true,
        });
    }
    Ok(all)
}

/// The same for many documents of one range. Most often copies agree, and two questions do for all.
pub(super) async fn revisions_of_many(
    database: &Database,
    shard: usize,
    lines: &[BulkGet],
    latest: bool,
) -> Result<Vec<Vec<RevResult>>, Error> {
    let r = wanted(database, shard, None)?;
    let ask = |copy: ShardCopy| {
        let lines = lines.to_vec();
        async move { copy.revisions_of_many(lines, latest).await }
    };
    let (near, answers) = first(database, shard, ask).await?;
    let mut answers = answers?;
    if r == 1 {
        return Ok(answers);
    }
    let whole: Vec<DocId> =
        lines.iter().filter(|line| is_whole(line)).map(|line| line.id.clone()).collect();
    let mut told = Vec::new();
    if !whole.is_empty() {
        let ask = |copy: ShardCopy| {
            let ids = whole.clone();
            async move { copy.ends(ids).await }
        };
        let others = others(database, shard, &near, r - 1, ask).await?;
        told.extend(others.into_iter().filter_map(|(_, ends)| ends.ok()));
    }
    let mut told: Vec<_> = told.into_iter().map(Vec::into_iter).collect();
    let mut agreed = |(line, answer): (&BulkGet, &Vec<RevResult>)| {
        if !is_whole(line) {
            let missing = |result: &RevResult| matches!(result, RevResult::Missing(_));
            return line.id.is_local() || !answer.iter().any(missing);
        }
        let mut own: Vec<Rev> = answer.iter().filter_map(found_rev).collect();
        own.sort_unstable();
        // Every copy's line is taken, whatever the others say.
        let lines: Vec<_> = told.iter_mut().filter_map(Iterator::next).collect();
        lines.iter().all(|ends| *ends == own)
    };
    let agreed: Vec<bool> = lines.iter().zip(&answers).map(&mut agreed).collect();
    let doubtful = lines.iter().zip(&mut answers).zip(agreed).filter(|(_, agreed)| !agreed);
    let mut doubtful: Vec<_> = doubtful.map(|(line, _)| line).collect();
    for some in doubtful.chunks_mut(AT_ONCE) {
        let lines: Vec<&BulkGet> = some.iter().map(|(line, _)| *line).collect();
        let read =
            lines.iter().map(|line| revisions(database, &line.id, line.revs.clone(), latest));
        let found = join_all(read).await;
        for ((_, answer), found) in some.iter_mut().zip(found) {
            **answer = found?;
        }
    }
    Ok(answers)
}

/// Whether all leaves are asked for, on which copies can disagree.
fn is_whole(line: &BulkGet) -> bool {
    line.revs == Revs::All && !line.id.is_local()
}

fn found_rev(result: &RevResult) -> Option<Rev> {
    match result {
        RevResult::Found(doc) => doc.rev(),
        RevResult::Missing(_) => None,
    }
}

/// The newest of several answers about a `_local/` document, or the first that found a revision.
fn best(
    near: Result<OpenedDoc, Error>,
    others: impl Iterator<Item = Result<OpenedDoc, Error>>,
) -> Result<OpenedDoc, Error> {
    let number = |opened: &OpenedDoc| {
        let rev = opened.doc.rev()?;
        std::str::from_utf8(rev.id.as_bytes()).ok()?.parse::<u64>().ok()
    };
    others.fold(near, |best, other| match (&best, &other) {
        (Ok(one), Ok(two)) if number(two) > number(one) => other,
        (Err(_), Ok(_)) => other,
        _ => best,
    })
}

/// Asks so many other copies than the one that was first in turn; fewer if there are not so many
/// that answer. Whoever is slow is left behind.
pub(super) async fn others<R, F: Future<Output = Result<R, Error>> + Send>(
    database: &Database,
    shard: usize,
    near: &ShardCopy,
    count: usize,
    ask: impl Fn(ShardCopy) -> F,
) -> Result<Vec<(ShardCopy, Result<R, Error>)>, Error> {
    let (near, readers) = (near.home(), database.readers(shard)?.into_iter());
    let mut waiting = readers.filter(|copy| copy.home() != near && copy.is_live());
    let asked = |copy: &ShardCopy| {
        let (copy, answer) = (copy.clone(), ask(copy.clone()));
        async move { (copy, answer.await) }
    };
    let mut running = Running::new();
    waiting.by_ref().take(count).for_each(|copy| running.push(asked(copy)));
    let mut answers = Vec::with_capacity(count);
    while answers.len() < count {
        // If nobody else can be asked, who was asked has to answer, or be found dead.
        let more = waiting.clone().next().is_some();
        match timeout(if more { HEDGE } else { Duration::MAX }, running.next()).await {
            Ok(Some((copy, Err(error)))) if is_silence(&error) => {
                look_after(database, &copy, &error);
            }
            Ok(Some(answer)) => {
                answers.push(answer);
                continue;
            }
            Ok(None) => break,
            Err(_) => {}
        }
        waiting.by_ref().take(1).for_each(|copy| running.push(asked(copy)));
    }
    Ok(answers)
}

/// With which revisions a document ends on a copy.
type Ends = (ShardCopy, Vec<Rev>);

/// What the first copy that answers says of a document, and with which revisions it ended there
/// before that: what it says is at least as new. Also which copy that was.
async fn with_ends<R, F: Future<Output = Result<R, Error>>>(
    database: &Database,
    shard: usize,
    id: &DocId,
    ask: impl Fn(ShardCopy) -> F,
) -> Result<(ShardCopy, (Vec<Rev>, Result<R, Error>)), Error> {
    let both = |copy: ShardCopy| {
        let (answer, id) = (ask(copy.clone()), id.clone());
        async move {
            let own = copy.ends(vec![id]).await?.pop().unwrap_or_default();
            match answer.await {
                Err(error) if is_silence(&error) => Err(error),
                answer => Ok((own, answer)),
            }
        }
    };
    let (near, told) = first(database, shard, both).await?;
    Ok((near, told?))
}

/// With which revisions a document ends on the copy that was first in turn and on others.
async fn ends(
    database: &Database,
    shard: usize,
    id: &DocId,
    near: ShardCopy,
    own: Vec<Rev>,
    r: usize,
) -> Result<Vec<Ends>, Error> {
    let ask = |copy: ShardCopy| {
        let id = id.clone();
        async move { copy.ends(vec![id]).await }
    };
    let others = others(database, shard, &near, r - 1, ask).await?;
    let mut all = vec![(near, own)];
    all.extend(others.into_iter().filter_map(|(copy, ends)| Some((copy, ends.ok()?.pop()?))));
    Ok(all)
}

/// A leaf that some copy has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    deleted: bool,
}

impl Tombstone for Seen {
    fn is_tombstone(&self) -> bool {
        self.deleted
    }
}

/// The tree that the leaves of all copies make together, and those leaves.
type Merged = (RevTree<Seen>, Vec<StoredDoc>);

/// What copies have that differ. Those that lack a leaf are told to look at the others.
async fn merged(database: &Database, id: &DocId, copies: &[Ends]) -> Merged {
    let ask = |(copy, _): &Ends| {
        let copy = copy.clone();
        async move { copy.revisions(id.clone(), Revs::All, false).await }
    };
    let mut found = join_all(copies.iter().map(ask)).await;
    if found.iter().any(Result::is_err) {
        // It said that it has something, and is gone: others may have it, too.
        let shard = database.ring().shard_of(id);
        let asked = |copy: &&ShardCopy| copies.iter().any(|(other, _)| other.home() == copy.home());
        let readers = database.readers(shard).unwrap_or_default().into_iter();
        let rest: Vec<Ends> =
            readers.filter(|copy| !asked(copy)).map(|copy| (copy.clone(), Vec::new())).collect();
        found.extend(join_all(rest.iter().map(ask)).await);
    }
    let (mut tree, mut docs) = (RevTree::new(), Vec::new());
    for found in found.into_iter().flatten().flatten() {
        if let RevResult::Found(doc) = found {
            tree.merge(&doc.revs, Seen { deleted: doc.deleted });
            docs.push(doc);
        }
    }
    let leaves: Vec<Rev> = tree.leaves_unordered().map(|leaf| leaf.rev()).collect();
    for (copy, ends) in copies {
        if leaves.iter().any(|rev| !ends.contains(rev)) {
            (database.lacking())(copy);
        }
    }
    (tree, docs)
}

/// The leaves that are leaves still when all are taken together.
fn leaves_of((tree, docs): Merged) -> Vec<RevResult> {
    let is_leaf = |doc: &StoredDoc| doc.rev().is_some_and(|rev| tree.leaf(&rev).is_some());
    docs.into_iter().filter(is_leaf).map(RevResult::Found).collect()
}

/// What is answered when copies differ.
fn together(
    options: &OpenOptions,
    opened: Result<OpenedDoc, Error>,
    (tree, docs): Merged,
    known: Facts,
) -> Result<OpenedDoc, Error> {
    let Some(winner) = tree.winner() else { return opened };
    let rev = winner.rev();
    if winner.value.deleted && !options.deleted {
        return Err(Error::NotFound { deleted: true });
    }
    let Some(mut doc) = docs.into_iter().find(|doc| doc.rev().as_ref() == Some(&rev)) else {
        return opened;
    };
    if let Some(path) = tree.path_of(&rev) {
        doc.revs = path;
    }
    let facts = options.facts.then(|| facts_of(&tree, &rev, known));
    Ok(OpenedDoc { doc, facts })
}

/// What all copies together say beside the winner; `known` is what one of them said.
fn facts_of(tree: &RevTree<Seen>, winner: &Rev, known: Facts) -> Facts {
    let losers = |deleted: bool| {
        let leaves = tree.leaves().into_iter().filter(|leaf| leaf.value.deleted == deleted);
        leaves.map(|leaf| leaf.rev()).filter(|rev| rev != winner).collect()
    };
    let status = |rev: Rev, seen: Option<Seen>| {
        let told = known.revs_info.iter().find(|(other, _)| *other == rev);
        let status = match (seen, told) {
            (Some(seen), _) if seen.deleted => RevStatus::Deleted,
            (Some(_), _) => RevStatus::Available,
            (None, Some((_, status))) => *status,
            (None, None) => RevStatus::Missing,
        };
        (rev, status)
    };
    let lineage = tree.lineage(winner).map(|node| status(node.rev(), node.value));
    Facts {
        revs_info: lineage.collect(),
        conflicts: losers(false),
        deleted_conflicts: losers(true),
        local_seq: known.local_seq,
    }
}
