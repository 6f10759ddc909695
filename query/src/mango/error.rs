//! What is wrong with a request to Mango, in CouchDB's words. Never decides how it is sent.

use std::borrow::Cow;
use std::fmt::Display;

use serde_json::Value;
use settee_model::partition::PartitionError;
use settee_model::selector::{SelectorError, Term};

/// An answer other than 200: displays as its `reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MangoError {
    /// HTTP status.
    pub status: u16,
    /// The member `error`.
    pub error: Cow<'static, str>,
    /// The member `reason`.
    pub reason: String,
}

impl MangoError {
    /// A mistake of the client.
    pub(super) fn bad(error: &'static str, reason: impl Into<String>) -> Self {
        MangoError { status: 400, error: error.into(), reason: reason.into() }
    }

    /// A mistake of the client that CouchDB has no words for: it blames itself.
    pub(super) fn unknown(module: &str, what: &str, value: &Value) -> Self {
        let reason = format!("Unknown Error: {module} :: {{{what},{}}}", Term(value));
        MangoError { status: 500, error: "unknown_error".into(), reason }
    }

    pub(super) fn invalid_key(name: &str) -> Self {
        MangoError::bad("invalid_key", format!("Invalid key {name} for this request."))
    }

    pub(super) fn missing_key(name: &str) -> Self {
        MangoError::bad("missing_required_key", format!("Missing required key: {name}"))
    }

    pub(super) fn not_an_object() -> Self {
        MangoError::bad("bad_request", "Request body must be a JSON object")
    }

    /// An index that runs on a search service, which is not there.
    pub(super) fn no_service(name: &str) -> Self {
        let error = "required index service unavailable".into();
        MangoError { status: 503, error, reason: name.into() }
    }

    /// The design document could not be written; `why` is the error of the write.
    #[must_use]
    pub fn not_saved(why: &str) -> Self {
        let reason = match why {
            "conflict" => "Encountered a conflict while saving the design document.".into(),
            why => format!("Unknown error while saving the design document: {why}"),
        };
        MangoError { status: 500, error: "error_saving_ddoc".into(), reason }
    }

    pub(super) fn invalid_bookmark(text: impl Display) -> Self {
        MangoError::bad("invalid_bookmark", format!("Invalid bookmark value: {text}"))
    }
}

impl From<SelectorError> for MangoError {
    fn from(error: SelectorError) -> Self {
        MangoError::bad(error.name(), error.to_string())
    }
}

impl From<PartitionError> for MangoError {
    fn from(error: PartitionError) -> Self {
        MangoError::bad(error.error(), error.to_string())
    }
}
