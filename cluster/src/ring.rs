//! Which shard of a database a document lies in, and how work over many documents is split among
//! shards and put together again. Pure.

use std::num::NonZeroU32;

use settee_model::docid::DocId;
use settee_model::range::{self, HashRange};

/// The ranges of one database; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    ranges: Vec<HashRange>,
    partitioned: bool,
}

/// The part of some work that goes to one shard.
pub(crate) struct Part<T> {
    /// Number of the shard.
    pub(crate) shard: usize,
    /// Where in the whole each item belongs.
    pub(crate) places: Vec<usize>,
    /// The items, in the order of the whole.
    pub(crate) items: Vec<T>,
}

impl Ring {
    pub(crate) fn new(q: u32, partitioned: bool) -> Ring {
        let q = NonZeroU32::new(q).unwrap_or(NonZeroU32::MIN);
        Ring { ranges: range::ranges(q), partitioned }
    }

    pub(crate) fn ranges(&self) -> &[HashRange] {
        &self.ranges
    }

    /// Number of the shard that holds a document.
    pub(crate) fn shard_of(&self, id: &DocId) -> usize {
        if self.ranges.len() == 1 {
            return 0;
        }
        let hash = range::hash_of(id, self.partitioned);
        self.ranges.partition_point(|range| range.end < hash)
    }

    /// Number of the shard that holds a partition.
    pub(crate) fn shard_of_partition(&self, partition: &str) -> usize {
        self.shard_of(&DocId::trusted(&format!("{partition}:")))
    }

    /// Splits work by shard; parts are in order of shards, items in their own.
    pub(crate) fn split<T>(&self, items: Vec<T>, id: impl Fn(&T) -> &DocId) -> Vec<Part<T>> {
        let Some(first) = items.first() else { return Vec::new() };
        if self.ranges.len() == 1 || items.len() == 1 {
            let shard = self.shard_of(id(first));
            return vec![Part { shard, places: (0..items.len()).collect(), items }];
        }
        let part = |shard| Part { shard, places: Vec::new(), items: Vec::new() };
        let mut parts: Vec<Part<T>> = (0..self.ranges.len()).map(part).collect();
        for (place, item) in items.into_iter().enumerate() {
            if let Some(part) = parts.get_mut(self.shard_of(id(&item))) {
                part.places.push(place);
                part.items.push(item);
            }
        }
        parts.retain(|part| !part.items.is_empty());
        parts
    }
}

/// Puts the answers of all parts into the order of the whole.
pub(crate) fn join<R>(parts: Vec<(Vec<usize>, Vec<R>)>) -> Vec<R> {
    match <[_; 1]>::try_from(parts) {
        Ok([(_, answers)]) => answers,
        Err(parts) => {
            let mut all: Vec<(usize, R)> = parts
                .into_iter()
                .flat_map(|(places, answers)| places.into_iter().zip(answers))
                .collect();
            all.sort_unstable_by_key(|(place, _)| *place);
            all.into_iter().map(|(_, answer)| answer).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize) -> Vec<DocId> {
        (0..n).map(|number| DocId::trusted(&format!("doc-{number}"))).collect()
    }

    #[test]
    fn split_work_comes_back_in_its_order() {
        for q in [1, 2, 8] {
            let ring = Ring::new(q, false);
            let parts = ring.split(ids(100), |id| id);
            assert_eq!(parts.len(), q as usize);
            for part in &parts {
                assert!(part.items.iter().all(|id| ring.shard_of(id) == part.shard));
            }
            let answers = parts.into_iter().map(|part| (part.places, part.items)).collect();
            assert_eq!(join(answers), ids(100));
        }
    }

    #[test]
    fn a_partition_lies_in_one_shard() {
        let ring = Ring::new(8, true);
        let shard = ring.shard_of_partition("sensor");
        for id in ["sensor:a", "sensor:b", "sensor:zz:y"] {
            assert_eq!(ring.shard_of(&DocId::trusted(id)), shard);
        }
    }
}
