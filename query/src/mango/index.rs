//! An index as its design document defines it, whoever wrote that, and what a document's row in
//! it is. Never stores rows.

use serde_json::{Map, Value, json};
use settee_model::json::{Raw, escape_into};
use settee_model::selector::{FieldPath, Selector};

use super::members::tree;
use super::shape;

/// A JSON index: a view of a design document whose language is `query`.
#[derive(Clone, Debug)]
pub struct Index {
    ddoc: String,
    name: String,
    /// The view's map: members as the design document has them.
    def: Map<String, Value>,
    columns: Vec<Column>,
    /// Which documents are in it.
    filter: Filter,
    partitioned: bool,
}

/// A field that rows have the value of.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// `None`: the name is no path, so no document has it.
    path: Option<FieldPath>,
}

impl Column {
    fn new(name: &str) -> Self {
        let path = FieldPath::parse(name).ok().filter(|path| !path.names().is_empty());
        Column { name: name.to_owned(), path }
    }
}

/// Which documents an index is about.
#[derive(Clone, Debug)]
enum Filter {
    All,
    /// Those that match, if the selector can be understood.
    Partial(Option<Box<Selector>>),
}

impl Index {
    /// The indexes of a design document; views that don't define one are left out.
    ///
    /// `id` is the document's, `_design/…`; `body` its members in stored form; `partitioned`
    /// whether the database is.
    #[must_use]
    pub fn of_ddoc(id: &str, body: &[u8], partitioned: bool) -> Vec<Index> {
        let [language, views, options] = Raw(body).pick(["language", "views", "options"]);
        if language.and_then(Raw::as_str).as_deref() != Some("query") {
            return Vec::new();
        }
        let option = options.and_then(|options| options.get("partitioned"));
        let partitioned = option.and_then(Raw::as_bool).unwrap_or(partitioned);
        let views = views.and_then(Raw::members).into_iter().flatten();
        views.filter_map(|(name, view)| Index::of_view(id, &name, view, partitioned)).collect()
    }

    fn of_view(ddoc: &str, name: &str, view: Raw<'_>, partitioned: bool) -> Option<Index> {
        let [map, options] = view.pick(["map", "options"]);
        options.filter(|options| options.is_object())?;
        let Value::Object(def) = tree(map?) else { return None };
        let fields = def.get("fields")?.as_object()?;
        let columns = fields.keys().map(|name| Column::new(name)).collect();
        let filter = match partial_filter(&def) {
            None => Filter::All,
            Some(selector) => Filter::Partial(Selector::parse(selector).ok().map(Box::new)),
        };
        let (ddoc, name) = (ddoc.to_owned(), name.to_owned());
        Some(Index { ddoc, name, def, columns, filter, partitioned })
    }

    /// Id of the design document, `_design/…`.
    #[must_use]
    pub fn ddoc(&self) -> &str {
        &self.ddoc
    }

    /// Name of the view.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its rows are ordered by partition first.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.partitioned
    }

    /// Whether it is about some documents alone.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        matches!(self.filter, Filter::Partial(_))
    }

    /// What decides about its rows: two indexes with the same definition have the same rows.
    #[must_use]
    pub fn definition(&self) -> &Map<String, Value> {
        &self.def
    }

    /// The fields that rows have the values of, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// A document's key in the index: a JSON array of one value for each column. `None` for
    /// documents that are not in it: those that the filter keeps out or that lack a field, and
    /// design documents.
    ///
    /// `document` is an object in stored form with the members `_id` and `_rev`.
    #[must_use]
    pub fn key(&self, id: &str, document: &[u8]) -> Option<Vec<u8>> {
        if id.starts_with("_design/") {
            return None;
        }
        let wanted = match &self.filter {
            Filter::All => true,
            Filter::Partial(selector) => selector.as_ref()?.matches(document),
        };
        if !wanted {
            return None;
        }
        let mut key = vec![b'['];
        for column in &self.columns {
            let value = column.path.as_ref()?.find(Raw(document))?;
            if key.len() > 1 {
                key.push(b',');
            }
            key.extend_from_slice(&value);
        }
        key.push(b']');
        Some(key)
    }

    /// Whether rows depend on `_id`, `_rev` and the like. If not, [`Index::key`] may be given
    /// the document's body alone.
    #[must_use]
    pub fn reads_meta(&self) -> bool {
        let asked = match &self.filter {
            Filter::All | Filter::Partial(None) => Vec::new(),
            Filter::Partial(Some(selector)) => shape::fields(selector.normal_form()),
        };
        shape::reads_meta(self.columns().chain(asked))
    }

    /// As `_index` and `_explain` show it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let shown = self.def.iter().filter_map(|(name, value)| match (name.as_str(), value) {
            ("fields", Value::Object(fields)) => {
                let one = |(name, direction): (&String, &Value)| json!({name: direction});
                Some((name.clone(), fields.iter().map(one).collect()))
            }
            ("partial_filter_selector", Value::Object(selector)) if selector.is_empty() => None,
            _ => Some((name.clone(), value.clone())),
        });
        json!({
            "ddoc": self.ddoc,
            "name": self.name,
            "type": "json",
            "partitioned": self.partitioned,
            "def": shown.collect::<Map<_, _>>(),
        })
    }
}

/// The selector of a partial index; indexes of old have it under another name.
fn partial_filter(def: &Map<String, Value>) -> Option<&Value> {
    let selector = def.get("partial_filter_selector").or_else(|| def.get("selector"))?;
    let everything = selector.as_object().is_some_and(Map::is_empty);
    (!everything).then_some(selector)
}

/// A document's key among all documents: its id.
#[must_use]
pub fn id_key(id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(id.len() + 2);
    escape_into(&mut key, id);
    key
}

/// How the index of all documents is shown.
pub(super) fn all_docs_json() -> Value {
    json!({
        "ddoc": null,
        "name": "_all_docs",
        "type": "special",
        "def": {"fields": [{"_id": "asc"}]},
    })
}
