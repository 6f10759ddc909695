//! A shard in plain maps, and what both must show alike. The rules of revisions are the model
//! crate's on both sides: what is compared is that the shard keeps what they say.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use settee_model::doc::{Chunk, DocEdit};
use settee_model::docinfo::{DocInfo, RevInfo};
use settee_model::edit::{Decision, EditError, decide_interactive, decide_replicated};
use settee_model::rev::Rev;

use super::kit::doc_id;
use crate::Snapshot;
use crate::shard::state::State;
use crate::shard::{LocalReplica, Outcome, PurgeRequest, Which, Write, name_chunk};
use crate::tree::Direction;

/// Everything that is compared of a shard; equal shards are equal texts.
pub(crate) type Contents = Vec<String>;

/// Generations that are remembered of each branch.
pub(crate) const LIMIT: u32 = 3;

/// Who decided an edit.
#[derive(Clone, Copy)]
enum Rules<'a> {
    Ours,
    Theirs,
    /// Another copy, which knew of these purges.
    Following(&'a [Bytes]),
}

#[derive(Clone, Default)]
pub(crate) struct Model {
    docs: BTreeMap<String, DocInfo>,
    bodies: BTreeMap<(String, Rev), String>,
    locals: BTreeMap<String, (u64, String)>,
    purges: Vec<String>,
    seq: u64,
}

impl Model {
    /// Carries out a batch as a shard must.
    pub(crate) fn write(&mut self, writes: &[Write]) -> Vec<Outcome> {
        let mut order: Vec<usize> = (0..writes.len()).collect();
        order.sort_by_key(|index| writes[*index].edit().map(|edit| edit.id.clone()));
        let mut outcomes = vec![None; writes.len()];
        let mut changed = Vec::new();
        for index in order {
            outcomes[index] = match &writes[index] {
                Write::Interactive(edit) => Some(self.edit(edit, Rules::Ours, &mut changed)),
                Write::Replicated(edit) => Some(self.edit(edit, Rules::Theirs, &mut changed)),
                Write::Following { edit, purges } => {
                    Some(self.edit(edit, Rules::Following(purges), &mut changed))
                }
                Write::Local(edit) => Some(self.local(edit)),
                Write::Property { .. } => Some(Outcome::Set),
                Write::LocalReplica(replica) => Some(self.local_replica(replica)),
                Write::Purge(_) => None,
            };
        }
        self.purge(writes, &mut outcomes);
        outcomes.into_iter().map(Option::unwrap).collect()
    }

    fn local_replica(&mut self, replica: &LocalReplica) -> Outcome {
        let body = String::from_utf8(replica.doc.body.to_vec()).unwrap();
        let newest = (replica.doc.rev, body);
        let known = self.locals.entry(replica.id.to_string()).or_default();
        let rev = |number: u64| format!("0-{number}").parse().unwrap();
        if newest <= *known {
            return Outcome::Unchanged(rev(known.0));
        }
        *known = newest;
        Outcome::Written(rev(known.0))
    }

    fn edit(&mut self, edit: &DocEdit, rules: Rules<'_>, changed: &mut Vec<String>) -> Outcome {
        let key = edit.id.to_string();
        let info = self.docs.get(&key);
        let parent = |_: &RevInfo| -> Result<_, ()> { panic!("no stubs here") };
        let decision = match rules {
            Rules::Ours => decide_interactive(info, edit.clone(), parent),
            Rules::Theirs | Rules::Following(_) => decide_replicated(info, edit.clone(), parent),
        };
        let decided = match decision.unwrap() {
            Decision::Known(rev) => return Outcome::Unchanged(rev),
            Decision::Refuse(error) => return Outcome::Failed(error),
            Decision::Write(decided) => decided,
        };
        if let Rules::Following(known) = rules
            && self.purges_of(&key).iter().any(|purge| !known.contains(purge))
        {
            return Outcome::Failed(EditError::Conflict);
        }
        let rev = decided.rev().unwrap();
        if !changed.contains(&key) {
            self.seq += 1;
            changed.push(key.clone());
        }
        let info = self.docs.entry(key.clone()).or_insert_with(|| DocInfo::new(edit.id.clone()));
        info.seq = self.seq;
        let value = RevInfo { deleted: decided.deleted, seq: self.seq, ..RevInfo::default() };
        info.tree.merge(&decided.path, value);
        info.tree.stem(LIMIT as usize);
        let record = decided.record;
        let atts: Vec<_> = record.atts.iter().map(|att| (&att.name, att.content.length)).collect();
        let shown = format!("{} {atts:?}", String::from_utf8_lossy(&record.body));
        self.bodies.entry((key, rev.clone())).or_insert(shown);
        Outcome::Written(rev)
    }

    fn local(&mut self, edit: &crate::shard::LocalEdit) -> Outcome {
        let rev = match &edit.body {
            Some(body) => {
                let rev = edit.rev.unwrap_or(0) + 1;
                let body = String::from_utf8_lossy(body).into_owned();
                self.locals.insert(edit.id.to_string(), (rev, body));
                rev
            }
            None => {
                self.locals.remove(edit.id.as_str());
                0
            }
        };
        Outcome::Written(format!("0-{rev}").parse().unwrap())
    }

    fn purge(&mut self, writes: &[Write], outcomes: &mut [Option<Outcome>]) {
        let before = self.seq;
        let mut any = false;
        for (index, write) in writes.iter().enumerate() {
            let Write::Purge(request) = write else { continue };
            let uuid = format!("{} {}", request.id, String::from_utf8_lossy(&request.uuid));
            if self.purges.contains(&uuid) {
                outcomes[index] = Some(Outcome::Purged(vec![]));
                continue;
            }
            any = true;
            self.purges.push(uuid);
            let key = request.id.to_string();
            let mut removed = Vec::new();
            if let Some(info) = self.docs.get_mut(&key) {
                let unknown = !info.tree.find_missing(&request.revs).is_empty();
                removed = info.tree.remove_leaves(&request.revs);
                if info.tree.is_empty() {
                    self.docs.remove(&key);
                } else if unknown || !removed.is_empty() {
                    self.seq += info.tree.leaf_count() as u64;
                    info.seq = self.seq;
                }
            }
            outcomes[index] = Some(Outcome::Purged(removed));
        }
        if any && self.seq == before {
            self.seq += 1;
        }
    }

    /// Forgets what compaction forgets: revisions beyond the limit, which only live on where a
    /// branch that shared them is gone, and the contents of revisions that are no leaves.
    pub(crate) fn compact(&mut self) {
        for info in self.docs.values_mut() {
            info.tree.stem(LIMIT as usize);
            info.tree.forget_ancestors(|_| false);
        }
    }

    /// Uuids of the purges of a document.
    pub(crate) fn purges_of(&self, id: &str) -> Vec<Bytes> {
        let of = |purge: &String| {
            let (of, uuid) = purge.split_once(' ').unwrap();
            (of == id).then(|| Bytes::copy_from_slice(uuid.as_bytes()))
        };
        self.purges.iter().filter_map(of).collect()
    }

    /// A leaf of a document, by number.
    pub(crate) fn leaf(&self, id: &str, choice: usize) -> Option<Rev> {
        let leaves = self.docs.get(id)?.tree.leaves();
        Some(leaves.get(choice % leaves.len())?.rev())
    }

    pub(crate) fn contents(&self) -> Contents {
        let mut out = vec![format!("seq {} purges {}", self.seq, self.purges.len())];
        let deleted = self.docs.values().filter(|info| info.is_deleted()).count();
        out.push(format!("docs {} deleted {deleted}", self.docs.len() - deleted));
        for (id, info) in &self.docs {
            out.push(format!("{id} {} {}", info.seq, info.is_deleted()));
            for leaf in info.tree.leaves() {
                let path = info.tree.path_of(&leaf.rev()).unwrap();
                let body = &self.bodies[&(id.clone(), leaf.rev())];
                out.push(format!("  {} {} {:?} {body}", leaf.rev(), leaf.value.deleted, path.ids));
            }
        }
        let mut changes: Vec<_> = self.docs.values().map(|info| (info.seq, &info.id)).collect();
        changes.sort();
        out.extend(changes.iter().map(|(seq, id)| format!("change {seq} {id}")));
        out.extend(self.locals.iter().map(|(id, (rev, body))| format!("{id} {rev} {body}")));
        out.extend(
            self.purges.iter().enumerate().map(|(n, uuid)| format!("purge {} {uuid}", n + 1)),
        );
        out
    }
}

/// How often chunks are named, as their tree says.
fn names(state: &State) -> BTreeMap<[u8; 32], u64> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let entries = state.trees.chunks.range(&state.store.pages, all, Direction::Forward);
    let entries = entries.map(|entry| {
        let entry = entry.unwrap();
        let names = state.store.stored_chunk(&entry.value_bytes()).unwrap().names;
        (entry.key().try_into().unwrap(), names)
    });
    entries.filter(|(_, names)| *names > 0).collect()
}

/// What a shard shows.
pub(crate) fn contents(snapshot: &Snapshot) -> Contents {
    let mut out = vec![format!("seq {} purges {}", snapshot.update_seq(), snapshot.purge_seq())];
    let counts = snapshot.counts().unwrap();
    out.push(format!("docs {} deleted {}", counts.doc_count, counts.del_count));
    let all = (Bound::Unbounded, Bound::Unbounded);
    let mut stored = 0;
    let mut named: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    for row in snapshot.docs(&all, Direction::Forward, Which::All) {
        let row = row.unwrap();
        let info = row.info().unwrap();
        let winner = info.winner().unwrap();
        assert_eq!((&row.head.winner, row.head.body), (&winner.rev(), winner.value.body));
        assert_eq!(snapshot.doc(&row.id).unwrap().as_ref(), Some(&info));
        out.push(format!("{} {} {}", row.id, info.seq, row.head.deleted));
        for leaf in info.tree.leaves() {
            let path = info.tree.path_of(&leaf.rev()).unwrap();
            let record = snapshot.record(leaf.value.body.unwrap()).unwrap();
            let length = |att: &settee_model::doc::Attachment| {
                let read = |chunk: &Chunk| {
                    let bytes = snapshot.chunk(chunk).unwrap();
                    assert_eq!(name_chunk(&bytes).unwrap(), *chunk);
                    bytes.len()
                };
                att.content.chunks.iter().map(read).sum::<usize>()
            };
            let atts: Vec<_> = record.atts.iter().map(|att| (&att.name, length(att))).collect();
            let chunks = record.atts.iter().flat_map(|att| &att.content.chunks);
            chunks.for_each(|chunk| *named.entry(chunk.hash).or_default() += 1);
            let body = format!("{} {atts:?}", String::from_utf8_lossy(&record.body));
            let deleted = leaf.value.deleted;
            out.push(format!("  {} {deleted} {:?} {body}", leaf.rev(), path.ids));
            stored += leaf.value.stored;
        }
    }
    assert_eq!(counts.sizes.stored, stored);
    assert_eq!(names(snapshot.state()), named);
    for change in snapshot.changes(0, Direction::Forward) {
        let change = change.unwrap();
        let info = snapshot.doc(&change.id).unwrap().unwrap();
        let leaves = info.tree.leaves();
        let bodies: Vec<_> = leaves.iter().map(|leaf| (leaf.rev(), leaf.value.body)).collect();
        let shown: Vec<_> = change.leaves.into_iter().map(|leaf| (leaf.rev, leaf.body)).collect();
        assert_eq!(shown, bodies);
        out.push(format!("change {} {}", change.seq, change.id));
    }
    for local in snapshot.locals(&all, Direction::Forward) {
        let (id, doc) = local.unwrap();
        out.push(format!("{id} {} {}", doc.rev, String::from_utf8_lossy(&doc.body)));
    }
    for purge in snapshot.purges(0) {
        let purge = purge.unwrap();
        let PurgeRequest { id, uuid, .. } = &purge.request;
        assert!(snapshot.has_purge(&purge.request).unwrap());
        let uuid = String::from_utf8_lossy(uuid);
        out.push(format!("purge {} {id} {uuid}", purge.purge_seq));
    }
    out
}

#[test]
fn an_empty_shard_is_an_empty_model() {
    let disk = crate::io::SimStorage::new();
    let engine = super::kit::open(&disk);
    let shard = engine.create_shard(&super::kit::shard_id()).unwrap();
    assert_eq!(contents(&shard.snapshot()), Model::default().contents());
    assert!(shard.snapshot().doc(&doc_id("a")).unwrap().is_none());
}
