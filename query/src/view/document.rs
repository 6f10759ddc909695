//! Documents as maps see them: the stored body between `_id`, `_rev` and what else CouchDB shows its
//! query server. Pure; splices bytes and parses nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use settee_engine::shard::{Change, ChangeLeaf};
use settee_model::doc::{Attachment, DocRecord, Encoding};
use settee_model::json::escape_into;

/// Appends the winner of a document, as JSON in stored form.
pub(super) fn put_document(
    out: &mut Vec<u8>,
    change: &Change,
    record: &DocRecord,
    with_local_seq: bool,
) {
    out.extend_from_slice(b"{\"_id\":");
    escape_into(out, change.id.as_str());
    out.extend_from_slice(b",\"_rev\":\"");
    if let Some(winner) = change.leaves.first() {
        put_text(out, &winner.rev);
    }
    out.push(b'"');
    let members = record.body.get(1..record.body.len().saturating_sub(1)).unwrap_or_default();
    if !members.is_empty() {
        out.push(b',');
        out.extend_from_slice(members);
    }
    put_losers(out, "_conflicts", change, |leaf| !leaf.deleted);
    put_losers(out, "_deleted_conflicts", change, |leaf| leaf.deleted);
    if with_local_seq {
        out.extend_from_slice(b",\"_local_seq\":");
        put_text(out, change.seq);
    }
    if !record.atts.is_empty() {
        put_attachments(out, &record.atts);
    }
    out.push(b'}');
}

fn put_text(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    out.extend_from_slice(value.to_string().as_bytes());
}

fn put_losers(
    out: &mut Vec<u8>,
    name: &str,
    change: &Change,
    wanted: impl Fn(&ChangeLeaf) -> bool,
) {
    let mut losers = change.leaves.iter().skip(1).filter(|leaf| wanted(leaf)).peekable();
    if losers.peek().is_none() {
        return;
    }
    put_text(out, format_args!(",\"{name}\":["));
    while let Some(leaf) = losers.next() {
        put_text(out, format_args!("\"{}\"", leaf.rev));
        if losers.peek().is_some() {
            out.push(b',');
        }
    }
    out.push(b']');
}

fn put_attachments(out: &mut Vec<u8>, atts: &[Attachment]) {
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
