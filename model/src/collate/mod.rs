//! The order of JSON values: the one of views, where strings compare as people of no particular
//! language expect (the root collation of ICU), and the plain one of Erlang terms, which CouchDB
//! uses for document ids. Works on text in stored form (see `json`) and parses nothing that it
//! need not. Both texts are walked in step, so nesting costs no stack.

mod number;
mod sort;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::LazyLock;

use icu_collator::options::CollatorOptions;
use icu_collator::{Collator, CollatorBorrowed};

pub use sort::{
    array_prefix_into, group_length, raw_sort_key_into, sort_key, sort_key_into, sort_key_length,
};

use crate::json::{Raw, string_length};

static ROOT: LazyLock<Option<CollatorBorrowed<'static>>> =
    LazyLock::new(|| Collator::try_new(Default::default(), CollatorOptions::default()).ok());

/// Compares two JSON values in stored form as view keys: null, false, true, numbers, strings,
/// arrays, objects. Objects compare member by member in the order they are written in.
#[must_use]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    walk(a, b, &Order { kind: view_kind, strings: compare_strings })
}

/// Compares two JSON values in stored form as Erlang compares its terms: numbers, then false,
/// null, true, then objects, arrays, and strings by their bytes.
#[must_use]
pub fn compare_terms(a: &[u8], b: &[u8]) -> Ordering {
    walk(a, b, &Order { kind: term_kind, strings: |a, b| a.cmp(b) })
}

/// Compares two strings by the root collation. Texts that differ may be equal to it.
#[must_use]
pub fn compare_strings(a: &str, b: &str) -> Ordering {
    match &*ROOT {
        Some(collator) => collator.compare(a, b),
        None => a.cmp(b),
    }
}

/// Whether two values are the same term to Erlang: `1` and `1.0` are not, `1.0` and `1.00` are,
/// strings are if their bytes are, objects if their members are and stand in the same order.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let strict = Order { kind: strict_kind, strings: |a, b| a.cmp(b) };
    a == b || walk(a, b, &strict) == Ordering::Equal
}

/// What differs between the orders.
struct Order {
    /// Ranks values by the text that they begin with. More than [`SEPARATOR`].
    kind: fn(&[u8]) -> u8,
    strings: fn(&str, &str) -> Ordering,
}

/// Ranks of what is no value: whoever ends first, of two lists that are equal so far, is less.
const END: u8 = 0;
const SEPARATOR: u8 = 1;

fn view_kind(text: &[u8]) -> u8 {
    match text.first() {
        Some(b'n') => 2,
        Some(b'f') => 3,
        Some(b't') => 4,
        Some(b'"') => 6,
        Some(b'[') => 7,
        Some(b'{') => 8,
        _ => 5,
    }
}

fn term_kind(text: &[u8]) -> u8 {
    match text.first() {
        Some(b'f') => 3,
        Some(b'n') => 4,
        Some(b't') => 5,
        Some(b'{') => 6,
        Some(b'[') => 7,
        Some(b'"') => 8,
        _ => 2,
    }
}

fn strict_kind(text: &[u8]) -> u8 {
    let kind = term_kind(text);
    let float = || scalar(text).iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if kind == 2 && float() { 9 } else { kind }
}

fn rank(text: &[u8], order: &Order) -> u8 {
    match text.first() {
        None | Some(b']' | b'}') => END,
        Some(b',' | b':') => SEPARATOR,
        Some(_) => (order.kind)(text),
    }
}

fn walk(mut a: &[u8], mut b: &[u8], order: &Order) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let ordering = rank(a, order).cmp(&rank(b, order));
        if ordering.is_ne() {
            return ordering;
        }
        let (head_a, head_b);
        (head_a, a) = a.split_at_checked(token_length(a)).unwrap_or((a, &[]));
        (head_b, b) = b.split_at_checked(token_length(b)).unwrap_or((b, &[]));
        let ordering = match head_a.first() {
            _ if head_a == head_b => Ordering::Equal,
            Some(b'"') => strings(head_a, head_b, order.strings),
            Some(b'-' | b'0'..=b'9') => number::compare(head_a, head_b),
            _ => Ordering::Equal,
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn strings(a: &[u8], b: &[u8], compare: fn(&str, &str) -> Ordering) -> Ordering {
    match (Raw(a).as_str(), Raw(b).as_str()) {
        (Some(a), Some(b)) => compare(&a, &b),
        _ => a.cmp(b),
    }
}

/// Length of the bracket, separator, string, number or word that a text begins with; at least 1.
fn token_length(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => string_length(text).unwrap_or(text.len()),
        Some(b'[' | b']' | b'{' | b'}' | b',' | b':') | None => 1,
        Some(_) => scalar(text).len(),
    }
}

/// The number or word that a text begins with.
fn scalar(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b',' | b':' | b']' | b'}'));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}
