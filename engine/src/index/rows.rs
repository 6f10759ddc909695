//! Row keys (docs/format.md section 5), and the rows of one document on their way into an index:
//! encoded by whoever made them, so that the one writer need only sort. No IO.

use std::borrow::Cow;

use settee_model::docid::DocId;
use settee_model::varint;

use crate::codec::Malformed;
use crate::codec::reader::Reader;

/// Numbers of rows up to this one take a byte.
const SHORT: u32 = 239;
const LONG: u8 = 240;

/// What takes the place of a byte 0 in an id is that and this; above every number's first byte.
const ESCAPE: u8 = 255;

/// One row as a map gave it.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The sort key. No sort key may be the beginning of another one.
    pub sort: &'a [u8],
    /// Whatever is kept with it.
    pub value: &'a [u8],
}

/// The rows of one document, ready to be put into an index; none if it is deleted.
#[derive(Clone, Debug)]
pub struct DocRows {
    id: DocId,
    /// The value of `docs`.
    sorts: Vec<u8>,
    /// Keys and values of `rows` in turn.
    text: Vec<u8>,
    /// Where each key ends, and the value that follows it.
    ends: Vec<(usize, usize)>,
}

impl DocRows {
    /// A document without rows.
    #[must_use]
    pub fn none(id: DocId) -> DocRows {
        DocRows { id, sorts: Vec::new(), text: Vec::new(), ends: Vec::new() }
    }

    /// The rows of a document. Those with equal sort keys stay in the order given.
    #[must_use]
    pub fn of(id: DocId, rows: &mut [Row<'_>]) -> DocRows {
        rows.sort_by(|a, b| a.sort.cmp(b.sort));
        let size = rows.iter().map(|row| row.sort.len() + row.value.len() + id.as_str().len() + 2);
        let mut doc = DocRows {
            sorts: Vec::new(),
            text: Vec::with_capacity(size.sum()),
            ends: Vec::with_capacity(rows.len()),
            id,
        };
        let mut numbers = Numbers::default();
        for row in rows {
            varint::put_bytes(&mut doc.sorts, row.sort);
            let number = numbers.next(row.sort);
            put_row_key(&mut doc.text, row.sort, doc.id.as_str(), number);
            let key_end = doc.text.len();
            doc.text.extend_from_slice(row.value);
            doc.ends.push((key_end, doc.text.len()));
        }
        doc
    }

    /// Which document.
    #[must_use]
    pub fn id(&self) -> &DocId {
        &self.id
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.text.len() + self.sorts.len() + 16 * self.ends.len() + self.id.as_str().len() + 96
    }

    /// The value of `docs`; `None` if the document is not to be there.
    pub(super) fn sorts(&self) -> Option<&[u8]> {
        (!self.is_empty()).then_some(&self.sorts)
    }

    /// Keys and values of `rows`.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (key_end, end))| {
            let part = |range| self.text.get(range).unwrap_or_default();
            (part(start..*key_end), part(*key_end..*end))
        })
    }
}

/// Numbers rows that come in the order of their sort keys.
#[derive(Default)]
struct Numbers<'a> {
    last: Option<(&'a [u8], u32)>,
}

impl<'a> Numbers<'a> {
    fn next(&mut self, sort: &'a [u8]) -> u32 {
        let number = match self.last {
            Some((last, number)) if last == sort => number.saturating_add(1),
            _ => 0,
        };
        self.last = Some((sort, number));
        number
    }
}

/// The row keys that a value of `docs` stands for.
pub(super) fn keys_of(id: &str, sorts: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut reader = Reader::new(sorts);
    let (mut keys, mut numbers) = (Vec::new(), Numbers::default());
    while !reader.is_empty() {
        let sort = reader.bytes()?;
        let mut key = Vec::with_capacity(sort.len() + id.len() + 2);
        put_row_key(&mut key, sort, id, numbers.next(sort));
        keys.push(key);
    }
    Ok(keys)
}

fn put_row_key(out: &mut Vec<u8>, sort: &[u8], id: &str, number: u32) {
    out.extend_from_slice(sort);
    put_id(out, id);
    out.push(0);
    match number {
        0 => {}
        1..=SHORT => out.push(number as u8),
        _ => {
            out.push(LONG);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn put_id(out: &mut Vec<u8>, id: &str) {
    if id.as_bytes().contains(&0) {
        for byte in id.bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(ESCAPE);
            }
        }
    } else {
        out.extend_from_slice(id.as_bytes());
    }
}

/// The beginning of the keys of all rows of a document with that sort key: not above any of them,
/// and above all rows of documents before it.
#[must_use]
pub fn first_row_key(sort: &[u8], id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(sort.len() + id.len() + 1);
    put_row_key(&mut key, sort, id, 0);
    key
}

/// A key above those of all rows of a document with that sort key, and of no document after it.
#[must_use]
pub fn last_row_key(sort: &[u8], id: &str) -> Vec<u8> {
    let mut key = first_row_key(sort, id);
    key.push(LONG + 1);
    key
}

/// The document's id and the row's number in a row key of which the sort key has that length; `None`
/// if it is none.
#[must_use]
pub fn split_row_key(key: &[u8], sort: usize) -> Option<(Cow<'_, str>, u32)> {
    let rest = key.get(sort..)?;
    let escaped = |at: usize| rest.get(at + 1) == Some(&ESCAPE);
    let zeros = || rest.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
    let end = zeros().find(|at| !escaped(*at))?;
    let number = match rest.get(end + 1..)? {
        [] => 0,
        [number @ 1..=239] => u32::from(*number),
        [LONG, number @ ..] => u32::from_be_bytes(number.try_into().ok()?),
        _ => return None,
    };
    let id = rest.get(..end)?;
    if zeros().next() == Some(end) {
        return Some((std::str::from_utf8(id).ok()?.into(), number));
    }
    let mut plain = Vec::with_capacity(id.len());
    for (at, byte) in id.iter().enumerate() {
        if at == 0 || *byte != ESCAPE || id.get(at - 1) != Some(&0) {
            plain.push(*byte);
        }
    }
    Some((String::from_utf8(plain).ok()?.into(), number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(sort: &[u8], id: &str, number: u32) -> Vec<u8> {
        let mut key = Vec::new();
        put_row_key(&mut key, sort, id, number);
        key
    }

    proptest! {
        #[test]
        fn keys_order_by_sort_id_and_number(
            a in ("[a-b\0]{0,3}", prop_oneof![0u32..4, 238u32..242, any::<u32>()]),
            b in ("[a-b\0]{0,3}", prop_oneof![0u32..4, 238u32..242, any::<u32>()]),
        ) {
            let (of_a, of_b) = (key(b"s", &a.0, a.1), key(b"s", &b.0, b.1));
            prop_assert_eq!(of_a.cmp(&of_b), a.cmp(&b));
            let back = split_row_key(&of_a, 1).unwrap();
            prop_assert_eq!((back.0.as_ref(), back.1), (a.0.as_str(), a.1));
            let (first, last) = (first_row_key(b"s", &b.0), last_row_key(b"s", &b.0));
            let within = first <= of_a && of_a <= last;
            prop_assert_eq!(within, a.0 == b.0);
        }
    }

    #[test]
    fn equal_sort_keys_are_numbered() {
        let row = |sort, value| Row { sort, value };
        let mut rows = [row(&b"b"[..], &b"1"[..]), row(b"a", b"2"), row(b"b", b"3")];
        let doc = DocRows::of(DocId::trusted("x"), &mut rows);
        let found: Vec<_> = doc.entries().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        let expected = [(&b"ax\0"[..], &b"2"[..]), (b"bx\0", b"1"), (b"bx\0\x01", b"3")]
            .map(|(k, v)| (k.to_vec(), v.to_vec()));
        assert_eq!(found, expected);
        let keys = keys_of("x", doc.sorts().unwrap()).unwrap();
        assert_eq!(keys, expected.map(|(key, _)| key));
        assert!(DocRows::none(DocId::trusted("x")).sorts().is_none());
    }
}
