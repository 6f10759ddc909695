//! Groups that grow, shrink, restart and lose their leader.

use std::time::Duration;

use super::net::{Group, PATIENCE, id, peer, put, until};
use crate::raft::{Error, OpenError, Txn, Update};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_is_a_group() {
    let mut group = Group::empty();
    let store = group.start(0).await;
    let short = Duration::from_millis(200);
    let txn = Txn::new().expect_absent("db/a").put("db/a", "1").put("db/b", "2");
    assert_eq!(store.txn(txn.clone(), short).await, Err(Error::NoLeader), "of no group yet");
    store.found().await.unwrap();
    let revision = store.txn(txn.clone(), PATIENCE).await.unwrap();
    assert_eq!(revision, 1);
    let conflict = Error::Conflict { key: "db/a".into(), modified: 1 };
    assert_eq!(store.txn(txn, PATIENCE).await, Err(conflict));
    let swap = Txn::new().expect("db/a", 1).put("db/a", "3").delete("db/b");
    assert_eq!(store.txn(swap, PATIENCE).await, Ok(2));
    let empty = store.txn(Txn::new().put("", "1"), PATIENCE).await;
    assert!(matches!(empty, Err(Error::Invalid(_))));
    group.stop(0).await;
    assert!(matches!(store.txn(Txn::new(), PATIENCE).await, Err(Error::Stopped)));
    drop(store);

    let store = group.start(0).await;
    store.found().await.unwrap();
    store.barrier(PATIENCE).await.unwrap();
    let (revision, keys) = store.range("db/");
    assert_eq!((revision, keys.len(), &keys[0].1.value[..]), (2, 1, &b"3"[..]));
    assert_eq!((keys[0].1.created, keys[0].1.modified), (1, 2));
    assert_eq!(put(&store, "c", "4").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_is_replaced() {
    let mut group = Group::of(3).await;
    let leader = group.leader().await;
    let follower = (leader + 1) % 3;
    put(group.store(follower), "a", "1").await;
    group.stop(leader).await;
    put(group.store(follower), "b", "2").await;
    assert_ne!(group.leader().await, leader);
    group.start(leader).await;
    group.store(leader).barrier(PATIENCE).await.unwrap();
    assert_eq!(group.store(leader).get("b").unwrap().value, "2");

    for number in 0..3 {
        group.stop(number).await;
    }
    for number in [2, 0, 1] {
        group.start(number).await;
    }
    assert_eq!(put(group.store(1), "c", "3").await, 3, "all were away and nothing was lost");
    group.until_equal().await;
    assert_eq!(group.store(0).range("").1.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_grows_and_keeps_five_voters() {
    let mut group = Group::of(1).await;
    put(group.store(0), "a", "1").await;
    for number in 1..7 {
        group.grow(number).await;
        group.until_voters((number + 1).min(5)).await;
    }
    put(group.store(6), "b", "2").await;
    group.until_equal().await;
    assert_eq!(group.store(3).members().len(), 7);

    let voting = |group: &Group, number| {
        group.store(0).members().iter().any(|member| member.id == id(number) && member.voter)
    };
    let leader = group.leader().await;
    let votes = (1..7).find(|number| voting(&group, *number) && *number != leader).unwrap();
    group.store(0).remove_node(id(votes)).await.unwrap();
    group.store(0).remove_node(id(votes)).await.unwrap();
    group.stop(votes).await;
    until("six members", || group.stores().all(|store| store.members().len() == 6)).await;
    group.until_voters(5).await;

    let votes =
        (1..7).find(|number| *number != votes && *number != leader && voting(&group, *number));
    group.stop(votes.unwrap()).await;
    until("a learner in the seat of the dead", || !voting(&group, votes.unwrap())).await;
    group.until_voters(5).await;
    put(group.store(leader), "c", "3").await;
    group.until_equal().await;

    let moved = group.leader().await;
    let others = (0..7).find(|number| *number != moved && group.is_up(*number)).unwrap();
    group.store(others).remove_node(id(moved)).await.unwrap();
    put(group.store(others), "d", "4").await;
    until("another leader", || group.store(others).leader() != Some(id(moved))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_gets_a_snapshot() {
    let mut group = Group::of(3).await;
    let away = (group.leader().await + 1) % 3;
    let here = (away + 1) % 3;
    let mut watch = group.store(away).watch("k/", 0);
    put(group.store(here), "k/0", "0").await;
    assert!(matches!(watch.next().await, Ok(Update::Changes(_))));
    group.stop(away).await;
    assert_eq!(watch.next().await, Err(Error::Stopped));
    drop(watch);
    let writes =
        (1..=200).map(|n| put(group.store(here), if n % 2 == 0 { "k/a" } else { "k/b" }, "v"));
    for write in writes {
        write.await;
    }
    until("a trimmed log", || group.store(here).trimmed() > 60).await;
    let store = group.start(away).await;
    let mut watch = store.watch("k/", 1);
    store.barrier(PATIENCE).await.unwrap();
    group.until_equal().await;
    assert!(store.trimmed() > 60, "the log before the snapshot was not sent");
    let mut last = 0;
    while last < store.revision() {
        last = match watch.next().await.unwrap() {
            Update::Resync { revision, keys } => {
                assert_eq!(keys.len(), 3);
                revision
            }
            Update::Changes(revisions) => revisions.last().unwrap().revision,
        };
    }
    group.stop(away).await;
    drop((store, watch));
    let store = group.start(away).await;
    assert_eq!(store.get("k/a").unwrap().value, "v", "served before anybody was asked");
    put(&store, "k/c", "x").await;
    group.until_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_do_not_mix() {
    let mut group = Group::of(1).await;
    put(group.store(0), "a", "1").await;
    let other = group.start(7).await;
    other.found().await.unwrap();
    put(&other, "b", "2").await;
    group.store(0).add_node(id(7), peer(7)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(put(&other, "b", "3").await, 2);
    assert_eq!((other.members().len(), other.get("a")), (1, None));
    assert_eq!(put(group.store(0), "a", "4").await, 2);
    group.store(0).remove_node(id(7)).await.unwrap();

    group.grow(1).await;
    put(group.store(1), "c", "5").await;
    let joined = group.store(1).found().await;
    assert!(matches!(joined, Err(OpenError::OtherGroup)));
}
