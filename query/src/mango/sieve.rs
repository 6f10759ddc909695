//! The part of an answer that is made where the rows are: of each row of an index whether its
//! document matches, and what is shown of it. Never merges shards, never counts to a limit (see
//! `cursor`).

use serde::{Deserialize, Serialize};
use settee_model::json::value;
use settee_model::selector::Selector;

use super::error::MangoError;
use super::find::Find;
use super::index::id_key;
use super::plan::{Plan, Source};
use super::project::Projection;
use super::shape;
use super::stats::Stats;
use crate::Document;

/// What whoever has the rows needs to know of a question. Goes from node to node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// JSON text.
    selector: String,
    fields: Option<Vec<String>>,
    columns: Option<Vec<String>>,
    all_docs: bool,
}

impl Task {
    /// What a plan leaves to be done with rows.
    #[must_use]
    pub fn new(find: &Find, plan: &Plan) -> Task {
        let columns = match &plan.source {
            Source::Index(index) if plan.covering => {
                Some(index.columns().map(str::to_owned).collect())
            }
            _ => None,
        };
        Task {
            selector: find.selector.normal_form().to_string(),
            fields: find.fields.clone(),
            columns,
            all_docs: matches!(plan.source, Source::AllDocs),
        }
    }

    /// Whether matching a document of usual size takes no time worth mentioning: a short selector
    /// without patterns.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.selector.len() <= 4096 && !self.selector.contains("\"$regex\"")
    }

    /// The same, but showing whole documents if names of fields are no paths: whoever shows one
    /// has an error to tell.
    #[must_use]
    pub fn with_sound_fields(mut self, sound: bool) -> Task {
        self.fields = self.fields.filter(|_| sound);
        self
    }
}

/// A document that was read.
pub trait Stored {
    /// Its members without those that begin with `_`: a JSON object in stored form.
    fn body(&self) -> &[u8];

    /// Appends it with the members that a reader gets.
    fn put(&self, out: &mut Vec<u8>);
}

impl Stored for Document<'_> {
    fn body(&self) -> &[u8] {
        &self.record.body
    }

    fn put(&self, out: &mut Vec<u8>) {
        Document::put(self, out);
    }
}

/// What has no more members than its body.
impl Stored for &[u8] {
    fn body(&self) -> &[u8] {
        self
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// What documents must match, and what is shown of them.
#[derive(Clone, Debug)]
pub struct Sieve {
    selector: Selector,
    fields: Option<Projection>,
    /// What rows say about documents, if they say all that is needed.
    columns: Option<Projection>,
    /// Whether rows of design documents come by, which are never in an answer.
    all_docs: bool,
    /// Whether the selector looks at `_id`, `_rev` and the like.
    asks_meta: bool,
    /// Whether these are shown.
    shows_meta: bool,
}

/// A row of an index and, if there is one, its document.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The document's id.
    pub id: &'a str,
    /// The row's key, JSON in stored form: an array, or for all documents an id.
    pub key: &'a [u8],
    /// Its document.
    pub doc: Doc<'a>,
}

/// The document of a row.
#[derive(Clone, Copy)]
pub enum Doc<'a> {
    /// Was not read: the plan includes no documents.
    Unread,
    /// Is not there any more.
    Gone,
    /// Here it is.
    Read(&'a dyn Stored),
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sifted {
    /// Its document does not match.
    Out,
    /// Its document matches: what is shown of it.
    Shown(Vec<u8>),
    /// Its document must be asked of several copies, and then be given to [`Sieve::document`].
    Ask,
}

/// One pass over rows, with counts of what was looked at since they were taken last.
#[derive(Debug)]
pub struct Pass<'a> {
    sieve: &'a Sieve,
    stats: Stats,
}

impl Sieve {
    /// Makes a task ready.
    ///
    /// # Errors
    /// `invalid_field_name` if a field to be shown has a name that is no path.
    pub fn new(task: &Task) -> Result<Sieve, MangoError> {
        let selector = Selector::parse(&value(task.selector.as_bytes()).unwrap_or_default())?;
        let asked = shape::fields(selector.normal_form());
        let shown = task.fields.as_ref();
        Ok(Sieve {
            asks_meta: shape::reads_meta(asked.into_iter()),
            shows_meta: shown
                .is_none_or(|shown| shape::reads_meta(shown.iter().map(String::as_str))),
            selector,
            fields: task.fields.as_deref().map(Projection::new).transpose()?,
            columns: task.columns.as_deref().map(Projection::new).transpose()?,
            all_docs: task.all_docs,
        })
    }

    /// What is shown of a document, if it matches.
    #[must_use]
    pub fn document(&self, document: &dyn Stored) -> Option<Vec<u8>> {
        let whole = || {
            let mut whole = Vec::new();
            document.put(&mut whole);
            whole
        };
        if self.asks_meta {
            let whole = whole();
            return self.selector.matches(&whole).then(|| match &self.fields {
                Some(fields) => fields.of(&whole),
                None => whole,
            });
        }
        // Most that are looked at don't match, and nothing is put together for them.
        self.selector.matches(document.body()).then(|| match &self.fields {
            Some(fields) if self.shows_meta => fields.of(&whole()),
            Some(fields) => fields.of(document.body()),
            None => whole(),
        })
    }

    /// Begins a pass over rows.
    #[must_use]
    pub fn pass(&self) -> Pass<'_> {
        Pass { sieve: self, stats: Stats::default() }
    }
}

impl Pass<'_> {
    /// Looks at the next row.
    pub fn row(&mut self, row: Row<'_>) -> Sifted {
        self.stats.keys += 1;
        let sifted = match (&self.sieve.columns, row.doc) {
            (Some(columns), _) => {
                let document = columns.of_row(&id_key(row.id), row.key);
                self.sieve.document(&document.as_slice())
            }
            (None, Doc::Gone) => None,
            (None, Doc::Read(document)) => {
                self.stats.docs += 1;
                self.sieve.document(document)
            }
            (None, Doc::Unread) => {
                if self.is_left_out(row.id) {
                    return Sifted::Out;
                }
                self.stats.quorum_docs += 1;
                return Sifted::Ask;
            }
        };
        match sifted {
            Some(shown) if !self.is_left_out(row.id) => Sifted::Shown(shown),
            _ => Sifted::Out,
        }
    }

    /// What was looked at since the last call. To be taken with each row that goes on, and at
    /// the end.
    pub fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.stats)
    }

    /// Design documents are in no answer. CouchDB throws them away late, and with them the
    /// counts that they carry.
    fn is_left_out(&mut self, id: &str) -> bool {
        let design = self.sieve.all_docs && id.starts_with("_design/");
        if design {
            self.stats = Stats::default();
        }
        design
    }
}
