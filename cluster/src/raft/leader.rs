//! What a node does when it leads: decides tasks with Raft, each within a deadline. Also where a
//! node that does not lead says so. Never asks other nodes itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, ServerState};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::message::{Reply, Task};
use super::policy::Seats;
use super::propose::Proposal;
use super::store::Inner;
use super::txn::{Outcome, Txn};
use super::{Error, NodeId, Peer};

type WriteError = RaftError<NodeId, ClientWriteError<NodeId, Peer>>;
type Metrics = openraft::RaftMetrics<NodeId, Peer>;
type Members = ChangeMembers<NodeId, Peer>;

/// Entries that a node may lack and still be ready to vote.
const LAG_MAX: u64 = 64;

impl Inner {
    /// Does a task if this node leads and is heard by a majority.
    pub(super) async fn decide(&self, task: Task, deadline: Instant) -> Reply {
        if !self.leads() {
            return Reply::NotLeader;
        }
        let permit = timeout_at(deadline, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Reply::Failed(Error::Busy) };
        let done = match task {
            Task::Txn(txn) => self.write(txn, deadline).await,
            Task::Barrier => return self.barrier(deadline).await,
            Task::Add(node, peer) => self.add(node, peer, deadline).await,
            Task::Remove(node) => self.remove(node, deadline).await,
        };
        done.map_or_else(Reply::Failed, Reply::Done)
    }

    /// Whether this node leads and a majority has answered it lately. A leader that is cut off
    /// does not step down by itself; it must not let requests wait for nothing.
    pub(super) fn leads(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let alone = metrics.membership_config.voter_ids().count() == 1;
        let heard = metrics.millis_since_quorum_ack.is_none_or(|ago| ago < self.timing.lease());
        metrics.state == ServerState::Leader && (alone || heard)
    }

    async fn write(&self, txn: Txn, deadline: Instant) -> Result<u64, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Proposal { txn, answer }).map_err(|_| Error::Busy)?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(Ok(Outcome::Done(revision)))) => Ok(revision),
            Ok(Ok(Ok(Outcome::Conflict { key, modified }))) => {
                Err(Error::Conflict { key, modified })
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) | Err(_) => Err(Error::Timeout),
        }
    }

    async fn barrier(&self, deadline: Instant) -> Reply {
        match timeout_at(deadline, self.raft.get_read_log_id()).await {
            Ok(Ok((log_id, _))) => Reply::Done(log_id.map_or(0, |id| id.index + 1)),
            Ok(Err(RaftError::Fatal(_))) => Reply::Failed(self.why_ended()),
            Ok(Err(RaftError::APIError(_))) | Err(_) => Reply::NotLeader,
        }
    }

    async fn add(&self, node: NodeId, peer: Peer, deadline: Instant) -> Result<u64, Error> {
        let known = self.members_known();
        let nodes = BTreeMap::from([(node, peer.clone())]);
        match known.get(&node) {
            Some(known) if *known == peer => Ok(0),
            Some(_) => self.change(ChangeMembers::SetNodes(nodes), true, deadline).await,
            None => self.change(ChangeMembers::AddNodes(nodes), true, deadline).await,
        }
    }

    async fn remove(&self, node: NodeId, deadline: Instant) -> Result<u64, Error> {
        let seats = self.seats(&BTreeSet::new());
        if !self.members_known().contains_key(&node) {
            return Ok(0);
        }
        if seats.voters.contains(&node) {
            let voters = seats.without(node).desired();
            if voters.is_empty() {
                return Err(Error::Invalid("the last voter cannot be removed".into()));
            }
            return self.change(ChangeMembers::ReplaceAllVoters(voters), false, deadline).await;
        }
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([node])), false, deadline).await
    }

    /// Changes membership, one change at a time.
    pub(super) async fn change(
        &self,
        members: Members,
        retain: bool,
        deadline: Instant,
    ) -> Result<u64, Error> {
        let turn = timeout_at(deadline, self.changing.lock()).await;
        let _turn = turn.map_err(|_| Error::Busy)?;
        let changed = timeout_at(deadline, self.raft.change_membership(members, retain)).await;
        match changed.map_err(|_| Error::Timeout)? {
            Ok(done) => Ok(done.log_id.index + 1),
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_))) => {
                Err(Error::Busy)
            }
            Err(error) => Err(unknown(error)),
        }
    }

    fn members_known(&self) -> BTreeMap<NodeId, Peer> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.nodes().map(|(id, peer)| (*id, peer.clone())).collect()
    }

    /// The group as this leader sees it; `gone` says which nodes have been away for long.
    pub(super) fn seats(&self, gone: &BTreeSet<NodeId>) -> Seats {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let last = membership.get_joint_config().last();
        let voters: BTreeSet<_> = last.cloned().unwrap_or_default();
        let ready = |node: &NodeId| {
            !voters.contains(node) && self.wire.transport.alive(*node) && caught_up(&metrics, *node)
        };
        let ready = membership.nodes().map(|(node, _)| *node).filter(ready).collect();
        let gone = voters.intersection(gone).copied().collect();
        Seats { voters, ready, gone }
    }

    /// Whether a change of voters was begun and not ended.
    pub(super) fn between(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().get_joint_config().len() > 1
    }
}

fn caught_up(metrics: &Metrics, node: NodeId) -> bool {
    let last = metrics.last_log_index.unwrap_or(0);
    let reached = metrics.replication.as_ref().and_then(|all| all.get(&node).copied().flatten());
    reached.is_some_and(|reached| reached.index + LAG_MAX >= last)
}

/// Raft took the change and then lost the lead, or stopped: others may have it.
fn unknown(error: WriteError) -> Error {
    tracing::debug!(%error, "the outcome of a change of members is not known");
    Error::Timeout
}

/// The rest of a time.
pub(super) fn rest(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
