//! How a call into a design document's functions can fail, and what CouchDB answers then. Never
//! holds values of the engine.

/// Why a function gave no result.
///
/// [`Error::status`], [`Error::error`] and [`Error::reason`] say what CouchDB 3.5 answers when the
/// error ends a request. Two places there don't answer so: `_changes` wraps any error of a filter
/// in Erlang's own words (500 `error`), and when rows of a list have been sent, the error is
/// appended to the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `validate_doc_update` threw `{forbidden: reason}`: 403. The reason is any JSON value.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// A `validate_doc_update` threw `{unauthorized: reason}`: 401. The reason is any JSON value.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The function threw. `["error", e, r]`, `["fatal", e, r]` and `{error: e, reason: r}` are
    /// answered as they say, 404 for `not_found` and so on, else 500; instances of `Error` by their
    /// name and the reason `{[]}`; in functions that make responses, anything else as 500
    /// `render_error` (`rewrite_error`) with the exception and its stack in words; elsewhere as
    /// 500 `unknown_error`.
    #[error("{error}: {reason}")]
    Thrown {
        /// The member `error`.
        error: String,
        /// The value of the member `reason`, as JSON.
        reason: String,
    },
    /// The source is no function: 500 `compilation_error` when it is run, 400 when a view is
    /// stored. Holds the reason.
    #[error("{0}")]
    Compilation(String),
    /// The design document has no such function: 404 `not_found`. Holds its name.
    #[error("missing json key: {0}")]
    Missing(String),
    /// The time for the call was up: 500 `os_process_error`.
    #[error("OS process timed out.")]
    Timeout,
    /// The engine holds as much memory as it may: 500 `InternalError`.
    #[error("out of memory")]
    Memory,
    /// Calls or data are nested too deep. CouchDB 3.5 dies of it on QuickJS (500
    /// `os_process_error`); its other engine answers 500 `InternalError`, and so do we.
    #[error("too much recursion")]
    Depth,
    /// Who takes a list's pieces has gone; there is nobody to answer.
    #[error("nobody takes the list any more")]
    Gone,
    /// The engine did what it should not: 500 `unknown_error`.
    #[error("{0}")]
    Engine(String),
}

impl Error {
    /// The status that CouchDB answers.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Error::Forbidden(_) => 403,
            Error::Unauthorized(_) => 401,
            Error::Missing(_) => 404,
            Error::Thrown { error, .. } => match error.as_str() {
                "bad_request" | "query_parse_error" => 400,
                "unauthorized" => 401,
                "forbidden" => 403,
                "not_found" => 404,
                "method_not_allowed" => 405,
                "not_acceptable" => 406,
                "conflict" => 409,
                "gone" => 410,
                _ => 500,
            },
            _ => 500,
        }
    }

    /// What CouchDB says in the member `error`.
    #[must_use]
    pub fn error(&self) -> &str {
        match self {
            Error::Forbidden(_) => "forbidden",
            Error::Unauthorized(_) => "unauthorized",
            Error::Thrown { reason, .. } if reason == "null" => "unknown_error",
            Error::Thrown { error, .. } => error,
            Error::Compilation(_) => "compilation_error",
            Error::Missing(_) => "not_found",
            Error::Timeout => "os_process_error",
            Error::Memory | Error::Depth => "InternalError",
            Error::Gone | Error::Engine(_) => "unknown_error",
        }
    }

    /// The value of the member `reason`, as JSON.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Error::Forbidden(reason) | Error::Unauthorized(reason) => reason.clone(),
            Error::Thrown { error, reason } => match reason.as_str() {
                _ if error == "conflict" => quoted("Document update conflict."),
                "null" => quoted(error),
                "{}" => quoted("{[]}"),
                _ => reason.clone(),
            },
            other => quoted(&other.to_string()),
        }
    }

    /// Whether the engine is not to be used again after this.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(
            self,
            Error::Timeout | Error::Memory | Error::Depth | Error::Gone | Error::Engine(_)
        )
    }

    /// What the engine's side reports: a kind, a name, and a reason as JSON.
    pub(super) fn from_verdict(kind: &str, error: String, reason: String) -> Error {
        match kind {
            "memory" => Error::Memory,
            "deep" => Error::Depth,
            "forbidden" => Error::Forbidden(reason),
            "unauthorized" => Error::Unauthorized(reason),
            _ if error == "compilation_error" => match serde_json::from_str(&reason) {
                Ok(words) => Error::Compilation(words),
                Err(_) => Error::Thrown { error, reason },
            },
            _ => Error::Thrown { error, reason },
        }
    }
}

fn quoted(words: &str) -> String {
    serde_json::Value::from(words).to_string()
}
