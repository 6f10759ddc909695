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
    reads_meta: bool,
}

/// A row of an index and, if there is one, its document.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The document's id.
    pub id: &'a str,
    /// The row's key, JSON in stored form: an array, or for all documents an id.
    pub key: &'a [u8],
    /// The document with the members that a reader gets, a JSON object in stored form, if the
    /// plan says that documents are included.
    pub document: Option<&'a [u8]>,
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
        let asked = shape::fields(selector.normal_form()).into_iter();
        let reads_meta = match &task.fields {
            None => true,
            Some(shown) => shape::reads_meta(asked.chain(shown.iter().map(String::as_str))),
        };
        Ok(Sieve {
            selector,
            reads_meta,
            fields: task.fields.as_deref().map(Projection::new).transpose()?,
            columns: task.columns.as_deref().map(Projection::new).transpose()?,
            all_docs: task.all_docs,
        })
    }

    /// What is shown of a document, if it matches.
    #[must_use]
    pub fn document(&self, document: &[u8]) -> Option<Vec<u8>> {
        let shown = || match &self.fields {
            Some(fields) => fields.of(document),
            None => document.to_vec(),
        };
        self.selector.matches(document).then(shown)
    }

    /// Whether it looks at `_id`, `_rev` and the like. If not, it may be given the document's body
    /// alone.
    #[must_use]
    pub fn reads_meta(&self) -> bool {
        self.reads_meta
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
        let sifted = match (&self.sieve.columns, row.document) {
            (Some(columns), _) => self.sieve.document(&columns.of_row(&id_key(row.id), row.key)),
            (None, Some(document)) => {
                self.stats.docs += 1;
                self.sieve.document(document)
            }
            (None, None) => {
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
