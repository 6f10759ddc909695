//! A selector made ready to be asked many times. Follows CouchDB into its corners (what an
//! empty list means, what compares by bytes, which mistakes come to light only inside arrays), but not
//! into its crashes. Never brings a selector into normal form itself (see `normal`).

use std::cmp::Ordering;

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use crate::collate::{compare, compare_terms, same};
use crate::json::Raw;
use crate::json::number::{Number, value};

use super::SelectorError;
use super::field::{FieldPath, Found};
use super::normal::single;
use super::pattern::Pattern;

/// Part of a selector.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field {
        path: FieldPath,
        test: Box<Condition>,
    },
    Test(Test),
    /// What CouchDB notices to be wrong only when it gets there. Only inside of array operators.
    Broken,
}

/// A question about one value. Values to compare with are JSON text in stored form.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Less(Vec<u8>),
    LessOrEqual(Vec<u8>),
    Equal(Vec<u8>),
    NotEqual(Vec<u8>),
    GreaterOrEqual(Vec<u8>),
    Greater(Vec<u8>),
    /// Sorted in the order by which they are compared.
    In(Vec<Vec<u8>>),
    /// Sorted likewise.
    NotIn(Vec<Vec<u8>>),
    HasAll(Vec<Vec<u8>>),
    Exists(bool),
    Type(String),
    Remainder {
        divisor: i64,
        rest: i64,
    },
    Regex(Pattern),
    BeginsWith(String),
    Size(u64),
    SomeElement(Box<Condition>),
    EveryElement(Box<Condition>),
    SomeKey(Box<Condition>),
    /// A full-text index has answered already.
    Text,
}

/// How values compare.
type Order = fn(&[u8], &[u8]) -> Ordering;

fn order(by_bytes: bool) -> Order {
    if by_bytes { compare_terms } else { compare }
}

/// The mistake of [`Condition::Broken`].
pub(super) struct Mistake;

impl Condition {
    /// Reads a selector in normal form. `by_bytes` as it will be matched.
    pub fn compile(normal: &Value, by_bytes: bool) -> Result<Condition, SelectorError> {
        let Some((name, argument)) = single(normal) else {
            return Ok(Condition::All(Vec::new()));
        };
        let parts = || argument.as_array().map_or(&[][..], Vec::as_slice);
        let one = |part| Condition::compile(part, by_bytes);
        let conditions = || parts().iter().map(one).collect::<Result<Vec<_>, _>>();
        Ok(match name {
            "$and" => Condition::All(grouped(conditions()?, Condition::All)),
            "$or" => Condition::Any(grouped(conditions()?, Condition::Any)),
            "$not" => Condition::Not(Box::new(one(argument)?)),
            _ if name.starts_with('$') => Test::compile(name, argument, parts(), by_bytes),
            _ => {
                let path = FieldPath::parse(name)?;
                let by_bytes = by_bytes || path.is("_id");
                let test = Box::new(Condition::compile(argument, by_bytes)?);
                Condition::Field { path, test }
            }
        })
    }

    /// Reads the argument of an array operator, where mistakes count only when they are met.
    fn compile_inner(normal: &Value, by_bytes: bool) -> Box<Condition> {
        Box::new(Condition::compile(normal, by_bytes).unwrap_or(Condition::Broken))
    }

    /// Whether a value passes. `by_bytes`: strings compare by their bytes, as those of `_id` do.
    pub fn matches(&self, value: Raw<'_>, by_bytes: bool) -> Result<bool, Mistake> {
        match self {
            Condition::All(parts) => {
                for part in parts {
                    if !part.matches(value, by_bytes)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Any(parts) => {
                for part in parts {
                    if part.matches(value, by_bytes)? {
                        return Ok(true);
                    }
                }
                Ok(parts.is_empty())
            }
            Condition::Not(part) => Ok(!part.matches(value, by_bytes)?),
            Condition::Field { path, test } => match path.follow(value) {
                Found::Value(found) => test.matches(found, by_bytes || path.is("_id")),
                Found::Absent => Ok(is_absence(test)),
                Found::Astray => Ok(false),
            },
            Condition::Test(test) => Ok(test.passes(value, by_bytes)),
            Condition::Broken => Err(Mistake),
        }
    }
}

/// Whether it is what documents without the field pass.
fn is_absence(test: &Condition) -> bool {
    matches!(test, Condition::Test(Test::Exists(false)))
}

/// Follows a path once for neighbours that are about the same field.
fn grouped(parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Vec<Condition> {
    let mut groups: Vec<(Option<FieldPath>, Vec<Condition>)> = Vec::new();
    for part in parts {
        let (path, part) = match part {
            // Only by itself does this one pass where there is no field.
            Condition::Field { path, test } if !is_absence(&test) => (Some(path), *test),
            other => (None, other),
        };
        match groups.last_mut() {
            Some((last, group)) if path.is_some() && *last == path => group.push(part),
            _ => groups.push((path, vec![part])),
        }
    }
    let ungroup = |(path, mut group): (Option<FieldPath>, Vec<Condition>)| {
        let test = if group.len() > 1 { join(group) } else { group.pop()? };
        Some(match path {
            Some(path) => Condition::Field { path, test: Box::new(test) },
            None => test,
        })
    };
    groups.into_iter().filter_map(ungroup).collect()
}

impl Test {
    fn compile(operator: &str, argument: &Value, list: &[Value], by_bytes: bool) -> Condition {
        let text = |value: &Value| value.to_string().into_bytes();
        let texts = || list.iter().map(text).collect::<Vec<_>>();
        let sorted = || {
            let mut texts = texts();
            texts.sort_by(|a, b| order(by_bytes)(a, b));
            texts
        };
        let word = || argument.as_str().unwrap_or_default().to_owned();
        let test = match operator {
            "$lt" => Test::Less(text(argument)),
            "$lte" => Test::LessOrEqual(text(argument)),
            "$eq" => Test::Equal(text(argument)),
            "$ne" => Test::NotEqual(text(argument)),
            "$gte" => Test::GreaterOrEqual(text(argument)),
            "$gt" => Test::Greater(text(argument)),
            "$in" => Test::In(sorted()),
            "$nin" => Test::NotIn(sorted()),
            "$all" => Test::HasAll(texts()),
            "$exists" => Test::Exists(argument.as_bool().unwrap_or_default()),
            "$type" => Test::Type(word()),
            "$mod" => match list {
                [divisor, rest] => Test::Remainder {
                    divisor: divisor.as_i64().unwrap_or_default(),
                    rest: rest.as_i64().unwrap_or_default(),
                },
                _ => return Condition::Broken,
            },
            "$regex" => match Pattern::new(&word()) {
                Some(pattern) => Test::Regex(pattern),
                None => return Condition::Broken,
            },
            "$beginsWith" => Test::BeginsWith(word()),
            "$size" => Test::Size(argument.as_u64().unwrap_or_default()),
            "$elemMatch" => Test::SomeElement(Condition::compile_inner(argument, by_bytes)),
            "$allMatch" => Test::EveryElement(Condition::compile_inner(argument, by_bytes)),
            "$keyMapMatch" => Test::SomeKey(Condition::compile_inner(argument, by_bytes)),
            "$default" => Test::Text,
            // Nothing else comes through normalisation, but for `$nor` in an array operator.
            _ => return Condition::Broken,
        };
        Condition::Test(test)
    }

    fn passes(&self, value: Raw<'_>, by_bytes: bool) -> bool {
        let order = order(by_bytes);
        let equal = |value: Raw<'_>, text: &Vec<u8>| order(&value, text).is_eq();
        match self {
            Test::Less(than) => order(&value, than).is_lt(),
            Test::LessOrEqual(to) => order(&value, to).is_le(),
            Test::Equal(to) => equal(value, to),
            Test::NotEqual(to) => !equal(value, to),
            Test::GreaterOrEqual(to) => order(&value, to).is_ge(),
            Test::Greater(than) => order(&value, than).is_gt(),
            Test::In(list) => is_in(value, list, order),
            Test::NotIn(list) => !is_in(value, list, order),
            Test::HasAll(list) => has_all(value, list),
            Test::Exists(should) => *should,
            Test::Type(name) => type_of(value) == name,
            Test::Remainder { divisor, rest } => remainder(value, *divisor) == Some(*rest),
            Test::Regex(pattern) => value.as_str().is_some_and(|text| pattern.is_in(&text)),
            Test::BeginsWith(prefix) => value.as_str().is_some_and(|text| begins(&text, prefix)),
            Test::Size(size) => {
                value.elements().is_some_and(|elements| elements.count() as u64 == *size)
            }
            Test::SomeElement(condition) => value.elements().is_some_and(|mut elements| {
                elements.find_map(|element| decisive(condition, element, by_bytes)) == Some(true)
            }),
            Test::EveryElement(condition) => value.elements().is_some_and(|mut elements| {
                let first = elements.clone().next();
                first.is_some() && elements.all(|e| condition.matches(e, by_bytes).unwrap_or(false))
            }),
            Test::SomeKey(condition) => has_key(value, condition, by_bytes),
            Test::Text => true,
        }
    }
}

/// What a search through elements ends with at this one, if it ends: an element that passes, or a
/// mistake, after which CouchDB looks no further.
fn decisive(condition: &Condition, element: Raw<'_>, by_bytes: bool) -> Option<bool> {
    match condition.matches(element, by_bytes) {
        Ok(passes) => passes.then_some(true),
        Err(Mistake) => Some(false),
    }
}

fn has_key(value: Raw<'_>, condition: &Condition, by_bytes: bool) -> bool {
    let Some(mut members) = value.members() else { return false };
    let key = |name: &str| Value::from(name).to_string();
    let found =
        members.find_map(|(name, _)| decisive(condition, Raw(key(&name).as_bytes()), by_bytes));
    found == Some(true)
}

/// Whether a text begins with another, of which the last character must not become part of a
/// larger one: as Erlang has it, é made of two code points does not begin with e.
fn begins(text: &str, prefix: &str) -> bool {
    let Some((at, last)) = prefix.char_indices().next_back() else { return true };
    let first_seen = || text.get(at..).and_then(|tail| tail.graphemes(true).next());
    text.starts_with(prefix) && first_seen().is_some_and(|seen| seen.len() == last.len_utf8())
}

/// An array is in the list if one of its elements is. The list is sorted.
fn is_in(value: Raw<'_>, list: &[Vec<u8>], order: Order) -> bool {
    let one = |value: Raw<'_>| list.binary_search_by(|text| order(text, &value)).is_ok();
    match value.elements() {
        Some(mut elements) => elements.any(one),
        None => one(value),
    }
}

/// All of the list are elements of the array; or the list holds nothing but that very array.
fn has_all(value: Raw<'_>, list: &[Vec<u8>]) -> bool {
    let Some(elements) = value.elements().filter(|_| !list.is_empty()) else { return false };
    let whole = match list {
        [only] => only.starts_with(b"[") && compare_terms(&value, only).is_eq(),
        _ => false,
    };
    whole || list.iter().all(|text| elements.clone().any(|element| same(&element, text)))
}

fn type_of(value: Raw<'_>) -> &'static str {
    match value.first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "boolean",
        Some(b'"') => "string",
        Some(b'[') => "array",
        Some(b'{') => "object",
        _ => "number",
    }
}

/// What is left of an integer; its sign is that of the integer. Nothing is left of other values,
/// nor of a division by zero, which is an error in CouchDB.
fn remainder(dividend: Raw<'_>, divisor: i64) -> Option<i64> {
    match value(&dividend)? {
        Number::Small(small) => small.checked_rem(divisor),
        Number::Big { negative, digits } if divisor != 0 => {
            let modulus = i128::from(divisor).abs();
            let digit = |rest: i128, digit: &u8| (rest * 10 + i128::from(digit & 15)) % modulus;
            let rest = digits.iter().fold(0, digit);
            i64::try_from(if negative { -rest } else { rest }).ok()
        }
        _ => None,
    }
}
