//! Brings this node to what the cluster agreed on: shows databases that were made, changed and
//! removed, makes the shards that belong on this node and drops those that belong to no database.
//! What is to be done is decided in `plan`; what was agreed on is never changed here.

use std::sync::Weak;
use std::time::Duration;

use settee_engine::{Engine, ShardId};
use tokio::task::JoinSet;

use super::common::SETTINGS;
use super::member::NODES;
use super::meta::DbMeta;
use super::plan::{Plan, databases_of, states, strays};
use crate::node::Node;
use crate::raft::{Update, Watch};
use crate::steps::{blocking, off};
use crate::{Error, raft};

/// Shards that are made or dropped at once; they share syncs of the disk.
const AT_ONCE: usize = 64;
/// Rest before the leader is looked for again.
const REST: Duration = Duration::from_secs(1);
/// How long a leader is looked for in one go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows the store until it is shut down or the node is gone.
pub(crate) async fn follow(node: Weak<Node>, mut watch: Watch) {
    while let Ok(update) = watch.next().await {
        let Some(node) = node.upgrade() else { return };
        take(&node, &update).await;
        if watch.has_ended() {
            return;
        }
        let revision = match &update {
            Update::Changes(revisions) => revisions.last().map_or(0, |last| last.revision),
            Update::Resync { revision, .. } => *revision,
        };
        node.book().show(revision);
    }
}

async fn take(node: &Node, update: &Update) {
    if touches(update, NODES) {
        node.meet();
    }
    if touches(update, SETTINGS) {
        node.learn_settings();
    }
    let plan = {
        let known = node.all();
        Plan::new(&known, states(&known, update))
    };
    let shards = |databases: &[DbMeta]| -> Vec<ShardId> {
        databases.iter().flat_map(|meta| meta.shards_on(node.id())).collect()
    };
    plan.gone.iter().for_each(|meta| node.withdraw(meta));
    each(node.engine(), [shards(&plan.made), shards(&plan.moved)].concat(), make).await;
    let drops = shards(&plan.gone);
    if !drops.is_empty() {
        let engine = node.engine().clone();
        // Nobody sees them any more, and new databases need not wait for it.
        tokio::spawn(async move { each(&engine, drops, remove).await });
    }
    let moved: Vec<_> = plan.moved.iter().map(|meta| meta.name.clone()).collect();
    let shown = plan.made.into_iter().chain(plan.changed).chain(plan.moved);
    shown.for_each(|meta| node.publish(meta));
    moved.iter().for_each(|name| node.retire(name));
    node.scheduler().map_changed();
}

/// Makes the shards of databases that a crash or a failing disk kept from being made.
pub(crate) async fn make_missing(
    engine: &Engine,
    node: raft::NodeId,
    databases: &[DbMeta],
) -> Result<(), Error> {
    let lister = engine.clone();
    let present: std::collections::HashSet<_> =
        blocking(move || Ok(lister.shard_ids()?)).await?.into_iter().collect();
    let wanted = databases.iter().flat_map(|meta| meta.shards_on(node));
    let missing: Vec<_> = wanted.filter(|id| !present.contains(id)).collect();
    each(engine, missing, make).await;
    Ok(())
}

/// Drops the shards that belong to no database, once the store has caught up with a leader.
pub(crate) async fn drop_strays(node: Weak<Node>) {
    loop {
        let Some(here) = node.upgrade() else { return };
        let (store, engine) = (here.book().store(), here.engine().clone());
        drop(here);
        // What is made after this look is not in it, and what was made before it is known after the
        // barrier.
        let lister = engine.clone();
        let Ok(shards) = blocking(move || Ok(lister.shard_ids()?)).await else { return };
        match store.barrier(PATIENCE).await {
            Ok(()) => {
                let strays = strays(shards, &databases_of(&store.range("").1));
                if !strays.is_empty() {
                    tracing::info!(shards = strays.len(), "dropping what belongs to no database");
                }
                return each(&engine, strays, remove).await;
            }
            Err(raft::Error::Stopped | raft::Error::Failed) => return,
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Whether keys that begin so came, changed or went.
fn touches(update: &Update, prefix: &str) -> bool {
    match update {
        Update::Changes(revisions) => {
            let mut changes = revisions.iter().flat_map(|revision| &revision.changes);
            changes.any(|change| change.key.starts_with(prefix))
        }
        Update::Resync { .. } => true,
    }
}

/// Drops all shards of databases.
pub(crate) async fn drop_all(engine: &Engine) -> Result<(), Error> {
    let lister = engine.clone();
    let shards = blocking(move || Ok(lister.shard_ids()?)).await?;
    each(engine, strays(shards, &[]), remove).await;
    Ok(())
}

type Work = fn(&Engine, &ShardId) -> Result<(), settee_engine::Error>;

fn make(engine: &Engine, id: &ShardId) -> Result<(), settee_engine::Error> {
    match engine.create_shard(id) {
        Err(settee_engine::Error::ShardExists { .. }) => Ok(()),
        other => other.map(drop),
    }
}

fn remove(engine: &Engine, id: &ShardId) -> Result<(), settee_engine::Error> {
    match engine.drop_shard(id) {
        Err(settee_engine::Error::ShardMissing { .. }) => Ok(()),
        other => other,
    }
}

/// Does one thing with shards, some at a time. What fails is tried again at the next start, or when
/// somebody asks for it.
async fn each(engine: &Engine, shards: Vec<ShardId>, work: Work) {
    for some in shards.chunks(AT_ONCE) {
        let mut running = JoinSet::new();
        for id in some {
            let (engine, id) = (engine.clone(), id.clone());
            running.spawn(off(move || {
                if let Err(error) = work(&engine, &id) {
                    tracing::warn!(shard = %id, %error, "a shard was neither made nor dropped");
                }
            }));
        }
        while running.join_next().await.is_some() {}
    }
}
