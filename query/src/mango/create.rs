//! Making and deleting indexes: what `POST _index` asks for, the names it gets, and the design
//! documents with the index put in or taken out, the same bytes that CouchDB would write. Never
//! writes them itself.

use serde_json::{Value, json};
use settee_model::collate::same;
use settee_model::hash::term::Terms;
use settee_model::json::Raw;
use settee_model::selector::{Selector, Term};
use sha1::{Digest, Sha1};

use super::catalog::design_id;
use super::ddoc::Ddoc;
use super::error::MangoError;
use super::find::UseIndex;
use super::members::{Members, name, positive, text, tree};
use super::sort::Sort;

type Result<T> = std::result::Result<T, MangoError>;

/// An index that a client wants.
#[derive(Clone, Debug)]
pub struct NewIndex {
    /// Id of the design document that it goes into.
    pub ddoc: String,
    /// Its name there.
    pub name: String,
    /// Copies of the design document that must be written.
    pub w: u64,
    view: String,
    partitioned: Option<bool>,
}

/// What becomes of a design document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It gets this body, in stored form.
    Write(Vec<u8>),
    /// It is deleted.
    Delete,
}

impl NewIndex {
    /// Reads a request's body, a JSON value in stored form.
    ///
    /// # Errors
    /// The first thing that is wrong, in CouchDB's words.
    pub fn parse(body: &[u8]) -> Result<NewIndex> {
        let mut members = Members::new(Raw(body)).ok_or_else(MangoError::not_an_object)?;
        let def = members.required("index")?;
        let kind = members.optional("type", "json".to_owned(), text)?;
        let given_name = members.optional("name", None, |raw| name(raw).map(Some))?;
        let given_ddoc = members.optional("ddoc", None, |raw| name(raw).map(Some))?;
        let w = members.optional("w", 2, positive)?;
        let partitioned =
            members.optional("partitioned", None, |raw| partitioned(raw).map(Some))?;
        members.finish()?;
        match kind.as_str() {
            "json" => {}
            "text" | "nouveau" => return Err(MangoError::no_service(&kind)),
            other => {
                let reason = format!("Invalid type for index: {other}");
                return Err(MangoError::bad("invalid_index", reason));
            }
        }
        let generated = || {
            let names = (given_name.as_deref(), given_ddoc.as_deref());
            generate_name(def, &kind, names, w, partitioned)
        };
        let ddoc = design_id(&given_ddoc.clone().unwrap_or_else(generated));
        let name = given_name.clone().unwrap_or_else(generated);
        Ok(NewIndex { ddoc, name, w, view: view(def)?, partitioned })
    }

    /// Puts the index into its design document, of which `existing` is the body, `None` if there
    /// is none or it was deleted.
    ///
    /// # Errors
    /// When the document is not one for indexes, or has another idea of partitions.
    pub fn put_into(&self, existing: Option<&[u8]>) -> Result<Change> {
        let Some(body) = existing else {
            let mut ddoc = Ddoc::new();
            ddoc.set_view(&self.name, &self.view);
            if let Some(partitioned) = self.partitioned {
                ddoc.set("options", &json!({"partitioned": partitioned}).to_string());
            }
            return Ok(Change::Write(ddoc.into_bytes()));
        };
        let mut ddoc = open(body)?;
        ddoc.set_view(&self.name, &self.view);
        let options = Raw(body).get("options");
        let option = options.and_then(|options| options.get("partitioned"));
        if option.and_then(Raw::as_bool) != self.partitioned {
            let reason = "Requested partitioned option does not match existing value on design \
                document ";
            let reason = format!("{reason}{}", self.ddoc);
            return Err(MangoError::bad("invalid_partitioned_option", reason));
        }
        let changed = ddoc.into_bytes();
        Ok(if same(&changed, body) { Change::None } else { Change::Write(changed) })
    }

    /// The answer, once the change was made.
    #[must_use]
    pub fn response(&self, change: &Change) -> Value {
        let result = if *change == Change::None { "exists" } else { "created" };
        json!({"result": result, "id": self.ddoc, "name": self.name})
    }
}

/// Takes indexes out of a design document; one that has nothing left is deleted.
///
/// # Errors
/// When the document is not one for indexes, or has no such index.
pub fn take_from<'a>(body: &[u8], names: impl IntoIterator<Item = &'a str>) -> Result<Change> {
    let mut ddoc = open(body)?;
    for name in names {
        if !ddoc.remove_view(name) {
            let reason = format!("JSON index {name} not found in this design doc.");
            return Err(MangoError { status: 404, error: "invalid_index".into(), reason });
        }
    }
    Ok(if ddoc.is_bare() { Change::Delete } else { Change::Write(ddoc.into_bytes()) })
}

/// Reads the body of `_bulk_delete`: ids of design documents, and the copies to be written.
///
/// # Errors
/// `invalid_bulk_docs`, `invalid_index_name` and those of all requests.
pub fn parse_bulk_delete(body: &[u8]) -> Result<(Vec<String>, u64)> {
    let mut members = Members::new(Raw(body)).ok_or_else(MangoError::not_an_object)?;
    let docids = members.required("docids")?;
    let Some(elements) = docids.elements() else {
        let reason = "Bulk Delete requires an array of non-null docids. Docids: ";
        let reason = format!("{reason}{}", Term(&tree(docids)));
        return Err(MangoError::bad("invalid_bulk_docs", reason));
    };
    let id = |element: Raw<'_>| {
        UseIndex::parse(element)?;
        let reason = || format!("Invalid index name: {}", Term(&tree(element)));
        let id = element.as_str().map(|id| design_id(&id));
        id.ok_or_else(|| MangoError::bad("invalid_index_name", reason()))
    };
    let ids = elements.map(id).collect::<Result<_>>()?;
    let w = members.optional("w", 2, positive)?;
    members.finish()?;
    Ok((ids, w))
}

/// The answer to `_bulk_delete`: for each id, in the request's order, the error that it met.
#[must_use]
pub fn bulk_delete_response(results: &[(String, Option<String>)]) -> Value {
    let (mut success, mut fail) = (Vec::new(), Vec::new());
    for (id, error) in results.iter().rev() {
        match error {
            None => success.push(json!({"id": id, "ok": true})),
            Some(error) => fail.push(json!({"id": id, "error": error})),
        }
    }
    json!({"success": success, "fail": fail})
}

fn open(body: &[u8]) -> Result<Ddoc> {
    let language = Raw(body).get("language").map(tree);
    if language.as_ref().and_then(Value::as_str) != Some("query") {
        let found = match &language {
            Some(language) => format!("{{{},{}}}", Term(&json!("language")), Term(language)),
            None => "false".to_owned(),
        };
        let reason = format!("Existing design doc has an invalid language: {found}");
        return Err(MangoError::bad("invalid_ddoc_lang", reason));
    }
    Ok(Ddoc::read(body))
}

fn partitioned(raw: Raw<'_>) -> Result<bool> {
    let error = || MangoError::unknown("mango_opts", "invalid_partitioned_value", &tree(raw));
    raw.as_bool().ok_or_else(error)
}

/// The view that stands for an index in a design document.
fn view(def: Raw<'_>) -> Result<String> {
    let Some(mut members) = Members::new(def) else {
        let reason = format!("JSON indexes must be an object, not: {}", Term(&tree(def)));
        return Err(MangoError::bad("invalid_index", reason));
    };
    let fields = Sort::parse(members.required("fields")?)?.to_json();
    let filter = |raw| Ok(Selector::parse(&tree(raw))?.normal_form().clone());
    let filter = members.optional("partial_filter_selector", json!({}), filter)?;
    members.finish()?;
    let map = json!({"fields": fields, "partial_filter_selector": filter});
    let def = String::from_utf8_lossy(def.bytes());
    Ok(format!(r#"{{"map":{map},"reduce":"_count","options":{{"def":{def}}}}}"#))
}

/// The name of an index whose maker gave none: a hash of what was asked, in lower case hex.
fn generate_name(
    def: Raw<'_>,
    kind: &str,
    (name, ddoc): (Option<&str>, Option<&str>),
    w: u64,
    partitioned: Option<bool>,
) -> String {
    let given = |terms: &mut Terms, option: &str, value: Option<&str>| {
        terms.tuple(2);
        terms.atom(option);
        match value {
            Some(value) => terms.binary(value.as_bytes()),
            None => terms.atom("auto_name"),
        }
    };
    let mut terms = Terms::new(2 * def.len() + 256);
    terms.tuple(2);
    terms.json(def.bytes());
    terms.list(6);
    given(&mut terms, "ddoc", ddoc);
    terms.tuple(2);
    terms.atom("def");
    terms.json(def.bytes());
    given(&mut terms, "name", name);
    terms.tuple(2);
    terms.atom("partitioned");
    terms.atom(match partitioned {
        Some(true) => "true",
        Some(false) => "false",
        None => "db_default",
    });
    given(&mut terms, "type", Some(kind));
    terms.tuple(2);
    terms.atom("w");
    terms.natural(w);
    terms.nil();
    let hash = Sha1::digest(terms.bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
