//! CouchDB's normal form of a selector, in its three steps: operators made explicit and checked,
//! field names joined to paths above the operators they are tested by, negations moved down.
//! Knows the shape of operators, not what they mean for a document (see `matcher`).

use serde_json::{Map, Value};

use super::SelectorError;
use super::pattern::Pattern;
use super::term::Term;

type Result<T> = std::result::Result<T, SelectorError>;

/// Normalises a selector; the empty one stays as it is.
pub(super) fn normalise(selector: &Value) -> Result<Value> {
    let members = match selector {
        Value::Object(members) => members,
        other => return Err(SelectorError::NotAnObject(Term(other).to_string())),
    };
    if members.is_empty() {
        return Ok(selector.clone());
    }
    let explicit = explicit_operators(selector)?;
    let normal = negations_down(paths_up(explicit, "")?)?;
    match single(&normal) {
        Some(("", _)) => Err(SelectorError::MissingFieldName),
        _ => Ok(normal),
    }
}

/// The only member of an object that has one member.
pub(super) fn single(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(name, value)| (name.as_str(), value))
}

fn object(name: impl Into<String>, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.into(), value)]))
}

fn explicit_operators(value: &Value) -> Result<Value> {
    let Some((name, argument)) = single(value) else {
        return match value {
            Value::Object(members) if members.len() > 1 => {
                let one = |(name, value): (&String, &Value)| {
                    explicit_operators(&object(name.as_str(), value.clone()))
                };
                Ok(object("$and", members.iter().map(one).collect::<Result<_>>()?))
            }
            // A bare value stands for equality with it.
            _ => Ok(object("$eq", value.clone())),
        };
    };
    match name {
        "$and" | "$or" | "$nor" => match argument {
            Value::Array(parts) => {
                let parts = parts.iter().map(explicit_operators).collect::<Result<_>>()?;
                Ok(object(name, parts))
            }
            _ => Err(SelectorError::bad_argument(name, argument)),
        },
        "$not" | "$elemMatch" | "$allMatch" | "$keyMapMatch" => match argument {
            Value::Object(_) => Ok(object(name, explicit_operators(argument)?)),
            _ => Err(SelectorError::bad_argument(name, argument)),
        },
        "$text" => match argument {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                Ok(object("$default", value.clone()))
            }
            _ => Err(SelectorError::bad_argument(name, argument)),
        },
        _ if name.starts_with('$') => {
            check_terminal(name, argument)?;
            Ok(value.clone())
        }
        _ => Ok(object(name, explicit_operators(argument)?)),
    }
}

/// Checks the value of an operator below which there are no further conditions.
fn check_terminal(operator: &str, argument: &Value) -> Result<()> {
    let integer = |value: &Value| value.is_i64() || value.is_u64();
    let fits = match operator {
        "$lt" | "$lte" | "$eq" | "$ne" | "$gte" | "$gt" | "$default" => true,
        "$in" | "$nin" | "$all" => argument.is_array(),
        "$exists" => argument.is_boolean(),
        "$type" => argument.is_string(),
        "$mod" => {
            argument.as_array().is_some_and(|pair| pair.len() == 2 && pair.iter().all(integer))
        }
        "$size" => argument.is_u64(),
        // CouchDB does not know these two operators if what they get is no string.
        "$regex" if argument.is_string() => {
            argument.as_str().is_some_and(|pattern| Pattern::new(pattern).is_some())
        }
        "$beginsWith" if argument.is_string() => true,
        "$where" | "$geoWithin" | "$geoIntersects" | "$near" | "$nearSphere" => {
            return Err(SelectorError::NotSupported(operator.into()));
        }
        _ => return Err(SelectorError::InvalidOperator(operator.into())),
    };
    if fits { Ok(()) } else { Err(SelectorError::bad_argument(operator, argument)) }
}

/// Moves field names down to the operators that test the field, joined with dots.
fn paths_up(value: Value, path: &str) -> Result<Value> {
    let (name, argument) = match take_single(value) {
        Ok(member) => member,
        Err(other) => return Err(SelectorError::BadField(Term(&other).to_string())),
    };
    match (name.as_str(), argument) {
        ("$and" | "$or" | "$nor", Value::Array(parts)) => {
            let parts = parts.into_iter().map(|part| paths_up(part, path));
            Ok(object(name, parts.collect::<Result<_>>()?))
        }
        ("$not", part) => Ok(object(name, paths_up(part, path)?)),
        ("$elemMatch" | "$allMatch" | "$keyMapMatch", part) => {
            Ok(object(path, object(name, paths_up(part, "")?)))
        }
        ("$default", argument) => {
            let whole = object(name, argument);
            let text = whole.get("$default").and_then(single);
            let at_top = path.is_empty() && text.is_some_and(|(name, _)| name == "$text");
            match at_top {
                true => Ok(whole),
                false => Err(SelectorError::BadField(Term(&whole).to_string())),
            }
        }
        (operator, argument) if operator.starts_with('$') => {
            Ok(object(path, object(operator, argument)))
        }
        (field, condition) if path.is_empty() => paths_up(condition, field),
        (field, condition) => paths_up(condition, &format!("{path}.{field}")),
    }
}

/// The only member of an object that has one; all else comes back.
fn take_single(value: Value) -> std::result::Result<(String, Value), Value> {
    match value {
        Value::Object(members) if members.len() == 1 => {
            members.into_iter().next().ok_or(Value::Null)
        }
        other => Err(other),
    }
}

fn negations_down(value: Value) -> Result<Value> {
    let Ok((name, argument)) = take_single(value) else { return Ok(Value::Null) };
    match (name.as_str(), argument) {
        ("$not", part) => negate(part),
        ("$nor", Value::Array(parts)) => Ok(object("$and", each(parts, negate)?)),
        ("$and" | "$or", Value::Array(parts)) => Ok(object(name, each(parts, negations_down)?)),
        (_, argument) => Ok(object(name, argument)),
    }
}

fn negate(value: Value) -> Result<Value> {
    let Ok((name, argument)) = take_single(value) else { return Ok(Value::Null) };
    let opposite = match name.as_str() {
        "$lt" => "$gte",
        "$lte" => "$gt",
        "$eq" => "$ne",
        "$ne" => "$eq",
        "$gte" => "$lt",
        "$gt" => "$lte",
        "$in" => "$nin",
        "$nin" => "$in",
        "$and" => "$or",
        "$or" => "$and",
        _ => "",
    };
    match (name.as_str(), argument) {
        ("$not", part) => negations_down(part),
        ("$nor", Value::Array(parts)) => Ok(object("$or", each(parts, negations_down)?)),
        ("$and" | "$or", Value::Array(parts)) => Ok(object(opposite, each(parts, negate)?)),
        ("$default", argument) => Err(SelectorError::bad_argument("$not", &object(name, argument))),
        ("$exists", Value::Bool(exists)) => Ok(object(name, Value::Bool(!exists))),
        (_, argument) if !opposite.is_empty() => Ok(object(opposite, argument)),
        (operator, argument) if operator.starts_with('$') => {
            Ok(object("$not", object(operator, argument)))
        }
        (field, condition) => Ok(object(field, negate(condition)?)),
    }
}

fn each(parts: Vec<Value>, step: fn(Value) -> Result<Value>) -> Result<Value> {
    parts.into_iter().map(step).collect()
}
