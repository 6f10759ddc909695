//! The one table from what went wrong to what a client is told: status, `error` and `reason`, as
//! CouchDB words them. Never decides that something went wrong.

use std::borrow::Cow;

use http::StatusCode;

/// Text of a reason: fixed, or made up for the case.
pub type Text = Cow<'static, str>;

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// 400 `bad_request`.
    BadRequest(Text),
    /// 400 with an `error` of its own.
    BadRequestNamed(&'static str, Text),
    /// 400 `query_parse_error`.
    QueryParse(Text),
    /// 400 `illegal_database_name`: the name.
    IllegalDbName(String),
    /// 400 `database_name_too_long`: the name.
    DbNameTooLong(String),
    /// 400 `illegal_docid`.
    IllegalDocId(Text),
    /// 400 `illegal_partition`.
    IllegalPartition(Text),
    /// 400 `doc_validation`.
    DocValidation(Text),
    /// 401 `unauthorized`.
    Unauthorized(Text),
    /// 403 `forbidden`.
    Forbidden(Text),
    /// 403 with an `error` of its own.
    ForbiddenNamed(&'static str, Text),
    /// 403 `partition_overflow`: the document.
    PartitionOverflow(String),
    /// 404 `not_found`, for a database.
    DbMissing,
    /// 404 `not_found`; `missing`, `deleted`, or words of its own.
    NotFound(Text),
    /// 404 with an `error` of its own.
    NotFoundNamed(&'static str, &'static str),
    /// 405: the methods that are allowed, separated by commas.
    MethodNotAllowed(&'static str),
    /// 406 `not_acceptable`.
    NotAcceptable(Text),
    /// 409 `conflict`.
    Conflict,
    /// 409 `not_found`: the revision to be edited is not stored.
    MissingRev,
    /// 410 `gone`.
    Gone(Text),
    /// 412 `file_exists`.
    DbExists,
    /// 412 `missing_stub`.
    MissingStub(Text),
    /// 412 `precondition_failed`.
    PreconditionFailed(Text),
    /// 412 `nodedown`: which node.
    NodeDown(String),
    /// 413 `too_large`: the whole request.
    TooLarge,
    /// 413 `attachment_too_large`: its name.
    AttachmentTooLarge(String),
    /// 413 `document_too_large`: its id.
    DocumentTooLarge(String),
    /// 414 `too_long`.
    UriTooLong,
    /// 415 `bad_content_type`.
    BadContentType(Text),
    /// 416 `requested_range_not_satisfiable`.
    RangeNotSatisfiable,
    /// 500 with an `error` of its own.
    Internal(&'static str, Text),
    /// What Mango says of a question.
    Mango(settee_query::mango::MangoError),
    /// What a function of a design document was not run to its end for.
    Script(settee_query::js::Error),
    /// 500 `timeout`.
    Timeout,
    /// 501 `not_implemented`.
    NotImplemented,
    /// 503 `service unavailable`.
    Unavailable(Text),
    /// 507 `insufficent_storage` (spelled as CouchDB spells it).
    InsufficientStorage(Text),
    /// The client went away while its body was read. Nobody reads the answer.
    Disconnected,
}

impl Error {
    /// 400 `bad_request`.
    pub fn bad_request(reason: impl Into<Text>) -> Self {
        Error::BadRequest(reason.into())
    }

    /// 404 `missing`.
    #[must_use]
    pub fn missing() -> Self {
        Error::NotFound("missing".into())
    }

    /// What CouchDB says about a body or parameter that is no JSON.
    #[must_use]
    pub fn invalid_json() -> Self {
        Error::BadRequest("invalid UTF-8 JSON".into())
    }

    /// Status, `error` and `reason`.
    #[must_use]
    pub fn info(&self) -> (StatusCode, &str, Cow<'_, str>) {
        use Error as E;
        let (status, error, reason): (u16, &str, Cow<'_, str>) = match self {
            E::BadRequest(reason) => (400, "bad_request", borrow(reason)),
            E::BadRequestNamed(error, reason) => (400, error, borrow(reason)),
            E::QueryParse(reason) => (400, "query_parse_error", borrow(reason)),
            E::IllegalDbName(name) => (400, "illegal_database_name", illegal_name(name).into()),
            E::DbNameTooLong(name) => {
                let reason = format!("At least one path segment of `{name}` is too long.");
                (400, "database_name_too_long", reason.into())
            }
            E::IllegalDocId(reason) => (400, "illegal_docid", borrow(reason)),
            E::IllegalPartition(reason) => (400, "illegal_partition", borrow(reason)),
            E::DocValidation(reason) => (400, "doc_validation", borrow(reason)),
            E::Unauthorized(reason) => (401, "unauthorized", borrow(reason)),
            E::Forbidden(reason) => (403, "forbidden", borrow(reason)),
            E::ForbiddenNamed(error, reason) => (403, error, borrow(reason)),
            E::PartitionOverflow(id) => {
                let reason = format!("Partition limit exceeded due to update on '{id}'");
                (403, "partition_overflow", reason.into())
            }
            E::DbMissing => (404, "not_found", "Database does not exist.".into()),
            E::NotFound(reason) => (404, "not_found", borrow(reason)),
            E::NotFoundNamed(error, reason) => (404, error, (*reason).into()),
            E::MethodNotAllowed(allow) => {
                (405, "method_not_allowed", format!("Only {allow} allowed").into())
            }
            E::NotAcceptable(reason) => (406, "not_acceptable", borrow(reason)),
            E::Conflict => (409, "conflict", "Document update conflict.".into()),
            E::MissingRev => (409, "not_found", "missing_rev".into()),
            E::Gone(reason) => (410, "gone", borrow(reason)),
            E::DbExists => (412, "file_exists", DB_EXISTS.into()),
            E::MissingStub(reason) => (412, "missing_stub", borrow(reason)),
            E::PreconditionFailed(reason) => (412, "precondition_failed", borrow(reason)),
            E::NodeDown(reason) => (412, "nodedown", reason.into()),
            E::TooLarge => (413, "too_large", "the request entity is too large".into()),
            E::AttachmentTooLarge(name) => (413, "attachment_too_large", name.into()),
            E::DocumentTooLarge(id) => (413, "document_too_large", id.into()),
            E::UriTooLong => (414, "too_long", "the request uri is too long".into()),
            E::BadContentType(reason) => (415, "bad_content_type", borrow(reason)),
            E::RangeNotSatisfiable => {
                (416, "requested_range_not_satisfiable", "Requested range not satisfiable".into())
            }
            E::Internal(error, reason) => (500, error, borrow(reason)),
            E::Mango(error) => (error.status, &*error.error, borrow_str(&error.reason)),
            E::Script(error) => (error.status(), error.error(), words(&error.reason()).into()),
            E::Timeout => (500, "timeout", TIMEOUT.into()),
            E::NotImplemented => {
                (501, "not_implemented", "this feature is not yet implemented".into())
            }
            E::Unavailable(reason) => (503, "service unavailable", borrow(reason)),
            E::InsufficientStorage(reason) => (507, "insufficent_storage", borrow(reason)),
            E::Disconnected => (400, "bad_request", "the request body ended too soon".into()),
        };
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), error, reason)
    }
}

/// A reason that is a text as that, any other as JSON.
fn words(reason: &str) -> String {
    serde_json::from_str(reason).unwrap_or_else(|_| reason.to_owned())
}

const DB_EXISTS: &str = "The database could not be created, the file already exists.";
const TIMEOUT: &str = "The request could not be processed in a reasonable amount of time.";

fn borrow(text: &Text) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn borrow_str(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn illegal_name(name: &str) -> String {
    format!(
        "Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters \
         _, $, (, ), +, -, and / are allowed. Must begin with a letter."
    )
}

impl From<settee_model::json::JsonError> for Error {
    fn from(_: settee_model::json::JsonError) -> Self {
        Error::invalid_json()
    }
}

impl From<settee_model::rev::BadRev> for Error {
    fn from(error: settee_model::rev::BadRev) -> Self {
        Error::BadRequest(error.to_string().into())
    }
}

impl From<settee_model::docid::DocIdError> for Error {
    fn from(error: settee_model::docid::DocIdError) -> Self {
        Error::IllegalDocId(error.to_string().into())
    }
}

impl From<settee_model::json::DocError> for Error {
    fn from(error: settee_model::json::DocError) -> Self {
        use settee_model::json::DocError as D;
        match error {
            D::DocumentTooLarge(id) => Error::DocumentTooLarge(id),
            D::AttachmentTooLarge(name) => Error::AttachmentTooLarge(name),
            error => Error::BadRequestNamed(error.error(), error.to_string().into()),
        }
    }
}

impl From<settee_model::ddoc::InvalidDesignDoc> for Error {
    fn from(error: settee_model::ddoc::InvalidDesignDoc) -> Self {
        Error::BadRequestNamed("invalid_design_doc", error.0.into())
    }
}

impl From<settee_model::selector::SelectorError> for Error {
    fn from(error: settee_model::selector::SelectorError) -> Self {
        Error::BadRequest(error.to_string().into())
    }
}

impl From<settee_model::partition::PartitionError> for Error {
    fn from(error: settee_model::partition::PartitionError) -> Self {
        Error::BadRequestNamed(error.error(), error.to_string().into())
    }
}

impl From<settee_query::mango::MangoError> for Error {
    fn from(error: settee_query::mango::MangoError) -> Self {
        Error::Mango(error)
    }
}

impl From<settee_cluster::find::FindError> for Error {
    fn from(error: settee_cluster::find::FindError) -> Self {
        use settee_cluster::find::FindError;
        match error {
            FindError::Question(error) => error.into(),
            FindError::Database(error) => error.into(),
        }
    }
}

impl From<settee_cluster::Error> for Error {
    fn from(error: settee_cluster::Error) -> Self {
        use settee_cluster::Error as C;
        match error {
            C::DatabaseMissing => Error::DbMissing,
            C::DatabaseExists => Error::DbExists,
            C::NotFound { deleted } => {
                Error::NotFound(if deleted { "deleted" } else { "missing" }.into())
            }
            C::Conflict => Error::Conflict,
            C::BadRequest(reason) => Error::BadRequest(reason.into()),
            C::PartitionOverflow(id) => Error::PartitionOverflow(id),
            C::MissingStub { .. } => Error::MissingStub(error.to_string().into()),
            C::BadLocalRev => Error::BadRequest(error.to_string().into()),
            C::BadSequence => Error::BadRequest(error.to_string().into()),
            C::BadPlacement(reason) => Error::BadRequest(reason.into()),
            C::Forbidden(reason) => Error::Forbidden(reason.into()),
            C::Unauthorized(reason) => Error::Unauthorized(reason.into()),
            C::AttachmentMismatch => Error::BadRequestNamed(
                "content_md5_mismatch",
                "Possible message corruption.".into(),
            ),
            C::BadEncoding => Error::BadRequest("Attachment is not valid gzip.".into()),
            C::Overloaded => Error::Unavailable(OVERLOADED.into()),
            C::Full(reason) => Error::InsufficientStorage(reason.into()),
            C::Timeout => Error::Timeout,
            C::Storage(reason) => {
                // It names files, which are nobody's business but the operator's.
                tracing::error!(reason, "a shard cannot be read or written");
                let reason = "The storage failed; the server's log says why.";
                Error::Internal("internal_server_error", reason.into())
            }
            C::Script(error) => Error::Script(error),
            C::NoMajority | C::Closing => Error::Unavailable(error.to_string().into()),
            C::Unreachable(_) => Error::Internal("nodedown", "progress not possible".into()),
        }
    }
}

const OVERLOADED: &str =
    "Nodes are unable to service this request due to overloading or maintenance mode.";
