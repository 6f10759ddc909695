//! How much more or less often leaves of revision trees name chunks than they did: what keeps a chunk
//! when its shard is compacted. Counts what it is given, and looks nothing up.

use std::collections::{BTreeMap, BTreeSet};

use settee_model::doc::{Attachment, Chunk};
use settee_model::docinfo::DocInfo;

use crate::codec::{Malformed, record};

/// A chunk's name.
pub(super) type Hash = [u8; 32];

/// Differences, by chunk.
#[derive(Default)]
pub(super) struct Names(BTreeMap<Hash, i64>);

impl Names {
    /// Counts what an encoded record names, so many times more.
    pub(super) fn count(&mut self, encoded: &[u8], more: i64) -> Result<(), Malformed> {
        let (atts, _) = record::split(encoded)?;
        for chunk in chunks_of(&atts) {
            *self.0.entry(chunk.hash).or_default() += more;
        }
        Ok(())
    }

    /// Chunks that are named more or less often than before.
    pub(super) fn changed(&self) -> impl Iterator<Item = &Hash> {
        self.0.iter().filter(|(_, more)| **more != 0).map(|(hash, _)| hash)
    }

    /// How often a chunk is named that was named so often before.
    pub(super) fn now(&self, hash: &Hash, before: u64) -> u64 {
        before.saturating_add_signed(self.0.get(hash).copied().unwrap_or(0))
    }
}

/// Bodies of the leaves that name chunks.
pub(super) fn naming(info: Option<&DocInfo>) -> BTreeSet<u64> {
    let leaves = info.into_iter().flat_map(|info| info.tree.leaves_unordered());
    leaves.filter(|leaf| leaf.value.atts > 0).filter_map(|leaf| leaf.value.body).collect()
}

/// The chunks of attachments, as often as they are named.
pub(super) fn chunks_of(atts: &[Attachment]) -> impl Iterator<Item = &Chunk> {
    atts.iter().flat_map(|att| &att.content.chunks)
}
