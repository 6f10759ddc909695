//! An order by fields: of an answer, or of an index. All fields go in the same direction, as
//! CouchDB knows no other orders. Never decides which index can give the order.

use serde_json::{Map, Value};
use settee_model::json::Raw;

use super::error::MangoError;
use super::members::tree;
use super::pretty::Pretty;

/// Fields to sort by, the most important first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    fields: Vec<String>,
    descending: bool,
}

impl Sort {
    /// Reads an array of names and of objects such as `{"name": "desc"}`.
    ///
    /// # Errors
    /// `invalid_sort_json`, `invalid_sort_field`, `unsupported_mixed_sort`.
    pub fn parse(raw: Raw<'_>) -> Result<Sort, MangoError> {
        let value = tree(raw);
        let Value::Array(specs) = &value else {
            let reason = format!("Sort must be an array of sort specs, not: {}", Pretty(&value));
            return Err(MangoError::bad("invalid_sort_json", reason));
        };
        let specs = specs.iter().map(|spec| {
            field(spec).ok_or_else(|| {
                let reason = format!("Invalid sort field: {}", Pretty(spec));
                MangoError::bad("invalid_sort_field", reason)
            })
        });
        let specs: Vec<(&str, bool)> = specs.collect::<Result<_, _>>()?;
        let descending = specs.first().is_some_and(|(_, descending)| *descending);
        if specs.iter().any(|(_, other)| *other != descending) {
            let reason = "Sorts currently only support a single direction for all fields.";
            return Err(MangoError::bad("unsupported_mixed_sort", reason));
        }
        let fields = specs.into_iter().map(|(name, _)| name.to_owned()).collect();
        Ok(Sort { fields, descending })
    }

    /// Names of the fields.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether the largest comes first.
    #[must_use]
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// An object of directions, as `_explain` and design documents have it.
    pub(super) fn to_json(&self) -> Value {
        let direction = || Value::from(if self.descending { "desc" } else { "asc" });
        let members = self.fields.iter().map(|name| (name.clone(), direction()));
        Value::Object(Map::from_iter(members))
    }
}

/// Name and whether it descends.
fn field(spec: &Value) -> Option<(&str, bool)> {
    match spec {
        Value::String(name) if !name.is_empty() => Some((name, false)),
        Value::Object(members) if members.len() == 1 => {
            let (name, direction) = members.iter().next()?;
            match direction.as_str()? {
                "asc" => Some((name, false)),
                "desc" => Some((name, true)),
                _ => None,
            }
        }
        _ => None,
    }
}
