//! [`Snapshot`]: a shard as it was at one moment, for readers. Durable state only: what a snapshot
//! shows survives a crash. Never waits for writers, never changes anything.

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::{Chunk, DocRecord};
use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;

use super::cursor::{ChangeCursor, DocCursor, LocalCursor, PurgeCursor, Which};
use super::leap::Leap;
use super::state::State;
use crate::Error;
use crate::codec::docinfo::DocHead;
use crate::codec::local::LocalDoc;
use crate::codec::purge::{self, PurgeRequest};
use crate::codec::reduce::Counts;
use crate::codec::{Malformed, change, docinfo, local, record};
use crate::page::Pages;
use crate::tree::{Direction, KeyRange};

/// A shard at one moment. Cheap to clone and to keep for as long as an answer takes; what it shows
/// stays on disk until it is dropped, so it is not for keeping while a feed waits.
#[derive(Clone)]
pub struct Snapshot {
    state: Arc<State>,
    pages: Pages,
}

/// A range of document ids.
pub type IdRange = (Bound<DocId>, Bound<DocId>);

impl Snapshot {
    pub(crate) fn new(state: Arc<State>) -> Snapshot {
        let pages = state.store.pages.clone();
        Snapshot { state, pages }
    }

    /// The same moment, but every read that would have to wait for the disk gives
    /// [`Error::NotResident`].
    #[must_use]
    pub fn resident_only(&self) -> Snapshot {
        Snapshot { state: self.state.clone(), pages: self.pages.resident_only() }
    }

    /// Sequence of the last change.
    #[must_use]
    pub fn update_seq(&self) -> u64 {
        self.state.counters.update_seq
    }

    /// Number of the last purge; 0 if there was none.
    #[must_use]
    pub fn purge_seq(&self) -> u64 {
        self.state.counters.purge_seq
    }

    /// Number of the oldest purge that is remembered; 0 if there is none.
    pub fn oldest_purge_seq(&self) -> Result<u64, Error> {
        match self.state.trees.purges.key_at(&self.pages, 0)? {
            Some(key) => change::decode_key(&key).map_err(|damage| self.unreadable(damage)),
            None => Ok(0),
        }
    }

    /// Names this life of the shard: another one after it was dropped and created again.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// Documents and their sizes. Reads no page.
    pub fn counts(&self) -> Result<Counts, Error> {
        self.state.counts()
    }

    /// Documents of a range and their sizes.
    pub fn counts_of(&self, range: &IdRange) -> Result<Counts, Error> {
        let reduction = self.state.trees.by_id.reduce(&self.pages, &id_keys(range))?;
        Counts::decode(&reduction).map_err(|damage| self.unreadable(damage))
    }

    /// How many documents that are not deleted come before `id` in that direction.
    pub fn count_before(&self, id: &DocId, direction: Direction) -> Result<u64, Error> {
        let range = match direction {
            Direction::Forward => (Bound::Unbounded, Bound::Excluded(id.clone())),
            Direction::Backward => (Bound::Excluded(id.clone()), Bound::Unbounded),
        };
        Ok(self.counts_of(&range)?.doc_count)
    }

    /// How many changes come after `seq`.
    pub fn count_changes_since(&self, seq: u64) -> Result<u64, Error> {
        let tree = &self.state.trees.by_seq;
        let Some(next) = seq.checked_add(1) else { return Ok(0) };
        Ok(tree.count() - tree.rank(&self.pages, &change::key(next))?)
    }

    /// What is known of a document.
    pub fn doc(&self, id: &DocId) -> Result<Option<DocInfo>, Error> {
        let value = self.state.trees.by_id.get(&self.pages, id.as_str().as_bytes())?;
        value.map(|value| self.info(id, &value)).transpose()
    }

    /// The winner of a document: what a read without further wishes needs.
    pub fn head(&self, id: &DocId) -> Result<Option<DocHead>, Error> {
        let value = self.state.trees.by_id.get(&self.pages, id.as_str().as_bytes())?;
        let decode = |value: Bytes| docinfo::decode_head(&value);
        value.map(decode).transpose().map_err(|damage| self.unreadable(damage))
    }

    /// What is known of many documents, in one pass; one answer for each id, in order.
    pub fn docs_of(&self, ids: &[DocId]) -> Result<Vec<Option<DocInfo>>, Error> {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|index| ids.get(*index));
        let key = |index: &usize| ids.get(*index).map_or("", DocId::as_str).as_bytes();
        let mut keys: Vec<&[u8]> = order.iter().map(key).collect();
        keys.dedup();
        let values = self.state.trees.by_id.get_many(&self.pages, &keys)?;
        let found: std::collections::HashMap<&[u8], Bytes> =
            keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect();
        let info = |id: &DocId| {
            let value = found.get(id.as_str().as_bytes());
            value.map(|value| self.info(id, value)).transpose()
        };
        ids.iter().map(info).collect()
    }

    /// The content of a revision by the number that its info gives.
    pub fn record(&self, body: u64) -> Result<DocRecord, Error> {
        let value = self.state.trees.bodies.get(&self.pages, &change::key(body))?;
        let value = value.ok_or_else(|| self.unreadable(Malformed("a body is missing")))?;
        record::decode(&value).map_err(|damage| self.unreadable(damage))
    }

    /// Documents by id.
    #[must_use]
    pub fn docs(&self, range: &IdRange, direction: Direction, which: Which) -> DocCursor {
        let tree = &self.state.trees.by_id;
        let cursor = tree.range(&self.pages, id_keys(range), direction);
        let leap = Leap::new(tree.clone(), self.pages.clone(), direction);
        DocCursor::new(cursor, leap, self.state.store.clone(), which)
    }

    /// Changes after `since` in ascending order, or all changes from the last one down to the one
    /// after `since`.
    #[must_use]
    pub fn changes(&self, since: u64, direction: Direction) -> ChangeCursor {
        let range = after(since);
        let cursor = self.state.trees.by_seq.range(&self.pages, range, direction);
        ChangeCursor::new(cursor, self.state.store.clone())
    }

    /// A `_local/` document.
    pub fn local(&self, id: &DocId) -> Result<Option<LocalDoc>, Error> {
        let value = self.state.trees.local.get(&self.pages, &local::doc_key(id))?;
        let decode = |value: Bytes| local::decode_doc(&value);
        value.map(decode).transpose().map_err(|damage| self.unreadable(damage))
    }

    /// `_local/` documents by id.
    #[must_use]
    pub fn locals(&self, range: &IdRange, direction: Direction) -> LocalCursor {
        let key = |id: &DocId| Bytes::from(local::doc_key(id));
        let low = match range.0.as_ref().map(key) {
            Bound::Unbounded => Bound::Included(family_start(&local::DOCS)),
            bound => bound,
        };
        let high = match range.1.as_ref().map(key) {
            Bound::Unbounded => Bound::Excluded(family_end(&local::DOCS)),
            bound => bound,
        };
        let cursor = self.state.trees.local.range(&self.pages, (low, high), direction);
        LocalCursor::new(cursor, self.state.store.clone())
    }

    /// A value of the shard's own.
    pub fn property(&self, name: &[u8]) -> Result<Option<Bytes>, Error> {
        self.state.trees.local.get(&self.pages, &local::property_key(name))
    }

    /// All values of the shard's own with their names, by name.
    pub fn properties(&self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let family = &local::PROPERTIES;
        let range = (Bound::Included(family_start(family)), Bound::Excluded(family_end(family)));
        let cursor = self.state.trees.local.range(&self.pages, range, Direction::Forward);
        cursor
            .map(|entry| entry.map(|entry| (entry.key_bytes().slice(1..), entry.value_bytes())))
            .collect()
    }

    /// Purges after number `since` that are remembered, oldest first.
    #[must_use]
    pub fn purges(&self, since: u64) -> PurgeCursor {
        let tree = &self.state.trees.purges;
        let cursor = tree.range(&self.pages, after(since), Direction::Forward);
        PurgeCursor::new(cursor, self.state.store.clone())
    }

    /// Whether a purge was carried out here and is remembered.
    pub fn has_purge(&self, request: &PurgeRequest) -> Result<bool, Error> {
        Ok(self.state.trees.purge_ids.get(&self.pages, &purge::key(request))?.is_some())
    }

    /// The bytes of an attachment's chunk.
    pub fn chunk(&self, chunk: &Chunk) -> Result<Bytes, Error> {
        let value = self.state.trees.chunks.get(&self.pages, &chunk.hash)?;
        let value = value.ok_or_else(|| self.unreadable(Malformed("a chunk is missing")))?;
        let store = &self.state.store;
        let bytes = store.chunk(&self.pages, &store.stored_chunk(&value)?.place)?;
        if bytes.len() as u64 == u64::from(chunk.length) {
            Ok(bytes)
        } else {
            Err(self.unreadable(Malformed("a chunk has another length than its revision says")))
        }
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn has_chunk(&self, hash: &[u8; 32]) -> Result<bool, Error> {
        Ok(self.state.trees.chunks.get(&self.pages, hash)?.is_some())
    }

    fn info(&self, id: &DocId, value: &[u8]) -> Result<DocInfo, Error> {
        docinfo::decode(id.clone(), value).map_err(|damage| self.unreadable(damage))
    }

    fn unreadable(&self, damage: Malformed) -> Error {
        self.state.store.unreadable(damage)
    }
}

fn after(number: u64) -> KeyRange {
    (Bound::Excluded(Bytes::copy_from_slice(&change::key(number))), Bound::Unbounded)
}

fn id_keys(range: &IdRange) -> KeyRange {
    let key = |id: &DocId| Bytes::copy_from_slice(id.as_str().as_bytes());
    (range.0.as_ref().map(key), range.1.as_ref().map(key))
}

fn family_start(family: &Range<[u8; 1]>) -> Bytes {
    Bytes::copy_from_slice(&family.start)
}

fn family_end(family: &Range<[u8; 1]>) -> Bytes {
    Bytes::copy_from_slice(&family.end)
}
