//! Which keys of an index a selector can match, more narrowly than one range: `$in` and `$or`
//! become points and ranges of their own, in key order and without overlap. What it gives always
//! holds every key of a matching document. Never decides which index is used.

use serde_json::Value;
use settee_model::collate::{compare, compare_terms};

use super::bound::{Bound, Order, Span};
use super::shape::single;

/// Spans beyond which further columns are not looked at.
const MANY: usize = 10_000;

/// Spans that alternatives may have together, before they are left to the matcher.
const TOO_MANY: usize = 50_000;

/// Lists of spans of which what they have in common is computed.
const LISTS: usize = 8;

/// Disjoint spans of one column's values, in order.
type Set = Vec<Span>;

/// How the values of a column are looked at.
#[derive(Clone, Copy)]
struct Column<'a> {
    name: &'a str,
    order: Order,
    /// Whether the index's order says nothing about the selector's: ids compare by their bytes,
    /// wherever they stand.
    points_only: bool,
}

/// The spans of an index with these columns that can hold matches.
pub(super) fn key_spans<'a>(selector: &Value, columns: impl Iterator<Item = &'a str>) -> Vec<Span> {
    let column = |name| Column { name, order: compare, points_only: name == "_id" };
    let sets: Vec<Option<Set>> = columns.map(|name| constraint(selector, column(name))).collect();
    product(&sets, compare)
}

/// The spans of the index of all documents that can hold matches. Its keys count as arrays of
/// one id.
pub(super) fn id_spans(selector: &Value) -> Vec<Span> {
    let column = Column { name: "_id", order: compare_terms, points_only: false };
    constraint(selector, column).unwrap_or_else(|| vec![Span::all()])
}

/// What all matching documents have in a column; `None`: anything.
fn constraint(selector: &Value, column: Column<'_>) -> Option<Set> {
    let (name, argument) = single(selector)?;
    match (name, argument) {
        ("$and", Value::Array(parts)) => {
            let sets = parts.iter().filter_map(|part| constraint(part, column));
            let (lists, spans): (Vec<Set>, Vec<Set>) = sets.partition(|set| set.len() > 1);
            // The more lists, the less a further one can leave out; their cost goes on.
            let sets = spans.into_iter().chain(lists.into_iter().take(LISTS));
            sets.reduce(|a, b| intersection(&a, &b, column.order))
        }
        ("$or", Value::Array(parts)) if !parts.is_empty() => {
            let sets: Option<Vec<Set>> =
                parts.iter().map(|part| constraint(part, column)).collect();
            let spans: Vec<Span> = sets?.into_iter().flatten().collect();
            (spans.len() <= TOO_MANY).then(|| union(spans, column.order))
        }
        _ if name == column.name => {
            let (operator, argument) = single(argument)?;
            condition(operator, argument, column)
        }
        _ => None,
    }
}

fn condition(operator: &str, argument: &Value, column: Column<'_>) -> Option<Set> {
    let text = || argument.to_string().into_bytes();
    let span = |low, high| Some(vec![Span { low, high }]);
    match operator {
        "$eq" => Some(vec![point(text())]),
        "$in" => {
            let mut spans: Vec<Span> = argument
                .as_array()?
                .iter()
                .map(|value| point(value.to_string().into_bytes()))
                .collect();
            // Arrays match if one of their elements is in the list. No id is an array.
            if column.name != "_id" && !spans.is_empty() {
                spans.push(Span {
                    low: Bound::before(b"[]".to_vec()),
                    high: Bound::before(b"{}".to_vec()),
                });
            }
            Some(union(spans, column.order))
        }
        _ if column.points_only => None,
        // CouchDB looks at the value itself, too, and counts it.
        "$lt" | "$lte" => span(Bound::start(), Bound::after(text())),
        "$gt" | "$gte" => span(Bound::before(text()), Bound::end()),
        "$beginsWith" => Some(vec![strings_with(argument.as_str()?, column)]),
        _ => None,
    }
}

fn point(value: Vec<u8>) -> Span {
    Span { low: Bound::before(value.clone()), high: Bound::after(value) }
}

/// A span that holds all strings with a prefix.
fn strings_with(prefix: &str, column: Column<'_>) -> Span {
    let low = Bound::before(Value::from(prefix).to_string().into_bytes());
    if column.name == "_id" {
        let high = successor(prefix).map(|next| Value::from(next).to_string().into_bytes());
        return Span { low, high: high.map_or_else(Bound::end, Bound::before) };
    }
    if prefix.is_ascii() {
        let last = Value::from(format!("{prefix}\u{ffff}")).to_string().into_bytes();
        return Span { low, high: Bound::after(last) };
    }
    // Elsewhere what follows can change how the prefix is collated.
    Span { low: Bound::before(br#""""#.to_vec()), high: Bound::before(b"[]".to_vec()) }
}

/// The least string, by bytes, that is greater than all with the prefix.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Brings spans in order and makes one of those that touch.
fn union(mut spans: Vec<Span>, order: Order) -> Set {
    spans.sort_by(|a, b| a.low.cmp(&b.low, order));
    let mut set: Set = Vec::with_capacity(spans.len());
    for span in spans {
        match set.last_mut() {
            Some(last) if last.high.cmp(&span.low, order).is_ge() => {
                if last.high.cmp(&span.high, order).is_lt() {
                    last.high = span.high;
                }
            }
            _ => set.push(span),
        }
    }
    set
}

/// What two ordered lists of disjoint spans have in common.
pub(super) fn intersection(a: &[Span], b: &[Span], order: Order) -> Vec<Span> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut common = Vec::new();
    while let (Some(one), Some(other)) = (a.peek(), b.peek()) {
        common.extend(one.overlap(other, order));
        if one.high.cmp(&other.high, order).is_le() {
            a.next();
        } else {
            b.next();
        }
    }
    common
}

/// The spans of whole keys: below each point of a column those of the next one.
fn product(sets: &[Option<Set>], order: Order) -> Vec<Span> {
    let mut spans = vec![Span::all()];
    for set in sets {
        let Some(set) = set else { break };
        let points = spans.iter().filter(|span| is_point(span, order)).count();
        if points == 0 || points.saturating_mul(set.len()) + spans.len() > MANY.max(set.len()) {
            break;
        }
        spans = spans
            .into_iter()
            .flat_map(|span| match is_point(&span, order) {
                true => below(&span, set),
                false => vec![span],
            })
            .collect();
    }
    spans
}

/// Whether all keys of a span begin with the same values, and with all values up to here.
fn is_point(span: &Span, order: Order) -> bool {
    let (low, high) = (&span.low, &span.high);
    let same = low.values.iter().zip(&high.values).all(|(a, b)| order(a, b).is_eq());
    same && low.values.len() == high.values.len() && !low.after && high.after
}

fn below(point: &Span, set: &Set) -> Vec<Span> {
    let prefix = &point.low.values;
    set.iter()
        .map(|span| Span { low: span.low.below(prefix), high: span.high.below(prefix) })
        .collect()
}
