//! Documents with their attachments as multipart: one document and its attachments
//! (`multipart/related`), several revisions (`multipart/mixed`), the answer of `_bulk_get`, ranges
//! of one attachment. Builds scripts and knows the format to the byte; never reads an attachment.

use settee_cluster::docs::{Facts, RevResult};
use settee_model::doc::{AttContent, Attachment, Encoding, StoredDoc};
use settee_model::docid::DocId;

use super::doc::{self, Atts, Shown, View, write_rev};
use super::{Form, Script};

#[cfg(test)]
mod tests;

/// Media type of one document with what follows it: JSON alone if nothing does.
#[must_use]
pub fn content_type(doc: &StoredDoc, view: &View, boundary: &str) -> String {
    if view.given(doc).next().is_none() {
        "application/json".to_owned()
    } else {
        format!("multipart/related; boundary=\"{boundary}\"")
    }
}

/// How a document is shown whose attachments follow it.
#[must_use]
pub fn following(view: &View) -> View {
    View { atts: Atts::Follow, encoding_info: true, ..view.clone() }
}

/// Appends a document, and the attachments that it gives, each in a part of its own, as they are
/// stored. `view` comes from [`following`].
pub fn related(
    script: &mut Script,
    boundary: &str,
    doc: &StoredDoc,
    view: &View,
    facts: Option<(&Facts, Shown)>,
) {
    let mut given = view.given(doc).peekable();
    if given.peek().is_none() {
        doc::write(script, doc, view, facts);
        return;
    }
    script.push(format!("--{boundary}\r\nContent-Type: application/json\r\n\r\n"));
    doc::write(script, doc, view, facts);
    script.push(format!("\r\n--{boundary}"));
    for att in given {
        part_head(script, att);
        script.att(&doc.id, &att.content, Form::Stored);
        script.push(format!("\r\n--{boundary}"));
    }
    script.push("--");
}

fn part_head(script: &mut Script, att: &Attachment) {
    script.push("\r\nContent-Disposition: attachment; filename=\"");
    script.push(&att.name);
    script.push("\"\r\nContent-Type: ");
    script.push(&att.content_type);
    script.push(format!("\r\nContent-Length: {}", att.content.stored_length));
    if att.content.encoding == Encoding::Gzip {
        script.push("\r\nContent-Encoding: gzip");
    }
    script.push("\r\n\r\n");
}

/// Boundaries of a multipart answer whose parts may be multipart themselves.
#[derive(Clone, Copy, Debug)]
pub struct Boundaries<'a> {
    /// Between the parts of the answer.
    pub outer: &'a str,
    /// Between a document and its attachments.
    pub inner: &'a str,
}

/// Appends one revision of an answer to `open_revs`. The script began with [`mixed_start`].
pub fn mixed_part(script: &mut Script, marks: Boundaries<'_>, result: &RevResult, view: &View) {
    match result {
        RevResult::Found(doc) => {
            let media = content_type(doc, view, marks.inner);
            script.push(format!("\r\nContent-Type: {media}\r\n\r\n"));
            related(script, marks.inner, doc, view, None);
        }
        RevResult::Missing(rev) => {
            script.push("\r\nContent-Type: application/json; error=\"true\"\r\n\r\n");
            script.push("{\"missing\":");
            write_rev(script.text(), rev);
            script.push("}");
        }
    }
    script.push(format!("\r\n--{}", marks.outer));
}

/// Begins an answer to `open_revs`.
pub fn mixed_start(script: &mut Script, outer: &str) {
    script.push(format!("--{outer}"));
}

/// Ends what [`mixed_start`] began.
pub fn mixed_end(script: &mut Script) {
    script.push("--");
}

/// Appends a revision that `_bulk_get` found.
pub fn bulk_doc(script: &mut Script, marks: Boundaries<'_>, doc: &StoredDoc, view: &View) {
    script.push(format!("\r\n--{}", marks.outer));
    if view.given(doc).next().is_none() {
        script.push("\r\nContent-Type: application/json\r\n\r\n");
    } else {
        script.push(format!("\r\nX-Doc-Id: {}", doc.id));
        if let Some(rev) = doc.rev() {
            script.push(format!("\r\nX-Rev-Id: {rev}"));
        }
        let inner = marks.inner;
        script.push(format!("\r\nContent-Type: multipart/related; boundary={inner}\r\n\r\n"));
    }
    related(script, marks.inner, doc, view, None);
}

/// Appends an error of `_bulk_get`: `json` says what went wrong.
pub fn bulk_error(script: &mut Script, outer: &str, json: &[u8]) {
    script.push(format!("\r\n--{outer}"));
    script.push("\r\nContent-Type: application/json; error=\"true\"\r\n\r\n");
    script.push(json);
}

/// Ends an answer of `_bulk_get` that has any parts.
pub fn bulk_end(script: &mut Script, outer: &str) {
    script.push(format!("\r\n--{outer}--\r\n"));
}

/// Appends ranges of an attachment that is stored as it is, as `multipart/byteranges`.
pub fn byteranges(
    script: &mut Script,
    boundary: &str,
    (id, media): (&DocId, &str),
    content: &AttContent,
    ranges: &[(u64, u64)],
) {
    script.push(format!("--{boundary}"));
    for (from, to) in ranges {
        let total = content.length;
        script.push(format!("\r\nContent-Type: {media}\r\n"));
        script.push(format!("Content-Range: bytes {from}-{to}/{total}\r\n\r\n"));
        script.att(id, content, Form::Range(*from, to.saturating_add(1)));
        script.push(format!("\r\n--{boundary}"));
    }
    script.push("--");
}
