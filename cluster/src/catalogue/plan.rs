//! What a node has to do when databases come, change and go: a pure function of what it shows and
//! what was agreed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use settee_engine::ShardId;
use settee_model::docid::DbName;

use super::meta::{DATABASES, DbMeta, created_of, database_of};
use crate::raft::{NodeId, Stored, Update};

type Known = BTreeMap<DbName, Arc<DbMeta>>;
/// What the key of a database held, one after the other.
type Step = (DbName, Option<DbMeta>);

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Databases that are new; their shards have to be made.
    pub(crate) made: Vec<DbMeta>,
    /// Databases that are shown, as they are now.
    pub(crate) changed: Vec<DbMeta>,
    /// The same of which copies lie elsewhere now; what is missing here has to be made.
    pub(crate) moved: Vec<DbMeta>,
    /// Databases that are no more, whether they were shown or not; their shards have to go.
    pub(crate) gone: Vec<DbMeta>,
}

impl Plan {
    /// From what is shown to what the steps end with.
    pub(crate) fn new(known: &Known, steps: Vec<Step>) -> Plan {
        let mut plan = Plan::default();
        let mut now: BTreeMap<DbName, Option<DbMeta>> = BTreeMap::new();
        for (name, state) in steps {
            let before = match now.remove(&name) {
                Some(before) => before,
                None => known.get(&name).map(|meta| DbMeta::clone(meta)),
            };
            let same =
                |other: &DbMeta| state.as_ref().is_some_and(|state| state.created == other.created);
            if let Some(before) = before.filter(|before| !same(before)) {
                plan.gone.push(before);
            }
            now.insert(name, state);
        }
        for meta in now.into_values().flatten() {
            match known.get(&meta.name) {
                Some(shown) if **shown == meta => {}
                Some(shown) if shown.created != meta.created => plan.made.push(meta),
                Some(shown) if shown.shards != meta.shards => plan.moved.push(meta),
                Some(_) => plan.changed.push(meta),
                None => plan.made.push(meta),
            }
        }
        plan
    }
}

/// The databases among keys and values of the store; those that make no sense are left out.
pub(crate) fn databases_of(keys: &[(Arc<str>, Stored)]) -> Vec<DbMeta> {
    let keys = keys.iter().filter(|(key, _)| key.starts_with(DATABASES));
    keys.filter_map(|(key, stored)| decode(key, stored)).collect()
}

fn decode(key: &str, stored: &Stored) -> Option<DbMeta> {
    let meta = DbMeta::decode(key, &stored.value);
    if meta.is_none() {
        tracing::error!(key, "metadata is not what was written there");
    }
    meta
}

/// What an update says about databases.
pub(crate) fn states(known: &Known, update: &Update) -> Vec<Step> {
    match update {
        Update::Changes(revisions) => {
            let changes = revisions.iter().flat_map(|revision| &revision.changes);
            let step = |change: &crate::raft::Change| {
                let name = DbName::trusted(change.key.strip_prefix(DATABASES)?);
                let state = match &change.stored {
                    Some(stored) => Some(decode(&change.key, stored)?),
                    None => None,
                };
                Some((name, state))
            };
            changes.filter_map(step).collect()
        }
        Update::Resync { keys, .. } => {
            let now = databases_of(keys).into_iter().map(|meta| (meta.name.clone(), Some(meta)));
            let now: BTreeMap<_, _> = now.collect();
            let gone = known.keys().filter(|name| !now.contains_key(*name));
            gone.cloned()
                .map(|name| (name, None))
                .collect::<Vec<_>>()
                .into_iter()
                .chain(now)
                .collect()
        }
    }
}

impl DbMeta {
    /// The engine's names of the shards that lie on a node.
    pub(crate) fn shards_on(&self, node: NodeId) -> Vec<ShardId> {
        let here = self.shards.iter().filter(|place| place.nodes.contains(&node));
        here.filter_map(|place| self.shard_id(place).ok()).collect()
    }
}

/// The shards among these that belong to none of the databases, by their names and when they were
/// created. Never the reserved ones.
pub(crate) fn strays(shards: Vec<ShardId>, databases: &[DbMeta]) -> Vec<ShardId> {
    let known: HashMap<&str, u64> =
        databases.iter().map(|meta| (meta.name.as_str(), meta.created)).collect();
    let stray = |id: &ShardId| {
        database_of(id).is_some_and(|name| known.get(name).copied() != created_of(id))
    };
    shards.into_iter().filter(stray).collect()
}
