//! What of a view a query asks for, as ranges of row keys. Pure.

use std::ops::Bound;

use bytes::Bytes;
use settee_engine::index::{first_row_key, last_row_key};
use settee_engine::tree::{Direction, KeyRange};
use settee_model::collate::sort_key_into;

use super::row::put_partition;

/// Above the first byte of every id.
const ABOVE_IDS: u8 = 255;

/// A range of rows, in the words of a query. Keys are JSON in stored form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowRange {
    /// `startkey`: the walk begins there, in its direction.
    pub start: Option<Bytes>,
    /// `startkey_docid`; counts only together with a key.
    pub start_id: Option<String>,
    /// `endkey`
    pub end: Option<Bytes>,
    /// `endkey_docid`; counts only together with a key.
    pub end_id: Option<String>,
    /// `inclusive_end=false`
    pub exclusive_end: bool,
    /// `descending`
    pub descending: bool,
    /// Of a partitioned index: the partition.
    pub partition: Option<String>,
}

/// Keys that are asked for one by one, in order.
pub type Keys = Vec<Bytes>;

impl RowRange {
    /// The direction of the walk.
    #[must_use]
    pub fn direction(&self) -> Direction {
        if self.descending { Direction::Backward } else { Direction::Forward }
    }

    /// The same range, of a single key.
    pub(super) fn of_key(&self, key: &Bytes) -> RowRange {
        RowRange { start: Some(key.clone()), end: Some(key.clone()), ..self.clone() }
    }

    fn sort(&self, key: &[u8]) -> Vec<u8> {
        let mut sort = self.base();
        sort_key_into(&mut sort, key);
        sort
    }

    /// What all sort keys of the range begin with.
    fn base(&self) -> Vec<u8> {
        let mut base = Vec::new();
        if let Some(partition) = &self.partition {
            put_partition(&mut base, partition);
        }
        base
    }

    /// The row keys in the range.
    pub(super) fn keys(&self) -> KeyRange {
        let base = self.base();
        let after = |mut sort: Vec<u8>| {
            sort.push(ABOVE_IDS);
            Bytes::from(sort)
        };
        let (all_low, all_high) = match base.is_empty() {
            true => (Bound::Unbounded, Bound::Unbounded),
            // Sort keys begin with bytes far below.
            false => (Bound::Included(Bytes::from(base.clone())), Bound::Excluded(after(base))),
        };
        let start = self.start.as_ref().map(|key| self.sort(key));
        let end = self.end.as_ref().map(|key| self.sort(key));
        let (start_id, end_id) = (self.start_id.as_deref(), self.end_id.as_deref());
        let first = |sort: &[u8], id: &str| Bytes::from(first_row_key(sort, id));
        let last = |sort: &[u8], id: &str| Bytes::from(last_row_key(sort, id));
        // Where rows of the end's key and document are on this side of the end, and where not.
        if self.descending {
            let high = start.map_or(all_high, |sort| match start_id {
                Some(id) => Bound::Included(last(&sort, id)),
                None => Bound::Excluded(after(sort)),
            });
            let low = end.map_or(all_low, |sort| match (end_id, self.exclusive_end) {
                (Some(id), false) => Bound::Included(first(&sort, id)),
                (Some(id), true) => Bound::Excluded(last(&sort, id)),
                (None, false) => Bound::Included(sort.into()),
                (None, true) => Bound::Excluded(after(sort)),
            });
            (low, high)
        } else {
            let low = start.map_or(all_low, |sort| match start_id {
                Some(id) => Bound::Included(first(&sort, id)),
                None => Bound::Included(sort.into()),
            });
            let high = end.map_or(all_high, |sort| match (end_id, self.exclusive_end) {
                (Some(id), false) => Bound::Included(last(&sort, id)),
                (Some(id), true) => Bound::Excluded(first(&sort, id)),
                (None, false) => Bound::Excluded(after(sort)),
                (None, true) => Bound::Excluded(sort.into()),
            });
            (low, high)
        }
    }
}
