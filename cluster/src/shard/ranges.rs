//! Ranges that are walked one after the other, and what is left of them behind a place. Pure.

use std::ops::Bound;

/// A range of keys.
type Range<K> = (Bound<K>, Bound<K>);

/// What of some ranges lies behind a key in the direction of the walk.
pub(crate) fn behind<K: Ord + Clone>(
    ranges: &[Range<K>],
    key: &K,
    descending: bool,
) -> Vec<Range<K>> {
    let rest = |(low, high): &Range<K>| {
        let (near, far) = if descending { (high, low) } else { (low, high) };
        let passed = |bound: &K| if descending { bound >= key } else { bound <= key };
        if let Bound::Included(far) | Bound::Excluded(far) = far
            && passed(far)
        {
            return None;
        }
        let near = match near {
            Bound::Included(bound) | Bound::Excluded(bound) if !passed(bound) => near.clone(),
            _ => Bound::Excluded(key.clone()),
        };
        Some(if descending { (far.clone(), near) } else { (near, far.clone()) })
    };
    ranges.iter().filter_map(rest).collect()
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use proptest::prelude::*;

    use super::*;

    fn bound() -> impl Strategy<Value = Bound<u8>> {
        prop_oneof![
            (0..9_u8).prop_map(Bound::Included),
            (0..9_u8).prop_map(Bound::Excluded),
            Just(Bound::Unbounded),
        ]
    }

    proptest! {
        #[test]
        fn what_is_behind_a_key_is_left(
            range in (bound(), bound()), key in 0..9_u8, descending in any::<bool>(),
        ) {
            let left = behind(&[range], &key, descending);
            for place in 0..9_u8 {
                let after = if descending { place < key } else { place > key };
                let inside = left.iter().any(|range| range.contains(&place));
                prop_assert_eq!(inside, after && range.contains(&place));
            }
        }
    }
}
