//! Decisions on edits: whether a document's history lets one in, which revision it makes, what
//! that revision holds. Pure: what is known is given, what is decided is returned, and somebody
//! else stores it and then merges `path` into the tree. Never changes a tree.
//!
//! Edits of one document are decided one after the other, each on what the one before it left.

mod atts;
mod interactive;
mod local;
mod replicated;
#[cfg(test)]
mod tests;

pub use interactive::decide_interactive;
pub use local::{local_base, next_local_rev};
pub use replicated::decide_replicated;

use crate::doc::DocRecord;
use crate::docid::DocId;
use crate::rev::{Rev, RevPath};

/// What is to become of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is to be stored.
    Write(Decided),
    /// A replicated revision that is known already: nothing to do, and a success.
    Known(Rev),
    /// It must not be stored.
    Refuse(EditError),
}

/// An edit that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Which document.
    pub id: DocId,
    /// The revision that it makes, then those of its ancestors that the edit named.
    pub path: RevPath,
    /// Whether the revision is a tombstone.
    pub deleted: bool,
    /// What the revision holds, attachments that the edit took over included.
    pub record: DocRecord,
}

impl Decided {
    /// The revision that the edit makes.
    #[must_use]
    pub fn rev(&self) -> Option<Rev> {
        self.path.tip()
    }
}

/// Why an edit was refused. Displays as CouchDB's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The edit does not replace a current leaf (409 `conflict`).
    #[error("Document update conflict.")]
    Conflict,
    /// A stub names an attachment that the revision it follows does not have, or not of that
    /// generation (412 `missing_stub`).
    #[error("Invalid attachment stub in {id} for {name}")]
    MissingStub {
        /// The document.
        id: DocId,
        /// The attachment.
        name: String,
    },
    /// Two attachments have the same name (400 `bad_request`).
    #[error("Duplicate attachments")]
    DuplicateAttachments,
    /// A replicated edit does not say which revision it is (400 `bad_request`).
    #[error("When `new_edits: false`, the document needs `_rev` or `_revisions` specified")]
    RevRequired,
    /// An edit of a `_local/` document names a revision that is not `0-N` (500 `error`).
    #[error("Invalid rev format")]
    BadLocalRev,
    /// The partition is full, and the edit would make it larger (403 `partition_overflow`).
    #[error("Partition limit exceeded due to update on '{0}'")]
    PartitionOverflow(DocId),
    /// A rule of the database does not want the edit (403 `forbidden`).
    #[error("{0}")]
    Forbidden(String),
    /// A rule of the database does not want the edit from this user (401 `unauthorized`).
    #[error("{0}")]
    Unauthorized(String),
}

impl EditError {
    /// CouchDB's short name of the error: the `error` member of an answer.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            EditError::Conflict => "conflict",
            EditError::MissingStub { .. } => "missing_stub",
            EditError::DuplicateAttachments | EditError::RevRequired => "bad_request",
            EditError::BadLocalRev => "error",
            EditError::PartitionOverflow(_) => "partition_overflow",
            EditError::Forbidden(_) => "forbidden",
            EditError::Unauthorized(_) => "unauthorized",
        }
    }
}
