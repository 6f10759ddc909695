//! A database's metadata as a value, and its bytes in the store. Pure.

use bytes::Bytes;
use serde_json::{Value, json};
use settee_engine::ShardId;
use settee_model::docid::DbName;
use settee_model::range::HashRange;

use super::placement::{Candidate, widen};
use crate::Error;
use crate::raft::NodeId;
use crate::ring::Ring;

/// A database's metadata: an immutable value, replaced whole by every change.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardPlace {
    /// As `_shards` shows it: `00000000-7fffffff`.
    pub range: String,
    /// The nodes with a copy, the owner first.
    pub nodes: Vec<NodeId>,
    /// Those of them whose copy began empty when others were there already, and has not got yet what
    /// they have: it takes writes, and tells readers nothing.
    pub filling: Vec<NodeId>,
}

/// CouchDB's default of `_revs_limit` and of `_purged_infos_limit`.
const LIMIT: u32 = 1000;

impl DbMeta {
    /// A new database with these owners of its ranges.
    pub(crate) fn new(
        name: DbName,
        created: u64,
        partitioned: bool,
        owners: Vec<Vec<NodeId>>,
    ) -> DbMeta {
        let q = u32::try_from(owners.len()).unwrap_or(u32::MAX);
        let n = owners.first().map_or(0, Vec::len);
        let place = |(range, nodes): (&HashRange, Vec<NodeId>)| {
            let range = range.to_string();
            ShardPlace { range, nodes, filling: Vec::new() }
        };
        let shards = Ring::new(q, partitioned).ranges().iter().zip(owners).map(place).collect();
        DbMeta {
            name,
            created,
            q,
            n: u32::try_from(n).unwrap_or(u32::MAX),
            partitioned,
            security: None,
            revs_limit: LIMIT,
            purged_infos_limit: LIMIT,
            shards,
        }
    }

    /// The engine's names of its shards, by range.
    pub(crate) fn shard_ids(&self) -> Result<Vec<ShardId>, Error> {
        self.shards.iter().map(|place| self.shard_id(place)).collect()
    }

    /// The engine's name of the shard of one of its ranges.
    pub(crate) fn shard_id(&self, place: &ShardPlace) -> Result<ShardId, Error> {
        let text = format!("{}/{}.{}", place.range, self.name, self.created);
        ShardId::parse(&text).map_err(|error| Error::Storage(error.to_string()))
    }
}

/// Begins the keys of databases.
pub(crate) const DATABASES: &str = "db/";

/// The key of a database.
pub(crate) fn database_key(name: &DbName) -> String {
    format!("{DATABASES}{name}")
}

/// The database that a shard belongs to; none for the reserved ones.
pub(crate) fn database_of(id: &ShardId) -> Option<&str> {
    let (_, rest) = id.as_str().split_once('/')?;
    Some(rest.rsplit_once('.')?.0)
}

/// What the names of all shards of a database end with, and those of no other one, even of the same
/// name.
pub(crate) fn instance_of(id: &ShardId) -> &str {
    id.as_str().split_once('/').map_or(id.as_str(), |(_, rest)| rest)
}

/// When the database of a shard was created.
pub(crate) fn created_of(id: &ShardId) -> Option<u64> {
    id.as_str().rsplit_once('.')?.1.parse().ok()
}

impl DbMeta {
    /// Gives ranges with few copies more of them, `n` at most. Whether anything changed.
    pub(crate) fn widen(&mut self, n: u32, candidates: &[Candidate]) -> bool {
        let mut owners: Vec<_> = self.shards.iter().map(|place| place.nodes.clone()).collect();
        let wider = widen(&mut owners, n, candidates);
        let n = owners.iter().map(Vec::len).min().unwrap_or(0);
        self.n = u32::try_from(n).unwrap_or(u32::MAX);
        for (place, nodes) in self.shards.iter_mut().zip(owners) {
            let new = nodes.iter().filter(|node| !place.nodes.contains(node));
            place.filling.extend(new);
            place.nodes = nodes;
        }
        wider
    }

    /// Where a shard of it lies.
    pub(crate) fn place_of(&self, shard: &ShardId) -> Option<&ShardPlace> {
        self.shards.iter().find(|place| self.shard_id(place).is_ok_and(|id| id == *shard))
    }

    /// Remembers whether a node's copy of a range is being filled.
    pub(crate) fn set_filling(&mut self, range: &str, node: NodeId, filling: bool) {
        for place in self.shards.iter_mut().filter(|place| place.range == range) {
            place.filling.retain(|other| *other != node);
            if filling && place.nodes.contains(&node) {
                place.filling.push(node);
            }
        }
    }

    /// Its value in the store.
    pub(crate) fn encode(&self) -> Bytes {
        let security =
            self.security.as_ref().map(|text| String::from_utf8_lossy(text).into_owned());
        let names = |nodes: &[NodeId]| -> Vec<String> {
            nodes.iter().map(|node| format!("{node:016x}")).collect()
        };
        let place = |place: &ShardPlace| {
            json!({
                "range": place.range,
                "nodes": names(&place.nodes),
                "filling": names(&place.filling),
            })
        };
        let value = json!({
            "created": self.created,
            "q": self.q,
            "n": self.n,
            "partitioned": self.partitioned,
            "security": security,
            "revs_limit": self.revs_limit,
            "purged_infos_limit": self.purged_infos_limit,
            "shards": self.shards.iter().map(place).collect::<Vec<_>>(),
        });
        value.to_string().into()
    }

    /// The database that a key and its value describe.
    pub(crate) fn decode(key: &str, value: &[u8]) -> Option<DbMeta> {
        let name = DbName::trusted(key.strip_prefix(DATABASES)?);
        let value: Value = serde_json::from_slice(value).ok()?;
        let number = |key: &str| value.get(key)?.as_u64();
        let small = |key: &str| u32::try_from(number(key)?).ok();
        Some(DbMeta {
            name,
            created: number("created")?,
            q: small("q")?,
            n: small("n")?,
            partitioned: value.get("partitioned")?.as_bool()?,
            security: value.get("security")?.as_str().map(|text| Bytes::from(text.to_owned())),
            revs_limit: small("revs_limit")?,
            purged_infos_limit: small("purged_infos_limit")?,
            shards: value.get("shards")?.as_array()?.iter().map(place).collect::<Option<_>>()?,
        })
    }
}

fn place(place: &Value) -> Option<ShardPlace> {
    let node = |node: &Value| NodeId::from_str_radix(node.as_str()?, 16).ok();
    let nodes = |nodes: &Value| nodes.as_array()?.iter().map(node).collect::<Option<Vec<_>>>();
    Some(ShardPlace {
        range: place.get("range")?.as_str()?.to_owned(),
        nodes: nodes(place.get("nodes")?)?,
        filling: place.get("filling").map_or(Some(Vec::new()), nodes)?,
    })
}
