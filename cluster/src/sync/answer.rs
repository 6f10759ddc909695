//! What a snapshot says to the questions of another copy, and what the own copy says when both are
//! compared. Blocks; changes nothing.

use blake3::Hasher;
use settee_engine::shard::{LocalDoc, Which};
use settee_engine::tree::Direction;
use settee_engine::{Error as EngineError, ShardId, Snapshot};
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;
use settee_model::rev::Rev;

use super::ask::{Answer, Ask, Family, Found, Head, Leaves, Locals, Part, Span};
use super::checkpoint::Checkpoint;
use crate::docs::IdRevs;
use crate::shard::point::Point;
use crate::shard::{Fault, open};

/// Most documents, revisions or purges of an answer, and about its most bytes.
const MOST: usize = 1000;
const MOST_BYTES: usize = 4 << 20;
/// Most ids that digests are made of in one go.
const MOST_IDS: u64 = 200_000;

/// See the module.
pub(crate) fn answer(snapshot: &Snapshot, shard: &ShardId, ask: &Ask) -> Result<Answer, Fault> {
    Ok(match ask {
        Ask::Head(asking) => Answer::Head(head(snapshot, &Checkpoint::name(*asking, shard))?),
        Ask::Since(seq) => Answer::Leaves(since(snapshot, *seq)?),
        Ask::Within(span) => Answer::Leaves(within(snapshot, span)?),
        Ask::Ends(ids) => Answer::Leaves(ends_of(snapshot, ids)?),
        Ask::Purges(since) => {
            Answer::Purges(snapshot.purges(*since).take(MOST).collect::<Result<_, _>>()?)
        }
        Ask::Docs(asked) => Answer::Docs(docs(snapshot, asked)?),
        Ask::Digest(family, span, parts) => {
            Answer::Digest(digest(snapshot, *family, span, (*parts).max(1))?)
        }
        Ask::Locals(span) => Answer::Locals(locals(snapshot, span)?),
    })
}

/// Where a copy is, and how far it has come with the one that a checkpoint is of.
pub(super) fn head(snapshot: &Snapshot, checkpoint: &[u8]) -> Result<Head, Fault> {
    let pulled = Checkpoint::of(snapshot, checkpoint)?;
    Ok(Head {
        end: Point::end_of(snapshot),
        purge_seq: snapshot.purge_seq(),
        oldest_purge: snapshot.oldest_purge_seq()?,
        pulled: pulled.map(|pulled| Point { life: pulled.epoch, seq: pulled.complete }),
    })
}

fn since(snapshot: &Snapshot, seq: u64) -> Result<Leaves, Fault> {
    let mut leaves = Leaves { through: snapshot.update_seq(), ..Leaves::default() };
    let mut revs = 0;
    let mut last = seq;
    for change in snapshot.changes(seq, Direction::Forward) {
        let change = change?;
        if leaves.docs.len() >= MOST || revs >= 4 * MOST {
            return Ok(Leaves { through: last, more: true, ..leaves });
        }
        last = change.seq;
        revs += change.leaves.len();
        let ends = change.leaves.into_iter().map(|leaf| leaf.rev).collect();
        leaves.docs.push(IdRevs { id: change.id, revs: ends });
    }
    Ok(leaves)
}

fn within(snapshot: &Snapshot, span: &Span) -> Result<Leaves, Fault> {
    let mut leaves = Leaves::default();
    let mut revs = 0;
    for row in snapshot.docs(&span.range(), Direction::Forward, Which::All) {
        if leaves.docs.len() >= MOST || revs >= 4 * MOST {
            leaves.more = true;
            break;
        }
        let info = row?.info()?;
        let ends = ends(&info);
        revs += ends.len();
        leaves
            .docs
            .push(IdRevs { revs: ends.into_iter().map(|(rev, _)| rev).collect(), id: info.id });
    }
    Ok(leaves)
}

fn ends_of(snapshot: &Snapshot, ids: &[DocId]) -> Result<Leaves, Fault> {
    let line = |(id, info): (&DocId, Option<DocInfo>)| {
        let ends = info.iter().flat_map(ends).map(|(rev, _)| rev).collect();
        IdRevs { id: id.clone(), revs: ends }
    };
    let docs = ids.iter().zip(snapshot.docs_of(ids)?).map(line).collect();
    Ok(Leaves { docs, ..Leaves::default() })
}

/// The ends of a document's branches in an order that is the same on all copies.
fn ends(info: &DocInfo) -> Vec<(Rev, bool)> {
    let leaves = info.tree.leaves_unordered().map(|leaf| (leaf.rev(), leaf.value.deleted));
    let mut ends: Vec<_> = leaves.collect();
    ends.sort_unstable();
    ends
}

fn docs(snapshot: &Snapshot, asked: &[(DocId, Rev)]) -> Result<Vec<Found>, Fault> {
    let mut docs = Vec::with_capacity(asked.len().min(MOST));
    let mut bytes = 0;
    for (id, rev) in asked.iter().take(MOST) {
        docs.push(match doc(snapshot, id, rev) {
            // Another copy may have it whole, and what comes after it is not to wait for that.
            Err(Fault::Engine(error @ EngineError::Corrupt { .. })) => {
                tracing::error!(%id, %rev, %error, "cannot be read for another copy");
                Found::Damaged
            }
            other => match other? {
                Some(doc) => {
                    bytes += doc.record.body.len() + 64 * doc.revs.ids.len();
                    Found::Doc(Box::new(doc))
                }
                None => Found::Gone,
            },
        });
        if bytes >= MOST_BYTES {
            break;
        }
    }
    Ok(docs)
}

fn doc(snapshot: &Snapshot, id: &DocId, rev: &Rev) -> Result<Option<StoredDoc>, Fault> {
    let Some(info) = snapshot.doc(id)? else { return Ok(None) };
    let known = info.tree.get(rev).and_then(|node| node.value);
    match (info.tree.path_of(rev), known) {
        (Some(path), Some(known)) if known.body.is_some() => {
            open::stored(snapshot, id, path, known.deleted, known.body).map(Some)
        }
        _ => Ok(None),
    }
}

fn locals(snapshot: &Snapshot, span: &Span) -> Result<Locals, Fault> {
    let mut locals = Locals::default();
    let mut bytes = 0;
    for local in snapshot.locals(&span.range(), Direction::Forward) {
        if locals.docs.len() >= MOST || bytes >= MOST_BYTES {
            locals.more = true;
            break;
        }
        let (id, doc) = local?;
        bytes += doc.body.len();
        locals.docs.push((id, doc));
    }
    Ok(locals)
}

/// Told of each id of a span and its part of the digest, in order; says whether to go on.
type Each<'a> = &'a mut dyn FnMut(&DocId, &[u8]) -> bool;

/// Walks through a span.
fn walk(snapshot: &Snapshot, family: Family, span: &Span, each: Each<'_>) -> Result<(), Fault> {
    let mut entry = Vec::new();
    match family {
        Family::Docs => {
            for row in snapshot.docs(&span.range(), Direction::Forward, Which::All) {
                let info = row?.info()?;
                entry.clear();
                put_doc(&mut entry, &info);
                if !each(&info.id, &entry) {
                    break;
                }
            }
        }
        Family::Locals => {
            for local in snapshot.locals(&span.range(), Direction::Forward) {
                let (id, doc) = local?;
                entry.clear();
                put_local(&mut entry, &id, &doc);
                if !each(&id, &entry) {
                    break;
                }
            }
        }
    }
    Ok(())
}

fn put_doc(entry: &mut Vec<u8>, info: &DocInfo) {
    put(entry, info.id.as_str().as_bytes());
    let ends = ends(info);
    entry.extend((ends.len() as u64).to_be_bytes());
    for (rev, deleted) in ends {
        entry.extend(rev.pos.to_be_bytes());
        put(entry, rev.id.as_bytes());
        entry.push(u8::from(deleted));
    }
}

fn put_local(entry: &mut Vec<u8>, id: &DocId, doc: &LocalDoc) {
    put(entry, id.as_str().as_bytes());
    entry.extend(doc.rev.to_be_bytes());
    put(entry, &doc.body);
}

fn put(entry: &mut Vec<u8>, bytes: &[u8]) {
    entry.extend((bytes.len() as u64).to_be_bytes());
    entry.extend(bytes);
}

/// Digests of about `parts` parts of a span, all of about the same size. Of a large span only its
/// beginning: then the last part has an end.
fn digest(
    snapshot: &Snapshot,
    family: Family,
    span: &Span,
    parts: u32,
) -> Result<Vec<Part>, Fault> {
    let total = match family {
        Family::Docs => {
            let counts = snapshot.counts_of(&span.range())?;
            counts.doc_count + counts.del_count
        }
        // They are few.
        Family::Locals => snapshot.locals(&span.range(), Direction::Forward).count() as u64,
    };
    let size = total.min(MOST_IDS) / u64::from(parts) + 1;
    let (mut done, mut hasher, mut count, mut left) = (Vec::new(), Hasher::new(), 0, MOST_IDS);
    walk(snapshot, family, span, &mut |id, entry| {
        hasher.update(entry);
        (count, left) = (count + 1, left - 1);
        if count >= size || left == 0 {
            let digest = std::mem::take(&mut hasher).finalize().into();
            done.push(Part { through: Some(id.clone()), count, digest });
            count = 0;
        }
        left > 0
    })?;
    if left > 0 {
        done.push(Part { through: None, count, digest: hasher.finalize().into() });
    }
    Ok(done)
}

/// The same of this copy, along the parts of another one.
pub(super) fn digest_along(
    snapshot: &Snapshot,
    family: Family,
    span: &Span,
    parts: &[Part],
) -> Result<Vec<[u8; 32]>, Fault> {
    let mut digests = Vec::with_capacity(parts.len());
    let mut ends = parts.iter().map(|part| part.through.as_ref());
    let mut end = ends.next();
    let mut hasher = Hasher::new();
    walk(snapshot, family, span, &mut |id, entry| {
        while end.flatten().is_some_and(|end| id > end) {
            digests.push(std::mem::take(&mut hasher).finalize().into());
            end = ends.next();
        }
        hasher.update(entry);
        // Behind the last part nothing is compared.
        end.is_some()
    })?;
    digests.push(hasher.finalize().into());
    digests.resize(parts.len(), Hasher::new().finalize().into());
    Ok(digests)
}

/// The revisions of these that this copy does not know, or knows too little of.
pub(super) fn missing(snapshot: &Snapshot, docs: &[IdRevs]) -> Result<Vec<(DocId, Rev)>, Fault> {
    let ids: Vec<DocId> = docs.iter().map(|doc| doc.id.clone()).collect();
    let infos = snapshot.docs_of(&ids)?;
    let lacks = |(doc, info): (&IdRevs, Option<DocInfo>)| {
        let revs = match info {
            Some(info) => lacking(&info, &doc.revs),
            None => doc.revs.clone(),
        };
        revs.into_iter().map(|rev| (doc.id.clone(), rev)).collect::<Vec<_>>()
    };
    Ok(docs.iter().zip(infos).flat_map(lacks).collect())
}

/// Which of another copy's leaves of a document are missing here. If the document has more leaves here,
/// their ancestors may join some of these: then also those that are not known here from the first
/// generation on.
fn lacking(info: &DocInfo, theirs: &[Rev]) -> Vec<Rev> {
    let mut missing = info.tree.find_missing(theirs);
    if info.tree.leaf_count() > theirs.len() - missing.len() {
        let first = |rev: &&Rev| info.tree.lineage(rev).last().map(|oldest| oldest.pos);
        let known = theirs.iter().filter(|rev| first(rev).is_some_and(|pos| pos > 1));
        let known: Vec<Rev> = known.filter(|rev| !missing.contains(rev)).cloned().collect();
        missing.extend(known);
    }
    missing
}

/// All revisions of those of these documents that end otherwise here. Also what is known here may
/// bring ancestors that join branches.
pub(super) fn differing(snapshot: &Snapshot, docs: &[IdRevs]) -> Result<Vec<(DocId, Rev)>, Fault> {
    let ids: Vec<DocId> = docs.iter().map(|doc| doc.id.clone()).collect();
    let infos = snapshot.docs_of(&ids)?;
    let differs = |(doc, info): (&IdRevs, Option<DocInfo>)| {
        let mut theirs = doc.revs.clone();
        theirs.sort_unstable();
        let ours = info.map(|info| ends(&info).into_iter().map(|(rev, _)| rev).collect());
        let revs = if ours.as_ref() == Some(&theirs) { Vec::new() } else { theirs };
        revs.into_iter().map(|rev| (doc.id.clone(), rev)).collect::<Vec<_>>()
    };
    Ok(docs.iter().zip(infos).flat_map(differs).collect())
}
