//! Errors as the details of a failed call: they arrive as what they were, not as a text about it.
//! Knows no statuses of HTTP.

use bytes::Bytes;
use prost::Message;
use settee_query::js;
use tonic::{Code, Status};

use super as wire;
use crate::Error;

/// Longest text that travels with a failure, in bytes; it lies in a header.
const TEXT_MAX: usize = 2048;

/// A failure as a call's end.
pub(crate) fn status_of(error: Error) -> Status {
    let code = match &error {
        Error::Overloaded => Code::ResourceExhausted,
        Error::Timeout => Code::DeadlineExceeded,
        Error::Closing | Error::Unreachable(_) => Code::Unavailable,
        Error::NotFound { .. } | Error::DatabaseMissing => Code::NotFound,
        Error::Storage(_) | Error::Full(_) => Code::Internal,
        _ => Code::FailedPrecondition,
    };
    let details = wire::Failure::from(error).encode_to_vec();
    Status::with_details(code, "", Bytes::from(details))
}

/// A call's end as a failure of a call to `peer`.
pub(crate) fn failure_of(status: &Status, peer: &str) -> Error {
    if !status.details().is_empty()
        && let Ok(failure) = wire::Failure::decode(status.details())
        && let Some(kind) = failure.kind
    {
        return kind.into();
    }
    match status.code() {
        Code::DeadlineExceeded => Error::Timeout,
        _ => {
            let message = short(status.message().into());
            let why = if message.is_empty() { status.code().to_string() } else { message };
            Error::Unreachable(format!("{peer}: {why}"))
        }
    }
}

impl From<Error> for wire::Failure {
    fn from(error: Error) -> wire::Failure {
        use wire::failure::Kind;
        let nothing = wire::Nothing {};
        let kind = match error {
            Error::DatabaseMissing => Kind::DatabaseMissing(nothing),
            Error::DatabaseExists => Kind::DatabaseExists(nothing),
            Error::NotFound { deleted } => Kind::NotFound(deleted),
            Error::Conflict => Kind::Conflict(nothing),
            Error::BadRequest(text) => Kind::BadRequest(short(text)),
            Error::MissingStub { id, name } => {
                Kind::MissingStub(wire::StubName { id: short(id), name: short(name) })
            }
            Error::BadLocalRev => Kind::BadLocalRev(nothing),
            Error::BadSequence => Kind::BadSequence(nothing),
            Error::BadPlacement(text) => Kind::BadPlacement(short(text)),
            Error::PartitionOverflow(id) => Kind::PartitionOverflow(short(id)),
            Error::Forbidden(text) => Kind::Forbidden(short(text)),
            Error::Unauthorized(text) => Kind::Unauthorized(short(text)),
            Error::AttachmentMismatch => Kind::AttachmentMismatch(nothing),
            Error::BadEncoding => Kind::BadEncoding(nothing),
            Error::Overloaded => Kind::Overloaded(nothing),
            Error::Full(text) => Kind::Full(short(text)),
            Error::Timeout => Kind::Timeout(nothing),
            Error::Storage(text) => Kind::Storage(short(text)),
            Error::Closing => Kind::Closing(nothing),
            Error::Unreachable(text) => Kind::Unreachable(short(text)),
            Error::NoMajority => Kind::NoMajority(nothing),
            Error::Script(error) => Kind::Script(error.into()),
        };
        wire::Failure { kind: Some(kind) }
    }
}

impl From<wire::failure::Kind> for Error {
    fn from(kind: wire::failure::Kind) -> Error {
        use wire::failure::Kind;
        match kind {
            Kind::DatabaseMissing(_) => Error::DatabaseMissing,
            Kind::DatabaseExists(_) => Error::DatabaseExists,
            Kind::NotFound(deleted) => Error::NotFound { deleted },
            Kind::Conflict(_) => Error::Conflict,
            Kind::BadRequest(text) => Error::BadRequest(text),
            Kind::MissingStub(wire::StubName { id, name }) => Error::MissingStub { id, name },
            Kind::BadLocalRev(_) => Error::BadLocalRev,
            Kind::BadSequence(_) => Error::BadSequence,
            Kind::BadPlacement(text) => Error::BadPlacement(text),
            Kind::PartitionOverflow(id) => Error::PartitionOverflow(id),
            Kind::Forbidden(text) => Error::Forbidden(text),
            Kind::Unauthorized(text) => Error::Unauthorized(text),
            Kind::AttachmentMismatch(_) => Error::AttachmentMismatch,
            Kind::BadEncoding(_) => Error::BadEncoding,
            Kind::Overloaded(_) => Error::Overloaded,
            Kind::Full(text) => Error::Full(text),
            Kind::Timeout(_) => Error::Timeout,
            Kind::Storage(text) => Error::Storage(text),
            Kind::Closing(_) => Error::Closing,
            Kind::Unreachable(text) => Error::Unreachable(text),
            Kind::NoMajority(_) => Error::NoMajority,
            Kind::Script(error) => Error::Script(error.into()),
        }
    }
}

impl From<js::Error> for wire::ScriptError {
    fn from(error: js::Error) -> wire::ScriptError {
        use wire::ScriptErrorKind as Kind;
        let (kind, error, reason) = match error {
            js::Error::Forbidden(reason) => (Kind::Forbidden, String::new(), reason),
            js::Error::Unauthorized(reason) => (Kind::Unauthorized, String::new(), reason),
            js::Error::Thrown { error, reason } => (Kind::Thrown, error, reason),
            js::Error::Compilation(reason) => (Kind::Compilation, String::new(), reason),
            js::Error::Missing(name) => (Kind::MissingFunction, String::new(), name),
            js::Error::Timeout => (Kind::Timeout, String::new(), String::new()),
            js::Error::Memory => (Kind::Memory, String::new(), String::new()),
            js::Error::Depth => (Kind::Depth, String::new(), String::new()),
            js::Error::Gone => (Kind::Gone, String::new(), String::new()),
            js::Error::Engine(words) => (Kind::Engine, String::new(), words),
        };
        // What is JSON may not be cut: it would be none any more.
        let reason = match kind {
            Kind::Forbidden | Kind::Unauthorized | Kind::Thrown if reason.len() > TEXT_MAX => {
                r#""The reason is too long.""#.into()
            }
            _ => short(reason),
        };
        wire::ScriptError { kind: kind.into(), error: short(error), reason }
    }
}

impl From<wire::ScriptError> for js::Error {
    fn from(error: wire::ScriptError) -> js::Error {
        use wire::ScriptErrorKind as Kind;
        let kind = error.kind();
        let wire::ScriptError { error, reason, .. } = error;
        match kind {
            Kind::Forbidden => js::Error::Forbidden(reason),
            Kind::Unauthorized => js::Error::Unauthorized(reason),
            Kind::Thrown => js::Error::Thrown { error, reason },
            Kind::Compilation => js::Error::Compilation(reason),
            Kind::MissingFunction => js::Error::Missing(reason),
            Kind::Timeout => js::Error::Timeout,
            Kind::Memory => js::Error::Memory,
            Kind::Depth => js::Error::Depth,
            Kind::Gone => js::Error::Gone,
            Kind::Engine => js::Error::Engine(reason),
        }
    }
}

fn short(mut text: String) -> String {
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}
