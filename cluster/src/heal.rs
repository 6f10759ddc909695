//! This node's part in making copies equal again: which of its copies have others elsewhere, and how
//! a node hears that its copy lacks something. Knows nothing of documents.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use settee_engine::ShardId;
use settee_model::docid::DbName;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::Error;
use crate::catalogue::{DbMeta, database_of};
use crate::copy::ShardCopy;
use crate::local::LocalCopy;
use crate::membership::{Ask, ask};
use crate::mesh::{Peer, RemoteCopy};
use crate::node::Node;
use crate::raft::NodeId;
use crate::sync::ask::{Source, Target};
use crate::sync::scheduler::{Place, Places, Setting};

/// Hints that wait to be told. What finds no room is found out later, when the copy is compared.
const WAITING: usize = 1024;
/// Hints are gathered for so long, for when one write fails many do.
const GATHER: Duration = Duration::from_millis(200);
/// How long a node may take to hear one.
const PATIENCE: Duration = Duration::from_secs(3);

/// What other nodes' copies lack, on its way there.
#[derive(Clone)]
pub(crate) struct Hints(mpsc::Sender<(Peer, ShardId)>);

impl Hints {
    /// The hints, and what tells them for as long as they are used.
    pub(crate) fn new() -> (Hints, impl Future<Output = ()>) {
        let (sender, waiting) = mpsc::channel(WAITING);
        (Hints(sender), tell(waiting))
    }

    /// A copy on another node did not do what it was asked to. Never waits.
    pub(crate) fn add(&self, copy: &RemoteCopy) {
        let _ = self.0.try_send((copy.peer().clone(), copy.id().clone()));
    }
}

async fn tell(mut waiting: mpsc::Receiver<(Peer, ShardId)>) {
    while let Some(first) = waiting.recv().await {
        sleep(GATHER).await;
        let mut of_peer: HashMap<String, (Peer, HashSet<ShardId>)> = HashMap::new();
        let others = std::iter::from_fn(|| waiting.try_recv().ok());
        for (peer, shard) in std::iter::once(first).chain(others) {
            let known = of_peer.entry(peer.address().to_owned());
            known.or_insert_with(|| (peer, HashSet::new())).1.insert(shard);
        }
        for (peer, shards) in of_peer.into_values() {
            let shards = shards.iter().map(|shard| shard.as_str().to_owned()).collect();
            // Whoever cannot be reached asks by itself when it can again.
            tokio::spawn(async move { ask(&peer, &Ask::Behind { shards }, PATIENCE).await });
        }
    }
}

/// Called when a node can be reached again, or for the first time.
pub(crate) fn met(node: &Arc<Node>, other: NodeId) {
    node.scheduler().peer_up(other);
    let Some(peer) = node.peers().known(other) else { return };
    let ask_back = Ask::Met { node: node.id() };
    // Only this side may have noticed that they were apart.
    tokio::spawn(async move { ask(&peer, &ask_back, PATIENCE).await });
}

impl Node {
    /// A copy did not do what it was asked to, and should look at the others.
    pub(crate) fn lacks(&self, copy: &ShardCopy) {
        match copy {
            ShardCopy::Local(copy) => self.scheduler().behind(copy.id()),
            ShardCopy::Remote(copy) => self.hints().add(copy),
        }
    }

    /// The same by the name of the shard, as another node says it.
    pub(crate) fn hear_of(&self, shards: &[String]) {
        let shards = shards.iter().filter_map(|shard| ShardId::parse(shard).ok());
        shards.for_each(|shard| self.scheduler().behind(&shard));
    }

    fn others_of<'a>(
        &self,
        meta: &'a DbMeta,
    ) -> impl Iterator<Item = (ShardId, Vec<NodeId>)> + use<'a> {
        let me = self.id();
        let mine = meta.shards.iter().filter(move |place| place.nodes.contains(&me));
        mine.filter_map(move |place| {
            let others = place.nodes.iter().copied().filter(|node| *node != me);
            let others: Vec<NodeId> = others.collect();
            // This is asked of all databases with each change: what has no other copy gets no name.
            if others.is_empty() { None } else { Some((meta.shard_id(place).ok()?, others)) }
        })
    }
}

impl Places for Node {
    fn shared(&self) -> Vec<(ShardId, Vec<NodeId>)> {
        let all = self.all();
        all.values().flat_map(|meta| self.others_of(meta)).collect()
    }

    fn place(&self, shard: &ShardId) -> Option<Place> {
        let meta = self.get(&DbName::trusted(database_of(shard)?))?;
        let (_, others) = self.others_of(&meta).find(|(id, _)| id == shard)?;
        let filling = &meta.place_of(shard)?.filling;
        let patience = self.settings().patience();
        let members = self.members();
        let source = |node: &NodeId| {
            let peer = self.peers().get(*node, &members.get(node)?.address)?;
            let copy = ShardCopy::Remote(RemoteCopy::new(peer, *node, shard.clone()));
            Some(Source { node: *node, copy, full: !filling.contains(node), patience })
        };
        let sources = others.iter().filter_map(source).collect();
        let copy = LocalCopy::new(self.host().clone(), shard.clone(), patience);
        let target = Target::new(self.id(), copy, others, meta.revs_limit, meta.purged_infos_limit);
        Some(Place { target, sources, filling: filling.contains(&self.id()) })
    }

    fn set_filling(self: Arc<Self>, shard: ShardId, filling: bool) -> Setting {
        Box::pin(async move {
            let name = database_of(&shard).map(DbName::trusted).ok_or(Error::DatabaseMissing)?;
            let meta = self.get(&name).ok_or(Error::DatabaseMissing)?;
            let place = meta.place_of(&shard).ok_or(Error::DatabaseMissing)?;
            let set = |meta: &mut DbMeta| meta.set_filling(&place.range, self.id(), filling);
            self.book().change(&name, meta.created, set).await
        })
    }
}

/// A node that may be gone.
pub(crate) fn places(node: &Weak<Node>) -> Weak<dyn Places> {
    node.clone()
}
