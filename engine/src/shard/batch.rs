//! What can be asked of a shard's writer, and what it answers. Plain values.

use bytes::Bytes;
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::edit::EditError;
use settee_model::rev::{Rev, RevPath};

use crate::Error;
use crate::codec::local::LocalDoc;
use crate::codec::purge::PurgeRequest;

/// Writes that are decided together, in the order of document ids as CouchDB has it (the order of
/// the list for edits of one document), and become durable together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What to write.
    pub writes: Vec<Write>,
    /// How many generations of a document are remembered; at least 1.
    pub revs_limit: u32,
    /// How many purges are remembered (beyond it compaction forgets the oldest).
    pub purge_infos_limit: u32,
    /// Bytes of content from which on a partition takes no more from interactive edits.
    pub partition_limit: Option<u64>,
    /// Number of the last purge that whoever made the batch has taken into account. If the shard
    /// has purged since, every write of the batch fails with [`EditError::Conflict`]: what was read
    /// elsewhere before may be what the purge removed.
    pub purges_known: Option<u64>,
}

impl Batch {
    /// Writes with CouchDB's default limits.
    #[must_use]
    pub fn of(writes: Vec<Write>) -> Batch {
        Batch {
            writes,
            revs_limit: 1000,
            purge_infos_limit: 1000,
            partition_limit: None,
            purges_known: None,
        }
    }
}

/// One write.
#[derive(Clone, Debug)]
pub enum Write {
    /// An edit that must extend a leaf: the server makes the revision. For ids outside `_local/`.
    Interactive(DocEdit),
    /// A revision that was made elsewhere (`new_edits=false`).
    Replicated(DocEdit),
    /// A revision that another copy decided on. If this copy has carried out a purge of the document
    /// that had not been carried out there, the write fails with [`EditError::Conflict`]: the purge
    /// came after the decision, though it has come here before it.
    Following {
        /// The revision, as for [`Write::Replicated`].
        edit: DocEdit,
        /// Uuids of the purges of the document that the other copy remembered when it decided.
        purges: Vec<Bytes>,
    },
    /// An edit of a `_local/` document.
    Local(LocalEdit),
    /// A `_local/` document as another copy has it: kept if it is newer than the one here.
    LocalReplica(LocalReplica),
    /// Removal of leaves.
    Purge(PurgeRequest),
    /// A value of the shard's own under a name; `None` removes it.
    Property {
        /// The name.
        name: Bytes,
        /// The value.
        value: Option<Bytes>,
    },
}

/// A deletion's body up to this size is no use of room, in bytes.
const SMALL: usize = 4 << 10;

impl Write {
    /// The edit of a document outside `_local/`, if it is one.
    #[must_use]
    pub fn edit(&self) -> Option<&DocEdit> {
        match self {
            Write::Interactive(edit) | Write::Replicated(edit) | Write::Following { edit, .. } => {
                Some(edit)
            }
            _ => None,
        }
    }

    /// Whether it is about a design document.
    pub(super) fn is_design(&self) -> bool {
        match self {
            Write::Purge(request) => request.id.is_design(),
            write => write.edit().is_some_and(|edit| edit.id.is_design()),
        }
    }

    /// Whether it takes next to no room itself, and gives some in the end.
    #[must_use]
    pub fn frees(&self) -> bool {
        match self {
            Write::Interactive(edit) | Write::Replicated(edit) | Write::Following { edit, .. } => {
                edit.deleted && edit.atts.is_empty() && edit.body.len() <= SMALL
            }
            Write::Local(edit) => edit.body.is_none(),
            Write::LocalReplica(_) => false,
            Write::Purge(_) => true,
            // The node's own: how far it has told others of its purges, for one.
            Write::Property { .. } => true,
        }
    }

    /// About how much memory it holds until it is written.
    pub(super) fn bytes(&self) -> usize {
        const FIXED: usize = 512;
        FIXED
            + match self {
                Write::Interactive(edit)
                | Write::Replicated(edit)
                | Write::Following { edit, .. } => {
                    edit.body.len()
                        + edit.carried()
                        + 64 * (edit.revs.ids.len() + 8 * edit.atts.len())
                }
                Write::Local(edit) => edit.body.as_ref().map_or(0, Bytes::len),
                Write::LocalReplica(replica) => replica.doc.body.len(),
                Write::Purge(request) => 64 * request.revs.len(),
                Write::Property { value, .. } => value.as_ref().map_or(0, Bytes::len),
            }
    }
}

/// An edit of a `_local/` document. As in CouchDB the last one wins, whatever revision it names.
#[derive(Clone, Debug)]
pub struct LocalEdit {
    /// The document, `_local/` included.
    pub id: DocId,
    /// N of the revision `0-N` that the client names; the edit gets N + 1, or 1 without it.
    pub rev: Option<u64>,
    /// The new JSON object in stored form; `None` deletes.
    pub body: Option<Bytes>,
}

/// A `_local/` document of another copy. The higher `0-N` is the newer one; of two that are equal
/// in that the one with the greater content, so that all copies choose the same.
#[derive(Clone, Debug)]
pub struct LocalReplica {
    /// The document, `_local/` included.
    pub id: DocId,
    /// As it is there.
    pub doc: LocalDoc,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The revision is stored (`0-N` for a `_local/` document, `0-0` if it was deleted).
    Written(Rev),
    /// The replicated revision, or one that is newer, was known already; nothing changed.
    Unchanged(Rev),
    /// The write was refused.
    Failed(EditError),
    /// The leaves that were removed, by generation and id. None if the request had been carried out
    /// before or named no leaf.
    Purged(Vec<Rev>),
    /// The property is set.
    Set,
}

impl Outcome {
    /// Whether the write was refused.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Outcome::Failed(_))
    }
}

/// What was decided about a batch, told before it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// One for each write, in order.
    pub outcomes: Vec<Outcome>,
    /// One for each write, too: there for each interactive edit that was written.
    pub made: Vec<Option<Made>>,
}

/// What another copy must know beside an interactive edit to have the revision that was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The revision and all its ancestors that are remembered.
    pub path: RevPath,
    /// Generations of its attachments, in the edit's order.
    pub revpos: Vec<u64>,
    /// Uuids of the purges of its document that are remembered.
    pub purges: Vec<Bytes>,
}

impl Made {
    /// What another copy is to write for the edit.
    #[must_use]
    pub fn following(self, mut edit: DocEdit) -> Write {
        edit.revs = self.path;
        for (att, revpos) in edit.atts.iter_mut().zip(self.revpos) {
            att.revpos = Some(revpos);
        }
        Write::Following { edit, purges: self.purges }
    }
}

/// Called at most once, as soon as a batch is decided and the log has it; never if the batch failed
/// before that. A disk that is quick may make it cross with [`Done`]. It comes with the shard locked,
/// on any thread, so it must be quick and must not ask the shard for anything.
pub type OnDecided = Box<dyn FnOnce(Decision) + Send>;

/// Called once when a batch is durable or failed; on the log's thread, so it must be quick and must
/// not write. One outcome for each write, in order.
pub type Done = Box<dyn FnOnce(Result<Vec<Outcome>, Error>) + Send>;
