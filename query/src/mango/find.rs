//! What `_find` and `_explain` are asked. Checks all members as CouchDB does, in its order, with
//! its errors. Never looks at indexes.

use serde_json::{Value, json};
use settee_model::json::Raw;
use settee_model::partition;
use settee_model::selector::{Selector, Term};

use super::error::MangoError;
use super::members::{Members, boolean, natural, positive, tree};
use super::sort::Sort;

type Result<T> = std::result::Result<T, MangoError>;

/// Documents in an answer, if the client doesn't say (`mango/default_limit`).
pub const DEFAULT_LIMIT: u64 = 25;

/// A question to Mango.
#[derive(Clone, Debug)]
pub struct Find {
    /// Which documents are wanted.
    pub selector: Selector,
    /// The index that the client would like to be used.
    pub use_index: UseIndex,
    /// Where an earlier answer ended: a text that was not looked into yet.
    pub bookmark: Option<String>,
    /// Documents at most.
    pub limit: u64,
    /// Documents to leave out at the beginning.
    pub skip: u64,
    /// The order of the documents; empty: whatever the index gives.
    pub sort: Sort,
    /// Which fields of the documents to show; `None`: all.
    pub fields: Option<Vec<String>>,
    /// The only partition to look into.
    pub partition: Option<String>,
    /// Copies that must agree on a document; at 1 it is read where the index is.
    pub r: u64,
    /// Whether documents name their conflicts.
    pub conflicts: bool,
    /// `stale: "ok"`: the index as it is, always from the same copy.
    pub stale_ok: bool,
    /// Whether to bring the index up to date first.
    pub update: bool,
    /// Whether to ask always the same copies.
    pub stable: bool,
    /// Whether to say what it cost.
    pub execution_stats: bool,
    /// Whether another index will do if the one in `use_index` won't.
    pub allow_fallback: bool,
    /// Bytes of the request.
    pub size: usize,
}

/// The index that a client names. Names of design documents with or without `_design/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UseIndex {
    /// None.
    Any,
    /// One of this design document.
    In(String),
    /// The one of this design document and name.
    Named(String, String),
}

impl Find {
    /// Reads a request's body, a JSON value in stored form.
    ///
    /// `partition` is the one that the path or the query names, `default_limit` that of the
    /// configuration.
    ///
    /// # Errors
    /// The first thing that is wrong, in CouchDB's words.
    pub fn parse(body: &[u8], partition: Option<&str>, default_limit: u64) -> Result<Find> {
        let mut members = Members::new(Raw(body)).ok_or_else(MangoError::not_an_object)?;
        let inside = members.take("partition");
        if let (Some(_), Some(inside)) = (partition, inside)
            && inside.as_str().as_deref() != partition
        {
            return Err(MangoError::unknown("mango_httpd", "bad_partition", &tree(inside)));
        }
        let find = Find {
            selector: Selector::parse(&tree(members.required("selector")?))?,
            use_index: members.optional("use_index", UseIndex::Any, UseIndex::parse)?,
            bookmark: members.optional("bookmark", None, bookmark)?,
            limit: members.optional("limit", default_limit, natural)?,
            skip: members.optional("skip", 0, natural)?,
            sort: members.optional("sort", Sort::default(), Sort::parse)?,
            fields: members.optional("fields", None, fields)?,
            partition: partition_name(partition, inside)?,
            r: members.optional("r", 1, positive)?,
            conflicts: members.optional("conflicts", false, boolean)?,
            stale_ok: members.optional("stale", false, stale)?,
            update: members.optional("update", true, boolean)?,
            stable: members.optional("stable", false, boolean)?,
            execution_stats: members.optional("execution_stats", false, boolean)?,
            allow_fallback: members.optional("allow_fallback", true, boolean)?,
            size: body.len(),
        };
        members.finish()?;
        Ok(find)
    }

    /// All but the selector, as `_explain` shows it.
    pub(super) fn options(&self) -> Value {
        json!({
            "use_index": self.use_index.to_json(),
            "bookmark": self.bookmark.as_deref().unwrap_or("nil"),
            "limit": self.limit,
            "skip": self.skip,
            "sort": self.sort.to_json(),
            "fields": self.fields.as_deref().unwrap_or_default(),
            "partition": self.partition.as_deref().unwrap_or_default(),
            "r": self.r,
            "conflicts": self.conflicts,
            "stale": if self.stale_ok { json!("ok") } else { json!(false) },
            "update": self.update,
            "stable": self.stable,
            "execution_stats": self.execution_stats,
            "allow_fallback": self.allow_fallback,
        })
    }
}

impl UseIndex {
    /// Reads `"ddoc"`, `"_design/ddoc"`, `"ddoc/name"`, `["ddoc", "name"]` and the like.
    ///
    /// # Errors
    /// `invalid_index_name`.
    pub(super) fn parse(raw: Raw<'_>) -> Result<UseIndex> {
        let value = tree(raw);
        let one = |ddoc: &str| UseIndex::In(ddoc.to_owned());
        let two = |ddoc: &str, name: &str| UseIndex::Named(ddoc.to_owned(), name.to_owned());
        let used = match &value {
            Value::Null => Some(UseIndex::Any),
            Value::String(text) => match text.split('/').collect::<Vec<_>>().as_slice() {
                [ddoc] | ["_design", ddoc] => Some(one(ddoc)),
                [ddoc, name] | ["_design", ddoc, name] => Some(two(ddoc, name)),
                _ => None,
            },
            Value::Array(parts) => match parts.as_slice() {
                [] => Some(UseIndex::Any),
                [Value::String(ddoc)] => Some(one(ddoc)),
                [Value::String(ddoc), Value::String(name)] => Some(two(ddoc, name)),
                _ => None,
            },
            _ => None,
        };
        let reason = || format!("Invalid index name: {}", Term(&value));
        used.ok_or_else(|| MangoError::bad("invalid_index_name", reason()))
    }

    /// Whether the client means the index of this design document and name.
    pub(super) fn means(&self, ddoc: &str, name: &str) -> bool {
        let full = |short: &str| short == ddoc || ddoc.strip_prefix("_design/") == Some(short);
        match self {
            UseIndex::Any => false,
            UseIndex::In(wanted) => full(wanted),
            UseIndex::Named(wanted, wanted_name) => full(wanted) && wanted_name == name,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            UseIndex::Any => json!([]),
            UseIndex::In(ddoc) => json!([ddoc]),
            UseIndex::Named(ddoc, name) => json!([ddoc, name]),
        }
    }
}

fn bookmark(raw: Raw<'_>) -> Result<Option<String>> {
    match tree(raw) {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(MangoError::unknown("mango_opts", "invalid_bookmark", &other)),
    }
}

fn fields(raw: Raw<'_>) -> Result<Option<Vec<String>>> {
    let value = tree(raw);
    let Value::Array(fields) = &value else {
        let reason = format!("Fields must be an array of strings, not: {}", Term(&value));
        return Err(MangoError::bad("invalid_fields", reason));
    };
    let field = |field: &Value| {
        let reason = || format!("Invalid JSON for field spec: {}", Term(field));
        let name = field.as_str().map(str::to_owned);
        name.ok_or_else(|| MangoError::bad("invalid_field", reason()))
    };
    let fields = fields.iter().map(field).collect::<Result<Vec<_>>>()?;
    Ok(Some(fields).filter(|fields| !fields.is_empty()))
}

fn stale(raw: Raw<'_>) -> Result<bool> {
    match tree(raw) {
        Value::String(text) if text == "ok" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        Value::Bool(false) => Ok(false),
        other => Err(MangoError::unknown("mango_opts", "invalid_ok_or_false_value", &other)),
    }
}

/// An empty partition in the body is none.
fn partition_name(outside: Option<&str>, inside: Option<Raw<'_>>) -> Result<Option<String>> {
    let name = match (outside, inside) {
        (Some(name), _) => name.to_owned(),
        (None, None) => return Ok(None),
        (None, Some(inside)) => match inside.as_str() {
            Some(name) => name.into_owned(),
            None => {
                return Err(MangoError::bad("illegal_partition", "Partition must be a string"));
            }
        },
    };
    if name.is_empty() {
        return Ok(None);
    }
    partition::check(&name)?;
    Ok(Some(name))
}
