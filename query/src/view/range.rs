//! What of a view a query asks for, as ranges of row keys. Pure.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::row::{Order, ViewRow, put_partition};
use bytes::Bytes;
use settee_engine::index::{first_row_key, last_row_key};
use settee_engine::tree::{self, Direction, KeyRange};

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
    /// Whether keys are in the order of Erlang's terms ([`MapDef::raw`](super::MapDef::raw)).
    pub raw: bool,
    /// What was given already, for who goes on where somebody else stopped.
    pub behind: Option<Behind>,
}

/// The last that was given of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// A row.
    Row {
        /// [`ViewRow::order`]
        order: Bytes,
        /// [`ViewRow::place`]
        place: Bytes,
    },
    /// A group, by [`GroupRow::order`](super::GroupRow::order).
    Group(Bytes),
}

/// Keys that are asked for one by one, in order. All who walk over them share them.
#[derive(Clone, Debug)]
pub struct Keys {
    all: Arc<[Bytes]>,
    next: usize,
}

impl Keys {
    /// All of them but the first so many.
    #[must_use]
    pub fn behind(all: Arc<[Bytes]>, done: usize) -> Keys {
        Keys { all, next: done }
    }

    pub(super) fn peek(&self) -> Option<&Bytes> {
        self.all.get(self.next)
    }

    pub(super) fn next(&mut self) -> Option<&Bytes> {
        self.next += 1;
        self.all.get(self.next - 1)
    }

    pub(super) fn last(&self) -> Option<&Bytes> {
        self.all.last().filter(|_| self.next < self.all.len())
    }
}

impl From<Vec<Bytes>> for Keys {
    fn from(all: Vec<Bytes>) -> Keys {
        Keys::behind(all.into(), 0)
    }
}

impl RowRange {
    /// Whether it ends before it begins: nothing can be in it, whatever the rows are.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        let (Some(start), Some(end)) = (&self.start, &self.end) else { return false };
        let keys = self.sort(start).cmp(&self.sort(end));
        // Without an id a range begins before all of them and ends behind all.
        let ids = match (&self.start_id, &self.end_id) {
            (Some(start), Some(end)) => start.cmp(end),
            _ if self.descending => Ordering::Greater,
            _ => Ordering::Less,
        };
        match keys.then(ids) {
            Ordering::Less => self.descending,
            Ordering::Greater => !self.descending,
            Ordering::Equal => !self.descending,
        }
    }

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
        let order = Order { partitioned: self.partition.is_some(), raw: self.raw };
        order.sort_key_into(&mut sort, key);
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

    /// The row keys in the range, without what was given already.
    pub(super) fn keys(&self) -> KeyRange {
        self.rest_of(self.all_keys())
    }

    /// The same of a single key in place of the range's.
    pub(super) fn keys_of(&self, key: &Bytes) -> KeyRange {
        if self.start_id.is_some() || self.end_id.is_some() || self.exclusive_end {
            return self.of_key(key).keys();
        }
        let mut sort = self.sort(key);
        let length = sort.len();
        sort.push(ABOVE_IDS);
        let above = Bytes::from(sort);
        self.rest_of((Bound::Included(above.slice(..length)), Bound::Excluded(above)))
    }

    fn rest_of(&self, (low, high): KeyRange) -> KeyRange {
        match (&self.behind, self.descending) {
            (None, _) => (low, high),
            (Some(Behind::Row { order, .. }), false) => (Bound::Excluded(order.clone()), high),
            // Rows of one document with equal keys come forwards: more of them may follow.
            (Some(Behind::Row { place, .. }), true) => (low, Bound::Included(end_of_place(place))),
            (Some(Behind::Group(order)), false) => (above(order), high),
            (Some(Behind::Group(order)), true) => (low, Bound::Excluded(order.clone())),
        }
    }

    /// The row keys in the range.
    fn all_keys(&self) -> KeyRange {
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

impl Behind {
    /// Behind a row.
    #[must_use]
    pub fn row(row: &ViewRow) -> Behind {
        Behind::Row { order: row.order.clone(), place: row.order.slice_ref(row.place()) }
    }

    /// Whether a row is at this place and was given before.
    pub(super) fn includes(&self, row: &ViewRow) -> bool {
        match self {
            Behind::Row { order, place } => row.order <= *order && row.place() == place,
            Behind::Group(_) => false,
        }
    }
}

/// The highest key that rows of a place may have.
fn end_of_place(place: &[u8]) -> Bytes {
    [place, &[0, u8::MAX]].concat().into()
}

/// Above everything that begins with these bytes.
fn above(start: &[u8]) -> Bound<Bytes> {
    let all = || Bound::Excluded(Bytes::from(vec![u8::MAX; start.len() + 1]));
    tree::above(start).map_or_else(all, Bound::Included)
}
