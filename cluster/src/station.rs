//! A node's place in its cluster: who it is, where it listens to others, the book of what was agreed
//! and the way to the other nodes. Opens and closes them in the right order; serves no database.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::catalogue::{Book, Identity, Member};
use crate::membership::{Door, Peers, Seed, Whereabouts, find_group};
use crate::mesh::Secret;
use crate::node::{NewId, Node};
use crate::raft::{MetaStore, OpenError, Options, Peer, Place, Timing};
use crate::steps::blocking;
use crate::{Desk, Error, Home, Host};

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
    door: Door,
    options: Options,
    /// Held by who opens or closes the metadata store; whether it is closed for good.
    closed: Mutex<bool>,
}

impl Station {
    /// Returns when the node is a member of a cluster, which it founds if it has no seeds.
    pub(crate) async fn open(
        host: &Host,
        name: &str,
        home: Home,
        new_id: &NewId,
    ) -> Result<Station, Error> {
        let Home { data, zone, mesh, metadata } = home;
        let Identity { uuid } = identity(&data, new_id).await?;
        let seeds = mesh.as_ref().map_or(&[][..], |mesh| &mesh.seeds);
        let seeds =
            Seed::parse_list(seeds).map_err(|error| Error::BadRequest(error.to_string()))?;
        let timing = mesh.as_ref().map_or_else(Timing::default, |mesh| mesh.raft.clone());
        let secret = mesh.as_ref().and_then(|mesh| mesh.secret.clone());
        let must_listen = mesh.as_ref().is_some_and(|mesh| mesh.must_listen);
        let member =
            Member { name: name.to_owned(), address: String::new(), zone, uuid: uuid.clone() };
        let door = Door::new(host.clone(), mesh, member);
        let settings = match secret {
            Some(secret) => match door.open(secret).await {
                Ok(settings) => settings,
                Err(error) if must_listen => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "no other node can reach this one");
                    None
                }
            },
            None => None,
        };
        let place = metadata.unwrap_or_else(|| Place::Directory(data.join(METADATA)));
        let options = Options { place, uuid, peer: peer(&door.me().now()), timing };
        let peers = Arc::new(Peers::new(settings));
        let store = MetaStore::open(options.clone(), peers.clone()).await.map_err(failed)?;
        let book = Arc::new(Book::new(store));
        door.port().open(book.clone(), door.me().clone());
        let station = Station { book, peers, door, options, closed: Mutex::new(false) };
        station.settle(&seeds).await?;
        Ok(station)
    }

    /// This node as others know it.
    pub(crate) fn me(&self) -> Arc<Member> {
        self.door.me().now()
    }

    /// From now on it listens to those who know this secret, and tells the cluster where.
    pub(crate) async fn open_to(&self, secret: Secret) -> Result<(), Error> {
        if let Some(settings) = self.door.open(secret).await? {
            self.peers.reset(settings);
        }
        enrol(&self.book, &self.me()).await
    }

    /// Becomes a member of a cluster, or learns what happened to its cluster meanwhile.
    async fn settle(&self, seeds: &[Seed]) -> Result<(), Error> {
        let store = self.book.store();
        match store.group() {
            None if !seeds.is_empty() => {
                find_group(&self.book, &self.peers, seeds, &self.me()).await?;
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
        self.door.port().serve(node);
        let (book, me) = (self.book.clone(), self.door.me().clone());
        if book.store().members().len() <= 1 {
            return enrol(&book, &me.now()).await;
        }
        tokio::spawn(tell(Arc::downgrade(&book), me));
        Ok(())
    }

    /// From now on this desk answers the fronts of other nodes.
    pub(crate) fn open_desk(&self, desk: Arc<dyn Desk>) {
        self.door.port().open_desk(desk);
    }

    /// Takes part no longer, so that nothing is agreed on any more, until that is [`Paused::resume`]d.
    pub(crate) async fn pause(&self) -> Result<Paused<'_>, Error> {
        let closed = self.closed.lock().await;
        self.book.store().shutdown().await.map_err(failed)?;
        Ok(Paused { station: self, _closed: closed })
    }

    /// Takes part again after the disk failed under it; nothing if somebody else has seen to that, or
    /// this node is being closed.
    pub(crate) async fn reopen(&self) -> Result<Option<MetaStore>, Error> {
        let closed = self.closed.lock().await;
        if *closed || !self.book.store().has_failed() {
            return Ok(None);
        }
        if let Err(error) = self.book.store().shutdown().await {
            tracing::debug!(%error, "what was left of the metadata store");
        }
        self.open_store().await.map(Some)
    }

    async fn open_store(&self) -> Result<MetaStore, Error> {
        let store = MetaStore::open(self.options.clone(), self.peers.clone()).await;
        let store = store.map_err(failed)?;
        self.book.replace(store.clone());
        Ok(store)
    }

    /// Stops listening, and taking part.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.door.close().await;
        *self.closed.lock().await = true;
        self.book.store().shutdown().await.map_err(failed)
    }
}

/// A node that takes part in nothing.
pub(crate) struct Paused<'a> {
    station: &'a Station,
    _closed: MutexGuard<'a, bool>,
}

impl Paused<'_> {
    /// Takes part again.
    pub(crate) async fn resume(self) -> Result<MetaStore, Error> {
        self.station.open_store().await
    }

    /// The same, after leaving its cluster: it is of none.
    pub(crate) async fn resume_alone(self) -> Result<MetaStore, Error> {
        MetaStore::wipe(&self.station.options).await.map_err(failed)?;
        self.resume().await
    }
}

fn failed(error: OpenError) -> Error {
    Error::Storage(error.to_string())
}

async fn identity(data: &Path, new_id: &NewId) -> Result<Identity, Error> {
    let (data, new_id) = (data.to_owned(), new_id.clone());
    blocking(move || Identity::load(&data, &*new_id)).await
}

fn peer(member: &Member) -> Peer {
    Peer { name: member.name.clone(), address: member.address.clone() }
}

/// Tells the cluster who and where this node is, as soon as it listens.
async fn tell(book: Weak<Book>, me: Arc<Whereabouts>) {
    while let Some(book) = book.upgrade() {
        match enrol(&book, &me.now()).await {
            Ok(()) | Err(Error::Closing) => return,
            Err(error) => tracing::debug!(%error, "where this node is was not said yet"),
        }
        drop(book);
        tokio::time::sleep(REST).await;
    }
}

/// Tells the cluster who and where this node is, unless it knows.
async fn enrol(book: &Book, member: &Member) -> Result<(), Error> {
    let (store, peer) = (book.store(), peer(member));
    let known = store.members().into_iter().find(|known| known.id == store.id());
    if known.is_some_and(|known| known.peer != peer) {
        store.add_node(store.id(), peer).await?;
    }
    book.enrol(store.id(), member).await
}
