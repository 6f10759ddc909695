//! The id of a new revision: the MD5 of what Erlang would make of the edit, byte for byte, so
//! that the same edit has the same revision here and in Apache CouchDB. Never decides which
//! revision an edit replaces.

pub mod term;

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
    let size = body.len() + 128 * atts.len();
    // CouchDB collects attachments at the front of a list.
    rev_id(deleted, old, body, size, atts.iter().rev(), |terms, (name, content_type, md5)| {
        terms.binary(name.as_bytes());
        terms.binary(content_type.as_bytes());
        terms.binary(md5);
    })
}

/// Computes the id of the revision that makes a deleted document anew, when the edit named no
/// revision: `old` is the tombstone that won. CouchDB hashes such an edit late, and then sees of
/// its attachments only how many there are.
#[must_use]
pub fn recreated_rev_id(old: &Rev, body: &[u8], atts: usize) -> RevId {
    let size = body.len() + 48 * atts;
    rev_id(false, Some(old), body, size, 0..atts, |terms, _| {
        for _ in 0..3 {
            terms.atom("undefined");
        }
    })
}

fn rev_id<T>(
    deleted: bool,
    old: Option<&Rev>,
    body: &[u8],
    size: usize,
    atts: impl ExactSizeIterator<Item = T>,
    write: impl Fn(&mut Terms, T),
) -> RevId {
    let mut terms = Terms::new(size + 128);
    terms.list(5);
    terms.atom(if deleted { "true" } else { "false" });
    terms.natural(old.map_or(0, |rev| rev.pos));
    match old {
        Some(rev) => terms.binary(rev.id.as_bytes()),
        None => terms.natural(0),
    }
    terms.json(body);
    if atts.len() > 0 {
        terms.list(atts.len());
        for att in atts {
            terms.tuple(3);
            write(&mut terms, att);
        }
    }
    terms.nil();
    terms.nil();
    RevId::from_md5(Md5::digest(terms.bytes()).into())
}

#[cfg(test)]
mod tests;
