//! Clusters of several nodes on loopback: how they come together, and what they agree on.

use std::time::Duration;

use settee_model::docid::DbName;

use super::nodes::{Node, free, name, three, until, until_members};
use super::{edit, put};
use crate::{CreateOptions, Error};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_join_agree_on_databases() {
    let nodes = three().await;
    let members = nodes[2].cluster().members();
    assert_eq!(members.cluster_nodes, [name(0), name(1), name(2)]);
    assert_eq!(nodes[1].cluster().uuid(), nodes[0].cluster().uuid());
    let db = nodes[1].create("db").await;
    let again = nodes[2].cluster().create_db(&db, CreateOptions::default()).await;
    assert_eq!(again, Err(Error::DatabaseExists));
    until("the database everywhere", || nodes.iter().all(|node| node.databases() == ["db"])).await;
    let meta = nodes[0].cluster().all_dbs()[&db].clone();
    assert_eq!((meta.n, meta.q), (3, 2));
    assert_ne!(meta.shards[0].nodes[0], meta.shards[1].nodes[0], "owners are spread");
    let wanted = meta.shard_ids().unwrap();
    until("all shards", || nodes.iter().all(|node| node.shards() == wanted)).await;
    let handle = nodes[2].cluster().db(&db).unwrap();
    handle.set_revs_limit(7).await.unwrap();
    assert_eq!(handle.meta().revs_limit, 7);
    let limit = |node: &Node| node.cluster().all_dbs()[&db].revs_limit;
    until("the new limit", || nodes.iter().all(|node| limit(node) == 7)).await;
    nodes[0].cluster().delete_db(&db).await.unwrap();
    until("nothing left", || {
        nodes.iter().all(|node| node.databases().is_empty() && node.shards().is_empty())
    })
    .await;
    assert!(matches!(handle.info().await, Err(Error::DatabaseMissing)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn system_databases_spread_over_nodes_that_join() {
    let (one, two) = (Node::new(0).start().await, Node::new(1).start().await);
    for node in [&one, &two] {
        node.create("_users").await;
    }
    let users = one.cluster().db(&DbName::trusted("_users")).unwrap();
    put(&users, edit("org.couchdb.user:u", "{}", None)).await.unwrap();
    // What every node makes by itself is nothing to lose.
    two.create("_global_changes").await;
    for (db, doc) in [("_users", "_design/_auth"), ("_global_changes", "updated:_users")] {
        let db = two.cluster().db(&DbName::trusted(db)).unwrap();
        put(&db, edit(doc, "{}", None)).await.unwrap();
    }
    one.cluster().add_node(&two.address()).await.unwrap();
    let meta = users.meta();
    assert_eq!((meta.n, meta.shards[0].nodes.len()), (2, 2));
    until("its copies", || two.shards() == one.shards() && two.shards().len() == 2).await;
    assert_eq!(two.databases(), ["_users"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_something_to_lose_refuses() {
    let (one, two) = (Node::new(0).start().await, Node::new(1).start().await);
    for node in [&one, &two] {
        node.create("_users").await;
    }
    let mine = two.create("mine").await;
    let refused = one.cluster().add_node(&two.address()).await;
    let reason = "This node has a database that would be lost: mine";
    assert_eq!(refused, Err(Error::BadRequest(reason.into())));
    let shown = ["_users", "mine"];
    until("what was there before", || two.databases() == shown && two.shards().len() == 4).await;
    two.cluster().delete_db(&mine).await.unwrap();
    let users = two.cluster().db(&DbName::trusted("_users")).unwrap();
    put(&users, edit("org.couchdb.user:u", "{}", None)).await.unwrap();
    let refused = one.cluster().add_node(&two.address()).await;
    assert!(matches!(refused, Err(Error::BadRequest(reason)) if reason.ends_with("_users")));
    let itself = one.cluster().add_node(&one.address()).await;
    assert!(matches!(itself, Err(Error::Unreachable(_))), "{itself:?}");
    let nowhere = one.cluster().add_node(&free().to_string()).await;
    assert!(matches!(nowhere, Err(Error::Unreachable(_))), "{nowhere:?}");
    let nobody = one.cluster().remove_node("nobody@nowhere").await;
    assert_eq!(nobody, Err(Error::NotFound { deleted: false }));
    assert_eq!(one.cluster().members().cluster_nodes, [name(0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_find_each_other_in_whatever_order_they_start() {
    for order in [[0, 1, 2], [2, 1, 0]] {
        let mut nodes: Vec<_> = (0..3).map(Node::new).collect();
        let seeds: Vec<_> = nodes.iter().map(Node::address).collect();
        nodes.iter_mut().for_each(|node| node.seeds = seeds.clone());
        let mut nodes: Vec<_> = nodes.into_iter().map(Some).collect();
        let mut starting = Vec::new();
        for number in order {
            let node = nodes[number].take().unwrap();
            starting.push(tokio::spawn(node.start()));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut nodes = Vec::new();
        for node in starting {
            nodes.push(node.await.unwrap());
        }
        until_members(&nodes, 3).await;
        let ids: Vec<_> = nodes.iter().map(|node| node.cluster().uuid()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "one cluster");
        nodes[2].create("db").await;
        until("the database", || nodes.iter().all(|node| node.databases() == ["db"])).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_slept_learns_what_was_deleted() {
    let mut nodes = three().await;
    let (gone, again) = (nodes[0].create("gone").await, nodes[0].create("again").await);
    until("all shards", || nodes.iter().all(|node| node.shards().len() == 4)).await;
    let before = nodes[2].shards();
    let sleeper = nodes.pop().unwrap().stop().await;
    for name in [&gone, &again] {
        nodes[0].cluster().delete_db(name).await.unwrap();
    }
    nodes[1].create("again").await;
    let sleeper = sleeper.start().await;
    assert_eq!(sleeper.databases(), ["again"], "it catches up before it serves");
    let meta = sleeper.cluster().all_dbs()[&again].clone();
    let wanted = meta.shard_ids().unwrap();
    assert!(wanted.iter().all(|id| !before.contains(id)), "another database, other shards");
    until("the new shards alone", || sleeper.shards() == wanted).await;
    until_members(&[sleeper], 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_metadata_stays_as_it_is() {
    let mut nodes = three().await;
    let db = nodes[0].create("db").await;
    until("the database", || nodes.iter().all(|node| node.databases() == ["db"])).await;
    let store = nodes[0].cluster().db(&db).unwrap().node.book().store();
    until("three voters", || store.members().iter().all(|member| member.voter)).await;
    nodes[0].cluster().share_setting("log", "level", "debug").await.unwrap();
    for node in nodes.drain(1..) {
        drop(node.stop().await);
    }
    let other = DbName::trusted("other");
    let refused = nodes[0].cluster().create_db(&other, CreateOptions::default()).await;
    assert_eq!(refused, Err(Error::NoMajority));
    let same = nodes[0].cluster().share_setting("log", "level", "debug").await;
    assert_eq!(same, Err(Error::NoMajority), "others may have set it to something else");
    assert_eq!(nodes[0].databases(), ["db"]);
    assert!(nodes[0].cluster().db(&db).is_ok());
}
