//! Requests and answers about single documents, as values: opening, editing, comparing revisions,
//! purging. Never asks a shard (see `db`), never renders JSON.

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use crate::Error;

/// Which revision of a document to open, and what to tell about the others.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// This revision; the winner otherwise. A revision may be any that is still stored, tombstones
    /// included; without one a deleted document is [`Error::NotFound`] (`deleted`).
    pub rev: Option<Rev>,
    /// With `rev`: if that one is no leaf, the leaf that came of it.
    pub latest: bool,
    /// Without `rev`: give the winner even if it is a tombstone.
    pub deleted: bool,
    /// Fill the ancestors in the document's `revs`; without it there may be the revision alone,
    /// which is cheaper.
    pub history: bool,
    /// Fill [`OpenedDoc::facts`]. Ignored with `rev`, as CouchDB does.
    pub facts: bool,
    /// Copies that must agree; `None` for the majority.
    pub r: Option<u32>,
}

/// A document that was opened.
#[derive(Clone, Debug)]
pub struct OpenedDoc {
    /// The revision.
    pub doc: StoredDoc,
    /// What the revision tree says, if [`OpenOptions::facts`] asked for it and the document has a
    /// tree (`_local/` documents have none).
    pub facts: Option<Facts>,
}

/// What the revision tree says beside the winner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The winner and its ancestors, newest first, for `revs_info`.
    pub revs_info: Vec<(Rev, RevStatus)>,
    /// Other leaves that are not tombstones, best first, for `conflicts`.
    pub conflicts: Vec<Rev>,
    /// Other leaves that are tombstones, best first, for `deleted_conflicts`.
    pub deleted_conflicts: Vec<Rev>,
    /// The document's place in its shard, for `local_seq`.
    pub local_seq: u64,
}

/// Whether a revision's content can still be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevStatus {
    /// Stored.
    Available,
    /// Only its id is known.
    Missing,
    /// A tombstone.
    Deleted,
}

/// Which revisions of a document are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revs {
    /// All leaves, winner first.
    All,
    /// These.
    Some(Vec<Rev>),
}

/// One of the revisions that were asked for.
#[derive(Clone, Debug)]
pub enum RevResult {
    /// Here it is.
    Found(StoredDoc),
    /// Not stored.
    Missing(Rev),
}

/// One line of a `_bulk_get`.
#[derive(Clone, Debug)]
pub struct BulkGet {
    /// The document.
    pub id: DocId,
    /// Its revisions.
    pub revs: Revs,
}

/// Whether edits must fit onto current leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditMode {
    /// An edit names the leaf it replaces; anything else is a conflict.
    Interactive,
    /// An edit brings its ancestors and is merged (`new_edits=false`).
    Replicated,
}

/// How an update shall be acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpdateOptions {
    /// Copies that must have it synced; `None` for the majority.
    pub w: Option<u32>,
    /// Bytes of content from which on a partition is full.
    pub max_partition_size: Option<u64>,
}

/// What became of one edit.
#[derive(Clone, Debug)]
pub struct EditResult {
    /// The new revision, or why there is none. A replicated edit that was known already is `Ok`.
    pub result: Result<Rev, Error>,
    /// Some copy has it synced, but fewer than `w` (an HTTP 202).
    pub accepted: bool,
}

/// What a replicator lacks of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevsDiff {
    /// The document.
    pub id: DocId,
    /// Those of the asked revisions that are unknown here; empty when nothing is missing.
    pub missing: Vec<Rev>,
    /// Leaves here that the missing ones may descend from.
    pub possible_ancestors: Vec<Rev>,
}

/// How widely revisions of a document are known; each in the order in which they were named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevsKnown {
    /// Those that most copies know.
    pub to_most: Vec<Rev>,
    /// Those that one of the copies knows that were asked: a majority.
    pub to_some: Vec<Rev>,
}

/// Leaves of a document that shall vanish, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdRevs {
    /// The document.
    pub id: DocId,
    /// Its revisions.
    pub revs: Vec<Rev>,
}

/// What became of one purge request.
#[derive(Clone, Debug)]
pub struct PurgeResult {
    /// The revisions that were removed, or why none could be.
    pub result: Result<Vec<Rev>, Error>,
    /// Fewer than `w` copies have it synced.
    pub accepted: bool,
}
