//! One job of the scheduler with what follows from it: a copy that turns out to be damaged is made
//! anew, and one that was being filled answers readers as soon as it has what it should. Never says
//! when: `plan` does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_engine::ShardId;
use tokio::time::sleep;

use super::ask::Source;
use super::plan::{Job, Kind};
use super::remake::{is_damaged, needed, remake};
use super::scheduler::{Place, Places};
use super::session::Report;
use super::work::work;
use crate::Error;
use crate::raft::NodeId;

/// How long it may take until all nodes that live know what was agreed on.
const KNOWN: Duration = Duration::from_secs(2);

/// From which nodes copies that are being filled have pulled everything.
#[derive(Default)]
pub(super) struct Filled(Mutex<HashMap<ShardId, HashSet<NodeId>>>);

impl Filled {
    /// One more; how many there are.
    fn add(&self, shard: &ShardId, node: NodeId) -> usize {
        let mut filled = self.0.lock();
        let nodes = filled.entry(shard.clone()).or_default();
        nodes.insert(node);
        nodes.len()
    }

    fn forget(&self, shard: &ShardId) {
        self.0.lock().remove(shard);
    }
}

/// Does a job.
pub(super) async fn do_job(
    job: &Job,
    place: &Place,
    places: &Arc<dyn Places>,
    filled: &Filled,
) -> Result<(), Error> {
    let target = &place.target;
    let source = place.sources.iter().find(|source| source.node == job.source);
    let Some(source) = source else { return Ok(()) };
    // The peer that could not be told of purges must find them when it comes back.
    if target.copy.resident(1).is_some_and(|snapshot| snapshot.purge_seq() > 0) {
        target.keep_purges().await?;
    }
    let error = match work(job.kind, target, source).await {
        Ok(report) if place.filling => return fill(place, source, report, places, filled).await,
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    // Only this copy is judged here; its source looks after itself.
    if !target.is_suspect() || !is_damaged(target).await? {
        return Err(error);
    }
    let shard = target.copy.id();
    let empty = || async {
        filled.forget(shard);
        places.clone().set_filling(shard.clone(), true).await?;
        sleep(KNOWN).await;
        Ok(())
    };
    if !remake(target, &place.sources, empty).await? {
        return Err(error);
    }
    for source in &place.sources {
        let report = work(Kind::Pull, target, source).await?;
        fill(place, source, report, places, filled).await?;
    }
    Ok(())
}

/// The copy has pulled from another one: if that were enough, it has every write that was acknowledged
/// before it came. Those that were acknowledged since it got like any other copy.
async fn fill(
    place: &Place,
    source: &Source,
    report: Report,
    places: &Arc<dyn Places>,
    filled: &Filled,
) -> Result<(), Error> {
    if !source.full || report.left_out > 0 {
        return Ok(());
    }
    let shard = place.target.copy.id();
    let full = place.sources.iter().filter(|source| source.full).count();
    if filled.add(shard, source.node) >= needed(full + 1) {
        places.clone().set_filling(shard.clone(), false).await?;
        filled.forget(shard);
    }
    Ok(())
}
