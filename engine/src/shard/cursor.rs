//! Walks over what a snapshot shows. Each is owned, so that it may be handed to another thread, and
//! reads as it goes. After [`Error::NotResident`] the same step may be tried again. Reads no bodies
//! but those of `_local/` documents.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;

use super::leap::Leap;
use super::store::Store;
use crate::Error;
use crate::codec::change::Change;
use crate::codec::docinfo::DocHead;
use crate::codec::local::LocalDoc;
use crate::codec::purge::PurgeInfo;
use crate::codec::{Malformed, change, docinfo, local, purge};
use crate::tree::{Cursor, Entry};

/// Which documents a [`DocCursor`] shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are not deleted.
    Live,
    /// Deleted ones too.
    All,
}

/// Documents in the order of their ids.
pub struct DocCursor {
    cursor: Cursor,
    store: Arc<Store>,
    which: Which,
    leap: Leap,
}

/// A document as a [`DocCursor`] passes it.
pub struct DocRow {
    /// Which document.
    pub id: DocId,
    /// Its winner.
    pub head: DocHead,
    entry: Entry,
    store: Arc<Store>,
}

/// Changes in the order of their sequences.
pub struct ChangeCursor {
    cursor: Cursor,
    store: Arc<Store>,
}

/// `_local/` documents in the order of their ids.
pub struct LocalCursor {
    cursor: Cursor,
    store: Arc<Store>,
}

/// Purges, oldest first.
pub struct PurgeCursor {
    cursor: Cursor,
    store: Arc<Store>,
}

impl DocCursor {
    pub(super) fn new(cursor: Cursor, leap: Leap, store: Arc<Store>, which: Which) -> Self {
        DocCursor { cursor, store, which, leap }
    }

    /// Skips to the first document not before `id` in the cursor's direction.
    pub fn seek(&mut self, id: &DocId) {
        self.cursor.seek(Bytes::copy_from_slice(id.as_str().as_bytes()));
    }

    fn try_next(&mut self) -> Result<Option<DocRow>, Error> {
        loop {
            if let Some(key) = self.leap.target()? {
                self.cursor.seek(key);
            }
            let Some(entry) = self.cursor.try_next()? else { return Ok(None) };
            let head = docinfo::decode_head(entry.value());
            let head = head.map_err(|damage| self.store.unreadable(damage))?;
            if self.which == Which::All || !head.deleted {
                self.leap.stay();
                return doc_row(entry, head, &self.store).map(Some);
            }
            self.leap.pass(entry.key_bytes());
        }
    }
}

impl Iterator for DocCursor {
    type Item = Result<DocRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}

fn doc_row(entry: Entry, head: DocHead, store: &Arc<Store>) -> Result<DocRow, Error> {
    let id = std::str::from_utf8(entry.key());
    let id = id.map_err(|_| store.unreadable(Malformed("id is not UTF-8")))?;
    Ok(DocRow { id: DocId::trusted(id), head, entry, store: store.clone() })
}

impl DocRow {
    /// All that is known of the document.
    pub fn info(&self) -> Result<DocInfo, Error> {
        let info = docinfo::decode(self.id.clone(), self.entry.value());
        info.map_err(|damage| self.store.unreadable(damage))
    }
}

impl ChangeCursor {
    pub(super) fn new(cursor: Cursor, store: Arc<Store>) -> Self {
        ChangeCursor { cursor, store }
    }
}

impl Iterator for ChangeCursor {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = Iterator::next(&mut self.cursor)?;
        Some(entry.and_then(|entry| {
            let change = change::decode(entry.key(), entry.value());
            change.map_err(|damage| self.store.unreadable(damage))
        }))
    }
}

impl LocalCursor {
    pub(super) fn new(cursor: Cursor, store: Arc<Store>) -> Self {
        LocalCursor { cursor, store }
    }
}

impl Iterator for LocalCursor {
    type Item = Result<(DocId, LocalDoc), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = Iterator::next(&mut self.cursor)?;
        Some(entry.and_then(|entry| {
            let id = local::doc_id(entry.key());
            let doc = id.and_then(|id| Ok((id, local::decode_doc(&entry.value_bytes())?)));
            doc.map_err(|damage| self.store.unreadable(damage))
        }))
    }
}

impl PurgeCursor {
    pub(super) fn new(cursor: Cursor, store: Arc<Store>) -> Self {
        PurgeCursor { cursor, store }
    }
}

impl Iterator for PurgeCursor {
    type Item = Result<PurgeInfo, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = Iterator::next(&mut self.cursor)?;
        Some(entry.and_then(|entry| {
            let number = change::decode_key(entry.key());
            let info = number.and_then(|number| purge::decode(number, entry.value()));
            info.map_err(|damage| self.store.unreadable(damage))
        }))
    }
}
