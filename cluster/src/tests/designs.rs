//! A design document holds on all nodes once its write was answered: whole nodes, over loopback.

use std::sync::Arc;

use super::nodes::{Node, three, until};
use super::{edit, id, put, removal};
use crate::Db;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::docs::{EditMode, IdRevs, UpdateOptions};

const VALIDATION: &str = r#"{"validate_doc_update":"function(){}"}"#;

/// The database as seen by a coordinator whose writes never come to one of the nodes.
fn without(coordinator: &Node, late: &Node) -> Db {
    let node = coordinator.db("db").node;
    let meta = node.get(coordinator.db("db").name()).unwrap();
    let late = late.db("db").node.id();
    let reaches = |copy: &ShardCopy| !matches!(copy, ShardCopy::Remote(far) if far.node() == late);
    let mut copies = node.copies(&meta).unwrap();
    copies.iter_mut().for_each(|copies| copies.retain(reaches));
    let database = Arc::new(Database::new(meta, copies, node.id()));
    Db::new(node, database)
}

async fn validating(node: &Node) -> Vec<String> {
    let found = node.db("db").validations().await.unwrap();
    found.iter().filter_map(|found| Some(found.ddoc.rev()?.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_validates_holds_on_a_node_whose_copy_is_late() {
    let nodes = three().await;
    nodes[0].create("db").await;
    until("the database", || nodes.iter().all(|node| node.databases() == ["db"])).await;
    let db = without(&nodes[0], &nodes[2]);
    let nothing: [String; 0] = [];
    for node in &nodes {
        assert_eq!(validating(node).await, nothing);
    }
    let first = put(&db, edit("_design/v", VALIDATION, None)).await.unwrap();
    assert_eq!(validating(&nodes[2]).await, [first.to_string()]);
    let second = put(&db, edit("_design/v", VALIDATION, Some(&first))).await.unwrap();
    assert_eq!(validating(&nodes[2]).await, [second.to_string()]);
    put(&db, removal("_design/v", &second)).await.unwrap();
    assert_eq!(validating(&nodes[2]).await, nothing);
    // On all copies, for what only some have purged may still be read.
    let (db, all) = (nodes[0].db("db"), UpdateOptions { w: Some(3), ..UpdateOptions::default() });
    let edits = vec![edit("_design/w", VALIDATION, None)];
    let third = db.update(edits, EditMode::Interactive, all).await.unwrap().remove(0).result;
    let third = third.unwrap();
    assert_eq!(validating(&nodes[1]).await, [third.to_string()]);
    db.purge(vec![IdRevs { id: id("_design/w"), revs: vec![third] }], all).await.unwrap();
    assert_eq!(validating(&nodes[1]).await, nothing);
}

/// Begins something, and leaves.
async fn begin<R>(work: impl Future<Output = R>) {
    tokio::select! {
        biased;
        _ = work => {}
        () = std::future::ready(()) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_for_a_client_that_has_left_counts_too() {
    let node = super::Node::new().await;
    let db = node.db("db", 1).await;
    let mark = || db.node.marks().now(db.name());
    let (before, options) = (mark(), UpdateOptions::default());
    let edits = vec![edit("_design/v", VALIDATION, None)];
    begin(db.update(edits, EditMode::Interactive, options)).await;
    // The commit says so, and then the write.
    until("the write", || mark() >= before + 2).await;
    let rev = db.validations().await.unwrap()[0].ddoc.rev().unwrap();
    let before = mark();
    begin(db.purge(vec![IdRevs { id: id("_design/v"), revs: vec![rev] }], options)).await;
    until("the purge", || mark() >= before + 2).await;
    assert!(db.validations().await.unwrap().is_empty());
}
