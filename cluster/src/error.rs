//! What can go wrong between a request and its answer, by meaning. HTTP maps each variant to a
//! status, an error name and a reason in one place; nothing here knows about statuses.

/// Why the coordinator could not do as asked, or why one edit of many was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No database of that name.
    #[error("Database does not exist.")]
    DatabaseMissing,
    /// A database of that name is there already.
    #[error("The database could not be created, the file already exists.")]
    DatabaseExists,
    /// The document, revision or attachment is not there.
    #[error("{}", if *.deleted { "deleted" } else { "missing" })]
    NotFound {
        /// Whether the document was there once and ends in a tombstone.
        deleted: bool,
    },
    /// The edit does not replace a current leaf.
    #[error("Document update conflict.")]
    Conflict,
    /// A request that no state of the database could satisfy; the text is the reason to give.
    #[error("{0}")]
    BadRequest(String),
    /// A stub names an attachment that the revision it edits does not have.
    #[error("Invalid attachment stub in {id} for {name}")]
    MissingStub {
        /// The document that was edited.
        id: String,
        /// The attachment's name.
        name: String,
    },
    /// A `_local/` document's revision is not `0-N` (500 `error`, as CouchDB answers).
    #[error("Invalid rev format")]
    BadLocalRev,
    /// `since` is not a sequence of this server's making.
    #[error("Malformed sequence supplied in 'since' parameter.")]
    BadSequence,
    /// A placement rule or `n` that the members cannot satisfy.
    #[error("{0}")]
    BadPlacement(String),
    /// The partition of this document is full.
    #[error("Partition limit exceeded due to update on '{0}'")]
    PartitionOverflow(String),
    /// A validation function, or a rule of the database, forbids the edit.
    #[error("{0}")]
    Forbidden(String),
    /// The user may not make this edit.
    #[error("{0}")]
    Unauthorized(String),
    /// The bytes of an upload are not what their digest or length promised.
    #[error("Attachment integrity check failed")]
    AttachmentMismatch,
    /// A stored or uploaded attachment claims to be gzip and is not.
    #[error("attachment is not valid gzip")]
    BadEncoding,
    /// More work is waiting than the server is willing to queue.
    #[error("The server is overloaded")]
    Overloaded,
    /// The disk has no room, or more of it is used than the operator wants; the text says for what.
    #[error("{0}")]
    Full(String),
    /// No copy of a shard answered in time.
    #[error("The request could not be processed in a reasonable amount of time.")]
    Timeout,
    /// Metadata cannot be changed, as too few nodes are there.
    #[error("No majority of the cluster's nodes can be reached; metadata cannot be changed now.")]
    NoMajority,
    /// A shard cannot be read or written; the text names file and cause.
    #[error("{0}")]
    Storage(String),
    /// The server is shutting down.
    #[error("The server is shutting down")]
    Closing,
    /// A function of a design document could not be run to its end, or said no.
    #[error(transparent)]
    Script(#[from] settee_query::js::Error),
    /// The node that has the shard cannot be asked; the text names it and the cause.
    #[error("{0}")]
    Unreachable(String),
}

impl From<settee_engine::Error> for Error {
    fn from(error: settee_engine::Error) -> Error {
        use settee_engine::Error as Engine;
        match error {
            Engine::ShardMissing { .. } => Error::DatabaseMissing,
            Engine::ShardExists { .. } => Error::DatabaseExists,
            Engine::Overloaded | Engine::IndexDropped { .. } => Error::Overloaded,
            Engine::Closed => Error::Closing,
            Engine::ChunkMismatch => Error::AttachmentMismatch,
            Engine::DiskFull { .. } => Error::Full("insufficient disk space".to_owned()),
            Engine::Reduce { what } => Error::Script(reduce_error(&what)),
            other => Error::Storage(other.to_string()),
        }
    }
}

/// What ended a reduce: the engine knows its words only.
fn reduce_error(what: &str) -> settee_query::js::Error {
    use settee_query::js::Error as Script;
    let limits = [Script::Timeout, Script::Memory, Script::Depth];
    let limit = limits.into_iter().find(|limit| limit.to_string() == what);
    limit.unwrap_or_else(|| Script::Engine(what.to_owned()))
}

impl From<settee_model::edit::EditError> for Error {
    fn from(error: settee_model::edit::EditError) -> Error {
        use settee_model::edit::EditError as Edit;
        match error {
            Edit::Conflict => Error::Conflict,
            Edit::MissingStub { id, name } => Error::MissingStub { id: id.to_string(), name },
            Edit::BadLocalRev => Error::BadLocalRev,
            Edit::PartitionOverflow(id) => Error::PartitionOverflow(id.to_string()),
            Edit::Forbidden(reason) => Error::Forbidden(reason),
            Edit::Unauthorized(reason) => Error::Unauthorized(reason),
            other @ (Edit::DuplicateAttachments | Edit::RevRequired) => {
                Error::BadRequest(other.to_string())
            }
        }
    }
}
