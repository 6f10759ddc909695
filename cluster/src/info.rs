//! What the coordinator tells about databases and itself, as values. Asks no shard: `coord::info`
//! and `coord::upkeep` do.

use std::ops::AddAssign;

use settee_engine::Task;

/// Bytes of a database or partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// On disk.
    pub file: u64,
    /// Of what is live on disk.
    pub active: u64,
    /// Of documents and attachments as JSON and bytes, uncompressed.
    pub external: u64,
}

impl AddAssign for Sizes {
    fn add_assign(&mut self, other: Sizes) {
        self.file += other.file;
        self.active += other.active;
        self.external += other.external;
    }
}

/// `GET /{db}`. Name, q, n and start time are in [`crate::DbMeta`].
#[derive(Clone, Debug, Default)]
pub struct DbInfo {
    /// Documents that are not deleted.
    pub doc_count: u64,
    /// Tombstones.
    pub doc_del_count: u64,
    /// Sequence of the newest change.
    pub update_seq: String,
    /// Sequence of the newest purge.
    pub purge_seq: String,
    /// Sizes.
    pub sizes: Sizes,
    /// Whether a shard is being compacted.
    pub compact_running: bool,
    /// Version of the shard files.
    pub disk_format_version: u32,
    /// Acknowledgements that make a write good, by default.
    pub w: u32,
    /// Answers that make a read good, by default.
    pub r: u32,
}

/// `GET /{db}/_partition/{partition}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartitionInfo {
    /// Documents that are not deleted.
    pub doc_count: u64,
    /// Tombstones.
    pub doc_del_count: u64,
    /// `file` is 0.
    pub sizes: Sizes,
}

/// `GET /{db}/_design/{ddoc}/_info`.
#[derive(Clone, Debug, Default)]
pub struct ViewInfo {
    /// Names what the design document defines.
    pub signature: String,
    /// Changes that are not in the indexes yet: where these are furthest, summed over the ranges.
    pub pending_least: u64,
    /// Of the copies that are asked first.
    pub pending_preferred: u64,
    /// Of all copies.
    pub pending_total: u64,
    /// Changes that are in the indexes.
    pub update_seq: u64,
    /// Purges that are in the indexes.
    pub purge_seq: u64,
    /// Sizes.
    pub sizes: Sizes,
    /// Who waits for the indexes.
    pub waiting_clients: u64,
    /// Whether they are brought up to date.
    pub updater_running: bool,
    /// Whether one is being compacted.
    pub compact_running: bool,
}

/// Work in the background, for `_active_tasks`.
#[derive(Clone, Debug)]
pub struct ActiveTask {
    /// What is done.
    pub kind: TaskKind,
    /// Node that does it.
    pub node: String,
    /// Shard that it works on: `shards/00000000-7fffffff/name.1700000000`.
    pub database: String,
    /// Seconds since 1970.
    pub started_on: u64,
    /// Seconds since 1970.
    pub updated_on: u64,
    /// Entries done so far.
    pub changes_done: u64,
    /// Entries to do.
    pub total_changes: u64,
}

/// Work in the background by its nature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// `database_compaction`
    Compaction,
    /// `indexer`
    Indexer {
        /// The design document.
        design_document: String,
    },
}

impl ActiveTask {
    pub(crate) fn new(node: &str, task: Task, now: u64) -> ActiveTask {
        ActiveTask {
            kind: TaskKind::Compaction,
            node: node.to_owned(),
            database: format!("shards/{}", task.shard),
            started_on: task.started_on,
            updated_on: now,
            changes_done: task.done,
            total_changes: task.total,
        }
    }
}

/// How much a node has to do with at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Shards that are open.
    pub open_shards: u64,
    /// Shards and indexes that wait to be compacted.
    pub compactions_waiting: u64,
}

/// `GET /_membership`.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Nodes that this one can reach, itself included.
    pub all_nodes: Vec<String>,
    /// Nodes that belong to the cluster.
    pub cluster_nodes: Vec<String>,
}
