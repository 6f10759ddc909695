//! Stored documents as readers see them: the body between `_id`, `_rev` and what else is shown.
//! Splices bytes and parses nothing.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use settee_model::doc::{Attachment, DocRecord, Encoding};
use settee_model::json::escape_into;
use settee_model::rev::Rev;

/// A document that was read.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its revision.
    pub rev: &'a Rev,
    /// Its body and attachments.
    pub record: &'a DocRecord,
    /// Other leaves that are no tombstones, if they are to be shown.
    pub conflicts: &'a [Rev],
}

impl Document<'_> {
    /// Appends it as a JSON object in stored form.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.reserve(self.record.body.len() + self.id.len() + 64);
        put_head(out, self.id, Some(self.rev), &self.record.body);
        put_revs(out, "_conflicts", self.conflicts.iter());
        put_attachments(out, &self.record.atts);
        out.push(b'}');
    }
}

/// Appends what a document begins with: id, revision, and the members of its body.
pub(crate) fn put_head(out: &mut Vec<u8>, id: &str, rev: Option<&Rev>, body: &[u8]) {
    out.extend_from_slice(b"{\"_id\":");
    escape_into(out, id);
    out.extend_from_slice(b",\"_rev\":\"");
    if let Some(rev) = rev {
        put_text(out, rev);
    }
    out.push(b'"');
    let members = body.get(1..body.len().saturating_sub(1)).unwrap_or_default();
    if !members.is_empty() {
        out.push(b',');
        out.extend_from_slice(members);
    }
}

/// Appends a list of revisions, unless there are none.
pub(crate) fn put_revs<'r>(out: &mut Vec<u8>, name: &str, revs: impl Iterator<Item = &'r Rev>) {
    let mut revs = revs.peekable();
    if revs.peek().is_none() {
        return;
    }
    put_text(out, format_args!(",\"{name}\":["));
    while let Some(rev) = revs.next() {
        put_text(out, format_args!("\"{rev}\""));
        if revs.peek().is_some() {
            out.push(b',');
        }
    }
    out.push(b']');
}

/// Appends attachments without their content, unless there are none.
pub(crate) fn put_attachments(out: &mut Vec<u8>, atts: &[Attachment]) {
    if atts.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"_attachments\":{");
    for (at, att) in atts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        escape_into(out, &att.name);
        out.extend_from_slice(b":{\"content_type\":");
        escape_into(out, &att.content_type);
        let length = match att.content.encoding {
            Encoding::Identity => att.content.stored_length,
            Encoding::Gzip => att.content.length,
        };
        let (revpos, digest) = (att.revpos, STANDARD.encode(att.content.md5));
        put_text(
            out,
            format_args!(
                ",\"revpos\":{revpos},\"digest\":\"md5-{digest}\",\"length\":{length},\"stub\":true}}"
            ),
        );
    }
    out.push(b'}');
}

/// Appends what a value displays as.
pub(crate) fn put_text(out: &mut Vec<u8>, value: impl Display) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}
