//! The filters of `_changes`: `_doc_ids`, `_selector`, `_design`, and functions of design documents,
//! which are looked up here so that what is not there is answered as CouchDB does, and run elsewhere.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use settee_cluster::changes::{Candidate, DocFilter, Filter};
use settee_cluster::docs::{Facts, OpenOptions};
use settee_cluster::{Db, Error as ClusterError};
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::json;
use settee_model::rev::Rev;
use settee_model::selector::{FieldPath, Selector, Term};

use super::function;
use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::functions::Functions;
use crate::handlers::functions::request::{Content, Request};
use crate::render::Script;
use crate::render::doc::{self, Shown, View};
use crate::route::Method;

/// What a request's `filter` comes down to.
#[derive(Default)]
pub struct Chosen {
    /// For the coordinator.
    pub filter: Filter,
    /// With `_selector`: members to show, as paths.
    pub fields: Option<Vec<FieldPath>>,
}

/// Reads the parameter `filter` and what belongs to it.
///
/// # Errors
/// 400 for what is missing or wrong, 404 for a design document or function that is not there.
pub async fn choose(ctx: &Ctx, db: &Db, name: &str, body: &Value) -> Result<Chosen, Error> {
    let filter = match name {
        name if name.bytes().all(|byte| byte == b'/') => Filter::All,
        "_doc_ids" => Filter::DocIds(Arc::new(doc_ids(ctx, body)?)),
        "_design" => Filter::Design,
        "_selector" if ctx.method != Method::Post => {
            return Err(Error::bad_request("Selector must be specified in POST payload"));
        }
        "_selector" => return by_selector(body),
        "_view" => {
            let view = ctx.query.get("view").unwrap_or_default();
            if view.is_empty() {
                return Err(Error::bad_request("`view` filter parameter is not provided."));
            }
            let form = "`view` must be of the form `designname/viewname`";
            let (functions, name) = of_design_document(db, view, "views", form).await?;
            Filter::Judged(function::by_view(functions, name))
        }
        _ if name.starts_with('_') => {
            return Err(Error::bad_request("unknown builtin filter name"));
        }
        _ => {
            let form = "`filter` must be of the form `designname/filtername`";
            let (functions, name) = of_design_document(db, name, "filters", form).await?;
            let content = match body {
                Value::Null => Content::None,
                body => Content::Json(body.clone()),
            };
            let req = Request::new(ctx, db, None, content).await?.json()?;
            Filter::Judged(function::by_filter(functions, name, req))
        }
    };
    Ok(Chosen { filter, fields: None })
}

fn doc_ids(ctx: &Ctx, body: &Value) -> Result<HashSet<DocId>, Error> {
    let refused = || Error::bad_request("`doc_ids` filter parameter is not a list of doc ids.");
    let from_query;
    let ids = if ctx.method == Method::Post {
        body.get("doc_ids")
    } else {
        let text = ctx.query.get("doc_ids").unwrap_or("null");
        from_query = json::value(text.as_bytes()).map_err(|_| Error::invalid_json())?;
        Some(&from_query)
    };
    let ids: &Vec<Value> = ids.and_then(Value::as_array).ok_or_else(refused)?;
    ids.iter().map(|id| id.as_str().map(DocId::trusted).ok_or_else(refused)).collect()
}

fn by_selector(body: &Value) -> Result<Chosen, Error> {
    let Some(selector @ Value::Object(_)) = body.get("selector") else {
        return Err(Error::bad_request("Selector error: expected a JSON object"));
    };
    let selector = Selector::parse(selector)?;
    let fields = match body.get("fields") {
        None => None,
        Some(Value::Array(fields)) if fields.is_empty() => None,
        Some(Value::Array(fields)) => Some(fields.iter().map(path).collect::<Result<_, _>>()?),
        Some(_) => return Err(Error::bad_request("Selector error: fields must be JSON array")),
    };
    Ok(Chosen { filter: Filter::Docs(Arc::new(BySelector(selector))), fields })
}

fn path(field: &Value) -> Result<FieldPath, Error> {
    let text = field.as_str().ok_or_else(|| {
        Error::BadRequest(format!("Invalid JSON for field spec: {}", Term(field)).into())
    })?;
    Ok(FieldPath::parse(text)?)
}

/// The given members of a document, as `fields` asks for them.
#[must_use]
pub fn project(document: &Value, fields: &[FieldPath]) -> Value {
    let mut shown = Value::Object(Map::new());
    for path in fields {
        let found = path.names().iter().try_fold(document, |value, name| value.get(name.as_str()));
        let Some(found) = found else { continue };
        place(&mut shown, path.names(), found.clone());
    }
    shown
}

fn place(into: &mut Value, path: &[String], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *into = value;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Some(object) = into.as_object_mut() {
        place(object.entry(name.as_str()).or_insert(Value::Null), rest, value);
    }
}

struct BySelector(Selector);

impl DocFilter for BySelector {
    fn passes(&self, leaf: &Candidate) -> Result<bool, ClusterError> {
        Ok(self.0.matches(&as_text(&leaf.doc, &leaf.conflicts)))
    }
}

/// A document as JSON text, attachments as stubs, with its `_conflicts` if there are any.
fn as_text(stored: &StoredDoc, conflicts: &[Rev]) -> Vec<u8> {
    let mut script = Script::default();
    let facts = Facts { conflicts: conflicts.to_vec(), ..Facts::default() };
    let shown = Shown { conflicts: true, ..Shown::default() };
    doc::write(&mut script, stored, &View::default(), Some((&facts, shown)));
    script.into_text().unwrap_or_default()
}

/// A document as a JSON value, attachments as stubs; nothing if it is no JSON, which was not let in.
#[must_use]
pub fn as_value(stored: &StoredDoc) -> Option<Value> {
    json::value(&as_text(stored, &[])).ok()
}

/// The function that a filter names: the design document, and its name there.
async fn of_design_document(
    db: &Db,
    name: &str,
    member: &'static str,
    form: &'static str,
) -> Result<(Functions, String), Error> {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let [ddoc, function] = parts.as_slice() else { return Err(Error::bad_request(form)) };
    let id = DocId::trusted(&format!("_design/{ddoc}"));
    let opened = db.open_doc(&id, OpenOptions::default()).await?;
    let functions = Functions::of(db, Arc::new(opened.doc));
    functions.require(&[member, function])?;
    functions.check_language()?;
    Ok((functions, (*function).to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_paths_and_keep_their_order() {
        let document = json!({"_id": "a", "n": {"x": 1, "y": 2}, "d.e": 3, "m": null});
        let fields = json!(["n.y", "d\\.e", "none", "_id", "m"]);
        let fields: Vec<_> = fields.as_array().unwrap().iter().map(|f| path(f).unwrap()).collect();
        let shown = project(&document, &fields);
        assert_eq!(shown.to_string(), r#"{"n":{"y":2},"d.e":3,"_id":"a","m":null}"#);
        assert!(path(&json!(5)).is_err());
    }
}
