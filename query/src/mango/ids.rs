//! Ranges of document ids, out of the spans of the index of all documents. Never looks at
//! documents.

use std::ops::Bound as End;

use settee_model::json::Raw;
use settee_model::partition::{end_key, start_key};

use super::bound::{Bound, Span};

/// Ids between two ends, in the order of their bytes.
pub type IdRange = (End<String>, End<String>);

/// The ids that lie in spans, ascending; only those of a partition, if there is one.
#[must_use]
pub fn id_ranges(spans: &[Span], partition: Option<&str>) -> Vec<IdRange> {
    let ranges = spans.iter().filter_map(|span| Some((low(&span.low)?, high(&span.high)?)));
    ranges.filter_map(|range| clip(range, partition)).filter(holds_any).collect()
}

/// `None`: no id lies behind it. Ids are greater than all values but strings.
fn low(bound: &Bound) -> Option<End<String>> {
    let Some(value) = bound.values.first() else {
        return (!bound.after).then_some(End::Unbounded);
    };
    Some(match (Raw(value).as_str(), bound.after) {
        (None, _) => End::Unbounded,
        (Some(id), true) => End::Excluded(id.into_owned()),
        (Some(id), false) => End::Included(id.into_owned()),
    })
}

/// `None`: no id lies before it.
fn high(bound: &Bound) -> Option<End<String>> {
    let Some(value) = bound.values.first() else {
        return bound.after.then_some(End::Unbounded);
    };
    let id = Raw(value).as_str()?.into_owned();
    Some(if bound.after { End::Included(id) } else { End::Excluded(id) })
}

fn clip((low, high): IdRange, partition: Option<&str>) -> Option<IdRange> {
    let Some(partition) = partition else { return Some((low, high)) };
    let (first, last) = (start_key(partition), end_key(partition));
    let low = match low {
        End::Included(id) | End::Excluded(id) if id >= last => return None,
        End::Included(id) if id >= first => End::Included(id),
        End::Excluded(id) if id >= first => End::Excluded(id),
        _ => End::Included(first.clone()),
    };
    let high = match high {
        End::Included(id) | End::Excluded(id) if id < first => return None,
        End::Included(id) if id < last => End::Included(id),
        End::Excluded(id) if id < last => End::Excluded(id),
        _ => End::Excluded(last),
    };
    Some((low, high))
}

fn holds_any((low, high): &IdRange) -> bool {
    match (low, high) {
        (End::Included(low), End::Included(high)) => low <= high,
        (End::Included(low) | End::Excluded(low), End::Included(high) | End::Excluded(high)) => {
            low < high
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(value: Option<&str>, after: bool) -> Bound {
        Bound { values: value.iter().map(|value| value.as_bytes().to_vec()).collect(), after }
    }

    fn ranges(low: Bound, high: Bound, partition: Option<&str>) -> Vec<IdRange> {
        id_ranges(&[Span { low, high }], partition)
    }

    fn included(id: &str) -> End<String> {
        End::Included(id.to_owned())
    }

    fn excluded(id: &str) -> End<String> {
        End::Excluded(id.to_owned())
    }

    #[test]
    fn ids_are_greater_than_other_values() {
        let all = vec![(End::Unbounded, End::Unbounded)];
        assert_eq!(ranges(bound(Some("5"), true), Bound::end(), None), all);
        assert_eq!(ranges(Bound::start(), bound(Some("5"), true), None), []);
        let some = vec![(excluded("a"), included("b"))];
        assert_eq!(ranges(bound(Some(r#""a""#), true), bound(Some(r#""b""#), true), None), some);
    }

    #[test]
    fn partitions_have_their_own_ids() {
        let all = ranges(Bound::start(), Bound::end(), Some("x"));
        assert_eq!(all, [(included("x:"), excluded("x;"))]);
        let one = || bound(Some(r#""x:a""#), false);
        assert_eq!(ranges(one(), Bound::end(), Some("x")), [(included("x:a"), excluded("x;"))]);
        assert_eq!(ranges(one(), Bound::end(), Some("a")), []);
        assert_eq!(ranges(Bound::start(), one(), Some("y")), []);
    }
}
