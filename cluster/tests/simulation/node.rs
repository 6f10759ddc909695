//! A node: what of it survives a crash, and what runs until one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_cluster::mesh::Secret;
use settee_cluster::raft::{Memory, Place, Timing};
use settee_cluster::{Cluster, Home, MeshHome, Settings};
use settee_engine::compact::Policy;
use settee_engine::io::{Crash, Fault, SimStorage};
use settee_engine::{Engine, Options, log};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::guest::{GUEST, HOME};
use crate::net::SimNet;

/// The port of the mesh, on every host.
const PORT: u16 = 9100;
/// How often the engine looks after its shards.
const ROUND: Duration = Duration::from_millis(500);

/// See the module.
pub struct Node {
    pub number: usize,
    pub seed: u64,
    disk: SimStorage,
    records: Memory,
    /// The node's uuid lies there, and nothing else.
    data: TempDir,
    seeds: Vec<String>,
    starts: AtomicU64,
    running: Mutex<Option<Running>>,
}

/// A node that runs.
#[derive(Clone)]
pub struct Running {
    pub cluster: Cluster,
    pub engine: Engine,
}

/// The name of a node's host in the network.
pub fn host(number: usize) -> String {
    format!("n{number}")
}

/// The name of a node in its cluster.
pub fn name(number: usize) -> String {
    format!("settee@{}", host(number))
}

/// Where a node's mesh is reached.
pub fn address(number: usize) -> String {
    format!("{}:{PORT}", host(number))
}

/// Small amounts of everything, so that what seldom happens happens often.
fn options() -> Options {
    Options {
        threads: false,
        // Nothing is forgotten for want of room: which page would be depends on addresses in memory.
        cache_bytes: 256 << 20,
        shard_dirty_bytes: 64 << 10,
        dirty_bytes: 256 << 10,
        log_bytes: 256 << 10,
        log: log::Options { segment_bytes: 32 << 10, ..log::Options::default() },
        checkpoint_idle: Duration::from_secs(2),
        close_idle: Duration::from_secs(5),
        reserve_bytes: 0,
        compaction: Policy { bytes_per_second: 0, ..Policy::default() },
        ..Options::default()
    }
}

impl Node {
    pub fn new(seed: u64, number: usize, seeds: &[String]) -> Arc<Node> {
        Arc::new(Node {
            number,
            seed,
            disk: SimStorage::seeded(Chance::new(seed, 1000 + number as u64).next()),
            records: Memory::default(),
            data: tempfile::tempdir().unwrap(),
            seeds: seeds.to_vec(),
            starts: AtomicU64::new(0),
            running: Mutex::new(None),
        })
    }

    /// A stream of numbers for one purpose, another one after every start.
    pub fn chance(&self, purpose: u64) -> Chance {
        let start = self.starts.load(Ordering::Relaxed);
        Chance::new(self.seed, (self.number as u64) << 32 | start << 16 | purpose)
    }

    /// What runs, if the node does.
    pub fn running(&self) -> Option<Running> {
        self.running.lock().clone()
    }

    /// Starts on what is there; never returns, unless that fails.
    pub async fn live(self: Arc<Node>, clients: impl Fn(&Arc<Node>, &Running)) -> turmoil::Result {
        self.starts.fetch_add(1, Ordering::Relaxed);
        let engine = Engine::open(Arc::new(self.disk.clone()), options())?;
        tokio::spawn(work(engine.clone(), self.chance(1)));
        tokio::spawn(look_after(engine.clone()));
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
        let mesh = MeshHome {
            seeds: self.seeds.clone(),
            net: Arc::new(SimNet),
            raft: Timing {
                election: Duration::from_millis(self.chance(3).between(700, 1400)),
                // The one chance that Raft takes from the system without asking the C library.
                election_spread: Duration::from_millis(1),
                ..Timing::default()
            },
            ..MeshHome::new(listen, Some(Secret::new("mellon")?))
        };
        let home = Home {
            mesh: Some(mesh),
            metadata: Some(Place::Memory(self.records.clone())),
            zone: (self.number != GUEST).then(|| HOME.to_owned()),
            ..Home::new(self.data.path().to_owned())
        };
        let settings = Settings {
            node_name: name(self.number),
            request_timeout_ms: 5000,
            ..Settings::default()
        };
        let ids = Mutex::new(self.chance(2));
        let new_id = move || {
            let mut chance = ids.lock();
            format!("{:016x}{:016x}", chance.next(), chance.next())
        };
        let cluster = Cluster::open(engine.clone(), settings, home, Arc::new(new_id)).await?;
        let running = Running { cluster, engine };
        *self.running.lock() = Some(running.clone());
        clients(&self, &running);
        std::future::pending().await
    }

    /// The power fails: all but what was synced is lost, or survives by chance.
    pub fn lose_power(&self, chance: &mut Chance) {
        let crash = match chance.below(4) {
            0 => Crash::KeepAll,
            1 => Crash::LoseAll,
            _ => Crash::Tear { sector: 512, seed: chance.next() },
        };
        self.disk.crash(crash);
        let pending = self.records.pending();
        self.records.crash(chance.below(pending as u64 + 1) as usize);
    }

    /// What ran is no more.
    pub fn stopped(&self) {
        *self.running.lock() = None;
    }

    /// After so many operations more its disk fails.
    pub fn spoil(&self, operations: u64, fault: Fault) {
        self.disk.fail_at(self.disk.operations() + operations, fault);
    }

    /// Moves the node's wall clock on.
    pub fn advance(&self, by: Duration) {
        self.disk.advance(by);
    }
}

/// Does what waits in the engine, some milliseconds after it was asked for.
async fn work(engine: Engine, mut chance: Chance) {
    loop {
        while engine.turn() {}
        sleep(Duration::from_millis(chance.between(1, 8))).await;
    }
}

async fn look_after(engine: Engine) {
    loop {
        sleep(ROUND).await;
        engine.look_after();
    }
}
