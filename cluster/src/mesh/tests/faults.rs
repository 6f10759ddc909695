//! Peers that die, hang, or are asked too much.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;
use crate::tests::id;

/// Times short enough for a test.
fn hasty() -> MeshSettings {
    let mut settings = near();
    settings.timing.beat = Duration::from_millis(50);
    settings.timing.ping = Duration::from_millis(400);
    settings.timing.connect = Duration::from_secs(2);
    settings.timing.backoff_most = Duration::from_millis(200);
    settings
}

/// Waits for what other threads do in their own time.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn becomes(peer: &Peer, liveness: Liveness) {
    until(&format!("{liveness:?}"), || peer.liveness() == liveness).await;
}

#[tokio::test]
async fn a_dead_peer_costs_milliseconds_and_comes_back_by_itself() {
    let mut far = Far::new();
    far.local().create().await.unwrap();
    let peer = far.peer_of(hasty());
    let copy = remote(peer.clone());
    copy.state().await.unwrap();
    far.kill();
    becomes(&peer, Liveness::Down).await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(matches!(copy.state().await, Err(Error::Unreachable(_))));
    }
    // Far less than one of them would take that asks the dead.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    far.revive();
    becomes(&peer, Liveness::Up).await;
    copy.state().await.unwrap();
}

#[tokio::test]
async fn a_peer_killed_in_the_middle_of_a_stream_is_a_typed_error() {
    let mut far = Far::new();
    super::feeds::fill(&far.local(), &"x".repeat(2000)).await;
    let copy = far.remote();
    let mut rows = copy.rows(super::feeds::scan(), 10).await.unwrap();
    assert_eq!(rows.next().await.unwrap().rows.len(), 10);
    let plain = crate::attachment::UploadOptions {
        encoding: settee_model::doc::Encoding::Identity,
        compress: None,
    };
    let mut upload = begin(&copy, plain);
    upload.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    far.kill();
    let error = loop {
        match rows.next().await {
            Ok(batch) => assert!(!batch.ended, "it cannot have sent all"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    let error = upload.finish().await.err();
    assert!(matches!(error, Some(Error::Unreachable(_))), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_accepts_and_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            silent.push(stream);
        }
    });
    let peer = Peer::new(address, Arc::new(hasty()));
    let begun = Instant::now();
    let result = remote(peer.clone()).state().await;
    assert!(matches!(result, Err(Error::Unreachable(_))), "{result:?}");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    becomes(&peer, Liveness::Down).await;
}

/// Raft that never answers; counts what it is asked.
#[derive(Default)]
struct Mute(AtomicUsize);

impl RaftPort for Mute {
    fn call<'a>(&'a self, _: &'a NodeIdentity, _: Bytes) -> RaftAnswer<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn calls_have_a_deadline_and_too_many_are_shed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(RealStorage::open(dir.path()).unwrap());
    let engine = Engine::open(storage, Options::default()).unwrap();
    let far = Arc::new(settings("far@two", 2, "mellon"));
    let mute = Arc::new(Mute::default());
    let server = MeshServer::start(far, crate::Host::new(engine), mute.clone()).await.unwrap();
    let mut settings = near();
    settings.timing.call = Duration::from_secs(2);
    settings.calls_max = 2;
    let peer = Peer::new(server.address().to_string(), Arc::new(settings));
    let call = || {
        let peer = peer.clone();
        tokio::spawn(async move { peer.raft(Bytes::from_static(b"x")).await })
    };
    let begun = Instant::now();
    let (one, two) = (call(), call());
    until("two calls", || mute.0.load(Ordering::Relaxed) == 2).await;
    assert_eq!(call().await.unwrap(), Err(Error::Overloaded));
    // Calls of another kind have places of their own.
    assert_eq!(super::remote(peer.clone()).state().await, Err(Error::DatabaseMissing));
    assert_eq!(one.await.unwrap(), Err(Error::Timeout));
    assert_eq!(two.await.unwrap(), Err(Error::Timeout));
    let taken = begun.elapsed();
    assert!(taken >= Duration::from_millis(1900) && taken < PATIENCE, "{taken:?}");
    // A slow answer is no sign of death.
    assert_eq!(peer.liveness(), Liveness::Up);
    server.stop().await;
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_not_held() {
    use settee_engine::shard::{Batch, Write};
    use settee_model::doc::{AttBytes, AttEdit, AttSource, DocEdit, Hold, Uploaded};
    /// Who has the shard when nothing is done with it: the engine and this test.
    const AT_REST: usize = 2;
    let far = Far::new();
    far.local().create().await.unwrap();
    let shard = far.host.engine.shard(&shard()).unwrap();
    let copy = far.remote();
    let plain = crate::attachment::UploadOptions {
        encoding: settee_model::doc::Encoding::Identity,
        compress: None,
    };
    let mut upload = begin(&copy, plain);
    upload.write(Bytes::from(vec![1; 100_000])).await.unwrap();
    let finished = upload.finish().await.unwrap();
    let uploaded = Uploaded {
        content: finished.uploaded.content.clone(),
        bytes: AttBytes::Held(Hold::default()),
    };
    assert!(Arc::strong_count(&shard) > AT_REST, "the upload is not held");
    drop(finished);
    let att = AttEdit {
        name: "a".into(),
        content_type: "a/b".into(),
        revpos: None,
        source: AttSource::Uploaded(uploaded),
    };
    let edit = DocEdit { atts: vec![att], ..crate::tests::edit("x", "{}", None) };
    // The other node hears of it a moment later. Until then the upload holds its shard, too.
    until("the end of the upload", || Arc::strong_count(&shard) == AT_REST).await;
    let written = copy.write(Batch::of(vec![Write::Interactive(edit)])).await;
    assert!(matches!(written, Err(Error::Storage(_))), "{written:?}");
    assert!(copy.open(id("x"), Default::default()).await.is_err());
}
