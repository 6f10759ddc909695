//! A client's document: splits what begins with an underscore from the body, as CouchDB does,
//! and refuses what it refuses. Never decides whether the edit may be made.

use bytes::Bytes;

use super::attachment::{self, ParsedAtt, check_attachment_name};
use super::members::{Member, Raw};
use super::{JsonError, Limits, encoded_size, normalise};
use crate::docid::{DocId, DocIdError};
use crate::rev::{Rev, RevId, RevPath};

/// A document as a client sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedDoc {
    /// What `_id` says, checked.
    pub id: Option<DocId>,
    /// What `_revisions` says, or else `_rev`; empty if neither says anything.
    pub revs: RevPath,
    /// What `_deleted` says.
    pub deleted: bool,
    /// All other members: a JSON object in stored form.
    pub body: Bytes,
    /// What `_attachments` says, in its order.
    pub atts: Vec<ParsedAtt>,
}

/// Why a document was refused; the text is the `reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocError {
    /// No JSON at all.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// JSON, but no object.
    #[error("Document must be a JSON object")]
    NotObject,
    /// `_id` breaks a rule.
    #[error(transparent)]
    DocId(#[from] DocIdError),
    /// `_rev` is no revision.
    #[error("Invalid rev format")]
    BadRev,
    /// `_revisions` lacks its `start`.
    #[error("_revisions.start isn't an integer.")]
    NoStart,
    /// `_revisions` lacks its `ids`.
    #[error("_revisions.ids isn't a array.")]
    NoIds,
    /// One of the `ids` is no string.
    #[error("RevId isn't a string")]
    RevIdType,
    /// One of the `ids` has 32 characters that are no hexadecimal digits.
    #[error("RevId isn't a valid hexadecimal")]
    RevIdDigits,
    /// A member that begins with an underscore and has no meaning, or a value of a wrong type.
    #[error("Bad special document member: {0}")]
    SpecialMember(String),
    /// An attachment's bytes can't be read.
    #[error("Invalid attachment data for {0}")]
    AttachmentData(String),
    /// An attachment's name begins with an underscore.
    #[error("Attachment name '{0}' starts with prohibited character '_'")]
    AttachmentName(String),
    /// The body exceeds `couchdb/max_document_size`; holds the `_id`, if there is one.
    #[error("{0}")]
    DocumentTooLarge(String),
    /// An attachment exceeds `couchdb/max_attachment_size`; holds its name.
    #[error("{0}")]
    AttachmentTooLarge(String),
}

impl DocError {
    pub(super) fn member(name: &str) -> Self {
        DocError::SpecialMember(name.to_owned())
    }

    /// The status that CouchDB answers.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            DocError::DocumentTooLarge(_) | DocError::AttachmentTooLarge(_) => 413,
            _ => 400,
        }
    }

    /// What CouchDB says in the member `error`.
    #[must_use]
    pub fn error(&self) -> &'static str {
        match self {
            DocError::Json(_)
            | DocError::NotObject
            | DocError::BadRev
            | DocError::AttachmentData(_)
            | DocError::AttachmentName(_) => "bad_request",
            DocError::DocId(_) => "illegal_docid",
            DocError::NoStart
            | DocError::NoIds
            | DocError::RevIdType
            | DocError::RevIdDigits
            | DocError::SpecialMember(_) => "doc_validation",
            DocError::DocumentTooLarge(_) => "document_too_large",
            DocError::AttachmentTooLarge(_) => "attachment_too_large",
        }
    }
}

/// Reads a document from a request's body.
///
/// # Errors
/// When it is no JSON object, or one that CouchDB refuses.
pub fn parse_doc(input: &[u8], limits: &Limits) -> Result<ParsedDoc, DocError> {
    split_doc(&normalise(input, limits)?, limits)
}

/// Reads a document that is in stored form already: one of the `docs` in a normalised request.
///
/// # Errors
/// When it is no object, or one that CouchDB refuses.
pub fn split_doc(stored: &[u8], limits: &Limits) -> Result<ParsedDoc, DocError> {
    let mut doc = ParsedDoc::default();
    let mut body = Vec::with_capacity(stored.len());
    body.push(b'{');
    for Member { name, value, whole } in Raw(stored).raw_members().ok_or(DocError::NotObject)? {
        if name.starts_with(b"\"_") && !read_special(&mut doc, name, value, limits)? {
            continue;
        }
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(whole);
    }
    body.push(b'}');
    // CouchDB's count is never more than the length.
    if body.len() as u64 > limits.document_size && encoded_size(&body) > limits.document_size {
        let id = doc.id.as_ref().map(ToString::to_string);
        return Err(DocError::DocumentTooLarge(id.unwrap_or_default()));
    }
    doc.atts.iter().try_for_each(|att| check_attachment_name(&att.name))?;
    // What attachments took up in the text isn't carried along with the body.
    if body.capacity() / 2 > body.len() {
        body.shrink_to_fit();
    }
    doc.body = body.into();
    Ok(doc)
}

/// Takes a member that begins with an underscore; true if it belongs to the body all the same.
fn read_special(
    doc: &mut ParsedDoc,
    name: Raw<'_>,
    value: Raw<'_>,
    limits: &Limits,
) -> Result<bool, DocError> {
    let refused = || DocError::SpecialMember(name.as_str().unwrap_or_default().into_owned());
    match name.bytes() {
        b"\"_id\"" => {
            let id = value.as_str().ok_or(DocIdError::NotString)?;
            doc.id = Some(DocId::parse(&id, limits.id_length)?);
        }
        b"\"_rev\"" => {
            // `_revisions` knows it better.
            if doc.revs == RevPath::default() {
                let rev: Rev =
                    value.as_str().and_then(|text| text.parse().ok()).ok_or(DocError::BadRev)?;
                doc.revs = RevPath::single(rev);
            }
        }
        b"\"_revisions\"" => {
            doc.revs =
                if value.is_object() { read_revisions(value)? } else { return Err(refused()) }
        }
        b"\"_deleted\"" => doc.deleted = value.as_bool().ok_or_else(refused)?,
        b"\"_attachments\"" => doc.atts = attachment::read_all(value, limits.attachment_size)?,
        b"\"_revs_info\"" | b"\"_local_seq\"" | b"\"_conflicts\"" | b"\"_deleted_conflicts\"" => {}
        b"\"_access\""
        | b"\"_replication_state\""
        | b"\"_replication_state_time\""
        | b"\"_replication_state_reason\""
        | b"\"_replication_id\""
        | b"\"_replication_stats\"" => return Ok(true),
        _ => return Err(refused()),
    }
    Ok(false)
}

/// Reads `{"start": 3, "ids": ["newest", …]}`. Ids beyond the first generation, of which CouchDB
/// makes generations below it, are left out.
fn read_revisions(object: Raw<'_>) -> Result<RevPath, DocError> {
    let start = object.get("start").and_then(Raw::as_u64).ok_or(DocError::NoStart)?;
    let ids = object.get("ids").and_then(Raw::elements).ok_or(DocError::NoIds)?;
    let mut ids = ids
        .map(|id| {
            let text = id.as_str().ok_or(DocError::RevIdType)?;
            RevId::from_client(&text).map_err(|_| DocError::RevIdDigits)
        })
        .collect::<Result<Vec<RevId>, DocError>>()?;
    ids.truncate(usize::try_from(start.max(1)).unwrap_or(usize::MAX));
    Ok(RevPath { start, ids })
}

#[cfg(test)]
mod tests;
