//! Which attachments a new revision has: those that were uploaded for it, and those that it takes
//! over from the revision it follows. Moves no bytes.

use std::collections::{HashMap, HashSet};

use crate::doc::{AttEdit, AttSource, Attachment};
use crate::docid::DocId;

use super::EditError;

/// Whether the edit needs attachments of the revision it follows.
pub(super) fn has_stubs(atts: &[AttEdit]) -> bool {
    atts.iter().any(|att| matches!(att.source, AttSource::Stub))
}

/// The new revision's attachments in the client's order. Stubs become what `parent`, the revision
/// that is followed, has by that name; a stub that names a generation must name the right one.
/// `revpos` says the generation of uploaded ones, given what the client said of it.
pub(super) fn resolve(
    id: &DocId,
    atts: Vec<AttEdit>,
    parent: Vec<Attachment>,
    revpos: impl Fn(Option<u64>) -> u64,
) -> Result<Vec<Attachment>, EditError> {
    let mut known: HashMap<String, Attachment> =
        parent.into_iter().map(|att| (att.name.clone(), att)).collect();
    let mut names = HashSet::with_capacity(atts.len());
    if !atts.iter().all(|att| names.insert(att.name.as_str())) {
        return Err(EditError::DuplicateAttachments);
    }
    let mut resolved = Vec::with_capacity(atts.len());
    for att in atts {
        let AttSource::Uploaded(uploaded) = att.source else {
            let stub = known.remove(&att.name);
            let fits = |stub: &Attachment| att.revpos.is_none_or(|revpos| revpos == stub.revpos);
            let Some(stub) = stub.filter(fits) else {
                return Err(EditError::MissingStub { id: id.clone(), name: att.name });
            };
            resolved.push(stub);
            continue;
        };
        resolved.push(Attachment {
            revpos: revpos(att.revpos),
            name: att.name,
            content_type: att.content_type,
            content: uploaded.content,
        });
    }
    Ok(resolved)
}
