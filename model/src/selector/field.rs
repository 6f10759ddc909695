//! The path to a field: names with dots between them, a backslash before a dot that belongs to a
//! name. Never decides what is asked of the field.

use crate::json::Raw;

use super::SelectorError;

/// A path; the empty one is the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

/// Where a path leads.
pub(super) enum Found<'a> {
    /// To a value.
    Value(Raw<'a>),
    /// To an object without the member.
    Absent,
    /// Through something that has no members, or past the end of an array.
    Astray,
}

impl FieldPath {
    /// Reads a path such as `a.b.c`.
    ///
    /// # Errors
    /// [`SelectorError::InvalidFieldName`] if a part of it is empty.
    pub fn parse(text: &str) -> Result<FieldPath, SelectorError> {
        if text.is_empty() {
            return Ok(FieldPath(Vec::new()));
        }
        let mut names = vec![String::new()];
        let mut escaped = false;
        for character in text.chars() {
            match (character, names.last_mut()) {
                ('.', _) if !escaped => names.push(String::new()),
                ('\\', _) | (_, None) => {}
                (character, Some(name)) => name.push(character),
            }
            escaped = character == '\\';
        }
        match names.iter().any(String::is_empty) {
            true => Err(SelectorError::InvalidFieldName(text.into())),
            false => Ok(FieldPath(names)),
        }
    }

    /// The names on the way, outermost first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// What stands there in a value in stored form; numbers lead into arrays.
    #[must_use]
    pub fn find<'a>(&self, value: Raw<'a>) -> Option<Raw<'a>> {
        match self.follow(value) {
            Found::Value(value) => Some(value),
            Found::Absent | Found::Astray => None,
        }
    }

    /// Whether it is the field of that name, at the top.
    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.0.as_slice(), [only] if only == name)
    }

    /// Follows the path from a value. Numbers lead into arrays.
    pub(super) fn follow<'a>(&self, value: Raw<'a>) -> Found<'a> {
        let mut value = value;
        for name in &self.0 {
            let next = if value.is_object() {
                value.get(name).ok_or(Found::Absent)
            } else {
                element(value, name).ok_or(Found::Astray)
            };
            match next {
                Ok(next) => value = next,
                Err(end) => return end,
            }
        }
        Found::Value(value)
    }
}

fn element<'a>(value: Raw<'a>, name: &str) -> Option<Raw<'a>> {
    let index: i64 = name.parse().ok()?;
    value.elements()?.nth(usize::try_from(index).ok()?)
}
