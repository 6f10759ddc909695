//! Reduced rows of a view in one shard: of a range as a whole, by key, or by what arrays begin with.
//! Groups are jumped over, not walked through. Never merges shards.

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::tree::Prefix;
use settee_engine::{Error, IndexSnapshot, tree};
use settee_model::collate::{group_length, sort_key_length};
use settee_model::json::Raw;

use super::range::{Keys, RowRange};
use super::reduce::{Carried, Reduce, failure_of, made, place_in};
use super::row::{partition_length, split_value};

/// Which rows are reduced together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// All.
    Whole,
    /// Those with equal keys.
    Exact,
    /// Those whose keys are arrays that agree in so many elements, 1 at least, or equal keys.
    Level(usize),
}

/// Reduced rows that are to be combined with those of other shards that have the same `order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Groups are in the order of these bytes; empty for the whole.
    pub order: Bytes,
    /// The group's key, as JSON.
    pub key: Bytes,
    /// For [`Reducing::combine`](super::Reducing::combine).
    pub partial: Bytes,
    /// Which of the keys that were asked for it is of; 0 in a range.
    pub number: u32,
}

/// Groups of a view in the order of a query.
///
/// After an error, [`Error::NotResident`] above all, the next call tries the same again.
pub struct Groups {
    index: IndexSnapshot,
    /// Of the reduce in the index's plan.
    place: usize,
    range: RowRange,
    grouping: Grouping,
    walk: Walk,
}

enum Walk {
    Whole { done: bool },
    Groups(Box<tree::Groups>),
    Keys { keys: Keys, begun: u32 },
}

impl Groups {
    /// The groups of a range; `None` if the index does not carry this reduce (any more).
    #[must_use]
    pub fn of_range(
        index: &IndexSnapshot,
        reduce: &Reduce,
        range: &RowRange,
        grouping: Grouping,
    ) -> Option<Groups> {
        let place = place_in(index.plan(), reduce)?;
        let walk = match grouping {
            Grouping::Whole => Walk::Whole { done: range.behind.is_some() },
            grouping => {
                let prefix = prefix(range.partition.is_some(), grouping);
                Walk::Groups(Box::new(index.groups(range.keys(), range.direction(), prefix)))
            }
        };
        Some(Groups { index: index.clone(), place, range: range.clone(), grouping, walk })
    }

    /// The group of each of these keys in turn, without those that have no rows. All of the range
    /// counts but its keys.
    #[must_use]
    pub fn of_keys(
        index: &IndexSnapshot,
        reduce: &Reduce,
        range: &RowRange,
        keys: Keys,
    ) -> Option<Groups> {
        let place = place_in(index.plan(), reduce)?;
        let range = RowRange { behind: None, ..range.clone() };
        let walk = Walk::Keys { keys, begun: 0 };
        Some(Groups { index: index.clone(), place, range, grouping: Grouping::Exact, walk })
    }

    /// What a query fails with whose rows cannot be reduced, wherever in the index they are: as in
    /// CouchDB, which does not keep them.
    ///
    /// # Errors
    /// When pages cannot be read, or the reduce could not be run to its end.
    pub fn failure(
        index: &IndexSnapshot,
        reduce: &Reduce,
    ) -> Result<Option<(String, String)>, Error> {
        let Some(place) = place_in(index.plan(), reduce) else { return Ok(None) };
        let part = Carried::of(index)?.parts.get(place).cloned().map(made).transpose()?;
        Ok(part.as_ref().and_then(failure_of))
    }

    /// Bytes of keys and values of all rows of a view in this shard, as clients see them.
    ///
    /// # Errors
    /// When pages cannot be read.
    pub fn external(index: &IndexSnapshot) -> Result<u64, Error> {
        Ok(Carried::of(index)?.external as u64)
    }

    /// The next group.
    ///
    /// # Errors
    /// When pages cannot be read or a function could not be run.
    pub fn try_next(&mut self) -> Result<Option<GroupRow>, Error> {
        match &mut self.walk {
            Walk::Whole { done: true } => Ok(None),
            Walk::Whole { done } => {
                let reduction = self.index.reduce(&self.range.keys())?;
                *done = true;
                let partial = part(&self.index, self.place, &reduction)?;
                let key = Bytes::from_static(b"null");
                Ok(partial.map(|partial| GroupRow { order: Bytes::new(), key, partial, number: 0 }))
            }
            Walk::Groups(groups) => {
                let Some(group) = groups.try_next()? else { return Ok(None) };
                let partial = part(&self.index, self.place, &group.reduction)?;
                let (order, stored) = (group.first.key_bytes(), group.first.value_bytes());
                let (partial, (_, key, _)) =
                    partial.zip(split_value(&stored)).ok_or_else(|| malformed(&self.index))?;
                let length = prefix(self.range.partition.is_some(), self.grouping)(&order);
                let key = group_key(&stored.slice_ref(key), self.grouping);
                let order = order.slice(..length.min(order.len()));
                Ok(Some(GroupRow { order, key, partial, number: 0 }))
            }
            Walk::Keys { keys, begun } => {
                while let Some(key) = keys.peek() {
                    let range = self.range.keys_of(key);
                    let reduction = self.index.reduce(&range)?;
                    let partial = part(&self.index, self.place, &reduction)?;
                    let Some(key) = keys.next().cloned() else { break };
                    let number = *begun;
                    *begun += 1;
                    let Some(partial) = partial else { continue };
                    let order = match range.0 {
                        std::ops::Bound::Included(low) => low,
                        _ => Bytes::new(),
                    };
                    return Ok(Some(GroupRow { order, key, partial, number }));
                }
                Ok(None)
            }
        }
    }
}

impl Iterator for Groups {
    type Item = Result<GroupRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}

fn malformed(index: &IndexSnapshot) -> Error {
    index.corrupt("a reduction is malformed")
}

/// The partial result of one reduce; `None` if there are no rows.
fn part(index: &IndexSnapshot, place: usize, carried: &Bytes) -> Result<Option<Bytes>, Error> {
    let carried = Carried::decode(carried).ok_or_else(|| malformed(index))?;
    if carried.rows == 0 {
        return Ok(None);
    }
    made(carried.parts.get(place).cloned().ok_or_else(|| malformed(index))?).map(Some)
}

fn prefix(partitioned: bool, grouping: Grouping) -> Prefix {
    Arc::new(move |key: &[u8]| {
        let skip = if partitioned { partition_length(key) } else { 0 };
        let sort = key.get(skip..).unwrap_or_default();
        skip + match grouping {
            Grouping::Level(level) => group_length(sort, level),
            _ => sort_key_length(sort),
        }
    })
}

/// The key that a group is shown with, of the key of one of its rows.
fn group_key(key: &Bytes, grouping: Grouping) -> Bytes {
    let Grouping::Level(level) = grouping else { return key.clone() };
    match Raw(key).elements() {
        Some(elements) if Raw(key).elements().into_iter().flatten().count() > level => {
            let kept: Vec<&[u8]> = elements.take(level).map(Raw::bytes).collect();
            [&b"["[..], &kept.join(&b","[..]), b"]"].concat().into()
        }
        _ => key.clone(),
    }
}
