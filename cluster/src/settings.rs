//! What an operator decides about the coordinator. Values only; reading files is not its business.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::mesh::{self, Secret};
use crate::raft;

/// Settings of the coordinator, with CouchDB's defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's name, as `_membership` and `_shards` show it (`couchdb@127.0.0.1`).
    pub node_name: String,
    /// How databases are laid out at first, until [`crate::Cluster::set_layout`] says otherwise.
    pub layout: LayoutDefaults,
    /// `[fabric] request_timeout`: how long a request waits for a shard copy, in milliseconds.
    pub request_timeout_ms: u64,
    /// Edits that may wait in the background for `batch=ok`, over all databases.
    pub background_edits: usize,
}

/// How a new database is laid out unless its creation says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutDefaults {
    /// `[cluster] q`: shards.
    pub q: u32,
    /// `[cluster] n`: copies of each shard, capped by the number of members.
    pub n: u32,
    /// `[cluster] placement`: zones and copies in each, `z1:2,z2:1`, in place of `n`.
    pub placement: Option<String>,
}

/// Where a node keeps what it knows of its cluster, and how it is reached.
#[derive(Clone, Debug)]
pub struct Home {
    /// The data directory: its uuid lies there, and the metadata in a folder.
    pub data: PathBuf,
    /// The zone in which it stands, for placement.
    pub zone: Option<String>,
    /// How other nodes reach it; without, it is alone for ever.
    pub mesh: Option<MeshHome>,
    /// Where the metadata is; in a folder of the data directory otherwise.
    pub metadata: Option<raft::Place>,
}

/// How a node is reached by others.
#[derive(Clone, Debug)]
pub struct MeshHome {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What all nodes of the cluster know. Until there is one it does not listen.
    pub secret: Option<Secret>,
    /// Certificates, for mutual TLS; without, nodes talk in the clear.
    pub tls: Option<mesh::TlsFiles>,
    /// Whether it does not start if it cannot listen there.
    pub must_listen: bool,
    /// `[cluster] seedlist`: nodes that may tell it its cluster. With none it begins one.
    pub seeds: Vec<String>,
    /// Where connections come from.
    pub net: Arc<dyn mesh::Net>,
    /// How long things take between nodes.
    pub timing: mesh::Timing,
    /// How long things take in the group that keeps the metadata.
    pub raft: raft::Timing,
}

impl Home {
    /// The home of a node that is alone.
    #[must_use]
    pub fn new(data: PathBuf) -> Home {
        Home { data, zone: None, mesh: None, metadata: None }
    }
}

impl MeshHome {
    /// With the usual times and without seeds.
    #[must_use]
    pub fn new(listen: SocketAddr, secret: Option<Secret>) -> MeshHome {
        let (timing, raft) = (mesh::Timing::default(), raft::Timing::default());
        let (tls, seeds, net) = (None, Vec::new(), mesh::Tcp::shared());
        MeshHome { listen, secret, tls, must_listen: true, seeds, net, timing, raft }
    }
}

impl Settings {
    pub(crate) fn patience(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.request_timeout_ms)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            node_name: "couchdb@127.0.0.1".into(),
            layout: LayoutDefaults::default(),
            request_timeout_ms: 60_000,
            background_edits: 10_000,
        }
    }
}

impl Default for LayoutDefaults {
    fn default() -> Self {
        LayoutDefaults { q: 2, n: 3, placement: None }
    }
}
