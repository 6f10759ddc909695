//! A network in memory that can be cut, slowed and made to lose messages, and groups of nodes on it
//! that can be stopped and started again.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::raft::{
    CallError, Calling, Error, MetaStore, NodeId, Options, Peer, Place, Timing, Transport, Txn,
};

/// Longest wait for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Net {
    nodes: Mutex<BTreeMap<NodeId, MetaStore>>,
    cut: Mutex<HashSet<(NodeId, NodeId)>>,
    /// Directions in which connections break as soon as they are used.
    broken: Mutex<HashSet<(NodeId, NodeId)>>,
    /// Messages that somebody wanted to send.
    calls: AtomicU64,
    /// Messages lost, in a thousand.
    loss: AtomicU64,
    /// Longest delay of a message, in milliseconds.
    delay: AtomicU64,
    dice: AtomicU64,
}

impl Net {
    /// Breaks links so that the two sides do not hear each other.
    pub fn part(&self, one: &[NodeId], other: &[NodeId]) {
        for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (*one, *other)))
        {
            self.cut.lock().extend([(one, other), (other, one)]);
        }
    }

    /// Breaks one direction only.
    pub fn deafen(&self, from: NodeId, to: NodeId) {
        self.cut.lock().insert((from, to));
    }

    /// From now on connections in one direction break as soon as they are used.
    pub fn fray(&self, from: NodeId, to: NodeId) {
        self.broken.lock().insert((from, to));
    }

    /// Messages that somebody wanted to send so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn heal(&self) {
        self.cut.lock().clear();
        self.trouble(0, 0);
    }

    pub fn trouble(&self, loss: u64, delay: u64) {
        self.loss.store(loss, Ordering::Relaxed);
        self.delay.store(delay, Ordering::Relaxed);
    }

    pub fn roll(&self, sides: u64) -> u64 {
        let roll = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (roll ^ roll >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27) % sides.max(1)
    }

    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.lock().contains(&(from, to))
    }

    async fn hop(&self) {
        let delay = self.delay.load(Ordering::Relaxed);
        if delay > 0 {
            sleep(Duration::from_millis(self.roll(delay + 1))).await;
        }
    }

    fn loses(&self) -> bool {
        self.roll(1000) < self.loss.load(Ordering::Relaxed)
    }

    async fn carry(
        &self,
        from: NodeId,
        to: NodeId,
        message: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.broken.lock().contains(&(from, to)) {
            return Err(CallError::Lost);
        }
        self.hop().await;
        let node = self.nodes.lock().get(&to).cloned();
        let node = node.filter(|_| !self.is_cut(from, to)).ok_or(CallError::Unreachable)?;
        if self.loses() {
            sleep(deadline).await;
            return Err(CallError::Lost);
        }
        // As on a server, work that was begun goes on when the caller gave up.
        let answer = tokio::spawn(async move { node.answer(message).await }).await;
        self.hop().await;
        if self.is_cut(to, from) || self.loses() {
            sleep(deadline).await;
            return Err(CallError::Lost);
        }
        answer.map_err(|_| CallError::Lost)
    }
}

struct Port {
    net: Arc<Net>,
    me: NodeId,
}

impl Transport for Port {
    fn call(&self, to: NodeId, _: &Peer, message: Bytes, deadline: Duration) -> Calling {
        let (net, me) = (self.net.clone(), self.me);
        Box::pin(async move { net.carry(me, to, message, deadline).await })
    }

    fn alive(&self, node: NodeId) -> bool {
        let up = self.net.nodes.lock().contains_key(&node);
        up && !self.net.is_cut(self.me, node) && !self.net.is_cut(node, self.me)
    }
}

/// Nodes with directories that outlive them. Nodes are numbered from 0.
pub struct Group {
    pub net: Arc<Net>,
    dir: TempDir,
    up: BTreeMap<usize, MetaStore>,
    pub timing: Timing,
}

pub fn peer(number: usize) -> Peer {
    Peer { name: format!("n{number}"), address: format!("{number}") }
}

fn uuid(number: usize) -> String {
    format!("uuid of {number}")
}

pub fn id(number: usize) -> NodeId {
    crate::raft::disk::node_id(&uuid(number))
}

impl Group {
    pub fn empty() -> Group {
        let timing = Timing {
            heartbeat: Duration::from_millis(80),
            election: Duration::from_millis(500),
            election_spread: Duration::from_millis(500),
            patience: Duration::from_secs(2),
            replace_after: Duration::from_millis(500),
            snapshot_every: 40,
        };
        let dir = tempfile::tempdir().unwrap();
        Group { net: Arc::default(), dir, up: BTreeMap::new(), timing }
    }

    /// A group of so many nodes, all of them voters as far as there are seats.
    pub async fn of(size: usize) -> Group {
        Group::keeping(size, 40).await
    }

    /// The same with so many entries between two snapshots.
    pub async fn keeping(size: usize, entries: u64) -> Group {
        let mut group = Group::empty();
        group.timing.snapshot_every = entries;
        group.start(0).await.found().await.unwrap();
        for number in 1..size {
            group.grow(number).await;
        }
        group.until_voters(size.min(5)).await;
        group
    }

    pub fn path(&self, number: usize) -> PathBuf {
        self.dir.path().join(number.to_string())
    }

    pub fn options(&self, number: usize) -> Options {
        let (place, timing) = (Place::Directory(self.path(number)), self.timing.clone());
        Options { place, uuid: uuid(number), peer: peer(number), timing }
    }

    /// Starts a node on the directory it had, if it had one.
    pub async fn start(&mut self, number: usize) -> MetaStore {
        let port = Arc::new(Port { net: self.net.clone(), me: id(number) });
        let store = MetaStore::open(self.options(number), port).await.unwrap();
        self.net.nodes.lock().insert(store.id(), store.clone());
        self.up.insert(number, store.clone());
        store
    }

    pub async fn stop(&mut self, number: usize) {
        self.net.nodes.lock().remove(&id(number));
        let store = self.up.remove(&number).unwrap();
        store.shutdown().await.unwrap();
    }

    /// Starts a node and adds it through another.
    pub async fn grow(&mut self, number: usize) {
        self.start(number).await;
        let other = self.up.values().next().unwrap();
        other.add_node(id(number), peer(number)).await.unwrap();
    }

    pub fn store(&self, number: usize) -> &MetaStore {
        &self.up[&number]
    }

    pub fn stores(&self) -> impl Iterator<Item = &MetaStore> {
        self.up.values()
    }

    pub fn is_up(&self, number: usize) -> bool {
        self.up.contains_key(&number)
    }

    /// The number of the node that leads, once all that are up agree.
    pub async fn leader(&self) -> usize {
        let mut found = None;
        until("a leader that all know", || {
            let mut leaders = self.stores().map(MetaStore::leader);
            let first = leaders.next().flatten();
            found = self.up.keys().copied().find(|number| Some(id(*number)) == first);
            found.is_some() && leaders.all(|leader| leader == first)
        })
        .await;
        found.unwrap()
    }

    /// Waits until so many vote, and the change that made it so is done.
    pub async fn until_voters(&self, count: usize) {
        let voters =
            |store: &MetaStore| store.members().iter().filter(|member| member.voter).count();
        until("voters", || {
            self.stores().all(|store| !store.is_changing() && voters(store) == count)
        })
        .await;
    }

    /// Waits until all nodes that are up hold the same.
    pub async fn until_equal(&self) {
        until("equal copies", || {
            let mut copies = self.stores().map(|store| store.range(""));
            let first = copies.next();
            copies.all(|copy| Some(copy) == first)
        })
        .await;
    }
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Writes that must succeed; one that is cut off by a change of leaders is done once more.
pub async fn put(store: &MetaStore, key: &str, value: &str) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match store.txn(Txn::new().put(key, value.to_owned()), PATIENCE).await {
            Err(Error::Timeout) if Instant::now() < deadline => {}
            done => return done.unwrap(),
        }
    }
}
