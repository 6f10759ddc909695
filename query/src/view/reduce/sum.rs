//! `_sum`: numbers, lists element by element, objects member by member. What cannot be added makes the
//! result an object that says so, which is everybody's sum from then on. A partial result is the value
//! itself. Pure.

use std::collections::BTreeMap;

use settee_model::json::Raw;

use super::number::Num;
use super::value::Value;
use super::{Input, Partial, too_large};

const WORDS: &str = "The _sum function requires that map values be numbers, arrays of numbers, or objects. Objects cannot be mixed with other data structures. Objects can be arbitrarily nested, provided that the values for all fields are themselves numbers, arrays of numbers, or objects.";
const ERROR: &str = "builtin_reduce_error";

/// Larger results must be less than half of what went in.
const FREE: usize = 4906;

/// Why there is no sum: the value to show instead.
struct NoSum(Value);

impl NoSum {
    fn caused_by(cause: Value) -> NoSum {
        let text = |text: &str| Value::Other(serde_json::Value::from(text).to_string().into());
        NoSum(Value::Object(vec![
            ("error".into(), text(ERROR)),
            ("reason".into(), text(WORDS)),
            ("caused_by".into(), cause),
        ]))
    }
}

/// Adds up the values of rows, the last one first, as CouchDB has them when it reads them for a query.
pub(super) fn rows(rows: &[Input<'_>], limited: bool) -> Partial {
    values(rows.iter().rev().map(|row| row.value), limited)
}

/// Adds up values.
pub(super) fn values<'a>(values: impl Iterator<Item = &'a [u8]>, limited: bool) -> Partial {
    let mut acc = Value::Number(Num::Int(0));
    let mut size = 0;
    for json in values {
        size += json.len();
        acc = match (&acc, Num::parse(json)) {
            (Value::Number(sum), Some(number)) => Value::Number(sum.add(number)),
            _ => match add(Value::parse(Raw(json)), acc) {
                Ok(sum) => sum,
                Err(NoSum(shown)) => {
                    acc = shown;
                    break;
                }
            },
        };
    }
    if !acc.is_finite() {
        return too_large();
    }
    let mut out = Vec::with_capacity(24);
    acc.put(&mut out);
    if limited && out.len() > FREE && out.len() * 2 > size {
        let reason = format!(
            "Reduce output must shrink more rapidly: input size: {size} output size: {}",
            out.len()
        );
        let object = serde_json::json!({"error": ERROR, "reason": reason});
        out = object.to_string().into_bytes();
    }
    Partial::Value(out.into())
}

fn add(value: Value, acc: Value) -> Result<Value, NoSum> {
    match (value, acc) {
        (Value::Number(value), Value::Number(acc)) => Ok(Value::Number(acc.add(value))),
        (Value::List(value), Value::List(acc)) => add_lists(acc, value),
        (value @ Value::Number(_), Value::List(acc)) => add_lists(acc, vec![value]),
        (Value::List(value), acc @ Value::Number(_)) => add_lists(vec![acc], value),
        (value @ Value::Object(_), _) if is_error(&value) => Err(NoSum(value)),
        (value @ Value::Object(_), Value::Number(Num::Int(0))) => Ok(value),
        (Value::Object(value), Value::Object(acc)) => add_objects(value, acc),
        (value, _) => Err(NoSum::caused_by(value)),
    }
}

fn is_error(value: &Value) -> bool {
    matches!(value.member("error"), Some(Value::Other(text)) if Raw(text).as_str().as_deref() == Some(ERROR))
}

fn add_lists(acc: Vec<Value>, value: Vec<Value>) -> Result<Value, NoSum> {
    let (longer, shared) = (acc.len().max(value.len()), acc.len().min(value.len()));
    let mut sums = Vec::with_capacity(longer);
    let (mut acc, mut value) = (acc.into_iter(), value.into_iter());
    for _ in 0..shared {
        match (acc.next(), value.next()) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => sums.push(Value::Number(a.add(b))),
            (first, _) => {
                return Err(NoSum::caused_by(Value::List(first.into_iter().chain(acc).collect())));
            }
        }
    }
    sums.extend(acc.chain(value));
    Ok(Value::List(sums))
}

/// The sum has its members in the order of their names.
fn add_objects(value: Vec<(String, Value)>, acc: Vec<(String, Value)>) -> Result<Value, NoSum> {
    let mut sums: BTreeMap<String, Value> = acc.into_iter().collect();
    let mut value: Vec<_> = value.into_iter().collect();
    value.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, value) in value {
        let sum = match sums.remove(&name) {
            Some(acc) => add(value, acc)?,
            None => value,
        };
        sums.insert(name, sum);
    }
    Ok(Value::Object(sums.into_iter().collect()))
}
