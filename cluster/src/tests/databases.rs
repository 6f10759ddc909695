//! Databases: making, removing, listing, metadata, restarts.

use std::time::Duration;

use bytes::Bytes;
use settee_engine::ShardId;
use settee_model::docid::DbName;

use super::{Node, edit, id, open_at, open_with, put};
use crate::docs::{EditMode, OpenOptions, UpdateOptions};
use crate::raft::{Memory, Place};
use crate::rows::AllDocsQuery;
use crate::{CreateOptions, Error, Home, Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_are_made_listed_and_removed() {
    let node = Node::new().await;
    for name in ["b", "a/x", "a"] {
        node.db(name, 2).await;
    }
    let names = |node: &Node| -> Vec<String> {
        node.cluster.all_dbs().keys().map(ToString::to_string).collect()
    };
    assert_eq!(names(&node), ["a", "a/x", "b"]);
    let a = DbName::trusted("a");
    let again = node.cluster.create_db(&a, CreateOptions::default()).await;
    assert_eq!(again, Err(Error::DatabaseExists));
    let db = node.cluster.db(&a).unwrap();
    node.cluster.delete_db(&a).await.unwrap();
    assert_eq!(names(&node), ["a/x", "b"]);
    assert_eq!(node.cluster.delete_db(&a).await, Err(Error::DatabaseMissing));
    assert!(matches!(node.cluster.db(&a), Err(Error::DatabaseMissing)));
    // A handle from before is of no use any more, whatever it is asked.
    let edits = vec![edit("x", "{}", None)];
    let written = db.update(edits, EditMode::Interactive, UpdateOptions::default()).await;
    assert!(matches!(written, Err(Error::DatabaseMissing)));
    assert!(matches!(db.info().await, Err(Error::DatabaseMissing)));
    let all = db.all_docs(AllDocsQuery::default()).await;
    assert!(matches!(all, Err(Error::DatabaseMissing)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_metadata_are_waited_for_whatever_the_patience() {
    let Node { cluster, dir } = Node::new().await;
    cluster.close().await.unwrap();
    drop(cluster);
    let hasty = Settings { request_timeout_ms: 0, ..Settings::default() };
    let cluster = open_with(dir.path(), hasty).await;
    let name = DbName::trusted("a");
    cluster.create_db(&name, CreateOptions::default()).await.unwrap();
    let db = cluster.db(&name).unwrap();
    db.set_security(Bytes::from_static(b"{}")).await.unwrap();
    cluster.delete_db(&name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_can_be_changed_again_when_there_is_room_again() {
    let (dir, records) = (tempfile::tempdir().unwrap(), Memory::default());
    let metadata = Some(Place::Memory(records.clone()));
    let home = Home { metadata, ..Home::new(dir.path().to_owned()) };
    let cluster = open_at(dir.path(), Settings::default(), home).await;
    let create = async |name| cluster.create_db(&DbName::trusted(name), Default::default()).await;
    create("before").await.unwrap();
    let before = cluster.db(&DbName::trusted("before")).unwrap();
    put(&before, edit("doc", "{}", None)).await.unwrap();
    assert!(records.pending() > 0, "what was agreed on is only in the log");
    records.fill(true);
    // Whether one happened that was under way when the store failed nobody knows.
    let failed = create("one").await;
    assert!(matches!(failed, Err(Error::Timeout | Error::Storage(_))), "{failed:?}");
    let failed = create("two").await;
    assert!(matches!(failed, Err(Error::Storage(_))), "{failed:?}");
    assert!(cluster.db(&DbName::trusted("before")).is_ok());
    records.fill(false);
    let again = async {
        while let Err(error) = create("after").await {
            assert!(!matches!(error, Error::DatabaseExists), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
    assert!(cluster.db(&DbName::trusted("after")).is_ok());
    let before = cluster.db(&DbName::trusted("before")).unwrap();
    before.open_doc(&id("doc"), OpenOptions::default()).await.unwrap();
    assert!(matches!(cluster.db(&DbName::trusted("two")), Err(Error::DatabaseMissing)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_used_again_begins_empty() {
    let node = Node::new().await;
    let mut stamps = Vec::new();
    let mut node = node;
    for round in 0..6 {
        let db = node.db("again", 2).await;
        stamps.push(db.meta().created);
        let info = db.info().await.unwrap();
        assert_eq!(info.doc_count, 0, "round {round}");
        put(&db, edit("old", "{}", None)).await.unwrap();
        node.cluster.delete_db(db.name()).await.unwrap();
        if round == 2 {
            node = node.restart().await;
        }
    }
    let mut unique = stamps.clone();
    unique.dedup();
    assert_eq!(unique.len(), stamps.len(), "{stamps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_everything() {
    let node = Node::new().await;
    let uuid = node.cluster.uuid().to_owned();
    let db =
        node.create("kept", CreateOptions { q: Some(3), partitioned: true, ..Default::default() });
    let db = db.await;
    let rev = put(&db, edit("p:1", r#"{"a":1}"#, None)).await.unwrap();
    put(&db, edit("_local/l", r#"{"b":2}"#, None)).await.unwrap();
    let security = Bytes::from_static(br#"{"members":{"roles":["_admin"]}}"#);
    db.set_security(security.clone()).await.unwrap();
    db.set_revs_limit(7).await.unwrap();
    db.set_purged_infos_limit(9).await.unwrap();
    let (meta, info) = (db.meta(), db.info().await.unwrap());
    assert_eq!((meta.revs_limit, meta.purged_infos_limit), (7, 9));
    let gone = node.db("gone", 1).await;
    node.cluster.delete_db(gone.name()).await.unwrap();
    drop((db, gone));

    let node = node.restart().await;
    assert_eq!(node.cluster.uuid(), uuid);
    assert_eq!(node.cluster.all_dbs().len(), 1);
    let db = node.cluster.db(&meta.name).unwrap();
    assert_eq!(*db.meta(), *meta);
    assert_eq!(db.meta().security, Some(security));
    let after = db.info().await.unwrap();
    assert_eq!(after.update_seq, info.update_seq);
    assert_eq!((after.doc_count, after.doc_del_count), (1, 0));
    let opened = db.open_doc(&id("p:1"), OpenOptions::default()).await.unwrap();
    assert_eq!(opened.doc.rev(), Some(rev));
    assert_eq!(opened.doc.record.body, r#"{"a":1}"#);
    let local = db.open_doc(&id("_local/l"), OpenOptions::default()).await.unwrap();
    assert_eq!(local.doc.rev().unwrap().to_string(), "0-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_mends_what_a_crash_left() {
    let node = Node::new().await;
    let db = node.db("half", 2).await;
    let engine = db.node.engine();
    let shards = db.meta().shard_ids().unwrap();
    // Known, and one of its shards was not made yet.
    engine.drop_shard(&shards[1]).unwrap();
    // Forgotten, and its shards were not dropped yet.
    let stray = |text: &str| ShardId::parse(text).unwrap();
    let strays = [stray("00000000-ffffffff/gone.1700000000"), stray("00000000-ffffffff/half.17")];
    strays.iter().for_each(|id| drop(engine.create_shard(id).unwrap()));
    drop(db);
    let node = node.restart().await;
    assert_eq!(node.cluster.all_dbs().len(), 1);
    let db = node.cluster.db(&DbName::trusted("half")).unwrap();
    assert_eq!(db.info().await.unwrap().doc_count, 0);
    for _ in 0..200 {
        if db.node.engine().shard_ids().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let mut left = db.node.engine().shard_ids().unwrap();
    left.sort();
    assert_eq!(left, shards);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_updates_are_recorded() {
    let node = Node::new().await;
    node.db("before", 1).await;
    let global = node.db("_global_changes", 1).await;
    let db = node.db("seen", 2).await;
    for round in 0..3 {
        put(&db, edit(&format!("doc{round}"), "{}", None)).await.unwrap();
    }
    node.cluster.delete_db(db.name()).await.unwrap();
    for _ in 0..400 {
        if global.info().await.unwrap().doc_count >= 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for doc in ["created:seen", "updated:seen", "deleted:seen"] {
        global.open_doc(&id(doc), OpenOptions::default()).await.unwrap();
    }
    assert_eq!(global.info().await.unwrap().doc_count, 3);
}
