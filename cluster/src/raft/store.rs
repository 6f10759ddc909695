//! [`MetaStore`]: what a node does with the group's metadata. Reads come from the applied copy;
//! what changes something goes to the leader, wherever it is, and never waits beyond its deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{InitializeError, RaftError};
use openraft::{Config, Snapshot, SnapshotPolicy};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::applied::Applied;
use super::disk::{Disk, Slot, node_id, off};
use super::leader::rest;
use super::log::Log;
use super::machine::Machine;
use super::message::{self, Envelope, Refusal, Reply, Request, Task, VERSION};
use super::network::{AskError, Links, Wire};
use super::records::Place;
use super::state::Stored;
use super::transport::{CallError, Transport};
use super::txn::Txn;
use super::watch::Watch;
use super::{Error, NodeId, OpenError, Peer, Raft, keeper, propose};

/// Tasks that a leader works on at once.
const TASKS_MAX: usize = 256;

/// How long a leader is waited for that too few nodes are there to choose.
const HOPELESS: Duration = Duration::from_millis(1500);

/// Where a store lies and whose it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its records are.
    pub place: Place,
    /// The uuid in the node's data directory.
    pub uuid: String,
    /// Name and address of this node.
    pub peer: Peer,
    /// How long things take.
    pub timing: Timing,
}

/// Times and lengths. All nodes of a group should have the same.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Rest between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// Shortest silence of a leader after which another node stands for election.
    pub election: Duration,
    /// How much longer it may be by chance, so that not all stand at once.
    pub election_spread: Duration,
    /// How long a request may take.
    pub patience: Duration,
    /// How long a voter may be away before a learner takes its seat.
    pub replace_after: Duration,
    /// Entries of the log between two snapshots; as many are kept after one for nodes that lag.
    pub snapshot_every: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(150),
            election: Duration::from_millis(700),
            election_spread: Duration::from_millis(700),
            patience: Duration::from_secs(5),
            replace_after: Duration::from_secs(600),
            snapshot_every: 5000,
        }
    }
}

impl Timing {
    /// Milliseconds for which a leader believes to lead after a majority answered it.
    pub(super) fn lease(&self) -> u64 {
        millis(self.election + self.election_spread)
    }

    fn config(&self) -> Result<Config, OpenError> {
        let config = Config {
            cluster_name: "settee".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election),
            election_timeout_max: millis(self.election + self.election_spread),
            install_snapshot_timeout: millis(self.patience * 2),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.snapshot_every,
            replication_lag_threshold: self.snapshot_every * 2,
            ..Config::default()
        };
        config.validate().map_err(|error| OpenError::Raft(error.to_string()))
    }
}

/// A node of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its name and address.
    pub peer: Peer,
    /// Whether it votes; the others learn.
    pub voter: bool,
}

/// See the module. Clones are handles of the same store.
#[derive(Clone)]
pub struct MetaStore(Arc<Inner>);

pub(super) struct Inner {
    pub(super) me: NodeId,
    pub(super) raft: Raft,
    pub(super) wire: Arc<Wire>,
    pub(super) timing: Timing,
    pub(super) permits: Semaphore,
    pub(super) queue: mpsc::Sender<propose::Proposal>,
    /// Held by who changes membership or the node's group.
    pub(super) changing: Mutex<()>,
    peer: Peer,
    applied: Arc<Applied>,
    /// Taken when it stops, so that its files are let go however many handles there are.
    disk: parking_lot::Mutex<Option<Disk>>,
    /// Why it was shut down, once it was.
    stopped: watch::Sender<Option<Error>>,
}

impl MetaStore {
    /// Opens or makes a node's store. A new one is empty and of no group until it founds one or
    /// is added to one.
    pub async fn open(
        options: Options,
        transport: Arc<dyn Transport>,
    ) -> Result<MetaStore, OpenError> {
        let Options { place, uuid, peer, timing } = options;
        let me = node_id(&uuid);
        let opened = off(move || {
            let disk = Disk::open(&place, &uuid)?;
            let (image, group) = (disk.image()?, disk.get(Slot::Group)?);
            Ok((disk, image, group))
        });
        let (disk, image, group) = opened.await?;
        let group = AtomicU64::new(group.unwrap_or(0));
        let wire = Arc::new(Wire { transport, me, group, pause: timing.heartbeat });
        let applied = Arc::new(Applied::new(image));
        let machine = Machine::new(disk.clone(), applied.clone());
        let (config, links) = (Arc::new(timing.config()?), Links(wire.clone()));
        let raft = Raft::new(me, config, links, Log(disk.clone()), machine).await;
        let raft = raft.map_err(|error| OpenError::Raft(error.to_string()))?;
        // Once it answers it has also said who the members are.
        raft.is_initialized().await.map_err(|error| OpenError::Raft(error.to_string()))?;
        let (stopped, _) = watch::channel(None);
        let (permits, changing) = (Semaphore::new(TASKS_MAX), Mutex::new(()));
        let (queue, proposals) = mpsc::channel(TASKS_MAX);
        tokio::spawn(propose::propose(raft.clone(), proposals, timing.patience));
        let disk = parking_lot::Mutex::new(Some(disk));
        let inner = Arc::new(Inner {
            me,
            raft,
            wire,
            timing,
            permits,
            queue,
            changing,
            peer,
            applied,
            disk,
            stopped,
        });
        tokio::spawn(keeper::keep(Arc::downgrade(&inner), inner.stopped.subscribe()));
        Ok(MetaStore(inner))
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.0.me
    }

    /// Founds a group of this node alone, which others may be added to. Does nothing if that was
    /// done before; fails if the node is a member of another's group.
    pub async fn found(&self) -> Result<(), OpenError> {
        let inner = &self.0;
        if !inner.join(inner.me).await? {
            return Err(OpenError::OtherGroup);
        }
        let members = BTreeMap::from([(inner.me, inner.peer.clone())]);
        match inner.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(OpenError::Raft(error.to_string())),
        }
    }

    /// The founder of this node's group; none as long as it is of none.
    pub fn group(&self) -> Option<NodeId> {
        Some(self.0.wire.group.load(Ordering::Acquire)).filter(|group| *group != 0)
    }

    /// Empties the directory of a store that was shut down, so that it is of no group and may be
    /// taken in by another. What a crash leaves half done is finished when it is opened.
    pub async fn wipe(options: &Options) -> Result<(), OpenError> {
        let Options { place, uuid, .. } = options.clone();
        off(move || Disk::open(&place, &uuid)?.wipe()).await
    }

    /// What a key holds in this node's copy.
    pub fn get(&self, key: &str) -> Option<Stored> {
        self.0.applied.look(|state| state.get(key).cloned())
    }

    /// All keys that begin with `prefix` in this node's copy, in order, and its revision.
    pub fn range(&self, prefix: &str) -> (u64, Vec<(Arc<str>, Stored)>) {
        self.0.applied.look(|state| {
            let keys = state.range(prefix).map(|(key, stored)| (key.clone(), stored.clone()));
            (state.revision(), keys.collect())
        })
    }

    /// The revision that this node's copy has reached.
    pub fn revision(&self) -> u64 {
        self.0.applied.look(super::State::revision)
    }

    /// Waits until this node's copy has a revision.
    pub async fn reached(&self, revision: u64, patience: Duration) -> Result<(), Error> {
        let mut progress = self.0.applied.progress();
        let reached = progress.wait_for(|_| self.revision() >= revision);
        match timeout(patience, reached).await {
            Ok(reached) => reached.map(drop).map_err(|_| Error::Stopped),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// Waits until this node's copy has everything that was acknowledged, to anybody, before the
    /// call. Reads after it are linearizable.
    pub async fn barrier(&self, patience: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        let wanted = self.0.lead(Task::Barrier, deadline).await?;
        let mut progress = self.0.applied.progress();
        let reached = timeout_at(deadline, progress.wait_for(|reached| *reached >= wanted)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// Does a transaction and gives the revision after it. With [`Error::Timeout`] it may have
    /// happened; every other error says that it did not.
    pub async fn txn(&self, txn: Txn, patience: Duration) -> Result<u64, Error> {
        txn.check()?;
        self.0.lead(Task::Txn(txn), Instant::now() + patience).await
    }

    /// Follows the keys under a prefix, from the changes after the revision `after` on.
    pub fn watch(&self, prefix: impl Into<Arc<str>>, after: u64) -> Watch {
        let stopped = self.0.stopped.subscribe();
        Watch::new(self.0.applied.clone(), stopped, prefix.into(), after)
    }

    /// The nodes of the group, as far as this one knows.
    pub fn members(&self) -> Vec<Member> {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow();
        let voters: Vec<_> = metrics.membership_config.voter_ids().collect();
        let member = |(id, peer): (&NodeId, &Peer)| {
            let voter = voters.contains(id);
            Member { id: *id, peer: peer.clone(), voter }
        };
        metrics.membership_config.nodes().map(member).collect()
    }

    /// Whether the voters are being changed: until that is done a majority of those of before is
    /// needed, too.
    #[cfg(test)]
    pub(crate) fn is_changing(&self) -> bool {
        self.0.between()
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.0.raft.metrics().borrow().current_leader
    }

    /// Entries at the beginning of the log that a snapshot has replaced on this node.
    pub fn trimmed(&self) -> u64 {
        self.0.raft.metrics().borrow().purged.map_or(0, |last| last.index + 1)
    }

    /// Adds a node, or gives one that is a member another name or address. It learns at first; the
    /// leader lets it vote once it has the log and there is a seat.
    pub async fn add_node(&self, node: NodeId, peer: Peer) -> Result<(), Error> {
        let deadline = Instant::now() + self.0.timing.patience;
        self.0.lead(Task::Add(node, peer), deadline).await.map(drop)
    }

    /// Removes a node; if it votes and a learner is ready, that one votes instead.
    pub async fn remove_node(&self, node: NodeId) -> Result<(), Error> {
        let deadline = Instant::now() + self.0.timing.patience;
        self.0.lead(Task::Remove(node), deadline).await.map(drop)
    }

    /// Answers a message that another node's [`Transport`] brought.
    pub async fn answer(&self, message: Bytes) -> Bytes {
        let reply = self.0.answer(&message).await.unwrap_or_else(Reply::Refused);
        message::encode(&reply).unwrap_or_default()
    }

    /// Whether its disk failed under it.
    pub(crate) fn has_failed(&self) -> bool {
        let ended = self.0.raft.metrics().borrow().running_state.is_err();
        ended && self.0.why_ended() == Error::Failed
    }

    /// Waits until it takes part no longer, and says why: [`Error::Failed`] if its disk is to blame.
    /// Does not keep the store.
    pub(crate) fn end(&self) -> impl Future<Output = Error> + Send + use<> {
        let (mut metrics, stopped) = (self.0.raft.metrics(), self.0.stopped.subscribe());
        async move {
            // One that nobody tells of any more has ended, too.
            let ended = metrics.wait_for(|metrics| metrics.running_state.is_err()).await;
            if let Ok(metrics) = &ended
                && let Err(error) = &metrics.running_state
            {
                tracing::info!(%error, "the metadata store has ended");
            }
            stopped.borrow().clone().unwrap_or(Error::Failed)
        }
    }

    /// Stops taking part. Watches end; what was acknowledged is on disk.
    pub async fn shutdown(&self) -> Result<(), OpenError> {
        let inner = &self.0;
        let failed = inner.raft.metrics().borrow().running_state.is_err();
        let why = if failed { inner.why_ended() } else { Error::Stopped };
        inner.stopped.send_replace(Some(why));
        let stopped = timeout(inner.timing.patience, inner.raft.shutdown()).await;
        let disk = inner.disk.lock().take();
        off(move || disk.map_or(Ok(()), |disk| disk.flush())).await?;
        match stopped {
            Ok(Ok(())) => Ok(()),
            _ => Err(OpenError::Raft("it did not stop in time".to_owned())),
        }
    }
}

impl Inner {
    /// Brings a task to the leader, and looks for another leader as long as that is harmless.
    async fn lead(&self, task: Task, deadline: Instant) -> Result<u64, Error> {
        let repeatable = !matches!(task, Task::Txn(_));
        let harmless = matches!(task, Task::Barrier);
        let mut failure = Error::NoLeader;
        let hopeless = Instant::now() + HOPELESS.min(self.timing.patience);
        loop {
            let enough = if self.may_elect() { deadline } else { deadline.min(hopeless) };
            let (leader, peer) = match self.leader(enough).await {
                Err(Error::NoLeader) => return Err(failure),
                known => known?,
            };
            let reply = match leader == self.me {
                true => self.decide(task.clone(), deadline).await,
                false => self.ask_leader(leader, &peer, task.clone(), deadline).await,
            };
            match reply {
                Reply::Done(number) => return Ok(number),
                Reply::NotLeader => {}
                // Another one will lead.
                Reply::Failed(Error::Stopped | Error::Failed) if leader != self.me => {}
                // Once an attempt may have had an effect, so may the whole.
                Reply::Failed(Error::Timeout) if harmless => {}
                Reply::Failed(Error::Timeout) if repeatable => failure = Error::Timeout,
                Reply::Failed(Error::Busy) if repeatable => {}
                Reply::Failed(error) => return Err(error),
                _ => return Err(Error::Timeout),
            }
            if rest(enough) <= self.wire.pause {
                return Err(failure);
            }
            sleep(self.wire.pause / 4).await;
        }
    }

    /// Whether so many voters seem to live that they can choose a leader.
    fn may_elect(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let voters: Vec<_> = metrics.membership_config.voter_ids().collect();
        let alive = |voter: &&NodeId| **voter == self.me || self.wire.transport.alive(**voter);
        voters.is_empty() || voters.iter().filter(alive).count() > voters.len() / 2
    }

    /// Why Raft does not run any more.
    pub(super) fn why_ended(&self) -> Error {
        self.stopped.borrow().clone().unwrap_or(Error::Failed)
    }

    /// Waits for somebody to lead.
    async fn leader(&self, deadline: Instant) -> Result<(NodeId, Peer), Error> {
        let mut metrics = self.raft.metrics();
        let known = metrics
            .wait_for(|metrics| metrics.current_leader.is_some() || metrics.running_state.is_err());
        let Ok(known) = timeout_at(deadline, known).await else { return Err(Error::NoLeader) };
        let Ok(known) = known else { return Err(self.why_ended()) };
        let Some(leader) = known.current_leader.filter(|_| known.running_state.is_ok()) else {
            return Err(self.why_ended());
        };
        let peer = known.membership_config.membership().get_node(&leader).cloned();
        Ok((leader, peer.unwrap_or_default()))
    }

    async fn ask_leader(&self, to: NodeId, peer: &Peer, task: Task, deadline: Instant) -> Reply {
        match self.wire.ask(to, peer, Request::Lead(task), rest(deadline)).await {
            Ok(reply) => reply,
            Err(AskError::Call(CallError::Lost) | AskError::Late | AskError::Nonsense) => {
                Reply::Failed(Error::Timeout)
            }
            Err(AskError::Call(CallError::Unreachable) | AskError::Refused(_)) => Reply::NotLeader,
        }
    }

    async fn answer(&self, message: &Bytes) -> Result<Reply, Refusal> {
        if message::version(message) != Some(VERSION) {
            return Err(Refusal::Version);
        }
        let envelope: Envelope = message::decode(message).ok_or(Refusal::Damaged)?;
        if envelope.to != self.me {
            return Err(Refusal::OtherNode);
        }
        let joins = matches!(envelope.request, Request::Append(_) | Request::Snapshot { .. });
        let known = self.wire.group.load(Ordering::Acquire);
        if known != envelope.group && !(known == 0 && joins && self.joined(envelope.group).await) {
            return Err(Refusal::OtherGroup);
        }
        let stopped = |_| Refusal::Stopped;
        Ok(match envelope.request {
            Request::Append(request) => Reply::Append(
                self.raft.append_entries(request).await.map_err(|_| Refusal::Stopped)?,
            ),
            Request::Vote(request) => {
                Reply::Vote(self.raft.vote(request).await.map_err(|_| Refusal::Stopped)?)
            }
            Request::Snapshot { vote, meta, data } => {
                let snapshot = Snapshot { meta, snapshot: Box::new(data) };
                let installed = self.raft.install_full_snapshot(vote, snapshot).await;
                Reply::Snapshot(installed.map_err(stopped)?)
            }
            Request::Lead(task) => {
                let patience = Duration::from_millis(envelope.deadline).min(self.timing.patience);
                self.decide(task, Instant::now() + patience).await
            }
        })
    }

    async fn joined(&self, group: NodeId) -> bool {
        matches!(self.join(group).await, Ok(true))
    }

    /// Makes this node a member of a group for good; false if it is another's already.
    async fn join(&self, group: NodeId) -> Result<bool, OpenError> {
        let turn = timeout(self.timing.patience, self.changing.lock()).await;
        let _turn = turn.map_err(|_| OpenError::Raft("membership is being changed".to_owned()))?;
        let known = self.wire.group.load(Ordering::Acquire);
        if known == 0 {
            let disk = self.disk.lock().clone();
            let disk = disk.ok_or_else(|| OpenError::Raft("it has stopped".to_owned()))?;
            off(move || disk.put(Slot::Group, &group)).await?;
            self.wire.group.store(group, Ordering::Release);
        }
        Ok(known == 0 || known == group)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
