//! Every call answers over the mesh what the copy answers at home.

use bytes::Bytes;
use settee_engine::shard::{Batch, LocalEdit, Outcome, PurgeRequest, Write};
use settee_model::doc::{AttEdit, AttSource, DocEdit, Encoding};
use settee_model::rev::RevPath;

use super::*;
use crate::attachment::{AttStream, UploadOptions};
use crate::docs::{BulkGet, IdRevs, OpenOptions, Revs};
use crate::rows::Namespace;
use crate::tests::{edit, id, removal, rev};

fn path(start: u64, ids: &[&str]) -> RevPath {
    let ids = ids.iter().map(|id| settee_model::rev::RevId::parse(id)).collect();
    RevPath { start, ids }
}

/// Documents of all kinds, written through a copy; the outcomes.
pub(super) async fn fill(copy: &ShardCopy) -> Vec<Outcome> {
    let made = "967a00dff5e02add41819138abb3284d";
    let replicated =
        |doc: &str, revs| Write::Replicated(DocEdit { revs, ..edit(doc, r#"{"r":1}"#, None) });
    let local = |doc: &str, body: Option<&'static str>| {
        let body = body.map(|body| Bytes::from_static(body.as_bytes()));
        Write::Local(LocalEdit { id: id(doc), rev: None, body })
    };
    let writes = vec![
        Write::Interactive(edit("a", r#"{"n":1}"#, None)),
        Write::Interactive(edit("a", r#"{"n":2}"#, Some(&rev(&format!("1-{made}"))))),
        Write::Interactive(edit("_design/x", "{}", None)),
        Write::Interactive(edit("part:b", r#"{"ü":"é"}"#, None)),
        replicated("c", path(3, &["odd id", made, "00"])),
        replicated("c", path(2, &["other", "00"])),
        replicated("c", RevPath::default()),
        local("_local/l", Some(r#"{"l":1}"#)),
        local("_local/m", None),
        Write::Property { name: Bytes::from_static(b"name"), value: Some(Bytes::new()) },
    ];
    let batch = Batch { revs_limit: 20, ..Batch::of(writes) };
    copy.write(batch).await.unwrap()
}

#[tokio::test]
async fn writes_have_the_same_outcomes() {
    let (far, other) = (Far::new(), Far::new());
    let remote = far.remote();
    assert_eq!(remote.state().await, Err(Error::DatabaseMissing));
    remote.create().await.unwrap();
    assert_eq!(remote.create().await, Err(Error::DatabaseExists));
    other.local().create().await.unwrap();
    assert_eq!(fill(&remote).await, fill(&other.local()).await);
    let tip = far.local().open(id("a"), OpenOptions::default()).await.unwrap().doc.rev().unwrap();
    let more = || {
        let purge = |name: &str| {
            Write::Purge(PurgeRequest {
                uuid: Box::from(&b"purge"[..]),
                id: id(name),
                revs: vec![tip.clone(), rev("9-00")],
            })
        };
        vec![Write::Interactive(removal("part:b", &tip)), purge("a"), purge("a")]
    };
    let outcomes = remote.write(Batch::of(more())).await.unwrap();
    assert_eq!(outcomes, other.local().write(Batch::of(more())).await.unwrap());
    assert!(matches!(&outcomes[1], Outcome::Purged(revs) if *revs == [tip]), "{outcomes:?}");
    assert_eq!(remote.purged().await.unwrap(), far.local().purged().await.unwrap());
    assert_eq!(remote.purged().await.unwrap().len(), 1);
    remote.compact(1000).await.unwrap();
    remote.remove().await.unwrap();
    assert_eq!(remote.end().await, Err(Error::DatabaseMissing));
    remote.remove().await.unwrap();
}

#[tokio::test]
async fn reads_have_the_same_answers() {
    let far = Far::new();
    let (local, remote) = (far.local(), far.remote());
    local.create().await.unwrap();
    fill(&local).await;
    let winner = local.open(id("c"), OpenOptions::default()).await.unwrap().doc.rev();
    for name in ["a", "c", "_design/x", "part:b", "_local/l", "_local/m", "none"] {
        for bits in 0..16 {
            let options = OpenOptions {
                rev: winner.clone().filter(|_| bits & 1 > 0),
                latest: bits & 2 > 0,
                deleted: bits & 2 > 0,
                history: bits & 4 > 0,
                facts: bits & 8 > 0,
                r: None,
            };
            let here = local.open(id(name), options.clone()).await;
            let there = remote.open(id(name), options).await;
            assert_eq!(shown(there), shown(here), "{name} {bits}");
        }
        for latest in [false, true] {
            for revs in [Revs::All, Revs::Some(vec![]), Revs::Some(vec![rev("2-00"), rev("1-00")])]
            {
                let here = local.revisions(id(name), revs.clone(), latest).await;
                let there = remote.revisions(id(name), revs, latest).await;
                assert_eq!(shown(there), shown(here), "{name}");
            }
        }
    }
    let lines = ["a", "c", "none"].map(|name| BulkGet { id: id(name), revs: Revs::All });
    let here = local.revisions_of_many(lines.to_vec(), true).await.unwrap();
    assert_eq!(shown(remote.revisions_of_many(lines.to_vec(), true).await.unwrap()), shown(here));
    let asked = ["a", "c", "none"]
        .map(|name| IdRevs { id: id(name), revs: vec![rev("2-00"), rev("4-ab")] });
    let here = local.revs_diff(asked.to_vec()).await.unwrap();
    assert_eq!(remote.revs_diff(asked.to_vec()).await.unwrap(), here);
    let keys = ["c", "none", "_local/l", "a"].map(id);
    for docs in [false, true] {
        let here = local.rows_of(keys.to_vec(), docs, true).await.unwrap();
        let there = remote.rows_of(keys.to_vec(), docs, true).await.unwrap();
        assert_eq!(shown(there), shown(here));
    }
    for namespace in [Namespace::All, Namespace::Design, Namespace::Local] {
        assert_eq!(remote.total(namespace).await, local.total(namespace).await);
    }
    assert_eq!(remote.state().await.unwrap(), local.state().await.unwrap());
    assert_eq!(remote.end().await.unwrap(), local.end().await.unwrap());
    let partition = local.partition("part".into()).await.unwrap();
    assert_eq!(partition.doc_count, 1);
    assert_eq!(remote.partition("part".into()).await.unwrap(), partition);
}

async fn read(stream: &mut AttStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

#[tokio::test]
async fn attachments_go_up_and_down() {
    let far = Far::new();
    let (local, remote) = (far.local(), far.remote());
    local.create().await.unwrap();
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 20) as u8).collect();
    let plain = UploadOptions { encoding: Encoding::Identity, compress: None };
    for options in [plain, UploadOptions { compress: Some(6), ..plain }] {
        let mut finished = Vec::new();
        for copy in [&local, &remote] {
            let mut upload = begin(copy, options);
            for piece in bytes.chunks(100_000) {
                upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            finished.push(upload.finish().await.unwrap());
        }
        let there = finished.pop().unwrap();
        let here = finished.pop().unwrap();
        assert_eq!(there.uploaded.content, here.uploaded.content);
        assert_eq!(there.identity_md5, here.identity_md5);
        // Only the hold of the one that came over the mesh keeps the bytes.
        drop(here);
        let content = there.uploaded.content.clone();
        let att = AttEdit {
            name: "bytes".into(),
            content_type: "a/b".into(),
            revpos: None,
            source: AttSource::Uploaded(there.uploaded),
        };
        let name = if options.compress.is_some() { "gzip" } else { "plain" };
        let edit = DocEdit { atts: vec![att], ..edit(name, "{}", None) };
        let outcomes = remote.write(Batch::of(vec![Write::Interactive(edit)])).await.unwrap();
        assert!(matches!(outcomes[0], Outcome::Written(_)), "{outcomes:?}");
        for range in [None, Some(0..0), Some(0..10), Some(999_999..2_000_001), Some(5..u64::MAX)] {
            for decode in [false, true] {
                let stream = |copy| AttStream::new(Ok(copy), &content, range.clone(), decode);
                let here = read(&mut stream(local.clone())).await;
                assert!(read(&mut stream(remote.clone())).await == here, "{range:?} {decode}");
            }
        }
        assert!(read(&mut AttStream::new(Ok(remote.clone()), &content, None, true)).await == bytes);
    }
    let mut lost = AttStream::new(
        Ok(remote.clone()),
        &settee_model::doc::AttContent {
            encoding: Encoding::Identity,
            length: 5,
            stored_length: 5,
            md5: [0; 16],
            chunks: vec![settee_model::doc::Chunk { hash: [7; 32], length: 5 }],
        },
        None,
        false,
    );
    assert!(matches!(lost.next().await, Some(Err(Error::Storage(_) | Error::AttachmentMismatch))));
}

#[tokio::test]
async fn raft_is_carried_and_peers_know_each_other() {
    let far = Far::new();
    let peer = far.peer();
    let answer = peer.raft(Bytes::from(vec![0; 5_000_000])).await.unwrap();
    assert_eq!(answer, "near@one 5000000");
    let refused = peer.raft(Bytes::new()).await;
    assert_eq!(refused, Err(Error::Forbidden("nothing was said".into())));
    let (node, version) = peer.node().unwrap();
    assert_eq!((node.name.as_str(), node.uuid, version), ("far@two", [2; 16], 1));
}

#[tokio::test]
async fn shards_of_the_node_itself_are_not_shown() {
    let far = Far::new();
    let copy = RemoteCopy::new(far.peer(), 2, ShardId::parse("_meta").unwrap());
    assert!(matches!(copy.create().await, Err(Error::BadRequest(_))));
    assert!(matches!(copy.state().await, Err(Error::BadRequest(_))));
}
