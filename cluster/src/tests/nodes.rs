//! Several nodes of one process on loopback, each with a directory of its own, that can be stopped and
//! started again.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use settee_engine::io::RealStorage;
use settee_engine::{Engine, Options, ShardId};
use settee_model::docid::DbName;
use tempfile::TempDir;

use crate::mesh::Secret;
use crate::raft::Timing;
use crate::{Cluster, CreateOptions, Db, Error, Home, MeshHome, Settings};

const PATIENCE: Duration = Duration::from_secs(30);

/// A node that can be stopped and started again.
pub(super) struct Node {
    pub(super) number: usize,
    dir: TempDir,
    listen: SocketAddr,
    pub(super) seeds: Vec<String>,
    running: Option<(Cluster, Engine)>,
}

/// An address that nobody listens at.
pub(super) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn open(
    data: &Path,
    number: usize,
    listen: SocketAddr,
    seeds: &[String],
) -> Result<(Cluster, Engine), Error> {
    let storage = Arc::new(RealStorage::open(data).unwrap());
    let engine = Engine::open(storage, Options::default()).unwrap();
    let mut mesh = MeshHome::new(listen, Some(Secret::new("mellon").unwrap()));
    mesh.seeds = seeds.to_vec();
    let election = Duration::from_millis(500);
    mesh.raft = Timing { election, election_spread: election, ..Timing::default() };
    let home = Home { mesh: Some(mesh), ..Home::new(data.to_owned()) };
    let settings = Settings { node_name: name(number), ..Settings::default() };
    let new_id = move || {
        let mut random = [0; 16];
        getrandom::fill(&mut random).unwrap();
        format!("{:032x}", u128::from_be_bytes(random))
    };
    Ok((Cluster::open(engine.clone(), settings, home, Arc::new(new_id)).await?, engine))
}

pub(super) fn name(number: usize) -> String {
    format!("n{number}@127.0.0.1")
}

impl Node {
    pub(super) fn new(number: usize) -> Node {
        let dir = tempfile::tempdir().unwrap();
        Node { number, dir, listen: free(), seeds: Vec::new(), running: None }
    }

    pub(super) async fn start(mut self) -> Node {
        let opened = open(self.dir.path(), self.number, self.listen, &self.seeds).await;
        self.running = Some(opened.unwrap());
        self
    }

    pub(super) async fn stop(mut self) -> Node {
        self.cluster().close().await.unwrap();
        self.running = None;
        self
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.running.as_ref().unwrap().0
    }

    pub(super) fn address(&self) -> String {
        self.listen.to_string()
    }

    pub(super) fn shards(&self) -> Vec<ShardId> {
        let mut shards = self.running.as_ref().unwrap().1.shard_ids().unwrap();
        shards.sort();
        shards
    }

    pub(super) fn db(&self, name: &str) -> Db {
        self.cluster().db(&DbName::trusted(name)).unwrap()
    }

    pub(super) fn databases(&self) -> Vec<String> {
        self.cluster().all_dbs().keys().map(ToString::to_string).collect()
    }

    pub(super) async fn create(&self, name: &str) -> DbName {
        let name = DbName::trusted(name);
        self.cluster().create_db(&name, CreateOptions::default()).await.unwrap();
        name
    }
}

pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Nodes alone, then the first takes the others in.
pub(super) async fn three() -> Vec<Node> {
    let mut nodes = Vec::new();
    for number in 0..3 {
        nodes.push(Node::new(number).start().await);
    }
    for other in &nodes[1..] {
        nodes[0].cluster().add_node(&other.address()).await.unwrap();
    }
    until_members(&nodes, 3).await;
    nodes
}

pub(super) async fn until_members(nodes: &[Node], count: usize) {
    let all = |node: &Node| {
        let members = node.cluster().members();
        (members.cluster_nodes.len(), members.all_nodes.len()) == (count, count)
    };
    until("all members", || nodes.iter().all(all)).await;
}
