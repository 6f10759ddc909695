//! Places between the keys of an index, and spans of keys between two places. Works for any
//! order of the values that keys are made of. Never decides which keys are wanted.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use settee_model::json::Elements;

/// How values in stored form compare.
pub type Order = fn(&[u8], &[u8]) -> Ordering;

/// A place in the order of keys: before or after all those that begin with certain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// JSON values in stored form, one for each column from the first on.
    pub values: Vec<Vec<u8>>,
    /// Whether it lies after those keys.
    pub after: bool,
}

/// The keys between two places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub low: Bound,
    /// Where it ends.
    pub high: Bound,
}

impl Bound {
    /// Before all keys.
    #[must_use]
    pub fn start() -> Self {
        Bound { values: Vec::new(), after: false }
    }

    /// After all keys.
    #[must_use]
    pub fn end() -> Self {
        Bound { values: Vec::new(), after: true }
    }

    /// Before all keys that begin with the value.
    pub(super) fn before(value: Vec<u8>) -> Self {
        Bound { values: vec![value], after: false }
    }

    /// After all keys that begin with the value.
    pub(super) fn after(value: Vec<u8>) -> Self {
        Bound { values: vec![value], after: true }
    }

    /// The same place among keys that begin with other values, before or after its own.
    pub(super) fn below(&self, prefix: &[Vec<u8>]) -> Self {
        let values = prefix.iter().chain(&self.values).cloned().collect();
        Bound { values, after: self.after }
    }

    /// Compares two places.
    #[must_use]
    pub fn cmp(&self, other: &Bound, order: Order) -> Ordering {
        for (mine, others) in self.values.iter().zip(&other.values) {
            let ordering = order(mine, others);
            if ordering.is_ne() {
                return ordering;
            }
        }
        // The longer one is inside of what the shorter one is an end of.
        match self.values.len().cmp(&other.values.len()) {
            Ordering::Equal => self.after.cmp(&other.after),
            Ordering::Less => side(self.after),
            Ordering::Greater => side(other.after).reverse(),
        }
    }

    /// On which side of a key it lies: `Less` if before it. The key is a JSON array in stored
    /// form.
    #[must_use]
    pub fn cmp_key(&self, key: &[u8], order: Order) -> Ordering {
        let mut elements = Elements::new(key);
        for value in &self.values {
            let Some(element) = elements.next() else { return Ordering::Greater };
            let ordering = order(value, &element);
            if ordering.is_ne() {
                return ordering;
            }
        }
        side(self.after)
    }
}

fn side(after: bool) -> Ordering {
    if after { Ordering::Greater } else { Ordering::Less }
}

impl Span {
    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Span { low: Bound::start(), high: Bound::end() }
    }

    /// Whether a key, a JSON array in stored form, is in it.
    #[must_use]
    pub fn holds(&self, key: &[u8], order: Order) -> bool {
        self.low.cmp_key(key, order).is_lt() && self.high.cmp_key(key, order).is_gt()
    }

    /// The keys that are in both.
    pub(super) fn overlap(&self, other: &Span, order: Order) -> Option<Span> {
        let low = if self.low.cmp(&other.low, order).is_ge() { &self.low } else { &other.low };
        let high = if self.high.cmp(&other.high, order).is_le() { &self.high } else { &other.high };
        let some = low.cmp(high, order).is_lt();
        some.then(|| Span { low: low.clone(), high: high.clone() })
    }
}

#[cfg(test)]
mod tests {
    use settee_model::collate::compare;

    use super::*;

    fn bound(values: &[&str], after: bool) -> Bound {
        Bound { values: values.iter().map(|value| value.as_bytes().to_vec()).collect(), after }
    }

    #[test]
    fn places_are_in_order() {
        let ordered = [
            Bound::start(),
            bound(&["1"], false),
            bound(&["1", "1"], false),
            bound(&["1", "1"], true),
            bound(&["1", "2"], false),
            bound(&["1"], true),
            bound(&["2"], false),
            Bound::end(),
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(a.cmp(b, compare), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        assert!(bound(&["1"], true).cmp_key(b"[1,5]", compare).is_gt());
        assert!(bound(&["1"], false).cmp_key(b"[1,5]", compare).is_lt());
        assert!(bound(&["1", "6"], false).cmp_key(b"[1.0,5]", compare).is_gt());
        assert!(Span::all().holds(b"[]", compare));
    }
}
