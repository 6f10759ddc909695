//! `_all_docs`, `_design_docs` and `_local_docs`: what can be asked, and the rows that answer.
//! Scans nothing: `coord::rows` does.

use bytes::Bytes;
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

pub use crate::coord::rows::Rows;

/// Which documents a query runs over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// Everything but `_local/`.
    #[default]
    All,
    /// `_design/` only.
    Design,
    /// `_local/` only; without total, offset and sequence.
    Local,
}

/// Which rows to give.
#[derive(Clone, Debug)]
pub enum Select {
    /// Rows with an id from `start` to `end` in reading direction.
    Range {
        /// First id; `None` is open. Any string; need not be a valid id. A key that is no string
        /// sorts before every id, as the empty string does.
        start: Option<String>,
        /// Last id; `None` is open.
        end: Option<String>,
        /// Whether a row that equals `end` belongs to it.
        inclusive_end: bool,
    },
    /// One row for each key, in this order (or its reverse, if descending).
    Keys(Vec<Key>),
}

impl Default for Select {
    fn default() -> Self {
        Select::Range { start: None, end: None, inclusive_end: true }
    }
}

/// A key that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A string, valid as an id or not.
    Id(DocId),
    /// Any other JSON value, as stored-form text; never found.
    Other(Bytes),
}

/// A query over documents by id.
#[derive(Clone, Debug, Default)]
pub struct AllDocsQuery {
    /// Over which documents.
    pub namespace: Namespace,
    /// Which of them.
    pub select: Select,
    /// Only documents of this partition.
    pub partition: Option<String>,
    /// From the end to the start.
    pub descending: bool,
    /// Rows to leave out at first.
    pub skip: u64,
    /// Most rows to give; `None` for no limit.
    pub limit: Option<u64>,
    /// Fill [`Row::Doc`]'s `doc`.
    pub include_docs: bool,
    /// With `include_docs`: fill `conflicts`.
    pub conflicts: bool,
    /// Fill [`RowsHead::update_seq`].
    pub update_seq: bool,
}

/// What precedes the rows of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowsHead {
    /// Rows that there are in the whole namespace (or partition); `None` is shown as null.
    pub total_rows: Option<u64>,
    /// Rows before the first one given; `None` is shown as null.
    pub offset: Option<u64>,
    /// Sequence of the snapshot, if asked for: `Some(None)` is shown as null.
    pub update_seq: Option<Option<String>>,
}

/// One row.
#[derive(Clone, Debug)]
pub enum Row {
    /// A document.
    Doc(Box<DocRow>),
    /// A key without a document (`"error":"not_found"`).
    Missing(Key),
}

/// A document in an answer.
#[derive(Clone, Debug)]
pub struct DocRow {
    /// Its id, which is also the key.
    pub id: DocId,
    /// The winning revision.
    pub rev: Rev,
    /// Whether that is a tombstone; only where keys were given.
    pub deleted: bool,
    /// With `include_docs`, unless deleted (shown as null then).
    pub doc: Option<StoredDoc>,
    /// With `conflicts`: other leaves that are no tombstones.
    pub conflicts: Vec<Rev>,
}
