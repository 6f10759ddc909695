//! Looking things up: single keys, many keys, positions, reductions. Never changes anything.

use std::ops::Bound;

use bytes::Bytes;

use super::{
    Entries, KeyRange, Tree,
    inner::Inner,
    node::{Body, Spot},
};
use crate::{
    Error,
    page::{Page, Pages},
};

/// Index of the first entry inside a lower bound.
pub fn lower(page: &Page, bound: Bound<&[u8]>) -> usize {
    lower_by(bound, |key| page.search(key))
}

/// The same with a search of the caller's.
pub fn lower_by(bound: Bound<&[u8]>, search: impl Fn(&[u8]) -> Result<usize, usize>) -> usize {
    match bound {
        Bound::Unbounded => 0,
        Bound::Included(key) => search(key).unwrap_or_else(|at| at),
        Bound::Excluded(key) => search(key).map_or_else(|at| at, |at| at + 1),
    }
}

/// Index behind the last entry inside an upper bound.
pub fn upper(page: &Page, bound: Bound<&[u8]>) -> usize {
    upper_by(page, bound, |key| page.search(key))
}

/// The same with a search of the caller's.
pub fn upper_by(
    page: &Page,
    bound: Bound<&[u8]>,
    search: impl Fn(&[u8]) -> Result<usize, usize>,
) -> usize {
    match bound {
        Bound::Unbounded => page.len(),
        Bound::Included(key) => search(key).map_or_else(|at| at, |at| at + 1),
        Bound::Excluded(key) => search(key).unwrap_or_else(|at| at),
    }
}

/// The key of a bound.
pub fn bound_key(bound: Bound<&[u8]>) -> Option<&[u8]> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
    }
}

impl Tree {
    /// The value of a key, sharing its page's memory.
    pub fn get(&self, pages: &Pages, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let Some(leaf) = self.descend(pages, |inner| Ok(inner.find(key)))? else {
            return Ok(None);
        };
        Ok(leaf.search(key).ok().map(|i| leaf.share(leaf.value(i))))
    }

    /// Goes down to a leaf, asking at each inner node which child to take.
    fn descend(
        &self,
        pages: &Pages,
        mut choose: impl FnMut(&Inner) -> Result<usize, Error>,
    ) -> Result<Option<Page>, Error> {
        let Some(top) = &self.top else { return Ok(None) };
        let (mut spot, mut level) = (top.child.spot(), top.level);
        loop {
            match spot.load(pages, level)? {
                Body::Leaf(page) => return Ok(Some(page)),
                Body::Inner(inner) => {
                    spot = inner.spot(choose(&inner)?, pages)?;
                    level = level.saturating_sub(1);
                }
            }
        }
    }

    /// The values of many keys, ascending, in one pass.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        pages: &Pages,
        keys: &[K],
    ) -> Result<Vec<Option<Bytes>>, Error> {
        if !keys.is_sorted_by(|a, b| a.as_ref() <= b.as_ref()) {
            return Err(Error::Unordered);
        }
        let mut found = Vec::with_capacity(keys.len());
        match &self.top {
            Some(top) => many(pages, top.child.spot(), top.level, keys, &mut found)?,
            None => found.resize(keys.len(), None),
        }
        Ok(found)
    }

    /// How many keys are below `key`.
    pub fn rank(&self, pages: &Pages, key: &[u8]) -> Result<u64, Error> {
        let mut before = 0;
        let leaf = self.descend(pages, |inner| {
            let at = inner.find(key);
            for i in 0..at {
                before += inner.count(i, pages)?;
            }
            Ok(at)
        })?;
        Ok(before + leaf.map_or(0, |leaf| lower(&leaf, Bound::Included(key)) as u64))
    }

    /// The key that has so many keys below it.
    pub fn key_at(&self, pages: &Pages, rank: u64) -> Result<Option<Bytes>, Error> {
        if rank >= self.count() {
            return Ok(None);
        }
        let mut left = rank;
        let leaf = self.descend(pages, |inner| {
            let last = inner.len().saturating_sub(1);
            for i in 0..last {
                let count = inner.count(i, pages)?;
                if left < count {
                    return Ok(i);
                }
                left -= count;
            }
            Ok(last)
        })?;
        Ok(leaf.map(|leaf| leaf.share(leaf.key(left as usize))))
    }

    /// Reduction of a range. Reads the pages at its two ends.
    pub fn reduce(&self, pages: &Pages, range: &KeyRange) -> Result<Bytes, Error> {
        let mut parts = Vec::new();
        self.reduce_into(pages, range, &mut parts)?;
        match <[Bytes; 1]>::try_from(parts) {
            Ok([only]) => Ok(only),
            Err(parts) => self.spec.reducer.combine(&parts),
        }
    }

    /// Reductions of the parts of a range, in key order.
    pub(super) fn reduce_into(
        &self,
        pages: &Pages,
        range: &KeyRange,
        parts: &mut Vec<Bytes>,
    ) -> Result<(), Error> {
        let range = (as_slice(&range.0), as_slice(&range.1));
        match &self.top {
            Some(top) => self.reduce_in(pages, top.child.spot(), top.level, range, parts),
            None => Ok(()),
        }
    }

    fn reduce_in(
        &self,
        pages: &Pages,
        spot: Spot,
        level: u8,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        parts: &mut Vec<Bytes>,
    ) -> Result<(), Error> {
        let inner = match spot.load(pages, level)? {
            Body::Leaf(page) => {
                let (from, to) = (lower(&page, range.0), upper(&page, range.1));
                if from < to {
                    parts.push(self.spec.reducer.leaf(Entries::new(&page, from..to))?);
                }
                return Ok(());
            }
            Body::Inner(inner) => inner,
        };
        let first = bound_key(range.0).map(|key| inner.find(key));
        let last = bound_key(range.1).map(|key| inner.find(key));
        for i in first.unwrap_or(0)..=last.unwrap_or(inner.len().saturating_sub(1)) {
            if Some(i) == first || Some(i) == last {
                let spot = inner.spot(i, pages)?;
                self.reduce_in(pages, spot, level.saturating_sub(1), range, parts)?;
            } else {
                parts.push(inner.reduction(i, &*self.spec.reducer)?);
            }
        }
        Ok(())
    }
}

/// A bound without ownership of its key.
pub fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(AsRef::as_ref)
}

fn many<K: AsRef<[u8]>>(
    pages: &Pages,
    spot: Spot,
    level: u8,
    keys: &[K],
    found: &mut Vec<Option<Bytes>>,
) -> Result<(), Error> {
    let inner = match spot.load(pages, level)? {
        Body::Leaf(page) => {
            let mut next = 0;
            for key in keys {
                let place = page.search_from(next, key.as_ref());
                next = place.unwrap_or_else(|at| at);
                found.push(place.ok().map(|at| page.share(page.value(at))));
            }
            return Ok(());
        }
        Body::Inner(inner) => inner,
    };
    let mut rest = keys;
    while let Some(key) = rest.first() {
        let at = inner.find(key.as_ref());
        let until = match at + 1 < inner.len() {
            true => rest.partition_point(|key| key.as_ref() < inner.low(at + 1)),
            false => rest.len(),
        };
        let (mine, later) = rest.split_at_checked(until.max(1)).unwrap_or((rest, &[]));
        many(pages, inner.spot(at, pages)?, level.saturating_sub(1), mine, found)?;
        rest = later;
    }
    Ok(())
}
