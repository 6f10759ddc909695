//! What a shard says of itself: counts, sizes, sequences. Walks no documents: the trees know their counts.

use std::ops::Bound;

use settee_engine::shard::IdRange;
use settee_engine::{Shard, Snapshot};
use settee_model::docid::DocId;

use super::Fault;
use super::point::Point;
use crate::info::Sizes;

/// A shard, or a partition of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardState {
    pub(crate) doc_count: u64,
    pub(crate) del_count: u64,
    pub(crate) sizes: Sizes,
    /// Where the copy stands.
    pub(crate) end: Point,
    pub(crate) purge_seq: u64,
    pub(crate) compacting: bool,
}

pub(crate) fn of_shard(shard: &Shard) -> Result<ShardState, Fault> {
    let snapshot = shard.snapshot();
    let (counts, sizes) = (snapshot.counts()?, shard.sizes()?);
    Ok(ShardState {
        doc_count: counts.doc_count,
        del_count: counts.del_count,
        sizes: Sizes { file: sizes.file, active: sizes.active, external: sizes.external },
        end: Point::end_of(&snapshot),
        purge_seq: snapshot.purge_seq(),
        compacting: shard.compacting(),
    })
}

/// The ids of a partition.
pub(crate) fn range_of_partition(partition: &str) -> IdRange {
    let key = |end: char| DocId::trusted(&format!("{partition}{end}"));
    (Bound::Included(key(':')), Bound::Excluded(key(';')))
}

pub(crate) fn of_partition(snapshot: &Snapshot, partition: &str) -> Result<ShardState, Fault> {
    let counts = snapshot.counts_of(&range_of_partition(partition))?;
    Ok(ShardState {
        doc_count: counts.doc_count,
        del_count: counts.del_count,
        sizes: Sizes {
            file: 0,
            active: counts.sizes.stored.saturating_add(counts.sizes.atts),
            external: counts.sizes.external,
        },
        ..ShardState::default()
    })
}
