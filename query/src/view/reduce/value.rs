//! Values that `_sum` adds up: numbers, and lists and objects of values. Others are kept as they are.
//! Pure.

use settee_model::json::{DEPTH_MAX, Raw, escape_into};

use super::number::Num;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(Num),
    List(Vec<Value>),
    /// Members by name, in the order in which they were written.
    Object(Vec<(String, Value)>),
    /// A string or a word, in stored form.
    Other(Vec<u8>),
}

impl Value {
    /// Reads a value in stored form. What is nested too deep is taken for something else.
    pub(super) fn parse(json: Raw<'_>) -> Value {
        Value::parse_within(json, DEPTH_MAX)
    }

    fn parse_within(json: Raw<'_>, depth: usize) -> Value {
        if let Some(number) = Num::parse(&json) {
            return Value::Number(number);
        }
        let Some(depth) = depth.checked_sub(1) else { return Value::Other(json.to_vec()) };
        if let Some(elements) = json.elements() {
            return Value::List(elements.map(|item| Value::parse_within(item, depth)).collect());
        }
        match json.members() {
            Some(members) => {
                let member = |(name, value): (std::borrow::Cow<'_, str>, Raw<'_>)| {
                    (name.into_owned(), Value::parse_within(value, depth))
                };
                Value::Object(members.map(member).collect())
            }
            None => Value::Other(json.to_vec()),
        }
    }

    /// A member of an object.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => {
                members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Whether all numbers can be written.
    pub(super) fn is_finite(&self) -> bool {
        match self {
            Value::Number(number) => number.is_finite(),
            Value::List(items) => items.iter().all(Value::is_finite),
            Value::Object(members) => members.iter().all(|(_, value)| value.is_finite()),
            Value::Other(_) => true,
        }
    }

    /// Appends it in stored form.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Number(number) => number.put(out),
            Value::Other(json) => out.extend_from_slice(json),
            Value::List(items) => put_list(out, items, Value::put),
            Value::Object(members) => {
                out.push(b'{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    escape_into(out, name);
                    out.push(b':');
                    value.put(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Appends a list in stored form.
pub(super) fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put(item, out);
    }
    out.push(b']');
}
