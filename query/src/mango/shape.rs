//! What a selector in normal form says about fields, as far as the choice of an index asks.
//! Follows CouchDB to the letter: what counts as a use of a field decides which index is taken.
//! Never looks at documents.

use serde_json::Value;

/// The only member of an object in normal form: an operator or a field, and its argument.
pub(super) fn single(selector: &Value) -> Option<(&str, &Value)> {
    let members = selector.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(name, argument)| (name.as_str(), argument))
}

fn is_operator(name: &str) -> bool {
    name.starts_with('$')
}

/// The arguments of `$and`, `$or` and the like.
fn parts(argument: &Value) -> &[Value] {
    argument.as_array().map_or(&[], Vec::as_slice)
}

/// Whether it asks for a full-text search anywhere.
pub(super) fn is_text_search(selector: &Value) -> bool {
    match single(selector) {
        Some(("$default", _)) => true,
        Some((_, Value::Array(parts))) => parts.iter().any(is_text_search),
        Some((_, condition)) => is_text_search(condition),
        None => false,
    }
}

/// Of these fields, those that documents can match without having.
pub(super) fn optional_fields<'a>(selector: &Value, fields: Vec<&'a str>) -> Vec<&'a str> {
    match single(selector) {
        _ if fields.is_empty() => fields,
        None => fields,
        Some(("$and", argument)) => {
            parts(argument).iter().fold(fields, |left, part| optional_fields(part, left))
        }
        Some(("$or", argument)) => {
            let each = parts(argument).iter().map(|part| optional_fields(part, fields.clone()));
            let mut left: Vec<&str> = each.flatten().collect();
            left.sort_unstable();
            left.dedup();
            left
        }
        Some((name, condition)) => {
            let absent = single(condition) == Some(("$exists", &Value::Bool(false)));
            fields.into_iter().filter(|field| absent || *field != name).collect()
        }
    }
}

/// Whether all that match have the same value there.
pub(super) fn is_constant(selector: &Value, field: &str) -> bool {
    match single(selector) {
        Some(("$and", argument)) => parts(argument).iter().any(|part| is_constant(part, field)),
        Some((name, condition)) if name == field => {
            single(condition).is_some_and(|(operator, _)| operator == "$eq")
        }
        _ => false,
    }
}

/// Whether an index could give a range for the operator.
pub(super) fn is_indexable(operator: &str) -> bool {
    matches!(operator, "$lt" | "$lte" | "$eq" | "$gte" | "$gt" | "$beginsWith" | "$exists")
}

/// The fields of which an index could give a range, in order, each once.
pub(super) fn indexable_fields(selector: &Value) -> Vec<&str> {
    let mut fields = Vec::new();
    each_condition(selector, &mut |field, operator, _| {
        if is_indexable(operator) {
            fields.push(field);
        }
    });
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// All fields that conditions are about.
pub(super) fn fields(selector: &Value) -> Vec<&str> {
    match single(selector) {
        Some((name, Value::Array(parts))) if is_operator(name) => {
            parts.iter().flat_map(fields).collect()
        }
        Some((name, _)) => vec![name],
        None => Vec::new(),
    }
}

/// Calls with every condition on a field that all matching documents meet: the field, the operator
/// and its argument.
pub(super) fn each_condition<'a>(
    selector: &'a Value,
    visit: &mut impl FnMut(&'a str, &'a str, &'a Value),
) {
    match single(selector) {
        Some(("$and", argument)) => {
            parts(argument).iter().for_each(|part| each_condition(part, visit));
        }
        Some((field, condition)) if !is_operator(field) => {
            if let Some((operator, argument)) = single(condition) {
                visit(field, operator, argument);
            }
        }
        _ => {}
    }
}

/// Whether a question about these fields asks for what a document has besides its body.
pub(super) fn reads_meta<'f>(mut fields: impl Iterator<Item = &'f str>) -> bool {
    fields.any(|field| field.is_empty() || field.starts_with(['_', '\\', '.']))
}
