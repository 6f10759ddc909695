//! How a node finds its cluster, and how a cluster takes a node in. Whom to join, and who begins,
//! is decided in `seeds`.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::peers::Peers;
use super::seeds::{Heard, Next, Seed, State, next};
use super::talk::{Answer, Ask};
use crate::Error;
use crate::catalogue::{Book, Member, member_key};
use crate::mesh::{Peer, is_itself};
use crate::raft::{self, NodeId};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a cluster may take to make a node one of its own.
const ADMISSION: Duration = Duration::from_secs(30);
/// Rest before the seeds are asked again.
const REST: Duration = Duration::from_millis(250);
/// Rounds of asking after which a log says that the node still waits.
const ROUNDS: u32 = 40;

/// Asks another node.
pub(crate) async fn ask(peer: &Peer, ask: &Ask, patience: Duration) -> Result<Answer, Error> {
    let asked = timeout(patience, peer.raft(ask.encode())).await;
    Answer::decode(&asked.unwrap_or(Err(Error::Timeout))?)
}

/// Makes a node a member; it learns everything from then on.
pub(crate) async fn admit(book: &Book, id: NodeId, member: &Member) -> Result<(), Error> {
    let peer = raft::Peer { name: member.name.clone(), address: member.address.clone() };
    book.store().add_node(id, peer).await?;
    book.enrol(id, member).await
}

/// Takes in a node that listens at an address. It must be of no cluster, of this one, or alone in
/// one of its own with nothing to lose.
pub(crate) async fn invite(book: &Book, peers: &Peers, seed: &Seed) -> Result<(), Error> {
    let peer = peers.stranger(&seed.address)?;
    let Answer::Who { id, member, group } = ask(&peer, &Ask::Who, PATIENCE).await? else {
        return Err(Error::BadRequest(format!("{} does not say who it is", seed.address)));
    };
    let ours = book.store().group();
    if group.is_some() && group != ours {
        ask(&peer, &Ask::Yield, ADMISSION).await?;
    }
    admit(book, id, &member).await
}

/// Looks for a cluster until this node is a member of one, which it may begin itself.
pub(crate) async fn find_group(
    book: &Book,
    peers: &Peers,
    seeds: &[Seed],
    member: &Member,
) -> Result<(), Error> {
    // Who calls itself is refused; a list may name this node in other ways, too.
    let others = seeds.iter().filter(|seed| seed.address != member.address);
    let connected: Vec<_> = others
        .map(|seed| Ok((seed, peers.stranger(&seed.address)?)))
        .collect::<Result<_, Error>>()?;
    let itself = Heard { address: member.address.clone(), state: State::Itself };
    let is_seed = connected.len() < seeds.len();
    let mut round = 0u32;
    while !is_member(book) {
        let mut heard = Vec::new();
        for (seed, peer) in &connected {
            heard.push(hear(seed, peer).await);
        }
        heard.extend(is_seed.then(|| itself.clone()));
        match next(&heard) {
            Next::Found => {
                tracing::info!("this node is the first of the seeds: it begins the cluster");
                let failed = |error: raft::OpenError| Error::Storage(error.to_string());
                book.store().found().await.map_err(failed)?;
                return book.enrol(book.store().id(), member).await;
            }
            Next::Join(seed) => {
                let join = Ask::Join { id: book.store().id(), member: member.clone() };
                let joined = match connected.get(seed) {
                    Some((_, peer)) => ask(peer, &join, ADMISSION).await,
                    None => Err(Error::Timeout),
                };
                match joined {
                    Ok(_) => wait(book).await,
                    Err(error) => tracing::info!(%error, "not taken in yet"),
                }
            }
            Next::Wait => {}
        }
        round += 1;
        if round.is_multiple_of(ROUNDS) {
            tracing::info!("waiting for a seed that belongs to a cluster");
        }
        sleep(REST).await;
    }
    Ok(())
}

/// Asks a seed. Its place among the seeds is that of its text in the list, which is the same for all
/// nodes, whoever can hear whom.
async fn hear(seed: &Seed, peer: &Peer) -> Heard {
    let state = match ask(peer, &Ask::Who, PATIENCE).await {
        Ok(Answer::Who { group: Some(_), .. }) => State::Grouped,
        Ok(Answer::Who { .. }) => State::Groupless,
        Err(error) if is_itself(&error) => State::Itself,
        Ok(_) | Err(_) => State::Silent,
    };
    Heard { address: seed.address.clone(), state }
}

/// Whether this node's own copy says that it belongs to a cluster.
fn is_member(book: &Book) -> bool {
    let store = book.store();
    store.get(&member_key(store.id())).is_some()
}

/// Waits until this node's own copy says so, for a while.
async fn wait(book: &Book) {
    let waited = timeout(ADMISSION, async {
        while !is_member(book) {
            sleep(REST / 10).await;
        }
    });
    if waited.await.is_err() {
        tracing::warn!("taken in by a cluster that does not tell its metadata; asking again");
    }
}
