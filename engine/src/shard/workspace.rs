//! [`Workspace`]: where records change a shard. It begins with a state, takes the documents that are
//! to change out of the trees, lets each record change them in memory, and in the end gives the next
//! state with one pass over each tree. The live writer and the replay of the log both go through
//! here, so both arrive at the same state. Decides nothing about edits (see `decide`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::docinfo::{DocInfo, RevInfo};
use settee_model::rev::Rev;
use settee_model::revtree::RevTree;

use super::names::{self, Hash, Names};
use super::state::{Counters, State};
use crate::Error;
use crate::codec::log::{self, Merge, Record};
use crate::codec::purge::PurgeRequest;
use crate::codec::{Malformed, change, chunk, docinfo, purge, record};
use crate::page::{Extent, Pages};
use crate::tree::{Direction, Tree};

/// A document that may change.
struct Doc {
    /// Its sequence in the base state.
    old_seq: Option<u64>,
    /// Bodies of its leaves there that name chunks.
    named: BTreeSet<u64>,
    /// As it is now; `None` if no revision is known of it.
    info: Option<DocInfo>,
    changed: bool,
}

/// A state in the making.
pub(crate) struct Workspace<'a> {
    base: &'a State,
    /// The pages of the base state, read as far as the caller wants to wait for them.
    pages: Pages,
    counters: Counters,
    docs: BTreeMap<DocId, Doc>,
    bodies: Vec<(u64, Bytes)>,
    chunks: BTreeMap<Hash, chunk::Place>,
    extents: Vec<Extent>,
    locals: BTreeMap<Bytes, Option<Bytes>>,
    purges: Vec<(u64, PurgeRequest)>,
}

impl<'a> Workspace<'a> {
    pub(crate) fn new(base: &'a State, pages: Pages) -> Self {
        Workspace {
            base,
            pages,
            counters: base.counters,
            docs: BTreeMap::new(),
            bodies: Vec::new(),
            chunks: BTreeMap::new(),
            extents: Vec::new(),
            locals: BTreeMap::new(),
            purges: Vec::new(),
        }
    }

    /// Takes the documents out of the trees, in one pass. Only they can be changed.
    pub(crate) fn load<'i>(&mut self, ids: impl Iterator<Item = &'i DocId>) -> Result<(), Error> {
        let mut ids: Vec<&DocId> = ids.filter(|id| !self.docs.contains_key(*id)).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<&[u8]> = ids.iter().map(|id| id.as_str().as_bytes()).collect();
        let store = &self.base.store;
        let values = self.base.trees.by_id.get_many(&self.pages, &keys)?;
        for (id, value) in ids.into_iter().zip(values) {
            let decode = |value: Bytes| docinfo::decode(id.clone(), &value);
            let info = value.map(decode).transpose().map_err(|damage| store.unreadable(damage))?;
            let old_seq = info.as_ref().map(|info| info.seq);
            let named = names::naming(info.as_ref());
            self.docs.insert(id.clone(), Doc { old_seq, named, info, changed: false });
        }
        Ok(())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A loaded document as it is now.
    pub(crate) fn info(&self, id: &DocId) -> Option<&DocInfo> {
        self.docs.get(id)?.info.as_ref()
    }

    /// The encoded record of a revision, also of one that was merged here.
    pub(crate) fn record(&self, body: u64) -> Result<Option<Bytes>, Error> {
        match self.bodies.binary_search_by_key(&body, |(number, _)| *number) {
            Ok(found) => Ok(self.bodies.get(found).map(|(_, bytes)| bytes.clone())),
            Err(_) => self.base.trees.bodies.get(&self.pages, &change::key(body)),
        }
    }

    /// The value of a key of `local` as it is now.
    pub(crate) fn local(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.locals.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.trees.local.get(&self.pages, key),
        }
    }

    /// Whether a chunk has its place already.
    pub(crate) fn has_chunk(&self, hash: &[u8; 32]) -> Result<bool, Error> {
        Ok(self.chunks.contains_key(hash)
            || self.base.trees.chunks.get(&self.pages, hash)?.is_some())
    }

    /// Whether a purge was carried out before.
    pub(crate) fn has_purge(&self, request: &PurgeRequest) -> Result<bool, Error> {
        Ok(self
            .purges
            .iter()
            .any(|(_, known)| (&known.uuid, &known.id) == (&request.uuid, &request.id))
            || self.base.trees.purge_ids.get(&self.pages, &purge::key(request))?.is_some())
    }

    /// Numbers and uuids of the purges of a document that are remembered.
    pub(crate) fn purges_of(&self, id: &DocId) -> Result<Vec<(u64, Bytes)>, Error> {
        let tree = &self.base.trees.purge_ids;
        let mut found = Vec::new();
        if tree.count() > 0 {
            let prefix = Bytes::from(purge::prefix(id));
            let range = (Bound::Included(prefix.clone()), Bound::Unbounded);
            for entry in tree.range(&self.pages, range, Direction::Forward) {
                let entry = entry?;
                if !entry.key().starts_with(&prefix) {
                    break;
                }
                let purge = change::decode_key(entry.value())
                    .and_then(|number| Ok((number, purge::uuid(&entry.key_bytes())?)));
                found.push(purge.map_err(|damage| self.damage(damage))?);
            }
        }
        let new = self.purges.iter().filter(|(_, request)| request.id == *id);
        found.extend(new.map(|(number, request)| (*number, Bytes::copy_from_slice(&request.uuid))));
        Ok(found)
    }

    /// Whether a document was purged here beside the purges with the given uuids. What may be
    /// forgotten at any time does not count: somebody else may have forgotten it already.
    pub(crate) fn purged_beside(&self, id: &DocId, known: &[Bytes]) -> Result<bool, Error> {
        let mut others = self.purges_of(id)?;
        others.retain(|(_, uuid)| !known.contains(uuid));
        if others.is_empty() {
            return Ok(false);
        }
        let oldest = self.base.oldest_purge(&self.pages)?;
        Ok(others.iter().any(|(number, _)| *number >= oldest))
    }

    /// Lets the next frame begin.
    pub(crate) fn begin_frame(&mut self) {
        self.counters.number += 1;
    }

    /// Carries out one record. What purges removed is told, one list for each request.
    pub(crate) fn carry_out(&mut self, record: Record) -> Result<Vec<Vec<Rev>>, Error> {
        match record {
            Record::Create | Record::Drop => Err(self.fault("lifecycle record among changes")),
            Record::Merge(merge) => self.merge(merge).map(|()| Vec::new()),
            Record::Chunk { hash, place } => {
                self.chunks.insert(hash, place);
                Ok(Vec::new())
            }
            Record::Extent(extent) => {
                self.extents.push(extent);
                Ok(Vec::new())
            }
            Record::Local { key, value } => {
                self.locals.insert(key, value);
                Ok(Vec::new())
            }
            Record::Purge { requests, infos_limit } => self.purge(requests, infos_limit),
        }
    }

    fn merge(&mut self, merge: Merge) -> Result<(), Error> {
        let next = self.counters.update_seq + 1;
        if merge.seq != next && merge.seq != self.counters.update_seq {
            return Err(self.fault("a merge has a sequence out of order"));
        }
        let value = self.rev_info(&merge)?;
        let Entry::Occupied(mut doc) = self.docs.entry(merge.id.clone()) else {
            return Err(self.fault("a merge names a document that was not loaded"));
        };
        let doc = doc.get_mut();
        let info = doc.info.get_or_insert_with(|| DocInfo::new(merge.id));
        info.tree.merge(&merge.path, value);
        info.tree.stem(merge.revs_limit as usize);
        info.seq = merge.seq;
        doc.changed = true;
        self.bodies.push((self.counters.next_body, merge.record));
        self.counters.next_body += 1;
        self.counters.update_seq = merge.seq;
        Ok(())
    }

    /// What is kept for a revision that gets the next body number.
    fn rev_info(&self, merge: &Merge) -> Result<RevInfo, Error> {
        let (atts, body) = record::split(&merge.record).map_err(|damage| self.damage(damage))?;
        // Of what came packed, somebody else said how long it is.
        let seen = atts.iter().fold(0_u64, |sum, att| sum.saturating_add(att.content.length));
        Ok(RevInfo {
            deleted: merge.deleted,
            seq: merge.seq,
            body: Some(self.counters.next_body),
            stored: merge.record.len() as u64,
            atts: names::chunks_of(&atts).map(|chunk| u64::from(chunk.length)).sum(),
            external: seen.saturating_add(body.len() as u64),
        })
    }

    /// Removes leaves. What stays of a document is put anew into the sequence, so that readers of
    /// changes see it: also if something was to go that is not known here, for copies where it was
    /// known have removed more, and must hear of what is here. The sequence goes up in any case, so
    /// that they see that there were purges.
    fn purge(
        &mut self,
        requests: Vec<PurgeRequest>,
        infos_limit: u64,
    ) -> Result<Vec<Vec<Rev>>, Error> {
        let before = self.counters.update_seq;
        let mut removed = Vec::with_capacity(requests.len());
        for request in requests {
            removed.push(self.purge_leaves(&request)?);
            self.counters.purge_seq += 1;
            self.purges.push((self.counters.purge_seq, request));
        }
        if self.counters.update_seq == before {
            self.counters.update_seq += 1;
        }
        self.counters.purge_infos_limit = infos_limit;
        Ok(removed)
    }

    fn purge_leaves(&mut self, request: &PurgeRequest) -> Result<Vec<Rev>, Error> {
        let Some(doc) = self.docs.get_mut(&request.id) else {
            return Err(self.fault("a purge names a document that was not loaded"));
        };
        let Some(info) = &mut doc.info else { return Ok(Vec::new()) };
        let unknown = request.revs.iter().any(|rev| info.tree.get(rev).is_none());
        let removed = info.tree.remove_leaves(&request.revs);
        if removed.is_empty() && !unknown {
            return Ok(removed);
        }
        doc.changed = true;
        if info.tree.is_empty() {
            doc.info = None;
            return Ok(removed);
        }
        let (tree, seq) = renumber(&info.tree, self.counters.update_seq);
        self.counters.update_seq = seq;
        info.seq = seq;
        match tree {
            Some(tree) => info.tree = tree,
            None => return Err(self.fault("a purge left no tree")),
        }
        Ok(removed)
    }

    /// The next state.
    pub(crate) fn finish(self) -> Result<State, Error> {
        let mut trees = self.base.trees.clone();
        let pages = &self.pages;
        let mut by_id = Vec::new();
        let mut by_seq = BTreeMap::new();
        for (id, doc) in self.docs.iter().filter(|(_, doc)| doc.changed) {
            if let Some(seq) = doc.old_seq {
                by_seq.insert(seq, None);
            }
            if let Some(info) = &doc.info {
                by_seq.insert(info.seq, Some(change::encode(info)));
            }
            by_id.push((id.as_str().as_bytes(), doc.info.as_ref().map(docinfo::encode)));
        }
        let by_seq: Vec<_> =
            by_seq.into_iter().map(|(seq, value)| (change::key(seq), value)).collect();
        let bodies: Vec<_> =
            self.bodies.iter().map(|(number, body)| (change::key(*number), Some(body))).collect();
        let chunks = self.changed_chunks()?;
        let chunks: Vec<_> = chunks.into_iter().map(|(hash, value)| (hash, Some(value))).collect();
        let locals: Vec<_> = self.locals.iter().map(|(key, value)| (key, value.as_ref())).collect();
        let mut purges = Vec::new();
        let mut purge_ids = BTreeMap::new();
        for (number, request) in &self.purges {
            purges.push((change::key(*number), Some(purge::encode(request))));
            purge_ids.insert(purge::key(request), Some(change::key(*number)));
        }
        let purge_ids: Vec<_> = purge_ids.into_iter().collect();
        put(&mut trees.by_id, pages, &by_id)?;
        put(&mut trees.by_seq, pages, &by_seq)?;
        put(&mut trees.bodies, pages, &bodies)?;
        put(&mut trees.chunks, pages, &chunks)?;
        put(&mut trees.local, pages, &locals)?;
        put(&mut trees.purges, pages, &purges)?;
        put(&mut trees.purge_ids, pages, &purge_ids)?;
        self.base.store.bring(self.extents);
        Ok(State { trees, counters: self.counters, ..self.base.clone() })
    }

    /// Values of the chunks that are new, or are named more or less often than before.
    fn changed_chunks(&self) -> Result<Vec<(Hash, Vec<u8>)>, Error> {
        let names = self.new_names()?;
        let hashes: BTreeSet<&Hash> = self.chunks.keys().chain(names.changed()).collect();
        let hashes: Vec<Hash> = hashes.into_iter().copied().collect();
        let values = self.base.trees.chunks.get_many(&self.pages, &hashes)?;
        let mut changed = Vec::with_capacity(hashes.len());
        for (hash, value) in hashes.into_iter().zip(values) {
            let known = value.as_ref().map(|value| self.base.store.stored_chunk(value));
            let known = known.transpose()?;
            let before = known.as_ref().map_or(0, |known| known.names);
            let place = self.chunks.get(&hash).cloned().or(known.map(|known| known.place));
            // Damaged: a document can be deleted all the same.
            let Some(place) = place else { continue };
            let new = chunk::Stored { names: names.now(&hash, before), place }.encode();
            if value.is_none_or(|value| value != new) {
                changed.push((hash, new));
            }
        }
        Ok(changed)
    }

    /// What the leaves that went and came name.
    fn new_names(&self) -> Result<Names, Error> {
        let mut names = Names::default();
        let mut count = |body: u64, more: i64| match self.record(body)? {
            Some(record) => names.count(&record, more).map_err(|damage| self.damage(damage)),
            None => Err(self.fault("a leaf's body is missing")),
        };
        for doc in self.docs.values().filter(|doc| doc.changed) {
            let naming = names::naming(doc.info.as_ref());
            for body in doc.named.difference(&naming) {
                match count(*body, -1) {
                    // What cannot be read any more can be replaced all the same: its chunks count as
                    // named for ever.
                    Err(Error::Corrupt { .. }) => {}
                    other => other?,
                }
            }
            naming.difference(&doc.named).try_for_each(|body| count(*body, 1))?;
        }
        Ok(names)
    }

    fn damage(&self, damage: Malformed) -> Error {
        self.base.store.unreadable(damage)
    }

    fn fault(&self, what: &'static str) -> Error {
        self.damage(Malformed(what))
    }
}

/// The same tree with new sequences for its leaves, and the last of them.
fn renumber(tree: &RevTree<RevInfo>, mut seq: u64) -> (Option<RevTree<RevInfo>>, u64) {
    let mut nodes = tree.nodes().to_vec();
    let next = tree.nodes().iter().skip(1).map(Some).chain([None]);
    for (node, next) in nodes.iter_mut().zip(next) {
        // Only a leaf has no child right behind it.
        if next.is_none_or(|next| next.root || next.pos <= node.pos) {
            seq += 1;
            node.value.iter_mut().for_each(|value| value.seq = seq);
        }
    }
    (RevTree::from_nodes(nodes).ok(), seq)
}

/// Applies changes to a tree, if there are any.
fn put<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    tree: &mut Tree,
    pages: &Pages,
    ops: &[(K, Option<V>)],
) -> Result<(), Error> {
    if !ops.is_empty() {
        *tree = tree.apply(pages, ops)?;
    }
    Ok(())
}

/// The state after frames of the log were carried out again.
pub(crate) fn replay_frames(base: &State, frames: &[Bytes]) -> Result<State, Error> {
    let unreadable = |damage| base.store.unreadable(damage);
    let mut decoded = Vec::with_capacity(frames.len());
    for frame in frames {
        let (_, mut reader) = log::read_head(frame).map_err(unreadable)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next(frame).map_err(unreadable)? {
            records.push(record);
        }
        decoded.push(records);
    }
    let mut workspace = Workspace::new(base, base.store.pages.clone());
    workspace.load(decoded.iter().flatten().flat_map(Record::docs))?;
    for records in decoded {
        workspace.begin_frame();
        for record in records {
            workspace.carry_out(record)?;
        }
    }
    workspace.finish()
}
