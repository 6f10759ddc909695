//! Entity tags, with their quotation marks. Never compares them with a client's: `Ctx::etag_matches`
//! does.

use settee_model::doc::{AttContent, StoredDoc};
use settee_model::docid::DocId;
use settee_model::rev::Rev;
use sha1::{Digest, Sha1};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Tag of a stored document.
#[must_use]
pub fn of_doc(doc: &StoredDoc) -> String {
    doc.rev().map_or_else(String::new, |rev| of_rev(&doc.id, &rev, &doc.record.body))
}

/// Tag of a revision: itself. A local document's revision may stand for several bodies, so its tag
/// is made from both.
#[must_use]
pub fn of_rev(id: &DocId, rev: &Rev, body: &[u8]) -> String {
    if !id.is_local() {
        return format!("\"{rev}\"");
    }
    of_state(&[rev.to_string().as_bytes(), body])
}

/// Tag of what is made from these values alone.
#[must_use]
pub fn of_state(parts: &[&[u8]]) -> String {
    let hash = parts.iter().fold(Sha1::new(), |hash, part| hash.chain_update(part));
    let digest = hash.finalize();
    let short = digest.iter().take(16).fold(0, |sum: u128, byte| sum << 8 | u128::from(*byte));
    format!("\"{short:X}\"")
}

/// Tag of an attachment: its digest.
#[must_use]
pub fn of_attachment(content: &AttContent) -> String {
    format!("\"{}\"", STANDARD.encode(content.md5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_tag_changes_with_revision_and_body() {
        let tag = |id: &str, rev: &str, body: &[u8]| {
            of_rev(&DocId::trusted(id), &rev.parse().unwrap(), body)
        };
        assert_eq!(tag("a", "1-x", b"{}"), "\"1-x\"");
        let local = tag("_local/a", "0-1", b"{}");
        assert_ne!(local, tag("_local/a", "0-2", b"{}"));
        assert_ne!(local, tag("_local/a", "0-1", b"{\"a\":1}"));
        assert_eq!(local, tag("_local/b", "0-1", b"{}"));
    }
}
