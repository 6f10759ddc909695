//! `_top_N` and `_bottom_N`: the greatest or least different values in the order of views. A partial
//! result is the list of them. Pure.

use std::cmp::Ordering;

use bytes::Bytes;
use settee_model::collate::compare;
use settee_model::json::Raw;

use super::{Input, Partial};

/// The best so far, best first.
struct Best<'a> {
    values: Vec<&'a [u8]>,
    rank: usize,
    top: bool,
}

impl<'a> Best<'a> {
    fn add(&mut self, value: &'a [u8]) {
        let order = |other: &&[u8]| {
            let ordering = compare(other, value);
            if self.top { ordering.reverse() } else { ordering }
        };
        // Most values are worse than the worst of many.
        let worse = |worst: &&[u8]| order(worst) == Ordering::Less;
        if self.values.len() >= self.rank && self.values.last().is_some_and(worse) {
            return;
        }
        if let Err(at) = self.values.binary_search_by(order) {
            self.values.insert(at, value);
            self.values.truncate(self.rank);
        }
    }

    fn finish(self) -> Partial {
        Partial::Value([&b"["[..], &self.values.join(&b","[..]), b"]"].concat().into())
    }
}

pub(super) fn rows(rows: &[Input<'_>], rank: usize, top: bool) -> Partial {
    let mut best = Best { values: Vec::new(), rank, top };
    rows.iter().for_each(|row| best.add(row.value));
    best.finish()
}

pub(super) fn merge(lists: &[Bytes], rank: usize, top: bool) -> Partial {
    let mut best = Best { values: Vec::new(), rank, top };
    let values = lists.iter().filter_map(|list| Raw(list).elements()).flatten();
    values.for_each(|value| best.add(value.bytes()));
    best.finish()
}
