//! The members of a request: taken one after the other, each checked for its type, none left
//! over. Never knows what they are for.

use std::borrow::Cow;

use serde_json::Value;
use settee_model::json::{Raw, value};
use settee_model::selector::Term;

use super::error::MangoError;

type Result<T> = std::result::Result<T, MangoError>;

/// Members of an object in stored form that were not taken yet, in its order.
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Members<'a> {
    /// Walks an object; `None` for other values.
    pub fn new(object: Raw<'a>) -> Option<Self> {
        Some(Members(object.members()?.collect()))
    }

    pub fn take(&mut self, name: &str) -> Option<Raw<'a>> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.remove(at).1)
    }

    pub fn required(&mut self, name: &str) -> Result<Raw<'a>> {
        self.take(name).ok_or_else(|| MangoError::missing_key(name))
    }

    /// Reads a member if it is there, else gives the default.
    pub fn optional<T>(
        &mut self,
        name: &str,
        default: T,
        read: impl FnOnce(Raw<'a>) -> Result<T>,
    ) -> Result<T> {
        self.take(name).map_or(Ok(default), read)
    }

    /// Complains about the first member that nobody took.
    pub fn finish(self) -> Result<()> {
        match self.0.first() {
            Some((name, _)) => Err(MangoError::invalid_key(name)),
            None => Ok(()),
        }
    }
}

/// A value as a tree. What was checked before it came here has one.
pub(super) fn tree(raw: Raw<'_>) -> Value {
    value(raw.bytes()).unwrap_or_default()
}

/// As Erlang prints it.
fn printed(raw: Raw<'_>) -> String {
    Term(&tree(raw)).to_string()
}

pub(super) fn boolean(raw: Raw<'_>) -> Result<bool> {
    let reason = || format!("Invalid boolean value: {}", printed(raw));
    raw.as_bool().ok_or_else(|| MangoError::bad("invalid_boolean", reason()))
}

pub(super) fn text(raw: Raw<'_>) -> Result<String> {
    let reason = || format!("Invalid string: {}", printed(raw));
    let text = raw.as_str().map(Cow::into_owned);
    text.ok_or_else(|| MangoError::bad("invalid_string", reason()))
}

/// A string that is not empty.
pub(super) fn name(raw: Raw<'_>) -> Result<String> {
    match text(raw)? {
        name if name.is_empty() => {
            let reason = "Index name or ddoc cannot be empty string";
            Err(MangoError::bad("invalid_empty_string", reason))
        }
        name => Ok(name),
    }
}

pub(super) fn positive(raw: Raw<'_>) -> Result<u64> {
    let reason = || format!("{} is not an integer greater than zero", printed(raw));
    let number = integer(raw).filter(|number| *number > 0);
    number.ok_or_else(|| MangoError::bad("invalid_pos_integer", reason()))
}

pub(super) fn natural(raw: Raw<'_>) -> Result<u64> {
    let reason = || format!("{} is not an integer greater than or equal to zero", printed(raw));
    integer(raw).ok_or_else(|| MangoError::bad("invalid_non_neg_integer", reason()))
}

/// An integer that is not negative; those that don't fit count as the largest that does.
fn integer(raw: Raw<'_>) -> Option<u64> {
    let negative = raw.starts_with(b"-") && raw.as_i64() != Some(0);
    (raw.is_integer() && !negative).then(|| raw.as_u64().unwrap_or(u64::MAX))
}
