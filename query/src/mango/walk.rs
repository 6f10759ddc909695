//! Where the rows of a Mango index lie among the row keys of a shard's file. Never reads them.

use std::ops::Bound as End;

use bytes::Bytes;
use settee_engine::index::first_row_key;
use settee_engine::tree::KeyRange;
use settee_model::collate::{array_prefix_into, sort_key_into};

use super::bookmark::Bookmark;
use super::bound::{Bound, Span};
use crate::view::put_partition;

/// Above whatever can follow the beginning of a row key.
const ABOVE: u8 = 255;

/// The row keys in spans, which are in order; of a partitioned index those of a partition.
#[must_use]
pub fn row_ranges(spans: &[Span], partition: Option<&str>) -> Vec<KeyRange> {
    let base = base(partition);
    let range = |span: &Span| {
        (End::Included(edge(&base, &span.low)), End::Excluded(edge(&base, &span.high)))
    };
    spans.iter().map(range).collect()
}

/// The key of the row where an answer ended.
#[must_use]
pub fn row_key(row: &Bookmark, partition: Option<&str>) -> Bytes {
    let mut sort = base(partition);
    sort_key_into(&mut sort, &row.key);
    first_row_key(&sort, &row.id).into()
}

fn base(partition: Option<&str>) -> Vec<u8> {
    let mut base = Vec::new();
    if let Some(partition) = partition {
        put_partition(&mut base, partition);
    }
    base
}

fn edge(base: &[u8], bound: &Bound) -> Bytes {
    let mut edge = base.to_vec();
    array_prefix_into(&mut edge, &bound.values);
    if bound.after {
        edge.push(ABOVE);
    }
    edge.into()
}
