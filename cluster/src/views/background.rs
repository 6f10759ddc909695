//! Brings indexes up to date after commits, so that queries find them so. One build at a time; shards that
//! change meanwhile wait for the next round. Whoever asks a view does not wait for this.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use settee_engine::ShardId;
use settee_model::doc::StoredDoc;
use settee_model::docid::DbName;
use settee_model::json::Raw;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::DesignDoc;
use crate::catalogue::{database_of, instance_of};
use crate::coord::designs::design_docs;
use crate::local::LocalCopy;
use crate::node::Node;

/// Rest between rounds: what is written in that time is built at once.
const REST: Duration = Duration::from_secs(2);
/// Shards that are remembered; more are built when somebody asks.
const MOST: usize = 100_000;

/// Shards that have changed.
#[derive(Default)]
pub(crate) struct Changed {
    shards: Mutex<BTreeMap<String, Vec<ShardId>>>,
    bell: Notify,
}

impl Changed {
    /// A shard has changed. Called by the engine, on a thread that must not wait.
    pub(crate) fn note(&self, shard: &ShardId) {
        if database_of(shard).is_none() {
            return;
        }
        let mut shards = self.shards.lock();
        let all = shards.len();
        if all < MOST || shards.contains_key(instance_of(shard)) {
            let of = shards.entry(instance_of(shard).to_owned()).or_default();
            if !of.contains(shard) {
                of.push(shard.clone());
            }
        }
        drop(shards);
        self.bell.notify_one();
    }

    /// A database's shards that have changed.
    fn take(&self) -> Option<Vec<ShardId>> {
        self.shards.lock().pop_first().map(|(_, shards)| shards)
    }
}

/// Builds for as long as the node is there.
pub(crate) async fn keep_building(node: Weak<Node>, changed: Arc<Changed>) {
    loop {
        changed.bell.notified().await;
        sleep(REST).await;
        let round = changed.shards.lock().len();
        for _ in 0..round {
            let Some(shards) = changed.take() else { break };
            let Some(node) = node.upgrade() else { return };
            build(&node, shards).await;
        }
        if node.strong_count() == 0 {
            return;
        }
    }
}

/// Builds what lags behind in some shards of a database.
async fn build(node: &Arc<Node>, shards: Vec<ShardId>) {
    let Some(name) = shards.first().and_then(database_of).map(DbName::trusted) else { return };
    let Ok(database) = node.database(&name) else { return };
    let partitioned = database.meta().partitioned;
    let wanted = |doc: StoredDoc| {
        let ddoc = DesignDoc::new(doc.id.as_str(), doc.record.body, partitioned);
        is_wanted(&ddoc).then(|| Arc::new(ddoc))
    };
    let ddocs = match design_docs(&database, wanted).await {
        Ok(ddocs) => ddocs,
        Err(error) => {
            tracing::debug!(database = %name, %error, "no indexes are built ahead");
            return;
        }
    };
    for shard in shards {
        let copy = LocalCopy::new(node.host().clone(), shard, node.settings().patience());
        for ddoc in &ddocs {
            if let Err(error) = copy.build(ddoc).await {
                tracing::debug!(shard = %copy.id(), ddoc = ddoc.id, %error, "not built ahead");
            }
        }
    }
}

/// Whether a design document has views and does not say that nobody is to build ahead.
fn is_wanted(ddoc: &DesignDoc) -> bool {
    let [views, ahead] = Raw(&ddoc.body).pick(["views", "autoupdate"]);
    views.is_some() && ahead.and_then(Raw::as_bool) != Some(false)
}
