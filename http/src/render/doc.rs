//! Documents as CouchDB writes them: stored bytes spliced between the members that begin with an
//! underscore, nothing parsed. Never opens a document or decides which revision is shown.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use settee_cluster::docs::{Facts, RevStatus};
use settee_model::doc::{Attachment, Encoding, StoredDoc};
use settee_model::json::escape_into;
use settee_model::rev::{Rev, RevPath};

use super::{Form, Script};

#[cfg(test)]
mod tests;

/// What of a document is shown beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// `_revisions`.
    pub revs: bool,
    /// How attachments appear.
    pub atts: Atts,
    /// With attachments `encoding` and `encoded_length`.
    pub encoding_info: bool,
    /// Of the attachments only those with content that came after the newest of these revisions
    /// that the document descends from; the others are stubs.
    pub atts_since: Option<Vec<Rev>>,
}

/// How attachments appear in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Atts {
    /// By name, length and digest.
    #[default]
    Stubs,
    /// With their content in base64.
    Inline,
    /// As stubs whose content stands in later parts of the same answer.
    Follow,
}

/// Which of the [`Facts`] of a document are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// `_revs_info`
    pub revs_info: bool,
    /// `_conflicts`
    pub conflicts: bool,
    /// `_deleted_conflicts`
    pub deleted_conflicts: bool,
    /// `_local_seq`
    pub local_seq: bool,
}

impl Shown {
    /// Whether anything is asked for.
    #[must_use]
    pub fn any(self) -> bool {
        self != Shown::default()
    }

    /// Whether anything of it is there to be shown.
    #[must_use]
    pub fn something_of(self, facts: &Facts) -> bool {
        self.revs_info
            || self.local_seq
            || (self.conflicts && !facts.conflicts.is_empty())
            || (self.deleted_conflicts && !facts.deleted_conflicts.is_empty())
    }
}

impl View {
    /// With `atts_since`, the generation of the newest revision among them that the document
    /// descends from, or 0. An attachment that is no newer is known to the client.
    fn known_until(&self, revs: &RevPath) -> Option<u64> {
        let known = self.atts_since.as_ref()?;
        let mut pos = revs.start;
        for id in &revs.ids {
            if known.iter().any(|rev| rev.pos == pos && rev.id == *id) {
                return Some(pos);
            }
            pos = pos.saturating_sub(1);
        }
        Some(0)
    }

    /// The attachments whose content is given.
    pub fn given<'a>(&self, doc: &'a StoredDoc) -> impl Iterator<Item = &'a Attachment> {
        let known = self.known_until(&doc.revs);
        let none = self.atts == Atts::Stubs;
        doc.record.atts.iter().filter(move |att| !none && is_news(att, known))
    }
}

/// Appends a document as a JSON object.
pub fn write(script: &mut Script, doc: &StoredDoc, view: &View, facts: Option<(&Facts, Shown)>) {
    let out = script.text();
    out.reserve(doc.record.body.len() + doc.id.as_str().len() + 64);
    out.extend_from_slice(b"{\"_id\":");
    escape_into(out, doc.id.as_str());
    if let Some(rev) = doc.rev() {
        out.extend_from_slice(b",\"_rev\":");
        write_rev(out, &rev);
    }
    let members = doc.record.body.strip_prefix(b"{").and_then(|body| body.strip_suffix(b"}"));
    if let Some(members @ [_, ..]) = members {
        out.push(b',');
        out.extend_from_slice(members);
    }
    if doc.deleted {
        out.extend_from_slice(b",\"_deleted\":true");
    }
    if view.revs && !doc.revs.ids.is_empty() {
        write_revisions(out, &doc.revs);
    }
    if let Some((facts, shown)) = facts {
        write_facts(out, facts, shown);
    }
    if !doc.record.atts.is_empty() {
        write_atts(script, doc, view);
    }
    script.push("}");
}

/// Appends a revision as a JSON string.
pub fn write_rev(out: &mut Vec<u8>, rev: &Rev) {
    out.push(b'"');
    number(out, rev.pos);
    out.push(b'-');
    write_rev_id(out, rev.id.as_bytes());
    out.push(b'"');
}

/// The part after the dash, without quotation marks: 16 bytes in hexadecimal, else as it is.
fn write_rev_id(out: &mut Vec<u8>, id: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    if id.len() == 16 {
        out.extend(id.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        return;
    }
    let start = out.len();
    escape_into(out, &String::from_utf8_lossy(id));
    out.remove(start);
    out.pop();
}

fn write_revisions(out: &mut Vec<u8>, revs: &RevPath) {
    out.extend_from_slice(b",\"_revisions\":{\"start\":");
    number(out, revs.start);
    out.extend_from_slice(b",\"ids\":[");
    for (index, id) in revs.ids.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        write_rev_id(out, id.as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b"]}");
}

fn write_facts(out: &mut Vec<u8>, facts: &Facts, shown: Shown) {
    if shown.revs_info {
        out.extend_from_slice(b",\"_revs_info\":[");
        for (index, (rev, status)) in facts.revs_info.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"rev\":" } else { b",{\"rev\":" });
            write_rev(out, rev);
            out.extend_from_slice(match status {
                RevStatus::Available => b",\"status\":\"available\"}",
                RevStatus::Missing => b",\"status\":\"missing\"}",
                RevStatus::Deleted => b",\"status\":\"deleted\"}",
            });
        }
        out.push(b']');
    }
    if shown.conflicts && !facts.conflicts.is_empty() {
        out.extend_from_slice(b",\"_conflicts\":");
        write_revs(out, &facts.conflicts);
    }
    if shown.deleted_conflicts && !facts.deleted_conflicts.is_empty() {
        out.extend_from_slice(b",\"_deleted_conflicts\":");
        write_revs(out, &facts.deleted_conflicts);
    }
    if shown.local_seq {
        out.extend_from_slice(b",\"_local_seq\":");
        number(out, facts.local_seq);
    }
}

/// Appends a JSON array of revisions.
pub fn write_revs(out: &mut Vec<u8>, revs: &[Rev]) {
    out.push(b'[');
    for (index, rev) in revs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_rev(out, rev);
    }
    out.push(b']');
}

/// Whether a client that has all until this generation, or says nothing of what it has, lacks it.
fn is_news(att: &Attachment, known: Option<u64>) -> bool {
    known.is_none_or(|known| att.revpos > known)
}

fn write_atts(script: &mut Script, doc: &StoredDoc, view: &View) {
    let known = view.known_until(&doc.revs);
    script.push(",\"_attachments\":{");
    for (index, att) in doc.record.atts.iter().enumerate() {
        if index > 0 {
            script.push(",");
        }
        let atts = if is_news(att, known) { view.atts } else { Atts::Stubs };
        write_att(script, doc, att, atts, view.encoding_info);
    }
    script.push("}");
}

fn write_att(script: &mut Script, doc: &StoredDoc, att: &Attachment, atts: Atts, info: bool) {
    let out = script.text();
    escape_into(out, &att.name);
    out.extend_from_slice(b":{\"content_type\":");
    escape_into(out, &att.content_type);
    out.extend_from_slice(b",\"revpos\":");
    number(out, att.revpos);
    out.extend_from_slice(b",\"digest\":\"md5-");
    out.extend_from_slice(STANDARD.encode(att.content.md5).as_bytes());
    if atts == Atts::Inline {
        script.push("\",\"data\":\"");
        script.att(&doc.id, &att.content, Form::Base64);
        script.push("\"");
    } else {
        out.extend_from_slice(b"\",\"length\":");
        number(out, att.content.length);
        out.extend_from_slice(match atts {
            Atts::Follow => b",\"follows\":true",
            _ => b",\"stub\":true",
        });
    }
    let out = script.text();
    if info && att.content.encoding == Encoding::Gzip {
        out.extend_from_slice(b",\"encoding\":\"gzip\",\"encoded_length\":");
        number(out, att.content.stored_length);
    }
    out.push(b'}');
}

/// Appends a number. Writing to a vector cannot fail.
fn number(out: &mut Vec<u8>, number: u64) {
    let _ = write!(out, "{number}");
}
