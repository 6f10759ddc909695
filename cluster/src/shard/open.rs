//! Opening documents of a shard: winners, given revisions, `_local/` documents. Reads no bytes of
//! attachments.

use bytes::Bytes;
use settee_engine::Snapshot;
use settee_model::doc::{DocRecord, StoredDoc};
use settee_model::docid::DocId;
use settee_model::docinfo::{DocInfo, RevInfo};
use settee_model::rev::{Rev, RevId, RevPath};
use settee_model::revtree::RevTree;

use super::Fault;
use crate::Error;
use crate::docs::{Facts, OpenOptions, OpenedDoc, RevResult, RevStatus, Revs};

const MISSING: Error = Error::NotFound { deleted: false };

/// What a shard says to [`OpenOptions`].
pub(crate) fn open(
    snapshot: &Snapshot,
    id: &DocId,
    options: &OpenOptions,
) -> Result<OpenedDoc, Fault> {
    if let Some(rev) = &options.rev {
        let asked = Revs::Some(vec![rev.clone()]);
        let found = revisions(snapshot, id, &asked, options.latest)?.into_iter().next();
        return match found {
            Some(RevResult::Found(doc)) => Ok(OpenedDoc { doc, facts: None }),
            _ => Err(MISSING.into()),
        };
    }
    if id.is_local() {
        let doc = local(snapshot, id)?.ok_or(MISSING)?;
        return Ok(OpenedDoc { doc, facts: None });
    }
    if !options.history && !options.facts {
        let head = snapshot.head(id)?.ok_or(MISSING)?;
        if head.deleted && !options.deleted {
            return Err(Error::NotFound { deleted: true }.into());
        }
        let tip = RevPath::single(head.winner);
        let doc = stored(snapshot, id, tip, head.deleted, head.body)?;
        return Ok(OpenedDoc { doc, facts: None });
    }
    with_history(snapshot, id, options)
}

fn with_history(
    snapshot: &Snapshot,
    id: &DocId,
    options: &OpenOptions,
) -> Result<OpenedDoc, Fault> {
    let info = snapshot.doc(id)?.ok_or(MISSING)?;
    let winner = info.winner().ok_or(MISSING)?;
    if winner.value.deleted && !options.deleted {
        return Err(Error::NotFound { deleted: true }.into());
    }
    let path = info.tree.path_of(&winner.rev()).unwrap_or_default();
    let doc = stored(snapshot, id, path, winner.value.deleted, winner.value.body)?;
    Ok(OpenedDoc { doc, facts: options.facts.then(|| facts(&info)) })
}

/// What a shard says to `open_revs`: those found in the order of the tree (that of its youngest
/// root first), then those missing.
pub(crate) fn revisions(
    snapshot: &Snapshot,
    id: &DocId,
    asked: &Revs,
    latest: bool,
) -> Result<Vec<RevResult>, Fault> {
    let info = if id.is_local() { None } else { snapshot.doc(id)? };
    let Some(info) = info else {
        return Ok(match asked {
            Revs::All => Vec::new(),
            Revs::Some(revs) => revs.iter().cloned().map(RevResult::Missing).collect(),
        });
    };
    let (wanted, missing) = select(&info.tree, asked, latest);
    let mut results = Vec::with_capacity(wanted.len() + missing.len());
    for rev in wanted {
        let known = info.tree.get(&rev).and_then(|node| node.value);
        results.push(match (info.tree.path_of(&rev), known) {
            (Some(path), Some(known)) => {
                RevResult::Found(stored(snapshot, id, path, known.deleted, known.body)?)
            }
            _ => RevResult::Missing(rev),
        });
    }
    results.extend(missing.into_iter().map(RevResult::Missing));
    Ok(results)
}

/// The revisions of a tree to open, in its order, and those that it doesn't know.
fn select(tree: &RevTree<RevInfo>, asked: &Revs, latest: bool) -> (Vec<Rev>, Vec<Rev>) {
    let in_order = |keep: &dyn Fn(&Rev) -> bool| {
        let mut roots: Vec<Vec<Rev>> = Vec::new();
        for node in tree.nodes() {
            if node.root || roots.is_empty() {
                roots.push(Vec::new());
            }
            let rev = node.rev();
            if let Some(last) = roots.last_mut().filter(|_| keep(&rev)) {
                last.push(rev);
            }
        }
        roots.into_iter().rev().flatten().collect()
    };
    match asked {
        Revs::All => {
            let leaves: Vec<Rev> = tree.leaves().iter().map(|leaf| leaf.rev()).collect();
            (in_order(&|rev| leaves.contains(rev)), Vec::new())
        }
        Revs::Some(revs) if latest => {
            // Named twice it is asked for once.
            let mut revs = revs.clone();
            revs.sort_unstable();
            revs.dedup();
            let latest = tree.latest(&revs);
            let leaves: Vec<Rev> = latest.leaves.iter().map(|leaf| leaf.rev()).collect();
            (in_order(&|rev| leaves.contains(rev)), latest.missing)
        }
        Revs::Some(revs) => {
            let unknown = |rev: &&Rev| tree.get(rev).is_none();
            let missing = revs.iter().filter(unknown).cloned().collect();
            match revs.as_slice() {
                [rev] if tree.get(rev).is_some() => (vec![rev.clone()], missing),
                _ => (in_order(&|rev| revs.contains(rev)), missing),
            }
        }
    }
}

/// A revision with its content.
pub(crate) fn stored(
    snapshot: &Snapshot,
    id: &DocId,
    revs: RevPath,
    deleted: bool,
    body: Option<u64>,
) -> Result<StoredDoc, Fault> {
    let record = record(snapshot, body)?;
    Ok(StoredDoc { id: id.clone(), revs, deleted, record })
}

/// The content of a revision.
pub(crate) fn record(snapshot: &Snapshot, body: Option<u64>) -> Result<DocRecord, Fault> {
    Ok(match body {
        Some(body) => snapshot.record(body)?,
        None => DocRecord { atts: Vec::new(), body: Bytes::from_static(b"{}") },
    })
}

/// A `_local/` document in the form of others: generation 0, its counter as the revision's id.
pub(crate) fn local(snapshot: &Snapshot, id: &DocId) -> Result<Option<StoredDoc>, Fault> {
    Ok(snapshot.local(id)?.map(|found| local_doc(id.clone(), found.rev, found.body)))
}

pub(crate) fn local_doc(id: DocId, counter: u64, body: Bytes) -> StoredDoc {
    let rev = Rev { pos: 0, id: RevId::from_bytes(counter.to_string().as_bytes()) };
    let record = DocRecord { atts: Vec::new(), body };
    StoredDoc { id, revs: RevPath::single(rev), deleted: false, record }
}

fn facts(info: &DocInfo) -> Facts {
    let winner = info.winner().map(|leaf| leaf.rev());
    let lineage = winner.iter().flat_map(|rev| info.tree.lineage(rev));
    let status = |value: Option<RevInfo>| match value {
        Some(known) if known.deleted => RevStatus::Deleted,
        Some(_) => RevStatus::Available,
        None => RevStatus::Missing,
    };
    Facts {
        revs_info: lineage.map(|node| (node.rev(), status(node.value))).collect(),
        conflicts: info.conflicts(),
        deleted_conflicts: info.deleted_conflicts(),
        local_seq: info.seq,
    }
}
