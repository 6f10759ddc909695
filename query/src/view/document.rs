//! Documents as maps see them: as readers do, with all leaves that lost. Pure.

use settee_engine::shard::{Change, ChangeLeaf};
use settee_model::doc::DocRecord;

use crate::document::{put_attachments, put_head, put_revs, put_text};

/// Appends the winner of a document, as JSON in stored form.
pub(super) fn put_document(
    out: &mut Vec<u8>,
    change: &Change,
    record: &DocRecord,
    with_local_seq: bool,
) {
    let winner = change.leaves.first().map(|leaf| &leaf.rev);
    put_head(out, change.id.as_str(), winner, &record.body);
    put_losers(out, "_conflicts", change, |leaf| !leaf.deleted);
    put_losers(out, "_deleted_conflicts", change, |leaf| leaf.deleted);
    if with_local_seq {
        out.extend_from_slice(b",\"_local_seq\":");
        put_text(out, change.seq);
    }
    put_attachments(out, &record.atts);
    out.push(b'}');
}

fn put_losers(
    out: &mut Vec<u8>,
    name: &str,
    change: &Change,
    wanted: impl Fn(&ChangeLeaf) -> bool,
) {
    let losers = change.leaves.iter().skip(1).filter(|leaf| wanted(leaf));
    put_revs(out, name, losers.map(|leaf| &leaf.rev));
}
