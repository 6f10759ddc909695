//! Rows of a view as an index keeps them (docs/format.md section 5): the sort key and the emitted key
//! and value as JSON. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use settee_engine::index::{DocRows, Row, split_row_key};
use settee_engine::tree::Entry;
use settee_model::collate::{compare_terms, raw_sort_key_into, sort_key_into};
use settee_model::docid::DocId;
use settee_model::json::Raw;
use settee_model::{partition, varint};

/// A row of a view, as it is merged with those of other shards. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Rows are in the order of these bytes: sort key, document id, number.
    pub order: Bytes,
    /// Length of the sort key in `order`.
    pub sort: usize,
    /// The emitted key, as JSON.
    pub key: Bytes,
    /// The emitted value, as JSON.
    pub value: Bytes,
    /// Which of the keys that were asked for found it; 0 in a range.
    pub number: u32,
}

impl ViewRow {
    /// The row of an index's entry; `None` if it is none.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<ViewRow> {
        let stored = entry.value_bytes();
        let (sort, key, value) = split_value(&stored)?;
        let (key, value) = (stored.slice_ref(key), stored.slice_ref(value));
        Some(ViewRow { order: entry.key_bytes(), sort, key, value, number: 0 })
    }

    /// The document that the row is of.
    #[must_use]
    pub fn id(&self) -> Cow<'_, str> {
        split_row_key(&self.order, self.sort).map_or("".into(), |(id, _)| id)
    }

    /// The sort key and the document: equal for rows that one document emitted with equal keys.
    #[must_use]
    pub fn place(&self) -> &[u8] {
        // Ids hold no byte 0 that is not followed by 255.
        let rest = self.order.get(self.sort..).unwrap_or_default();
        let mut zeros = rest.iter().enumerate().filter(|(_, byte)| **byte == 0);
        let end = zeros.find(|(at, _)| rest.get(at + 1) != Some(&255)).map_or(rest.len(), |z| z.0);
        self.order.get(..self.sort + end).unwrap_or(&self.order)
    }
}

/// The parts of a row's value: length of the sort key, key, value.
pub(super) fn split_value(stored: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let mut rest = stored;
    let sort = varint::take_len(&mut rest)?;
    let key = varint::take_bytes(&mut rest)?;
    Some((sort, key, rest))
}

/// Ends the part of a sort key that stands for a partition: the one character that no partition's name
/// holds, so that no such part begins with another one.
const PARTITION_END: u8 = b':';

/// Appends the part of a sort key that stands for a partition.
pub(crate) fn put_partition(out: &mut Vec<u8>, partition: &str) {
    out.extend_from_slice(partition.as_bytes());
    out.push(PARTITION_END);
}

/// Length of that part of a sort key.
pub(super) fn partition_length(sort: &[u8]) -> usize {
    let end = sort.iter().position(|byte| *byte == PARTITION_END);
    end.map_or(sort.len(), |end| end + 1)
}

/// What rows are ordered by.
#[derive(Clone, Copy)]
pub(super) struct Order {
    /// By the document's partition first.
    pub(super) partitioned: bool,
    /// As Erlang orders its terms.
    pub(super) raw: bool,
}

impl Order {
    pub(super) fn sort_key_into(self, out: &mut Vec<u8>, key: &[u8]) {
        match self.raw {
            true => raw_sort_key_into(out, key),
            false => sort_key_into(out, key),
        }
    }
}

/// Encodes rows of documents; keeps its memory from one to the next.
#[derive(Default)]
pub(super) struct Encoder {
    text: Vec<u8>,
    /// Where sort key and value of each row end, and where the emitted value begins.
    ends: Vec<(usize, usize, usize)>,
}

impl Encoder {
    /// The rows that a map emitted for a document.
    pub(super) fn rows<'a>(
        &mut self,
        id: DocId,
        order: Order,
        emitted: impl Iterator<Item = (Raw<'a>, Raw<'a>)>,
    ) -> DocRows {
        self.text.clear();
        self.ends.clear();
        for (key, value) in emitted {
            let start = self.text.len();
            if order.partitioned {
                put_partition(&mut self.text, partition::split(id.as_str()).map_or("", |p| p.0));
            }
            order.sort_key_into(&mut self.text, &key);
            let sort_end = self.text.len();
            varint::put(&mut self.text, (sort_end - start) as u64);
            varint::put_bytes(&mut self.text, &key);
            let emitted = self.text.len();
            self.text.extend_from_slice(&value);
            self.ends.push((sort_end, emitted, self.text.len()));
        }
        if self.ends.is_empty() {
            return DocRows::none(id);
        }
        let part = |from, to| self.text.get(from..to).unwrap_or_default();
        let mut start = 0;
        let mut rows = Vec::with_capacity(self.ends.len());
        for (sort_end, emitted, end) in &self.ends {
            let (sort, value) = (part(start, *sort_end), part(*sort_end, *end));
            rows.push((Row { sort, value }, part(*emitted, *end)));
            start = *end;
        }
        // Rows with equal keys are in the order of their values, as CouchDB has them.
        if rows.len() > 1 {
            rows.sort_by(|(a, x), (b, y)| a.sort.cmp(b.sort).then_with(|| compare_terms(x, y)));
        }
        let mut rows: Vec<Row<'_>> = rows.into_iter().map(|(row, _)| row).collect();
        DocRows::of(id, &mut rows)
    }
}

impl ViewRow {
    /// Whether its document emitted another row with the same key that stands before this one.
    pub(super) fn has_more_before(&self) -> bool {
        self.order.len() > self.place().len() + 1
    }
}
