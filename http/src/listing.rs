//! Parameters that listings share (`_all_docs` and its kin, `_all_dbs`, `_dbs_info`), from the
//! query string or from a JSON body, with CouchDB's errors for wrong ones. Knows no database.

use serde_json::Value;
use settee_cluster::views::Update;
use settee_model::json;
use settee_model::selector::Term;
use settee_query::view::Grouping;

use crate::error::Error;
use crate::query::{self, Query};

/// What a listing was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// `startkey`.
    pub start: Option<Value>,
    /// `endkey`.
    pub end: Option<Value>,
    /// `startkey_docid`.
    pub start_id: Option<String>,
    /// `endkey_docid`.
    pub end_id: Option<String>,
    /// `keys`. A single one among `queries` is a range of one key instead; elsewhere a single one
    /// stays a list, beside which a range may only say the same.
    pub keys: Option<Vec<Value>>,
    /// `limit`.
    pub limit: Option<u64>,
    /// `skip`.
    pub skip: u64,
    /// `descending`.
    pub descending: bool,
    /// `inclusive_end`.
    pub inclusive_end: bool,
    /// `include_docs`.
    pub include_docs: bool,
    /// `conflicts`.
    pub conflicts: bool,
    /// `update_seq`.
    pub update_seq: bool,
    /// `attachments`.
    pub attachments: bool,
    /// `att_encoding_info`.
    pub att_encoding_info: bool,
    /// `partition`.
    pub partition: Option<String>,
    /// `reduce`.
    pub reduce: Option<bool>,
    /// `group`.
    pub group: Option<bool>,
    /// `group_level`.
    pub group_level: Option<u64>,
    /// `sorted`.
    pub sorted: bool,
    /// `update`, and `stale`.
    pub update: Update,
    /// `keys` that are no list.
    pub bad_keys: bool,
    /// `conflicts` was said, be it to say no.
    pub conflicts_said: bool,
}

impl Default for Listing {
    fn default() -> Self {
        Listing {
            start: None,
            end: None,
            start_id: None,
            end_id: None,
            keys: None,
            limit: None,
            skip: 0,
            descending: false,
            inclusive_end: true,
            include_docs: false,
            conflicts: false,
            update_seq: false,
            attachments: false,
            att_encoding_info: false,
            partition: None,
            reduce: None,
            group: None,
            group_level: None,
            sorted: true,
            update: Update::True,
            bad_keys: false,
            conflicts_said: false,
        }
    }
}

/// 2 to the power of 64.
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

/// A parameter's value: text in a query string, JSON in a body.
#[derive(Clone, Copy)]
enum Given<'a> {
    Text(&'a str),
    Json(&'a Value),
}

impl Listing {
    /// Reads a query string.
    ///
    /// # Errors
    /// `query_parse_error`, or 400 for keys that are no JSON.
    pub fn from_query(query: &Query) -> Result<Self, Error> {
        let mut listing = Listing::default();
        if let Some(keys) = query.get("keys") {
            let Value::Array(keys) = Given::Text(keys).json()? else {
                return Err(Error::bad_request("`keys` parameter must be an array."));
            };
            listing.keys = Some(keys);
        }
        listing.read_query(query)?;
        Ok(listing)
    }

    /// Reads a JSON body, then the query string, which overrides it.
    ///
    /// # Errors
    /// As [`Listing::from_query`].
    pub fn from_body_and_query(body: &Value, query: &Query) -> Result<Self, Error> {
        let mut listing = Listing { keys: body_keys(body)?, ..Listing::default() };
        listing.read_body(body)?;
        listing.read_query(query)?;
        Ok(listing)
    }

    /// One of the `queries` of a body; `self` holds what the query string said for all of them.
    ///
    /// # Errors
    /// As [`Listing::from_query`].
    pub fn with_body(&self, body: &Value) -> Result<Self, Error> {
        let listing = self.with_view_body(body)?;
        listing.check()?;
        Ok(listing)
    }

    /// Reads the query string of a view, or that beside `queries`: a single one of `keys` is a range of
    /// one key.
    ///
    /// # Errors
    /// `query_parse_error`, or 400 for keys that are no JSON.
    pub fn of_view(query: &Query) -> Result<Self, Error> {
        // A first one that is no JSON is refused before anything else is looked at.
        query.get("keys").map(|keys| Given::Text(keys).json()).transpose()?;
        let mut listing = Listing::default();
        listing.read_query(query)?;
        Ok(listing)
    }

    /// The same with a JSON body, which the query string overrides.
    ///
    /// # Errors
    /// As [`Listing::of_view`].
    pub fn of_view_body(body: &Value, query: &Query) -> Result<Self, Error> {
        let mut listing = Listing::default();
        listing.read_body(body)?;
        listing.read_query(query)?;
        Ok(listing)
    }

    /// One of the `queries` of a view; `self` holds what the query string said for all of them.
    ///
    /// # Errors
    /// As [`Listing::of_view`].
    pub fn with_view_body(&self, body: &Value) -> Result<Self, Error> {
        let mut listing =
            Listing { keys: None, bad_keys: false, group: None, group_level: None, ..self.clone() };
        listing.read_body(body)?;
        Ok(listing)
    }

    /// Rules about combinations.
    ///
    /// # Errors
    /// `query_parse_error`.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |reason: &'static str| Err(Error::QueryParse(reason.into()));
        let grouping = self.grouping()?;
        if self.reduce == Some(true) {
            return refuse("Reduce is invalid for map-only views.");
        }
        if self.bad_keys {
            return refuse("`keys` must be an array of strings.");
        }
        let contradicts = match self.keys.as_deref() {
            None | Some([]) => false,
            Some([key]) => self.start.as_ref() != Some(key) || self.end.as_ref() != Some(key),
            Some(_) => true,
        };
        if contradicts && (self.start.is_some() || self.end.is_some()) {
            return refuse("`keys` is incompatible with `key`, `start_key` and `end_key`");
        }
        if grouping != Grouping::Whole {
            return refuse("Invalid use of grouping on a map view.");
        }
        Ok(())
    }

    /// What `group` and `group_level` say together.
    ///
    /// # Errors
    /// `query_parse_error` when they contradict each other.
    pub fn grouping(&self) -> Result<Grouping, Error> {
        Ok(match (self.group, self.group_level) {
            (Some(false), Some(level)) if level > 0 => {
                let reason = "Can't specify group=false and group_level>0 at the same time";
                return Err(Error::QueryParse(reason.into()));
            }
            (Some(true), None) => Grouping::Exact,
            (_, None | Some(0)) => Grouping::Whole,
            (_, Some(level)) => Grouping::Level(usize::try_from(level).unwrap_or(usize::MAX)),
        })
    }

    fn read_query(&mut self, query: &Query) -> Result<(), Error> {
        query.iter().try_for_each(|(name, value)| self.set(name, Given::Text(value)))
    }

    fn read_body(&mut self, body: &Value) -> Result<(), Error> {
        let members = body.as_object().ok_or_else(not_an_object)?;
        members.iter().try_for_each(|(name, value)| self.set(name, Given::Json(value)))
    }

    fn set(&mut self, name: &str, given: Given<'_>) -> Result<(), Error> {
        match name {
            "key" => {
                let key = given.json()?;
                self.start = Some(key.clone());
                self.end = Some(key);
            }
            "keys" => self.set_keys(given.json()?)?,
            "startkey" | "start_key" => self.start = Some(given.json()?),
            "endkey" | "end_key" => self.end = Some(given.json()?),
            "limit" => self.limit = Some(given.natural()?),
            "skip" => self.skip = given.natural()?,
            "descending" => self.descending = given.boolean()?,
            "inclusive_end" => self.inclusive_end = given.boolean()?,
            "include_docs" => self.include_docs = given.boolean()?,
            "conflicts" => {
                self.conflicts = given.boolean()?;
                self.conflicts_said = true;
            }
            "update_seq" => self.update_seq = given.boolean()?,
            "attachments" => self.attachments = given.boolean()?,
            "att_encoding_info" => self.att_encoding_info = given.boolean()?,
            "startkey_docid" | "start_key_doc_id" => self.start_id = Some(given.text()),
            "endkey_docid" | "end_key_doc_id" => self.end_id = Some(given.text()),
            "reduce" => self.reduce = Some(given.boolean()?),
            "group" => self.group = Some(given.boolean()?),
            "group_level" => self.group_level = Some(given.natural()?),
            "sorted" => self.sorted = given.boolean()?,
            "partition" => self.partition = Some(given.text()),
            "stale" => {
                let updates = [("ok", Update::False), ("update_after", Update::Lazy)];
                self.update = given.one_of(updates, "stale")?;
            }
            "stable" => given.one_of([("true", ()), ("false", ())], "stable")?,
            "update" => {
                let updates =
                    [("true", Update::True), ("false", Update::False), ("lazy", Update::Lazy)];
                self.update = given.one_of(updates, "update")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn set_keys(&mut self, keys: Value) -> Result<(), Error> {
        let Value::Array(mut keys) = keys else {
            self.keys = None;
            self.bad_keys = true;
            return Ok(());
        };
        match keys.pop() {
            Some(key) if keys.is_empty() => {
                self.start = Some(key.clone());
                self.end = Some(key);
            }
            last => {
                keys.extend(last);
                self.keys = Some(keys);
                self.bad_keys = false;
            }
        }
        Ok(())
    }
}

impl Given<'_> {
    fn json(self) -> Result<Value, Error> {
        match self {
            Given::Text(text) => json::value(text.as_bytes()).map_err(|_| Error::invalid_json()),
            Given::Json(value) => Ok(value.clone()),
        }
    }

    fn boolean(self) -> Result<bool, Error> {
        match self {
            Given::Json(Value::Bool(value)) => Ok(*value),
            Given::Json(value) if !value.is_string() => {
                Err(Error::QueryParse(format!("Invalid boolean parameter: {value}").into()))
            }
            other => query::boolean(&other.text()),
        }
    }

    fn natural(self) -> Result<u64, Error> {
        match self {
            Given::Text(text) => query::natural(text),
            Given::Json(Value::Number(number)) if number.is_u64() => {
                Ok(number.as_u64().unwrap_or(u64::MAX))
            }
            // Beyond 64 bits: no limit and no offset is.
            Given::Json(Value::Number(number)) if number.as_f64().is_some_and(|n| n >= BEYOND) => {
                Ok(i64::MAX.unsigned_abs())
            }
            Given::Json(value) => Err(Error::QueryParse(
                match value {
                    Value::Number(number) if number.is_i64() => {
                        format!("Invalid value for positive integer: {number}")
                    }
                    Value::String(text) => {
                        let text = query::quoted(text);
                        format!("Invalid value for integer: <<{text}>>")
                    }
                    other => format!("Invalid value for integer: {}", Term(other)),
                }
                .into(),
            )),
        }
    }

    fn text(self) -> String {
        match self {
            Given::Text(text) => text.to_owned(),
            Given::Json(Value::String(text)) => text.clone(),
            Given::Json(value) => value.to_string(),
        }
    }

    fn one_of<T, const N: usize>(self, allowed: [(&str, T); N], name: &str) -> Result<T, Error> {
        let text = self.text();
        let found = allowed.into_iter().find(|(word, _)| *word == text);
        let wrong = || Error::QueryParse(format!("Invalid value for `{name}`.").into());
        found.map(|(_, value)| value).ok_or_else(wrong)
    }
}

/// The `keys` member of a POST body, which keeps even a single key as a list.
///
/// # Errors
/// 400 when it is no list.
pub fn body_keys(body: &Value) -> Result<Option<Vec<Value>>, Error> {
    match body.get("keys") {
        None => Ok(None),
        Some(Value::Array(keys)) => Ok(Some(keys.clone())),
        Some(_) => Err(keys_not_array()),
    }
}

/// The `queries` member of a POST body.
///
/// # Errors
/// 400 when it is not there, or no list.
pub fn body_queries(body: &Value) -> Result<&[Value], Error> {
    match body.get("queries") {
        Some(Value::Array(queries)) => Ok(queries),
        Some(_) => Err(Error::bad_request("`queries` member must be an array.")),
        None => Err(Error::bad_request("POST body must include `queries` parameter.")),
    }
}

fn keys_not_array() -> Error {
    Error::bad_request("`keys` body member must be an array.")
}

fn not_an_object() -> Error {
    Error::bad_request("Request body must be a JSON object")
}

/// Parses a request body that must be a JSON object.
///
/// # Errors
/// 400.
pub fn object(body: &[u8]) -> Result<Value, Error> {
    match json::value(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(not_an_object()),
        Err(_) => Err(Error::invalid_json()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEYS_AND_RANGE: &str = "`keys` is incompatible with `key`, `start_key` and `end_key`";

    fn query(text: &str) -> Result<Listing, Error> {
        let listing = Listing::from_query(&Query::parse(text)?)?;
        listing.check()?;
        Ok(listing)
    }

    #[test]
    fn one_key_is_a_range_among_queries_and_a_list_elsewhere() {
        let one = Listing::default().with_body(&json!({"keys": ["a"]})).unwrap();
        assert_eq!((one.start, one.end, one.keys), (Some(json!("a")), Some(json!("a")), None));
        for text in [r#"keys=["a"]"#, r#"keys=["a"]&startkey="a""#, r#"endkey="b"&keys=["a"]"#] {
            assert_eq!(query(text).unwrap().keys, Some(vec![json!("a")]), "{text}");
        }
        let two = query(r#"keys=["a",5]"#).unwrap();
        assert_eq!(two.keys, Some(vec![json!("a"), json!(5)]));
        let none = query("keys=[]").unwrap();
        assert_eq!(none.keys, Some(vec![]));
    }

    #[test]
    fn a_body_keeps_its_keys_and_the_query_overrides_the_rest() {
        let body = json!({"keys": ["a"], "limit": 3, "descending": true});
        let text = Query::parse("limit=5").unwrap();
        let listing = Listing::from_body_and_query(&body, &text).unwrap();
        assert_eq!(listing.keys, Some(vec![json!("a")]));
        assert_eq!((listing.limit, listing.descending), (Some(5), true));
        let beside = Listing::from_body_and_query(&json!({"keys": ["a"], "key": "c"}), &text);
        assert_eq!(beside.unwrap().check().unwrap_err().info().2, KEYS_AND_RANGE);
    }

    #[test]
    fn a_query_string_holds_for_all_queries_but_for_its_keys_and_grouping() {
        let text = Query::parse(r#"limit=5&keys=["a","b"]&group=true"#).unwrap();
        let common = Listing::of_view(&text).unwrap();
        let one = common.with_body(&json!({"skip": 1})).unwrap();
        assert_eq!((one.limit, one.skip, one.keys), (Some(5), 1, None));
        let common = Listing::of_view(&Query::parse("reduce=true").unwrap()).unwrap();
        assert!(common.with_body(&json!({})).is_err());
    }

    #[test]
    fn numbers_in_bodies_may_be_of_any_size() {
        let limit = |body: &str| {
            let body = serde_json::from_str(body).unwrap();
            Listing::default().with_body(&body).map(|listing| listing.limit)
        };
        let huge = limit(r#"{"limit": 100000000000000000000}"#);
        assert_eq!(huge, Ok(Some(i64::MAX.unsigned_abs())));
        let reason = limit(r#"{"limit": {}}"#).unwrap_err().info().2.to_string();
        assert_eq!(reason, "Invalid value for integer: {[]}");
    }

    #[test]
    fn wrong_values_and_combinations_are_refused() {
        for (text, reason) in [
            ("limit=-1", "Invalid value for positive integer: \"-1\""),
            ("skip=x", "Invalid value for integer: \"x\""),
            ("descending=x", "Invalid boolean parameter: \"x\""),
            ("startkey=broken", "invalid UTF-8 JSON"),
            ("reduce=true", "Reduce is invalid for map-only views."),
            ("group=true", "Invalid use of grouping on a map view."),
            ("stale=maybe", "Invalid value for `stale`."),
            (r#"keys=["a","b"]&startkey="a""#, KEYS_AND_RANGE),
            (r#"keys=["a"]&key="b""#, KEYS_AND_RANGE),
            (r#"keys=["a"]&keys=["a","b"]"#, KEYS_AND_RANGE),
            ("keys=5", "`keys` parameter must be an array."),
            ("keys=[]&keys=5", "`keys` must be an array of strings."),
            (
                "group=false&group_level=1",
                "Can't specify group=false and group_level>0 at the same time",
            ),
        ] {
            assert_eq!(query(text).unwrap_err().info().2, reason, "{text}");
        }
    }
}
