//! What a database says of itself: sums over its shards. No copy's counts are compared with another's.

use settee_model::range::HashRange;
use settee_model::seq::{Position, Seq};

use super::reads;
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::info::{DbInfo, PartitionInfo};
use crate::quorum::acks::majority;
use crate::raft::NodeId;
use crate::shard::state::ShardState;

/// What clients are told of the shard files: the number that every CouchDB 3 says.
const DISK_FORMAT: u32 = 8;

/// Counts, sizes and sequences of a database.
pub(crate) async fn info(database: &Database) -> Result<DbInfo, Error> {
    let ask = |copy: ShardCopy| async move { copy.state().await };
    let states = reads::of_all_with_node(database, ask).await?;
    let quorum = majority(usize::try_from(database.meta().n).unwrap_or(1));
    let quorum = u32::try_from(quorum).unwrap_or(u32::MAX);
    let mut info = DbInfo {
        update_seq: seq(database, &states, |state| state.end.seq),
        purge_seq: seq(database, &states, |state| state.purge_seq),
        disk_format_version: DISK_FORMAT,
        w: quorum,
        r: quorum,
        ..DbInfo::default()
    };
    for (_, state) in &states {
        info.doc_count += state.doc_count;
        info.doc_del_count += state.del_count;
        info.compact_running |= state.compacting;
        info.sizes += state.sizes;
    }
    Ok(info)
}

fn seq(
    database: &Database,
    states: &[(NodeId, ShardState)],
    of: impl Fn(&ShardState) -> u64,
) -> String {
    let ranges = database.ring().ranges().iter();
    let position = |(range, (node, state)): (&HashRange, &(NodeId, ShardState))| Position {
        range: *range,
        node: *node,
        life: state.end.life,
        seq: of(state),
    };
    Seq { positions: ranges.zip(states).map(position).collect() }.to_string()
}

/// Counts and sizes of one partition.
pub(crate) async fn partition(
    database: &Database,
    partition: &str,
) -> Result<PartitionInfo, Error> {
    let shard = database.ring().shard_of_partition(partition);
    let ask = |copy: ShardCopy| async move { copy.partition(partition.into()).await };
    let ShardState { doc_count, del_count, sizes, .. } = reads::any(database, shard, ask).await?;
    Ok(PartitionInfo { doc_count, doc_del_count: del_count, sizes })
}
