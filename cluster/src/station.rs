//! A node's place in its cluster: who it is, where it listens to others, the book of what was agreed
//! and the way to the other nodes. Opens and closes them in the right order; serves no database.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use settee_engine::Engine;
use tokio::time::Instant;

use crate::catalogue::{Book, Identity, Member};
use crate::membership::{Peers, Port, Seed, find_group, host_of};
use crate::mesh::{MeshServer, MeshSettings, NodeIdentity};
use crate::node::{NewId, Node};
use crate::raft::{MetaStore, OpenError, Options, Peer, Timing};
use crate::steps::blocking;
use crate::{Error, Home, MeshHome};

/// The folder of the metadata store in the data directory.
const METADATA: &str = "metadata";
/// How long a node that was away tries to catch up before it serves what it knows.
const CATCH_UP: Duration = Duration::from_secs(3);
/// Rest before a node tries again to say where it is now.
const REST: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Station {
    pub(crate) book: Arc<Book>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) member: Member,
    port: Arc<Port>,
    server: Mutex<Option<MeshServer>>,
    options: Options,
}

impl Station {
    /// Returns when the node is a member of a cluster, which it founds if it has no seeds.
    pub(crate) async fn open(
        engine: &Engine,
        name: &str,
        home: Home,
        new_id: &NewId,
    ) -> Result<Station, Error> {
        let Home { data, zone, mesh } = home;
        let Identity { uuid } = identity(&data, new_id).await?;
        let seeds = mesh.as_ref().map_or(&[][..], |mesh| &mesh.seeds);
        let seeds =
            Seed::parse_list(seeds).map_err(|error| Error::BadRequest(error.to_string()))?;
        let port = Arc::new(Port::default());
        let timing = mesh.as_ref().map_or_else(Timing::default, |mesh| mesh.raft.clone());
        let settings = mesh.map(|mesh| Arc::new(mesh_settings(mesh, name, &uuid)));
        let server = match &settings {
            Some(settings) => {
                let server = MeshServer::start(settings.clone(), engine.clone(), port.clone());
                Some(server.await.map_err(|error| Error::Storage(error.to_string()))?)
            }
            None => None,
        };
        let address = server.as_ref().map(|server| reached_at(server.address(), name));
        let address = address.unwrap_or_default();
        let member = Member { name: name.to_owned(), address, zone, uuid: uuid.clone() };
        let peer = Peer { name: member.name.clone(), address: member.address.clone() };
        let options = Options { path: data.join(METADATA), uuid, peer, timing };
        let peers = Arc::new(Peers::new(settings));
        let store = MetaStore::open(options.clone(), peers.clone()).await.map_err(failed)?;
        let book = Arc::new(Book::new(store));
        port.open(book.clone(), member.clone());
        let server = Mutex::new(server);
        let station = Station { book, peers, member, port, server, options };
        station.settle(&seeds).await?;
        Ok(station)
    }

    /// Becomes a member of a cluster, or learns what happened to its cluster meanwhile.
    async fn settle(&self, seeds: &[Seed]) -> Result<(), Error> {
        let store = self.book.store();
        match store.group() {
            None if !seeds.is_empty() => {
                find_group(&self.book, &self.peers, seeds, &self.member).await?;
            }
            Some(founder) if founder != store.id() => {}
            // What a crash kept from being done at the first start is done now.
            _ => store.found().await.map_err(failed)?,
        }
        if store.members().len() > 1 && !self.catch_up(&store).await {
            tracing::warn!(
                "no majority of the cluster is there yet; serving what was known before"
            );
        }
        Ok(())
    }

    /// Tries to learn what was agreed on meanwhile; longer if it seems that there is somebody to tell.
    async fn catch_up(&self, store: &MetaStore) -> bool {
        let begun = Instant::now();
        while store.barrier(CATCH_UP / 3).await.is_err() {
            let voters = store.members().into_iter().filter(|member| member.voter);
            let others = voters.filter(|voter| voter.id != store.id());
            let mut others = others.filter(|voter| self.peers.is_live(voter.id));
            let patience = if others.next().is_some() { CATCH_UP * 4 } else { CATCH_UP };
            if begun.elapsed() >= patience {
                return false;
            }
        }
        true
    }

    /// Answers for a node from now on, and tells the cluster where it is.
    pub(crate) async fn serve(&self, node: Weak<Node>) -> Result<(), Error> {
        self.port.serve(node);
        let (book, member) = (self.book.clone(), self.member.clone());
        if book.store().members().len() <= 1 {
            return enrol(&book, &member).await;
        }
        let book = Arc::downgrade(&book);
        tokio::spawn(async move {
            while let Some(book) = book.upgrade() {
                match enrol(&book, &member).await {
                    Ok(()) | Err(Error::Closing) => return,
                    Err(error) => tracing::debug!(%error, "where this node is was not said yet"),
                }
                drop(book);
                tokio::time::sleep(REST).await;
            }
        });
        Ok(())
    }

    /// Takes part no longer, so that nothing is agreed on any more.
    pub(crate) async fn pause(&self) -> Result<(), Error> {
        self.book.store().shutdown().await.map_err(failed)
    }

    /// Takes part again after [`Station::pause`].
    pub(crate) async fn resume(&self) -> Result<MetaStore, Error> {
        let store = MetaStore::open(self.options.clone(), self.peers.clone()).await;
        let store = store.map_err(failed)?;
        self.book.replace(store.clone());
        Ok(store)
    }

    /// The same, after leaving its cluster: it is of none.
    pub(crate) async fn resume_alone(&self) -> Result<MetaStore, Error> {
        MetaStore::wipe(&self.options).await.map_err(failed)?;
        self.resume().await
    }

    /// Stops listening, and taking part.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let server = self.server.lock().take();
        if let Some(server) = server {
            server.stop().await;
        }
        self.book.store().shutdown().await.map_err(failed)
    }
}

fn failed(error: OpenError) -> Error {
    Error::Storage(error.to_string())
}

async fn identity(data: &Path, new_id: &NewId) -> Result<Identity, Error> {
    let (data, new_id) = (data.to_owned(), new_id.clone());
    blocking(move || Identity::load(&data, &*new_id)).await
}

fn mesh_settings(mesh: MeshHome, name: &str, uuid: &str) -> MeshSettings {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let node = NodeIdentity {
        name: name.to_owned(),
        // 32 hexadecimal digits, as was checked when it was read.
        uuid: u128::from_str_radix(uuid, 16).unwrap_or(0).to_be_bytes(),
        epoch: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
    };
    let (listen, timing) = (mesh.listen, mesh.timing);
    MeshSettings { listen, timing, ..MeshSettings::new(mesh.secret, node) }
}

/// Where others reach a node that listens at an address.
fn reached_at(listen: SocketAddr, name: &str) -> String {
    match listen.ip().is_unspecified() {
        true => format!("{}:{}", host_of(name), listen.port()),
        false => listen.to_string(),
    }
}

/// Tells the cluster who and where this node is, unless it knows.
async fn enrol(book: &Book, member: &Member) -> Result<(), Error> {
    let store = book.store();
    let peer = Peer { name: member.name.clone(), address: member.address.clone() };
    let known = store.members().into_iter().find(|known| known.id == store.id());
    if known.is_some_and(|known| known.peer != peer) {
        store.add_node(store.id(), peer).await?;
    }
    book.enrol(store.id(), member).await
}
