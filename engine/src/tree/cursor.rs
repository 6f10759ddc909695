//! Walking over a range of one version of a tree, either way. Never reads ahead, never copies
//! entries, never loses its place when a page cannot be had.

use std::ops::{Bound, Range};

use bytes::Bytes;

use super::{
    KeyRange, Top,
    inner::Inner,
    node::{Body, Spot},
    read::{as_slice, bound_key, lower, lower_by, upper, upper_by},
};
use crate::{
    Error,
    page::{Page, Pages},
};

/// Which way a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// An entry that shares its page's memory.
#[derive(Debug, Clone)]
pub struct Entry {
    page: Page,
    at: usize,
}

impl Entry {
    /// The key.
    pub fn key(&self) -> &[u8] {
        self.page.key(self.at)
    }

    /// The value.
    pub fn value(&self) -> &[u8] {
        self.page.value(self.at)
    }

    /// The key, sharing the page's memory.
    pub fn key_bytes(&self) -> Bytes {
        self.page.share(self.key())
    }

    /// The value, sharing the page's memory.
    pub fn value_bytes(&self) -> Bytes {
        self.page.share(self.value())
    }

    pub(super) fn new(page: Page, at: usize) -> Entry {
        Entry { page, at }
    }

    /// Where the page is in memory and how long it is.
    #[cfg(test)]
    pub(super) fn page_id(&self) -> (*const u8, usize) {
        (self.page.bytes().as_ptr(), self.page.bytes().len())
    }
}

/// Walks a range of one version of a tree.
///
/// After an error, [`Error::NotResident`] above all, the next call tries the same again.
pub struct Cursor {
    pages: Pages,
    top: Option<Top>,
    range: KeyRange,
    direction: Direction,
    state: State,
}

enum State {
    /// To be placed at the start of the range.
    Seek,
    /// Inside a leaf.
    At(Place),
    Done,
}

/// A leaf, the way down to it, and what of it is still to come.
struct Place {
    path: Vec<(Inner, usize)>,
    leaf: Page,
    from: usize,
    to: usize,
}

impl Cursor {
    pub(super) fn new(
        top: Option<Top>,
        pages: Pages,
        range: KeyRange,
        direction: Direction,
    ) -> Cursor {
        Cursor { pages, top, range, direction, state: State::Seek }
    }

    /// The next entry in the cursor's direction.
    pub fn try_next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match &mut self.state {
                State::Done => return Ok(None),
                State::Seek => self.state = self.first_leaf()?,
                State::At(place) => {
                    if let Some(at) = place.step(self.direction) {
                        return Ok(Some(Entry { page: place.leaf.clone(), at }));
                    }
                    // The range ends in this leaf; another one may begin here.
                    if self.direction == Direction::Forward && place.to < place.leaf.len() {
                        return Ok(None);
                    }
                    self.state = self.next_leaf()?;
                }
            }
        }
    }

    /// What of the leaf that is next in turn is still to come; `None` at the end.
    pub(super) fn rest(&mut self) -> Result<Option<(Page, Range<usize>)>, Error> {
        loop {
            match &mut self.state {
                State::Done => return Ok(None),
                State::Seek => self.state = self.first_leaf()?,
                State::At(place) if place.from < place.to => {
                    return Ok(Some((place.leaf.clone(), place.from..place.to)));
                }
                State::At(_) => self.state = self.next_leaf()?,
            }
        }
    }

    /// Leaves only these of the leaf's entries to come.
    pub(super) fn keep(&mut self, rest: Range<usize>) {
        if let State::At(place) = &mut self.state {
            (place.from, place.to) = (rest.start, rest.end);
        }
    }

    /// Nothing comes any more.
    pub(super) fn stop(&mut self) {
        self.state = State::Done;
    }

    pub(super) fn key_range(&self) -> &KeyRange {
        &self.range
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Goes on at the first entry that is not before `key` in the cursor's direction, skipping what
    /// lies between in O(log n). `key` must not be behind what was already given.
    pub fn seek(&mut self, key: Bytes) {
        match self.direction {
            Direction::Forward if not_before(&self.range.0, &key, |old, new| old > new) => {}
            Direction::Backward if not_before(&self.range.1, &key, |old, new| old < new) => {}
            Direction::Forward => self.range.0 = Bound::Included(key),
            Direction::Backward => self.range.1 = Bound::Included(key),
        }
        if !matches!(self.state, State::Done) {
            self.state = State::Seek;
        }
    }

    /// Walks another range, which must not begin before the one so far has ended; stays in the leaf
    /// where it is if that range begins there.
    pub fn advance(&mut self, range: KeyRange) {
        self.range = range;
        let State::At(place) = &mut self.state else {
            self.state = State::Seek;
            return;
        };
        let low = as_slice(&self.range.0);
        let last = place.leaf.len().saturating_sub(1);
        let inside = bound_key(low).is_some_and(|key| key <= place.leaf.key(last));
        if self.direction == Direction::Forward && inside {
            let (leaf, high) = (&place.leaf, as_slice(&self.range.1));
            let from = lower_by(low, |key| leaf.search_near(place.from, key));
            place.to = upper_by(leaf, high, |key| leaf.search_near(from, key)).max(from);
            place.from = from;
        } else {
            self.state = State::Seek;
        }
    }

    /// Where the range begins in the order of keys.
    pub fn lower_bound(&self) -> &Bound<Bytes> {
        &self.range.0
    }

    /// Goes on with other pages of the same file, e.g. allowed to wait for the disk now.
    pub fn set_pages(&mut self, pages: Pages) {
        self.pages = pages;
    }

    fn first_leaf(&self) -> Result<State, Error> {
        let Some(top) = &self.top else { return Ok(State::Done) };
        let start = match self.direction {
            Direction::Forward => as_slice(&self.range.0),
            Direction::Backward => as_slice(&self.range.1),
        };
        self.descend(Vec::new(), top.child.spot(), top.level, bound_key(start))
    }

    /// Goes down to the leaf with `key`, or to the outermost one on the side that comes first.
    fn descend(
        &self,
        mut path: Vec<(Inner, usize)>,
        mut spot: Spot,
        mut level: u8,
        key: Option<&[u8]>,
    ) -> Result<State, Error> {
        loop {
            match spot.load(&self.pages, level)? {
                Body::Leaf(leaf) => {
                    let from = lower(&leaf, as_slice(&self.range.0));
                    let to = upper(&leaf, as_slice(&self.range.1)).max(from);
                    return Ok(State::At(Place { path, leaf, from, to }));
                }
                Body::Inner(inner) => {
                    let at = match (key, self.direction) {
                        (Some(key), _) => inner.find(key),
                        (None, Direction::Forward) => 0,
                        (None, Direction::Backward) => inner.len().saturating_sub(1),
                    };
                    spot = inner.spot(at, &self.pages)?;
                    level = level.saturating_sub(1);
                    path.push((inner, at));
                }
            }
        }
    }

    /// The leaf after the one that is used up. Changes nothing, so that it can be tried again.
    fn next_leaf(&self) -> Result<State, Error> {
        let State::At(place) = &self.state else { return Ok(State::Done) };
        for (depth, (inner, at)) in place.path.iter().enumerate().rev() {
            let next = match self.direction {
                Direction::Forward => Some(at + 1).filter(|next| *next < inner.len()),
                Direction::Backward => at.checked_sub(1),
            };
            let Some(next) = next else { continue };
            if self.is_beyond(inner, next) {
                return Ok(State::Done);
            }
            let mut path: Vec<_> = place.path.iter().take(depth).cloned().collect();
            path.push((inner.clone(), next));
            let level = (place.path.len() - depth - 1) as u8;
            return self.descend(path, inner.spot(next, &self.pages)?, level, None);
        }
        Ok(State::Done)
    }

    /// Whether no key of the child next in turn is in the range.
    fn is_beyond(&self, inner: &Inner, next: usize) -> bool {
        match self.direction {
            Direction::Forward => match as_slice(&self.range.1) {
                Bound::Unbounded => false,
                Bound::Included(end) => inner.low(next) > end,
                Bound::Excluded(end) => inner.low(next) >= end,
            },
            // All keys of the child are below the low key of the one before it in turn.
            Direction::Backward => {
                bound_key(as_slice(&self.range.0)).is_some_and(|end| inner.low(next + 1) <= end)
            }
        }
    }
}

/// Whether the cursor's range starts behind `key` already.
fn not_before(bound: &Bound<Bytes>, key: &Bytes, behind: fn(&Bytes, &Bytes) -> bool) -> bool {
    match bound {
        Bound::Unbounded => false,
        Bound::Included(old) => behind(old, key),
        Bound::Excluded(old) => behind(old, key) || old == key,
    }
}

impl Place {
    /// Takes the next entry of this leaf.
    fn step(&mut self, direction: Direction) -> Option<usize> {
        if self.from >= self.to {
            return None;
        }
        match direction {
            Direction::Forward => {
                self.from += 1;
                Some(self.from - 1)
            }
            Direction::Backward => {
                self.to -= 1;
                Some(self.to)
            }
        }
    }
}

impl Iterator for Cursor {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}
