//! The other nodes as this one reaches them: one connection for each, made when it is first needed
//! and kept as long as the node belongs to the cluster. Also Raft's way to them. Is told who
//! belongs to the cluster, and never decides that.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio::time::sleep;

use super::talk;
use crate::Error;
use crate::catalogue::Member;
use crate::mesh::{Liveness, MeshSettings, Peer, WeakPeer};
use crate::raft::{self, CallError, Calling, NodeId, Transport};

/// See the module.
pub(crate) struct Peers {
    /// None for a node that nobody can reach and that reaches nobody.
    settings: RwLock<Option<Arc<MeshSettings>>>,
    known: Mutex<HashMap<NodeId, Peer>>,
    /// Told of every node that can be reached again, or for the first time.
    met: watch::Sender<Option<Listener>>,
}

type Listener = Arc<dyn Fn(NodeId) + Send + Sync>;

/// Between two looks whether a node that was reached stays there.
const LOOK: Duration = Duration::from_millis(100);
/// After so many looks it is given up, until it is reached again.
const LOOKS: usize = 100;

impl Peers {
    pub(crate) fn new(settings: Option<Arc<MeshSettings>>) -> Peers {
        Peers {
            settings: RwLock::new(settings),
            known: Mutex::default(),
            met: watch::Sender::default(),
        }
    }

    /// From now on others are reached in another way.
    pub(crate) fn reset(&self, settings: Arc<MeshSettings>) {
        *self.settings.write() = Some(settings);
        self.known.lock().clear();
    }

    fn settings(&self) -> Option<Arc<MeshSettings>> {
        self.settings.read().clone()
    }

    /// Has somebody told of every node that can be reached again, or for the first time. Once.
    pub(crate) fn on_meeting(&self, tell: impl Fn(NodeId) + Send + Sync + 'static) {
        self.met.send_replace(Some(Arc::new(tell)));
    }

    /// A node that belongs to the cluster, at its address.
    pub(crate) fn get(&self, id: NodeId, address: &str) -> Option<Peer> {
        let settings = self.settings().filter(|_| !address.is_empty())?;
        let mut known = self.known.lock();
        match known.get(&id) {
            Some(peer) if peer.address() == address => Some(peer.clone()),
            _ => {
                let peer = Peer::member(id, address.to_owned(), settings);
                tokio::spawn(tell(id, peer.downgrade(), peer.meetings(), self.met.subscribe()));
                known.insert(id, peer.clone());
                Some(peer)
            }
        }
    }

    /// A node that may not belong to the cluster.
    pub(crate) fn stranger(&self, address: &str) -> Result<Peer, Error> {
        let settings = self.settings().ok_or_else(|| {
            let reason = "This node has no cluster secret, so it cannot reach others.";
            Error::BadRequest(reason.into())
        })?;
        Ok(Peer::new(address.to_owned(), settings))
    }

    /// Connects to all members but this node, and forgets the others; whether anything changed.
    pub(crate) fn keep(&self, me: NodeId, members: &BTreeMap<NodeId, Member>) -> bool {
        let addresses = || -> BTreeMap<NodeId, String> {
            let known = self.known.lock();
            known.iter().map(|(id, peer)| (*id, peer.address().to_owned())).collect()
        };
        let before = addresses();
        self.known.lock().retain(|id, _| members.contains_key(id));
        for (id, member) in members.iter().filter(|(id, _)| **id != me) {
            self.get(*id, &member.address);
        }
        addresses() != before
    }

    /// A node that this one knows.
    pub(crate) fn known(&self, id: NodeId) -> Option<Peer> {
        self.known.lock().get(&id).cloned()
    }

    /// Whether a node seems to live.
    pub(crate) fn is_live(&self, id: NodeId) -> bool {
        self.known.lock().get(&id).is_some_and(|peer| peer.liveness() == Liveness::Up)
    }
}

/// Tells of a node whenever it can be reached anew, as long as somebody has the peer. Raft reaches nodes
/// while this one still starts: that is told when somebody listens.
async fn tell(
    id: NodeId,
    peer: WeakPeer,
    mut meetings: watch::Receiver<u64>,
    mut met: watch::Receiver<Option<Listener>>,
) {
    let Ok(Some(tell)) = met.wait_for(Option::is_some).await.map(|tell| tell.clone()) else {
        return;
    };
    while meetings.changed().await.is_ok() {
        for _ in 0..LOOKS {
            let Some(peer) = peer.upgrade() else { return };
            if peer.liveness() == Liveness::Up {
                tell(id);
                break;
            }
            drop(peer);
            sleep(LOOK).await;
        }
    }
}

impl Transport for Peers {
    fn call(&self, to: NodeId, peer: &raft::Peer, message: Bytes, _: Duration) -> Calling {
        let peer = self.get(to, &peer.address);
        Box::pin(async move {
            let peer = peer.ok_or(CallError::Unreachable)?;
            let absent = peer.liveness() == Liveness::Down;
            match peer.raft(talk::raft(&message)).await {
                Ok(answer) => Ok(answer),
                Err(Error::Overloaded) => Err(CallError::Unreachable),
                Err(_) if absent => Err(CallError::Unreachable),
                Err(_) => Err(CallError::Lost),
            }
        })
    }

    fn alive(&self, node: NodeId) -> bool {
        self.is_live(node)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::mesh::tests::{Far, settings};

    /// Waits until it is believed to be so.
    async fn becomes(peer: &Peer, liveness: Liveness) {
        let waiting = async {
            while peer.liveness() != liveness {
                sleep(LOOK).await;
            }
        };
        timeout(Duration::from_secs(10), waiting).await.unwrap();
    }

    #[tokio::test]
    async fn who_was_met_before_anybody_listened_is_told_of() {
        let far = Far::over(settings("far@host", 2, "mellon"), |storage| Arc::new(storage));
        let peers = Peers::new(Some(Arc::new(settings("near@host", 1, "mellon"))));
        let address = far.peer_of(settings("near@host", 1, "mellon")).address().to_owned();
        let id = raft::node_id(&"02".repeat(16));
        becomes(&peers.get(id, &address).unwrap(), Liveness::Up).await;
        sleep(3 * LOOK).await;
        let (tell, mut told) = mpsc::channel(8);
        peers.on_meeting(move |id| {
            let _ = tell.try_send(id);
        });
        assert_eq!(timeout(Duration::from_secs(10), told.recv()).await, Ok(Some(id)));
    }

    #[tokio::test]
    async fn who_took_the_address_of_a_member_is_not_that_member() {
        let far = Far::over(settings("far@host", 2, "mellon"), |storage| Arc::new(storage));
        let peers = Peers::new(Some(Arc::new(settings("near@host", 1, "mellon"))));
        let address = far.peer_of(settings("near@host", 1, "mellon")).address().to_owned();
        let gone = peers.get(raft::node_id(&"03".repeat(16)), &address).unwrap();
        let there = peers.get(raft::node_id(&"02".repeat(16)), &address).unwrap();
        becomes(&gone, Liveness::Down).await;
        becomes(&there, Liveness::Up).await;
        let why = gone.call(async |_| Ok(tonic::Response::new(()))).await.unwrap_err().to_string();
        assert!(why.ends_with("another node answers there"), "{why}");
    }
}
