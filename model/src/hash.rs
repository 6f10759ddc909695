//! The id of a new revision: the MD5 of what Erlang would make of the edit, byte for byte, so
//! that the same edit has the same revision here and in Apache CouchDB. Never decides which
//! revision an edit replaces.

mod term;

use md5::{Digest, Md5};

use crate::rev::{Rev, RevId};
use term::Terms;

/// What the hash takes from an attachment: name, media type, and MD5 of the stored bytes.
pub type AttDigest<'a> = (&'a str, &'a str, [u8; 16]);

/// Computes the id of the revision that an edit makes.
///
/// `old` is the revision that it replaces, `body` the document in stored form without the members
/// that begin with `_`, `atts` all its attachments in the document's order.
#[must_use]
pub fn new_rev_id(deleted: bool, old: Option<&Rev>, body: &[u8], atts: &[AttDigest<'_>]) -> RevId {
    let mut terms = Terms::new(body.len() + 128 * (atts.len() + 1));
    terms.list(5);
    terms.atom(if deleted { "true" } else { "false" });
    terms.natural(old.map_or(0, |rev| rev.pos));
    match old {
        Some(rev) => terms.binary(rev.id.as_bytes()),
        None => terms.natural(0),
    }
    terms.json(body);
    if !atts.is_empty() {
        terms.list(atts.len());
        // CouchDB collects them at the front of a list.
        for (name, content_type, md5) in atts.iter().rev() {
            terms.tuple(3);
            terms.binary(name.as_bytes());
            terms.binary(content_type.as_bytes());
            terms.binary(md5);
        }
    }
    terms.nil();
    terms.nil();
    RevId::from_md5(Md5::digest(terms.bytes()).into())
}

#[cfg(test)]
mod tests;
