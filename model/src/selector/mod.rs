//! Mango selectors: whether a document is what a client looks for. Reads a selector as CouchDB
//! does (the same normal form, the same errors) and matches it against documents as JSON text in
//! stored form, of which it parses only what the selector names. Never looks for an index.

mod field;
mod latin1;
mod matcher;
mod normal;
mod pattern;
mod pcre;
mod term;
#[cfg(test)]
mod tests;

pub use field::FieldPath;
pub use pattern::Pattern;
pub use term::Term;

use serde_json::Value;

use crate::json::Raw;
use matcher::Condition;

/// A selector that was checked.
#[derive(Clone, Debug)]
pub struct Selector {
    normal: Value,
    condition: Condition,
}

impl Selector {
    /// Reads a selector as a client wrote it.
    ///
    /// # Errors
    /// [`SelectorError`] with CouchDB's words.
    pub fn parse(selector: &Value) -> Result<Selector, SelectorError> {
        if is_deeper(selector, DEEPEST) {
            return Err(SelectorError::TooDeep);
        }
        let normal = normal::normalise(selector)?;
        let condition = Condition::compile(&normal, false)?;
        Ok(Selector { normal, condition })
    }

    /// Whether a document passes: a JSON object in stored form, with the members `_id`, `_rev` and
    /// so on that a reader would get.
    #[must_use]
    pub fn matches(&self, document: &[u8]) -> bool {
        self.condition.matches(Raw(document), false).unwrap_or(false)
    }

    /// CouchDB's normal form: every object has one member; operators on values stand below the
    /// full path of a field; negations are as far down as they go.
    #[must_use]
    pub fn normal_form(&self) -> &Value {
        &self.normal
    }
}

/// Levels of a selector's JSON: reading it and matching take stack for each.
const DEEPEST: usize = 200;

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, levels)),
        Value::Object(members) => members.values().any(|value| is_deeper(value, levels)),
        _ => false,
    }
}

/// What is wrong with a selector. Displays as CouchDB's reason; all are a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It is no JSON object.
    #[error("Selector must be a JSON object, not: {0}")]
    NotAnObject(String),
    /// A condition on nothing, such as `{"$gt": 1}`.
    #[error("One or more conditions is missing a field name.")]
    MissingFieldName,
    /// The operator does not take such a value.
    #[error("Bad argument for operator {operator}: {argument}")]
    BadArgument {
        /// With its dollar sign.
        operator: String,
        /// As Erlang prints it.
        argument: String,
    },
    /// An operator that others have.
    #[error("Unsupported operator: {0}")]
    NotSupported(String),
    /// No operator at all.
    #[error("Invalid operator: {0}")]
    InvalidOperator(String),
    /// A condition that cannot stand where it does.
    #[error("Invalid field normalization on selector: {0}")]
    BadField(String),
    /// More levels than anybody needs.
    #[error("Selector is nested too deeply.")]
    TooDeep,
    /// A path with an empty part.
    #[error("Invalid field name: {0}")]
    InvalidFieldName(String),
}

impl SelectorError {
    /// CouchDB's short name of the error: the `error` member of an answer.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            SelectorError::NotAnObject(_) => "invalid_selector_json",
            SelectorError::MissingFieldName => "invalid_selector",
            SelectorError::BadArgument { .. } => "bad_arg",
            SelectorError::NotSupported(_) => "not_supported",
            SelectorError::InvalidOperator(_) => "invalid_operator",
            SelectorError::BadField(_) => "bad_field",
            SelectorError::TooDeep => "invalid_selector",
            SelectorError::InvalidFieldName(_) => "invalid_field_name",
        }
    }

    fn bad_argument(operator: &str, argument: &Value) -> Self {
        SelectorError::BadArgument {
            operator: operator.into(),
            argument: term::Term(argument).to_string(),
        }
    }
}
