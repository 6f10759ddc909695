//! `_first` and `_last`: the value of the row that comes first or last. A partial result is the row
//! key, counted, and the value. Pure.

use bytes::Bytes;
use settee_model::varint;

use super::{Input, Partial};

pub(super) fn of_row(row: Option<&Input<'_>>) -> Partial {
    let mut out = Vec::new();
    if let Some(row) = row {
        varint::put_bytes(&mut out, row.order);
        out.extend_from_slice(row.value);
    }
    Partial::Value(out.into())
}

fn split(partial: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = partial;
    varint::take_bytes(&mut rest).map_or_else(Default::default, |order| (order, rest))
}

/// The one of them whose row comes first, or last.
pub(super) fn least(partials: Vec<Bytes>, last: bool) -> Partial {
    let chosen = partials.into_iter().reduce(|a, b| {
        let (of_a, of_b) = (split(&a).0, split(&b).0);
        if (of_b < of_a) ^ last { b } else { a }
    });
    Partial::Value(chosen.unwrap_or_default())
}

pub(super) fn value(partial: &Bytes) -> Bytes {
    let (_, value) = split(partial);
    if value.is_empty() { Bytes::from_static(b"null") } else { partial.slice_ref(value) }
}
