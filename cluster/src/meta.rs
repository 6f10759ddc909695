//! What is known of a database apart from its documents. To be kept by consensus one day; so far
//! in the engine's reserved shard.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::docid::DbName;

/// A database's metadata: an immutable value, replaced whole by every change.
#[derive(Clone, Debug)]
pub struct DbMeta {
    /// Its name.
    pub name: DbName,
    /// When it was created, in seconds since 1970; also what tells it from an earlier database of
    /// the same name. `instance_start_time` shows it.
    pub created: u64,
    /// Number of shards.
    pub q: u32,
    /// Copies of each shard.
    pub n: u32,
    /// Whether documents are placed by the part of their id before the colon.
    pub partitioned: bool,
    /// The security object, JSON in stored form; `None` until somebody sets one.
    pub security: Option<Bytes>,
    /// `_revs_limit`: generations that are remembered of each branch.
    pub revs_limit: u32,
    /// `_purged_infos_limit`: purges that are remembered by each shard.
    pub purged_infos_limit: u32,
    /// The ranges in order, each with the nodes that hold a copy.
    pub shards: Vec<ShardPlace>,
}

/// A range of a database and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// As `_shards` shows it: `00000000-7fffffff`.
    pub range: String,
    /// Names of the nodes with a copy.
    pub nodes: Vec<Arc<str>>,
}
