//! What can be asked of a view, and what answers. Values only.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::StoredDoc;
use settee_model::rev::Rev;
use settee_query::view::{Grouping, RowRange};

use super::DesignDoc;

/// A query over a view.
#[derive(Clone, Debug)]
pub struct ViewQuery {
    /// The design document.
    pub ddoc: Arc<DesignDoc>,
    /// The view's name.
    pub view: String,
    /// How rows are reduced; if not, they are given as they are.
    pub reduce: Option<Grouping>,
    /// Which rows.
    pub range: RowRange,
    /// Rows of each of these keys in turn, in place of a range.
    pub keys: Option<Vec<Bytes>>,
    /// Rows to leave out at first.
    pub skip: u64,
    /// Most rows to give; `None` for no limit.
    pub limit: Option<u64>,
    /// Fill [`ViewLine::doc`].
    pub include_docs: bool,
    /// With `include_docs`: fill `conflicts`.
    pub conflicts: bool,
    /// Whether the rows must show all that is in the database.
    pub update: Update,
    /// Fill [`ViewHead::update_seq`].
    pub update_seq: bool,
    /// Whether rows come in order. Without, CouchDB leaves none out at first.
    pub sorted: bool,
}

/// How fresh rows must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Update {
    /// They show all that is there.
    #[default]
    True,
    /// They are what they are.
    False,
    /// They are what they are, and are brought up to date afterwards.
    Lazy,
}

/// What precedes the rows of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewHead {
    /// Rows of the whole view, and those before the first one given; not of reduced rows.
    pub rows: Option<(u64, u64)>,
    /// Sequence that the rows show, if asked for.
    pub update_seq: Option<String>,
}

/// A row.
#[derive(Clone, Debug)]
pub struct ViewLine {
    /// The document that emitted it; none if it is reduced.
    pub id: Option<String>,
    /// The key, as JSON.
    pub key: Bytes,
    /// What there is to it.
    pub value: LineValue,
    /// With `include_docs`.
    pub doc: Option<LineDoc>,
}

/// What a row has beside its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineValue {
    /// A value, as JSON.
    Value(Bytes),
    /// No value: why it could not be reduced.
    Error {
        /// The member `error`.
        error: String,
        /// The member `reason`.
        reason: String,
    },
}

/// The document of a row.
#[derive(Clone, Debug)]
pub enum LineDoc {
    /// There is none (any more): shown as null.
    Missing,
    /// The one that emitted the row.
    Own {
        /// As it is now.
        doc: Box<StoredDoc>,
        /// Other leaves that are no tombstones, if asked for.
        conflicts: Vec<Rev>,
    },
    /// The one that the row's value names.
    Linked(Box<StoredDoc>),
}
