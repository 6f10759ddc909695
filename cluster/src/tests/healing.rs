//! What a node missed comes to it once it is there again: whole nodes, over loopback.

use std::time::{Duration, Instant};

use bytes::Bytes;
use settee_model::doc::{AttEdit, AttSource, DocEdit, Encoding};
use settee_model::rev::{Rev, RevId, RevPath};
use tokio::time::sleep;

use super::nodes::{Node, three, until};
use super::{edit, id, put, removal};
use crate::attachment::UploadOptions;
use crate::copy::ShardCopy;
use crate::docs::{EditMode, IdRevs, OpenOptions, RevResult, Revs, UpdateOptions};
use crate::{Db, Error};

/// What a node's own copies say.
async fn here(db: &Db, doc: &str) -> Vec<Rev> {
    let copies = db.node.copies(&db.meta()).unwrap();
    let mut leaves = Vec::new();
    for copy in copies.into_iter().flatten() {
        if matches!(copy, ShardCopy::Local(_)) {
            let found = copy.revisions(id(doc), Revs::All, false).await.unwrap();
            leaves.extend(found.into_iter().filter_map(|found| match found {
                RevResult::Found(doc) => doc.rev(),
                RevResult::Missing(_) => None,
            }));
        }
    }
    leaves.sort();
    leaves
}

async fn local_here(db: &Db, doc: &str) -> Option<Bytes> {
    for copy in db.node.copies(&db.meta()).unwrap().into_iter().flatten() {
        if matches!(copy, ShardCopy::Local(_))
            && let Ok(found) = copy.open(id(doc), OpenOptions::default()).await
        {
            return Some(found.doc.record.body);
        }
    }
    None
}

/// Waits until a node's own copies have these leaves of a document.
async fn comes(node: &Node, doc: &str, leaves: &[Rev]) {
    let (db, begun) = (node.db("db"), Instant::now());
    let mut leaves = leaves.to_vec();
    leaves.sort();
    while here(&db, doc).await != leaves {
        let have = here(&db, doc).await;
        assert!(begun.elapsed() < Duration::from_secs(30), "{doc}: {have:?}, not {leaves:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn replicate(db: &Db, doc: &str, ids: &[&str]) -> Rev {
    let ids: Vec<RevId> = ids.iter().map(|id| RevId::parse(id)).collect();
    let revs = RevPath { start: ids.len() as u64, ids };
    let edit = DocEdit { revs, ..edit(doc, "{\"r\":1}", None) };
    let options = UpdateOptions::default();
    let result = db.update(vec![edit], EditMode::Replicated, options).await.unwrap().remove(0);
    result.result.unwrap()
}

async fn attach(db: &Db, doc: &str, bytes: Vec<u8>) -> Rev {
    let plain = UploadOptions { encoding: Encoding::Identity, compress: None };
    let mut upload = db.uploads().of(&id(doc)).unwrap().begin(plain);
    upload.write(Bytes::from(bytes)).await.unwrap();
    let source = AttSource::Uploaded(upload.finish().await.unwrap().uploaded);
    let att = AttEdit { name: "a".into(), content_type: "text/plain".into(), revpos: None, source };
    put(db, DocEdit { atts: vec![att], ..edit(doc, "{}", None) }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_gets_everything_and_nothing_that_was_purged() {
    let mut nodes = three().await;
    nodes[0].create("db").await;
    until("the database", || nodes.iter().all(|node| node.databases() == ["db"])).await;
    let db = nodes[0].db("db");
    let kept = put(&db, edit("kept", "{}", None)).await.unwrap();
    let dropped = put(&db, edit("dropped", "{}", None)).await.unwrap();
    let purged = put(&db, edit("purged", "{}", None)).await.unwrap();
    for (doc, rev) in [("kept", &kept), ("dropped", &dropped), ("purged", &purged)] {
        comes(&nodes[2], doc, std::slice::from_ref(rev)).await;
    }
    let away = nodes.pop().unwrap().stop().await;

    let kept = put(&db, edit("kept", "{\"n\":2}", Some(&kept))).await.unwrap();
    let deleted = put(&db, removal("dropped", &dropped)).await.unwrap();
    let [left, right] = [["bb", "aa"], ["cc", "aa"]];
    let left = replicate(&db, "forked", &left).await;
    let right = replicate(&db, "forked", &right).await;
    let attached = attach(&db, "attached", vec![7; 400_000]).await;
    put(&db, edit("_local/l", "{\"l\":1}", None)).await.unwrap();
    let requests = vec![IdRevs { id: id("purged"), revs: vec![purged.clone()] }];
    let results = db.purge(requests, UpdateOptions::default()).await.unwrap();
    assert_eq!(results[0].result, Ok(vec![purged]));

    nodes.push(away.start().await);
    comes(&nodes[2], "kept", &[kept]).await;
    comes(&nodes[2], "dropped", &[deleted]).await;
    comes(&nodes[2], "forked", &[left, right]).await;
    comes(&nodes[2], "attached", &[attached]).await;
    comes(&nodes[2], "purged", &[]).await;
    let (late, begun) = (nodes[2].db("db"), Instant::now());
    while local_here(&late, "_local/l").await.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no _local document");
        sleep(Duration::from_millis(20)).await;
    }
    // The others do not take it back from the one that was away.
    for node in &nodes {
        comes(node, "purged", &[]).await;
    }
    let gone = late.open_doc(&id("purged"), OpenOptions::default()).await.err();
    assert_eq!(gone, Some(Error::NotFound { deleted: false }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_are_new_are_filled() {
    let (one, two) = (Node::new(0).start().await, Node::new(1).start().await);
    one.create("_users").await;
    let users = one.db("_users");
    let rev = put(&users, edit("org.couchdb.user:u", "{}", None)).await.unwrap();
    one.cluster().add_node(&two.address()).await.unwrap();
    until("its copies", || two.shards().len() == 2).await;
    let begun = Instant::now();
    while here(&two.db("_users"), "org.couchdb.user:u").await != [rev.clone()] {
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays empty");
        sleep(Duration::from_millis(20)).await;
    }
}
