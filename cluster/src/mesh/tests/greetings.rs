//! Who is let in, who is not, and what those are told.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::super::channel::Channel;
use super::super::net::Connection;
use super::*;
use wire::greeting_client::GreetingClient;
use wire::shards_client::ShardsClient;
use wire::{from_caller, from_node};

fn refusal(result: Result<impl Sized, Error>) -> String {
    match result.err() {
        Some(Error::Unreachable(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn another_secret_is_refused_with_the_reason() {
    let far = Far::new();
    let peer = far.peer_of(settings("near@one", 1, "other"));
    let why = refusal(remote(peer.clone()).state().await);
    assert!(why.ends_with("the cluster secret is not the one of this node"), "{why}");
    assert_eq!(peer.node(), None);
    // The same node is let in with the right one.
    far.local().create().await.unwrap();
    far.remote().state().await.unwrap();
}

#[tokio::test]
async fn a_node_that_speaks_other_versions_is_refused_with_the_reason() {
    let far = Far::new();
    let versions = Versions { oldest: 2, newest: 4 };
    let peer = far.peer_of(MeshSettings { versions, ..near() });
    let why = refusal(remote(peer).state().await);
    assert!(why.ends_with("this node speaks mesh versions 1 to 1, not 2 to 4"), "{why}");
    // A newer node that still speaks ours is let in, and ours is spoken.
    let versions = Versions { oldest: 1, newest: 4 };
    let peer = far.peer_of(MeshSettings { versions, ..near() });
    far.local().create().await.unwrap();
    remote(peer.clone()).state().await.unwrap();
    assert_eq!(peer.node().unwrap().1, 1);
}

#[tokio::test]
async fn a_node_does_not_call_itself() {
    let far = Far::new();
    let peer = far.peer_of(settings("far@two", 2, "mellon"));
    let why = refusal(remote(peer).state().await);
    assert!(why.ends_with("this node may not call itself"), "{why}");
}

async fn channel(far: &Far) -> Channel {
    let stream = TcpStream::connect(far.address).await.unwrap();
    Channel::open(Connection::new(stream), &far.address.to_string(), 1).await.unwrap()
}

#[tokio::test]
async fn nothing_is_answered_without_a_session() {
    let far = Far::new();
    far.local().create().await.unwrap();
    let ask = || wire::ShardAsk { shard: SHARD.into() };
    let mut client = ShardsClient::new(channel(&far).await);
    let told = client.end(ask()).await.unwrap_err();
    assert_eq!(told.code(), Code::Unauthenticated);
    assert_eq!(told.message(), "no session of this node: prove the cluster secret first");
    let mut forged = tonic::Request::new(ask());
    let token = tonic::metadata::MetadataValue::from_bytes(&[7; 32]);
    forged.metadata_mut().insert_bin(super::super::greet::SESSION, token);
    let told = client.end(forged).await.unwrap_err();
    assert_eq!(told.code(), Code::Unauthenticated);
}

struct Stranger {
    say: mpsc::Sender<wire::FromCaller>,
    answers: Streaming<wire::FromNode>,
}

impl Stranger {
    async fn new(far: &Far, first: from_caller::Step) -> Stranger {
        let (say, stream) = mpsc::channel(4);
        say.send(wire::FromCaller { step: Some(first) }).await.unwrap();
        let mut client = GreetingClient::new(channel(far).await);
        let answers = client.greet(ReceiverStream::new(stream)).await.unwrap().into_inner();
        Stranger { say, answers }
    }

    async fn say(&self, step: from_caller::Step) {
        self.say.send(wire::FromCaller { step: Some(step) }).await.unwrap();
    }

    async fn hears(&mut self) -> Result<Option<from_node::Step>, Status> {
        Ok(self.answers.message().await?.and_then(|answer| answer.step))
    }
}

fn hello() -> wire::Hello {
    wire::Hello {
        oldest_version: 1,
        newest_version: 1,
        node: Some((&near().node).into()),
        nonce: Bytes::from(vec![5; 32]),
    }
}

/// Says hello and proves itself, with the proof made for a nonce of the node.
async fn greet(
    far: &Far,
    nonce: Option<Bytes>,
) -> (Bytes, Result<Option<from_node::Step>, Status>) {
    let mut stranger = Stranger::new(far, from_caller::Step::Hello(hello())).await;
    let Some(from_node::Step::Challenge(challenge)) = stranger.hears().await.unwrap() else {
        panic!("no challenge");
    };
    let nonce = nonce.unwrap_or_else(|| challenge.nonce.clone());
    let transcript = super::super::handshake::Transcript {
        version: 1,
        offered: VERSIONS,
        caller: near().node,
        caller_nonce: [5; 32],
        node_nonce: nonce.as_ref().try_into().unwrap(),
    };
    let proof = Bytes::copy_from_slice(&transcript.caller_proof(&near().secret));
    stranger.say(from_caller::Step::Proof(proof)).await;
    (challenge.nonce, stranger.hears().await)
}

#[tokio::test]
async fn a_handshake_that_was_overheard_opens_no_door() {
    let far = Far::new();
    let (nonce, answer) = greet(&far, None).await;
    assert!(matches!(answer, Ok(Some(from_node::Step::Welcome(_)))));
    let (other, answer) = greet(&far, Some(nonce.clone())).await;
    assert_ne!(other, nonce);
    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn malformed_handshakes_are_refused() {
    let far = Far::new();
    let strange = [
        from_caller::Step::Proof(Bytes::from_static(b"x")),
        from_caller::Step::Hello(wire::Hello { nonce: Bytes::from_static(b"short"), ..hello() }),
        from_caller::Step::Hello(wire::Hello { node: None, ..hello() }),
    ];
    for step in strange {
        let told = Stranger::new(&far, step).await.hears().await.unwrap_err();
        assert_eq!(told.code(), Code::Unauthenticated);
        assert!(told.message().starts_with("malformed handshake"), "{told:?}");
    }
    // A stranger is not heard at length.
    let nonce = Bytes::from(vec![0; 100_000]);
    let long = from_caller::Step::Hello(wire::Hello { nonce, ..hello() });
    assert!(Stranger::new(&far, long).await.hears().await.is_err());
}

#[tokio::test]
async fn garbage_is_hung_up_on() {
    let far = Far::new();
    far.local().create().await.unwrap();
    let mut stream = TcpStream::connect(far.address).await.unwrap();
    stream.write_all(&[0x16; 4096]).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    // Whether it ends or is reset, it is over, and no shard was shown.
    assert!(read.is_ok(), "still open");
    assert!(answer.len() < 200);
    far.remote().state().await.unwrap();
}

#[tokio::test]
async fn a_node_that_cannot_prove_itself_is_not_believed() {
    // One that lets everybody in, but does not know the secret.
    let impostor = Far::start(settings("far@two", 2, "wrong"));
    let why = refusal(impostor.remote().state().await);
    assert!(why.contains("the cluster secret"), "{why}");
    // And one that speaks no gRPC at all.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 no\r\n\r\n").await;
        }
    });
    refusal(remote(Peer::new(address, Arc::new(near()))).state().await);
}

#[test]
fn who_was_not_told_otherwise_listens_on_loopback() {
    let fresh = MeshSettings::new(Secret::new("x").unwrap(), near().node);
    assert_eq!(fresh.listen.to_string(), "127.0.0.1:9100");
}
