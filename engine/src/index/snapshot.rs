//! [`IndexSnapshot`]: an index as it was at one moment, for readers. Never waits for the writer,
//! never changes anything.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::docid::DocId;

use super::Position;
use super::rows::keys_of;
use super::state::State;
use crate::Error;
use crate::page::Pages;
use crate::tree::{Cursor, Direction, Groups, KeyRange, Prefix};

/// An index at one moment. Cheap to clone; what it shows stays on disk until it is dropped.
#[derive(Clone)]
pub struct IndexSnapshot {
    state: Arc<State>,
    pages: Pages,
}

impl IndexSnapshot {
    pub(super) fn new(state: Arc<State>) -> IndexSnapshot {
        let pages = state.store.pages.clone();
        IndexSnapshot { state, pages }
    }

    /// The same moment, but every read that would have to wait for the disk gives
    /// [`Error::NotResident`].
    #[must_use]
    pub fn resident_only(&self) -> IndexSnapshot {
        IndexSnapshot { state: self.state.clone(), pages: self.pages.resident_only() }
    }

    /// How far it has read the shard.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.position
    }

    /// What its reducer was made from.
    #[must_use]
    pub fn plan(&self) -> &Bytes {
        &self.state.plan
    }

    /// Number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state.rows.count()
    }

    /// Rows with keys in a range.
    #[must_use]
    pub fn range(&self, range: KeyRange, direction: Direction) -> Cursor {
        self.state.rows.range(&self.pages, range, direction)
    }

    /// Reduction of a range.
    pub fn reduce(&self, range: &KeyRange) -> Result<Bytes, Error> {
        self.state.rows.reduce(&self.pages, range)
    }

    /// Reductions of the groups of rows in a range, of which `prefix` says what their keys begin
    /// with in common.
    #[must_use]
    pub fn groups(&self, range: KeyRange, direction: Direction, prefix: Prefix) -> Groups {
        Groups::new(&self.state.rows, &self.pages, range, direction, prefix)
    }

    /// How many rows have keys below `key`.
    pub fn rank(&self, key: &[u8]) -> Result<u64, Error> {
        self.state.rows.rank(&self.pages, key)
    }

    /// The keys of all rows of a document.
    pub fn keys_of(&self, id: &DocId) -> Result<Vec<Vec<u8>>, Error> {
        let id = id.as_str();
        let sorts = self.state.docs.get(&self.pages, id.as_bytes())?.unwrap_or_default();
        keys_of(id, &sorts).map_err(|damage| self.state.store.unreadable(damage))
    }

    /// Where its pages are read.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Damage in a value of this index.
    #[must_use]
    pub fn corrupt(&self, what: &'static str) -> Error {
        Error::corrupt(self.pages.file().path(), 0, what)
    }
}
