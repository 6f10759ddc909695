//! Groups of consecutive entries whose keys begin alike, with the reduction of each: inside a leaf they
//! are reduced where they lie, and what goes on beyond it is jumped over. Never reads more leaves than
//! groups begin or end in.

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;

use super::{Cursor, Direction, Entries, Entry, KeyRange, Tree};
use crate::{
    Error,
    page::{Page, Pages},
};

/// How many bytes at the beginning of a key name its group. Keys of one group must stand together,
/// so no group's name may be the beginning of another's.
pub type Prefix = Arc<dyn Fn(&[u8]) -> usize + Send + Sync>;

/// Entries whose keys begin alike.
pub struct Group {
    /// The one that comes first in the direction of the walk.
    pub first: Entry,
    /// Reduction of all of them.
    pub reduction: Bytes,
}

/// Walks over the groups of a range, either way.
///
/// After an error the next call tries the same again.
pub struct Groups {
    tree: Tree,
    cursor: Cursor,
    prefix: Prefix,
}

/// What follows a group's part in a leaf.
enum Next {
    /// Other entries of this leaf, or nothing of it.
    Here(Range<usize>),
    /// The group may go on outside of this leaf, in that range.
    Beyond(KeyRange),
}

impl Groups {
    /// Reads nothing before it is asked for a group.
    pub fn new(
        tree: &Tree,
        pages: &Pages,
        range: KeyRange,
        direction: Direction,
        prefix: Prefix,
    ) -> Groups {
        Groups { tree: tree.clone(), cursor: tree.range(pages, range, direction), prefix }
    }

    /// The next group in the walk's direction.
    pub fn try_next(&mut self) -> Result<Option<Group>, Error> {
        let Some((leaf, rest)) = self.cursor.rest()? else { return Ok(None) };
        let direction = self.cursor.direction();
        let first = match direction {
            Direction::Forward => rest.start,
            Direction::Backward => rest.end - 1,
        };
        let name = leaf.key(first);
        let name = leaf.share(name.get(..(self.prefix)(name)).unwrap_or(name));
        let (mine, next) = self.part(&leaf, &rest, &name);
        let part = self.tree.spec.reducer.leaf(Entries::new(&leaf, mine))?;
        let mut parts = Vec::new();
        match &next {
            Next::Here(_) => parts.push(part),
            Next::Beyond(range) if direction == Direction::Forward => {
                parts.push(part);
                self.tree.reduce_into(self.cursor.pages(), range, &mut parts)?;
            }
            Next::Beyond(range) => {
                self.tree.reduce_into(self.cursor.pages(), range, &mut parts)?;
                parts.push(part);
            }
        }
        let reduction = match <[Bytes; 1]>::try_from(parts) {
            Ok([only]) => only,
            Err(parts) => self.tree.spec.reducer.combine(&parts)?,
        };
        match (next, direction) {
            (Next::Here(rest), _) => self.cursor.keep(rest),
            (Next::Beyond(_), Direction::Backward) => self.cursor.seek(name),
            (Next::Beyond(_), Direction::Forward) => match above(&name) {
                Some(key) => self.cursor.seek(key),
                None => self.cursor.stop(),
            },
        }
        Ok(Some(Group { first: Entry::new(leaf, first), reduction }))
    }

    /// The entries of a leaf that belong to a group of which the first one does.
    fn part(&self, leaf: &Page, rest: &Range<usize>, name: &Bytes) -> (Range<usize>, Next) {
        let range = self.cursor.key_range();
        match self.cursor.direction() {
            Direction::Forward => {
                let end = first_of(rest, |at| !leaf.key(at).starts_with(name));
                if end < rest.end || rest.end < leaf.len() {
                    return (rest.start..end, Next::Here(end..rest.end));
                }
                let from = Bound::Excluded(leaf.share(leaf.key(rest.end - 1)));
                let to = above(name).map_or(Bound::Unbounded, Bound::Excluded);
                (rest.clone(), Next::Beyond((from, lower_of(to, range.1.clone()))))
            }
            Direction::Backward => {
                let start = first_of(rest, |at| leaf.key(at).starts_with(name));
                if start > rest.start || rest.start > 0 {
                    return (start..rest.end, Next::Here(rest.start..start));
                }
                let to = Bound::Excluded(leaf.share(leaf.key(rest.start)));
                let from = higher_of(name, range.0.clone());
                (rest.clone(), Next::Beyond((from, to)))
            }
        }
    }
}

impl Iterator for Groups {
    type Item = Result<Group, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}

/// The first index of which `holds` is true, given that it is of all after that one.
fn first_of(range: &Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let mid = low + (high - low) / 2;
        if holds(mid) { high = mid } else { low = mid + 1 }
    }
    low
}

/// The lowest key above all that begin with `prefix`; none if there are only bytes of 255 in it.
pub fn above(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut key = prefix.get(..=last)?.to_vec();
    *key.last_mut()? += 1;
    Some(key.into())
}

/// The lower one of two upper bounds, of which the first excludes its key.
fn lower_of(end: Bound<Bytes>, other: Bound<Bytes>) -> Bound<Bytes> {
    match (&end, &other) {
        (Bound::Excluded(a), Bound::Included(b)) if b < a => other,
        (Bound::Excluded(a), Bound::Excluded(b)) if b < a => other,
        (Bound::Unbounded, _) => other,
        _ => end,
    }
}

/// The higher one of a lower bound and of the keys that begin with `name`.
fn higher_of(name: &Bytes, other: Bound<Bytes>) -> Bound<Bytes> {
    match &other {
        Bound::Included(key) | Bound::Excluded(key) if key >= name => other,
        _ => Bound::Included(name.clone()),
    }
}
