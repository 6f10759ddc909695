//! `_stats`: sum, count, least, greatest and sum of squares of numbers, of lists element by element, or
//! of objects that hold these five already. A partial result is such an object (or a list of them).
//! Pure.

use settee_model::json::Raw;

use super::number::Num;
use super::value::{Value, put_list};
use super::{Input, Partial, too_large};

const FIELDS: [&str; 5] = ["sum", "count", "min", "max", "sumsqr"];

/// The five numbers, or those of each element.
#[derive(Clone, Debug)]
enum Stats {
    Of([Num; 5]),
    List(Vec<Stats>),
}

const WORDS: &str = "The _stats function requires that map values be numbers or arrays of numbers";

/// Words for what has no stats.
struct NoStats(String);

/// Reduces rows: numbers the last one first, as CouchDB has them when it reads them for a query; but what
/// cannot be reduced it has met when it wrote them, in their order.
pub(super) fn rows(rows: &[Input<'_>]) -> Partial {
    match of(rows.iter().rev().map(|row| row.value)) {
        Partial::Failure { .. } => of(rows.iter().map(|row| row.value)),
        other => other,
    }
}

/// Reduces values: emitted ones, or partial results.
pub(super) fn of<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Partial {
    let stats = match values.next() {
        None => Ok(Stats::Of([Num::Int(0); 5])),
        Some(first) => {
            let first = read(&Value::parse(Raw(first)));
            first.and_then(|first| values.try_fold(first, add_json))
        }
    };
    match stats {
        Ok(stats) if !stats.is_finite() => too_large(),
        Ok(stats) => {
            let mut out = Vec::with_capacity(64);
            stats.put(&mut out);
            Partial::Value(out.into())
        }
        Err(NoStats(reason)) => Partial::Failure { error: "invalid_value".into(), reason },
    }
}

fn add_json(acc: Stats, json: &[u8]) -> Result<Stats, NoStats> {
    match (&acc, Num::parse(json)) {
        (Stats::Of(acc), Some(number)) => Ok(Stats::Of(join(acc, &single(number)))),
        _ => match Value::parse(Raw(json)) {
            value @ Value::Other(_) => Err(NoStats(format!("{WORDS}, not '{}'", term(&value)))),
            value => add(acc, read(&value)?),
        },
    }
}

fn single(number: Num) -> [Num; 5] {
    [number, Num::Int(1), number, number, number.square()]
}

fn join(a: &[Num; 5], b: &[Num; 5]) -> [Num; 5] {
    let [sum, count, min, max, squares] = *a;
    let [other_sum, other_count, other_min, other_max, other_squares] = *b;
    [
        sum.add(other_sum),
        count.add(other_count),
        min.min(other_min),
        max.max(other_max),
        squares.add(other_squares),
    ]
}

fn read(value: &Value) -> Result<Stats, NoStats> {
    match value {
        Value::Number(number) => Ok(Stats::Of(single(*number))),
        Value::List(items) => items.iter().map(read).collect::<Result<_, _>>().map(Stats::List),
        Value::Object(_) => {
            let mut numbers = [Num::Int(0); 5];
            for (number, field) in numbers.iter_mut().zip(FIELDS) {
                *number = match value.member(field) {
                    Some(Value::Number(found)) => *found,
                    Some(other) => {
                        let words = format!("non-numeric _stats input received for {field}: ");
                        return Err(NoStats(words + &shown(other)));
                    }
                    None => {
                        let words = format!("user _stats input missing required field {field} (");
                        let Value::Object(members) = value else { break };
                        return Err(NoStats(words + &term_of_members(members) + ")"));
                    }
                };
            }
            Ok(Stats::Of(numbers))
        }
        Value::Other(_) => Err(NoStats(format!("non-numeric _stats input: {}", shown(value)))),
    }
}

/// A value in the words of an error: strings as Erlang shows them, as lists of bytes.
fn shown(value: &Value) -> String {
    if let Value::Other(json) = value
        && let Some(text) = Raw(json).as_str()
    {
        let bytes: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
        return format!("<<{}>>", bytes.join(","));
    }
    let mut out = Vec::new();
    value.put(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A value as Erlang shows it.
fn term(value: &Value) -> String {
    match value {
        Value::Number(_) => shown(value),
        Value::Other(json) => match Raw(json).as_str() {
            Some(text) if text.is_ascii() => format!("<<{text:?}>>"),
            Some(text) => format!("<<{text:?}/utf8>>"),
            None => shown(value),
        },
        Value::List(items) => {
            format!("[{}]", items.iter().map(term).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => format!("{{{}}}", term_of_members(members)),
    }
}

fn term_of_members(members: &[(String, Value)]) -> String {
    let name = |name: &String| {
        let text = serde_json::Value::from(name.as_str()).to_string();
        term(&Value::Other(text.into()))
    };
    let member = |(named, value): &(String, Value)| format!("{{{},{}}}", name(named), term(value));
    format!("[{}]", members.iter().map(member).collect::<Vec<_>>().join(","))
}

fn add(acc: Stats, value: Stats) -> Result<Stats, NoStats> {
    match (acc, value) {
        (Stats::Of(acc), Stats::Of(value)) => Ok(Stats::Of(join(&acc, &value))),
        (Stats::List(acc), Stats::List(value)) if acc.len() == value.len() => {
            let sums = acc.into_iter().zip(value).map(|(acc, value)| add(acc, value));
            sums.collect::<Result<_, _>>().map(Stats::List)
        }
        _ => Err(NoStats(format!("{WORDS}, all of the same length"))),
    }
}

impl Stats {
    fn is_finite(&self) -> bool {
        match self {
            Stats::Of(numbers) => numbers.iter().all(|number| number.is_finite()),
            Stats::List(items) => items.iter().all(Stats::is_finite),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Stats::Of(numbers) => {
                for (at, (field, number)) in FIELDS.iter().zip(numbers).enumerate() {
                    let before = if at == 0 { "{\"" } else { ",\"" };
                    out.extend_from_slice(before.as_bytes());
                    out.extend_from_slice(field.as_bytes());
                    out.extend_from_slice(b"\":");
                    number.put(out);
                }
                out.push(b'}');
            }
            Stats::List(items) => put_list(out, items, Stats::put),
        }
    }
}
