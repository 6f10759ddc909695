//! Walking over the rows of a view in one shard: a range, or key by key. Owned, so that it may move
//! between threads; reads as it goes. Never merges shards.

use std::collections::VecDeque;
use std::ops::Bound;

use bytes::Bytes;
use settee_engine::tree::{Cursor, Direction, KeyRange};
use settee_engine::{Error, IndexSnapshot};

use super::range::{Behind, Keys, RowRange};
use super::row::ViewRow;

/// Rows of a view in the order of a query.
///
/// After an error, [`Error::NotResident`] above all, the next call tries the same again.
pub struct Rows {
    index: IndexSnapshot,
    cursor: Cursor,
    direction: Direction,
    /// Walking backwards: rows of one document with equal keys, which come forwards all the same.
    equal: VecDeque<ViewRow>,
    /// Walking backwards: the row after these.
    peeked: Option<ViewRow>,
    keys: Option<KeyWalk>,
    /// What was given already.
    behind: Option<Behind>,
}

/// Where a walk key by key is.
struct KeyWalk {
    /// Of the next key.
    range: RowRange,
    rest: Keys,
    /// How many keys were begun with.
    begun: u32,
    /// The lowest row key of the current one.
    low: Option<Bytes>,
}

impl Rows {
    /// The rows of a range.
    #[must_use]
    pub fn of_range(index: &IndexSnapshot, range: &RowRange) -> Rows {
        let direction = range.direction();
        Rows {
            cursor: index.range(range.keys(), direction),
            index: index.clone(),
            direction,
            equal: VecDeque::new(),
            peeked: None,
            keys: None,
            behind: range.behind.clone().filter(|_| range.descending),
        }
    }

    /// The rows of each of these keys in turn. All of the range counts but its keys; `behind` is about the
    /// first of these.
    #[must_use]
    pub fn of_keys(index: &IndexSnapshot, range: &RowRange, keys: Keys) -> Rows {
        let nothing = (Bound::Excluded(Bytes::new()), Bound::Excluded(Bytes::new()));
        let walk = KeyWalk { range: range.clone(), rest: keys, begun: 0, low: None };
        Rows {
            cursor: index.range(nothing, range.direction()),
            keys: Some(walk),
            ..Rows::of_range(index, range)
        }
    }

    /// Number of rows of the whole view in this shard.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.index.count()
    }

    /// How many rows of the view come before a range, in its direction.
    ///
    /// # Errors
    /// When pages cannot be read.
    pub fn offset(index: &IndexSnapshot, range: &RowRange) -> Result<u64, Error> {
        let (low, high) = range.keys();
        let rank = |key: &Bytes, also: bool| {
            // The lowest key above it is itself and a byte 0.
            let key = if also { [&key[..], &[0]].concat() } else { key.to_vec() };
            index.rank(&key)
        };
        match (range.direction(), low, high) {
            (Direction::Forward, Bound::Unbounded, _)
            | (Direction::Backward, _, Bound::Unbounded) => Ok(0),
            (Direction::Forward, Bound::Included(key), _) => rank(&key, false),
            (Direction::Forward, Bound::Excluded(key), _) => rank(&key, true),
            (Direction::Backward, _, Bound::Included(key)) => Ok(index.count() - rank(&key, true)?),
            (Direction::Backward, _, Bound::Excluded(key)) => {
                Ok(index.count() - rank(&key, false)?)
            }
        }
    }

    /// The same where rows of keys are asked for: how many come before the first that is found. If none is,
    /// how many come before where the last would be.
    ///
    /// # Errors
    /// When pages cannot be read.
    pub fn offset_of_keys(
        index: &IndexSnapshot,
        range: &RowRange,
        keys: Keys,
    ) -> Result<u64, Error> {
        let last = keys.last().cloned();
        let mut rows = Rows::of_keys(index, range, keys);
        let first = match (rows.try_next()?, last) {
            (Some(row), _) => row.key,
            (None, Some(key)) => key,
            (None, None) => return Ok(0),
        };
        Rows::offset(index, &RowRange { behind: None, ..range.of_key(&first) })
    }

    /// The same rows from here on, read with the patience of another snapshot of the same moment:
    /// [`IndexSnapshot::resident_only`] or not.
    pub fn set_patience(&mut self, index: &IndexSnapshot) {
        self.cursor.set_pages(index.pages().clone());
        self.index = index.clone();
    }

    /// The next row.
    ///
    /// # Errors
    /// When pages cannot be read.
    pub fn try_next(&mut self) -> Result<Option<ViewRow>, Error> {
        if self.direction == Direction::Forward {
            return self.step();
        }
        loop {
            if self.equal.is_empty() {
                self.gather()?;
            }
            let row = self.equal.pop_front();
            let given = |row: &ViewRow| self.behind.as_ref().is_some_and(|at| at.includes(row));
            if !row.as_ref().is_some_and(|row| row.number == 0 && given(row)) {
                return Ok(row);
            }
        }
    }

    /// Takes all rows that one document emitted with the key that is next in turn.
    fn gather(&mut self) -> Result<(), Error> {
        if self.peeked.is_none() {
            self.peeked = self.step()?;
        }
        let Some(mut last) = self.peeked.take() else { return Ok(()) };
        // Only the first of them has no number, so most are alone.
        while last.has_more_before() {
            match self.step() {
                Ok(Some(row)) if row.place() == last.place() => {
                    self.equal.push_front(std::mem::replace(&mut last, row));
                }
                Ok(row) => {
                    self.peeked = row;
                    break;
                }
                Err(error) => {
                    // The same rows again the next time: the walk goes back to where they begin.
                    let again = self.equal.pop_back().unwrap_or(last);
                    self.equal.clear();
                    self.cursor = self.index.range(self.rest_from(&again), self.direction);
                    return Err(error);
                }
            }
        }
        self.equal.push_front(last);
        Ok(())
    }

    /// What is left of a walk backwards that has come to this row.
    fn rest_from(&self, row: &ViewRow) -> KeyRange {
        (self.cursor.lower_bound().clone(), Bound::Included(row.order.clone()))
    }

    fn step(&mut self) -> Result<Option<ViewRow>, Error> {
        loop {
            if let Some(entry) = self.cursor.try_next()? {
                let number = self.keys.as_ref().map_or(0, |keys| keys.begun.saturating_sub(1));
                let row = ViewRow::of(&entry).map(|row| ViewRow { number, ..row });
                return row.map(Some).ok_or_else(|| self.index.corrupt("a row is malformed"));
            }
            if !self.next_key() {
                return Ok(None);
            }
        }
    }

    /// Goes on with the next of the keys.
    fn next_key(&mut self) -> bool {
        let Some(walk) = &mut self.keys else { return false };
        let Some(key) = walk.rest.next() else { return false };
        let range = walk.range.keys_of(key);
        walk.range.behind = None;
        walk.begun += 1;
        let low = match &range.0 {
            Bound::Included(key) | Bound::Excluded(key) => Some(key.clone()),
            Bound::Unbounded => None,
        };
        // Ascending keys are found from where the last one was.
        if self.direction == Direction::Forward && walk.low < low {
            self.cursor.advance(range);
        } else {
            self.cursor = self.index.range(range, self.direction);
        }
        walk.low = low;
        true
    }
}

impl Iterator for Rows {
    type Item = Result<ViewRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}
