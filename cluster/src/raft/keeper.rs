//! The leader's care for the voters: looks at the group now and then and asks Raft for what
//! [`Seats::desired`] says. Runs on every node and does nothing on those that do not lead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;

use openraft::ChangeMembers;
use tokio::sync::watch;
use tokio::time::Instant;

use super::store::Inner;
use super::{Error, NodeId};

/// Keeps voters until the store is shut down.
pub(super) async fn keep(inner: Weak<Inner>, mut stopped: watch::Receiver<Option<Error>>) {
    let mut away = BTreeMap::new();
    loop {
        let Some(inner) = inner.upgrade() else { return };
        if inner.leads() {
            look(&inner, &mut away).await;
        } else {
            away.clear();
        }
        let pause = inner.timing.heartbeat;
        drop(inner);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.changed() => return,
        }
    }
}

/// Looks once; `away` says since when nodes seem dead.
async fn look(inner: &Inner, away: &mut BTreeMap<NodeId, Instant>) {
    let now = Instant::now();
    let voters = inner.seats(&BTreeSet::new()).voters;
    let dead = |node: &&NodeId| **node != inner.me && !inner.wire.transport.alive(**node);
    let dead: BTreeSet<_> = voters.iter().filter(dead).copied().collect();
    away.retain(|node, _| dead.contains(node));
    for node in dead {
        away.entry(node).or_insert(now);
    }
    let gone = away.iter().filter(|(_, since)| now - **since >= inner.timing.replace_after);
    let seats = inner.seats(&gone.map(|(node, _)| *node).collect());
    let desired = seats.desired();
    if desired == seats.voters && !inner.between() {
        return;
    }
    tracing::info!(voters = ?desired, "changing who votes on metadata");
    let change = ChangeMembers::ReplaceAllVoters(desired);
    if let Err(error) = inner.change(change, true, now + inner.timing.patience).await {
        tracing::debug!(%error, "voters were not changed; it is tried again");
    }
}
