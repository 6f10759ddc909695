//! `_changes`: what can be asked, and an answer that can be followed for as long as one likes.
//! Feeds, heartbeats and timeouts are HTTP's business; this gives batches and a way to wait.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use crate::Error;
pub use crate::coord::changes::Changes;

/// Where a feed begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// At the first change (`0`).
    #[default]
    Start,
    /// After what is there now.
    Now,
    /// After this sequence, as a client got it from here (or `0`).
    Seq(String),
}

/// Which revisions of a changed document to name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// The winner.
    #[default]
    MainOnly,
    /// All leaves, tombstones included.
    AllDocs,
}

/// Decides by content which revisions of changed documents belong to a feed.
pub trait DocFilter: Send + Sync {
    /// Whether this leaf passes. Runs on a thread that may block.
    fn passes(&self, leaf: &Candidate) -> Result<bool, Error>;
}

/// A leaf that may belong to a feed.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The leaf, with its ancestors.
    pub doc: StoredDoc,
    /// With [`ChangesQuery::conflicts`]: other leaves that are no tombstones.
    pub conflicts: Vec<Rev>,
}

/// Decides like [`DocFilter`], but many at once and not on the thread that asks: functions of design
/// documents do.
pub trait Judge: Send + Sync {
    /// Whether each of these leaves passes.
    fn judge(&self, leaves: Vec<Candidate>) -> Judging;
}

/// A decision under way.
pub type Judging = Pin<Box<dyn Future<Output = Verdicts> + Send>>;

/// How far a [`Judge`] came.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// Whether each of the leaves passes, as far as that was decided.
    pub passes: Vec<bool>,
    /// Why the next one could not be judged; `None` if all were.
    pub fault: Option<Error>,
}

/// Which changes belong to a feed.
#[derive(Clone, Default)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Those of these documents.
    DocIds(Arc<HashSet<DocId>>),
    /// Those of design documents.
    Design,
    /// Those with a leaf (the winner only, for [`Style::MainOnly`]) that passes.
    Docs(Arc<dyn DocFilter>),
    /// The same, decided by somebody who takes his time.
    Judged(Arc<dyn Judge>),
}

/// A query over changes.
#[derive(Clone, Default)]
pub struct ChangesQuery {
    /// Where to begin. Descending feeds begin at the end whatever it says.
    pub since: Since,
    /// From the newest to the oldest.
    pub descending: bool,
    /// Most changes to give; `None` for no limit.
    pub limit: Option<u64>,
    /// Which revisions to name.
    pub style: Style,
    /// Which changes to give.
    pub filter: Filter,
    /// Fill [`Change::doc`].
    pub include_docs: bool,
    /// With `include_docs`: fill [`Change::conflicts`].
    pub conflicts: bool,
    /// Give a sequence with every n-th change only.
    pub seq_interval: Option<u64>,
}

/// A document that changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which one.
    pub id: DocId,
    /// Sequence after this change; `None` (null) between intervals.
    pub seq: Option<String>,
    /// The revisions to name, best first.
    pub revs: Vec<Rev>,
    /// Whether the winner is a tombstone.
    pub deleted: bool,
    /// The winner, if asked for.
    pub doc: Option<StoredDoc>,
    /// Other leaves that are no tombstones, if asked for.
    pub conflicts: Vec<Rev>,
}

/// A piece of a feed.
#[derive(Debug, Default)]
pub struct ChangesBatch {
    /// In order; empty when a stretch of changes did not pass the filter, or at the end.
    pub changes: Vec<Change>,
    /// Nothing more to give at present, or the limit is reached.
    pub done: bool,
}
