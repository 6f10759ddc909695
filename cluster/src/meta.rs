//! What is known of databases apart from their documents, and of this node. To be kept by consensus
//! one day; so far as properties of the engine's reserved shard `_meta`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use settee_engine::shard::{Batch, Write};
use settee_engine::{Engine, ShardId};
use settee_model::docid::DbName;
use settee_model::range::HashRange;

use crate::Error;
use crate::local::LocalCopy;
use crate::ring::Ring;
use crate::steps::blocking;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// As `_shards` shows it: `00000000-7fffffff`.
    pub range: String,
    /// Names of the nodes with a copy.
    pub nodes: Vec<Arc<str>>,
}

/// CouchDB's default of `_revs_limit` and of `_purged_infos_limit`.
const LIMIT: u32 = 1000;

impl DbMeta {
    /// A new database whose copies all lie on one node.
    pub(crate) fn new(name: DbName, created: u64, q: u32, partitioned: bool, node: &str) -> DbMeta {
        let node: Arc<str> = node.into();
        let ring = Ring::new(q, partitioned);
        let place =
            |range: &HashRange| ShardPlace { range: range.to_string(), nodes: vec![node.clone()] };
        let shards = ring.ranges().iter().map(place).collect();
        let (security, revs_limit, purged_infos_limit) = (None, LIMIT, LIMIT);
        let n = 1;
        DbMeta {
            name,
            created,
            q,
            n,
            partitioned,
            security,
            revs_limit,
            purged_infos_limit,
            shards,
        }
    }

    /// The engine's names of its shards, by range.
    pub(crate) fn shard_ids(&self) -> Result<Vec<ShardId>, Error> {
        let id = |place: &ShardPlace| {
            let text = format!("{}/{}.{}", place.range, self.name, self.created);
            ShardId::parse(&text).map_err(|error| Error::Storage(error.to_string()))
        };
        self.shards.iter().map(id).collect()
    }
}

/// The database that a shard belongs to; none for the reserved ones.
pub(crate) fn database_of(id: &ShardId) -> Option<&str> {
    let (_, rest) = id.as_str().split_once('/')?;
    Some(rest.rsplit_once('.')?.0)
}

/// How far the making or removing of a database has come. Only [`Stage::Ready`] ones are shown;
/// what a crash left in another stage is cleared away at the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its shards are being made.
    Creating,
    /// It is there.
    Ready,
    /// Its shards are being removed.
    Deleting,
}

/// Metadata on disk.
pub(crate) struct MetaStore(LocalCopy);

/// What the store holds when it is opened.
#[derive(Default)]
pub(crate) struct Stored {
    /// This node's identity.
    pub(crate) uuid: Option<String>,
    /// The newest [`DbMeta::created`] of databases that were removed.
    pub(crate) removed: u64,
    pub(crate) databases: Vec<(DbMeta, Stage)>,
}

const SHARD: &str = "_meta";
const UUID: &str = "uuid";
const REMOVED: &str = "removed";
const DATABASES: &str = "db/";

impl MetaStore {
    /// Opens the store, or makes it. Its writes are waited for however long they take: one that was
    /// given up might still come true, and a database that was not deleted after all be cleared
    /// away at the next start.
    pub(crate) async fn open(engine: &Engine) -> Result<(MetaStore, Stored), Error> {
        let id = ShardId::parse(SHARD).map_err(|error| Error::Storage(error.to_string()))?;
        let copy = LocalCopy::new(engine.clone(), id, Duration::MAX);
        match copy.shard().await {
            Err(Error::DatabaseMissing) => copy.create().await?,
            other => drop(other?),
        }
        let store = copy.clone();
        let stored = blocking(move || load(&store)).await?;
        Ok((MetaStore(copy), stored))
    }

    /// Keeps this node's identity.
    pub(crate) async fn put_uuid(&self, uuid: &str) -> Result<(), Error> {
        self.put(vec![(UUID.into(), Some(json!(uuid)))]).await
    }

    /// Keeps a database's metadata.
    pub(crate) async fn put_database(&self, meta: &DbMeta, stage: Stage) -> Result<(), Error> {
        self.put(vec![(key_of(meta), Some(encode(meta, stage)))]).await
    }

    /// Forgets a database, and remembers the newest one that was forgotten.
    pub(crate) async fn remove_database(&self, meta: &DbMeta, removed: u64) -> Result<(), Error> {
        self.put(vec![(key_of(meta), None), (REMOVED.into(), Some(json!(removed)))]).await
    }

    async fn put(&self, values: Vec<(String, Option<Value>)>) -> Result<(), Error> {
        let property = |(name, value): (String, Option<Value>)| Write::Property {
            name: name.into(),
            value: value.map(|value| value.to_string().into()),
        };
        let batch = Batch::of(values.into_iter().map(property).collect());
        self.0.write(batch).await.map(drop)
    }
}

/// One that is being removed and a new one of its name may stand side by side.
fn key_of(meta: &DbMeta) -> String {
    format!("{DATABASES}{}/{}", meta.created, meta.name)
}

fn load(store: &LocalCopy) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    for (key, text) in store.snapshot_now()?.properties()? {
        let key = String::from_utf8_lossy(&key);
        let value: Value = serde_json::from_slice(&text).map_err(|_| damaged(&key))?;
        if key == UUID {
            stored.uuid = value.as_str().map(str::to_owned);
        } else if key == REMOVED {
            stored.removed = value.as_u64().unwrap_or(0);
        } else if let Some(rest) = key.strip_prefix(DATABASES) {
            let name = rest.split_once('/').map(|(_, name)| name);
            let database = name.and_then(|name| decode(name, &value));
            stored.databases.push(database.ok_or_else(|| damaged(&key))?);
        }
    }
    Ok(stored)
}

fn damaged(key: &str) -> Error {
    Error::Storage(format!("{SHARD}: {key} is not what was written there"))
}

fn encode(meta: &DbMeta, stage: Stage) -> Value {
    let stage = match stage {
        Stage::Creating => "creating",
        Stage::Ready => "ready",
        Stage::Deleting => "deleting",
    };
    let security = meta.security.as_ref().map(|text| String::from_utf8_lossy(text).into_owned());
    let place = |place: &ShardPlace| json!({ "range": place.range, "nodes": nodes(place) });
    json!({
        "stage": stage,
        "created": meta.created,
        "q": meta.q,
        "n": meta.n,
        "partitioned": meta.partitioned,
        "security": security,
        "revs_limit": meta.revs_limit,
        "purged_infos_limit": meta.purged_infos_limit,
        "shards": meta.shards.iter().map(place).collect::<Vec<_>>(),
    })
}

fn nodes(place: &ShardPlace) -> Vec<&str> {
    place.nodes.iter().map(AsRef::as_ref).collect()
}

fn decode(name: &str, value: &Value) -> Option<(DbMeta, Stage)> {
    let number = |key: &str| value.get(key)?.as_u64();
    let small = |key: &str| u32::try_from(number(key)?).ok();
    let stage = match value.get("stage")?.as_str()? {
        "creating" => Stage::Creating,
        "ready" => Stage::Ready,
        "deleting" => Stage::Deleting,
        _ => return None,
    };
    let place = |place: &Value| {
        let nodes = place.get("nodes")?.as_array()?.iter();
        let nodes = nodes.map(|node| node.as_str().map(Into::into)).collect::<Option<_>>()?;
        Some(ShardPlace { range: place.get("range")?.as_str()?.to_owned(), nodes })
    };
    let meta = DbMeta {
        name: DbName::trusted(name),
        created: number("created")?,
        q: small("q")?,
        n: small("n")?,
        partitioned: value.get("partitioned")?.as_bool()?,
        security: value.get("security")?.as_str().map(|text| Bytes::from(text.to_owned())),
        revs_limit: small("revs_limit")?,
        purged_infos_limit: small("purged_infos_limit")?,
        shards: value.get("shards")?.as_array()?.iter().map(place).collect::<Option<_>>()?,
    };
    Some((meta, stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_comes_back() {
        let mut meta = DbMeta::new(DbName::trusted("a/b"), 1_700_000_000, 3, true, "n@h");
        for stage in [Stage::Creating, Stage::Ready, Stage::Deleting] {
            assert_eq!(decode("a/b", &encode(&meta, stage)), Some((meta.clone(), stage)));
        }
        meta.security = Some(Bytes::from_static(br#"{"members":{"roles":[]}}"#));
        assert_eq!(decode("a/b", &encode(&meta, Stage::Ready)), Some((meta, Stage::Ready)));
        assert_eq!(decode("a", &json!({ "stage": "ready" })), None);
    }

    #[test]
    fn a_shard_knows_its_database() {
        let name = "a/b.1700000000";
        let meta = DbMeta::new(DbName::trusted(name), 1_800_000_000, 2, false, "n@h");
        let id = &meta.shard_ids().unwrap()[1];
        assert_eq!(id.as_str(), "80000000-ffffffff/a/b.1700000000.1800000000");
        assert_eq!(database_of(id), Some(name));
        assert_eq!(database_of(&ShardId::parse("_meta").unwrap()), None);
    }
}
