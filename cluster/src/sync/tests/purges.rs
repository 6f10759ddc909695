//! What was purged on one copy does not come back from another one.

use super::*;
use settee_engine::shard::PURGES_DONE;

#[tokio::test]
async fn a_purge_reaches_all_copies_whoever_pulls() {
    for purger in [0, 1] {
        let nodes = nodes(2);
        let rev = nodes[0].put("a", "{}");
        nodes[0].put("b", "{}");
        pull_all(&nodes).await;
        nodes[purger].purge("p", "a", std::slice::from_ref(&rev));
        nodes[0].pull(&nodes[1]).await;
        assert_equal(&nodes).await;
        assert!(nodes.iter().all(|node| node.leaves("a").is_empty()));
        nodes[0].compare(&nodes[1]).await;
        nodes[1].compare(&nodes[0]).await;
        assert!(nodes.iter().all(|node| node.leaves("a").is_empty()));
        // The same revision may be written again, by whoever wants it.
        nodes[1].replicate("a", RevPath::single(rev.clone()), "{}");
        pull_all(&nodes).await;
        assert!(nodes.iter().all(|node| node.leaves("a") == [rev.clone()]));
    }
}

#[tokio::test]
async fn a_purge_that_one_copy_did_not_hear_of_wins_over_that_copy() {
    let nodes = nodes(3);
    let rev = nodes[0].put("a", "{}");
    pull_all(&nodes).await;
    // The third one is away. The first one purges, the second one hears of it.
    nodes[0].purge("p", "a", &[rev]);
    nodes[1].pull(&nodes[0]).await;
    // When it comes back the second one pulls from it before anybody tells it.
    nodes[1].pull(&nodes[2]).await;
    assert!(nodes.iter().all(|node| node.leaves("a").is_empty()));
}

#[tokio::test]
async fn what_a_copy_kept_that_had_missed_what_was_purged_comes_to_all() {
    let nodes = nodes(2);
    let first = nodes[0].put("a", "{}");
    pull_all(&nodes).await;
    let second = nodes[0].put("a", r#"{"n":2}"#);
    // It takes its ancestors with it; the other copy has never had it.
    nodes[0].purge("p", "a", std::slice::from_ref(&second));
    nodes[1].purge("p", "a", &[second]);
    pull_all(&nodes).await;
    assert!(nodes.iter().all(|node| node.leaves("a") == [first.clone()]));
}

#[tokio::test]
async fn a_new_copy_of_an_old_state_is_purged_too() {
    let nodes = nodes(3);
    let rev = nodes[0].put("a", "{}");
    pull_all(&nodes).await;
    nodes[0].purge("p", "a", &[rev]);
    // The second copy is made anew from the third, which has not heard of the purge.
    nodes[1].engine().drop_shard(&shard_id()).unwrap();
    nodes[1].engine().create_shard(&shard_id()).unwrap();
    nodes[1].pull(&nodes[2]).await;
    assert_eq!(nodes[1].leaves("a").len(), 1);
    nodes[0].pull(&nodes[1]).await;
    assert!(nodes[0].leaves("a").is_empty() && nodes[1].leaves("a").is_empty());
    pull_all(&nodes).await;
    assert!(nodes.iter().all(|node| node.leaves("a").is_empty()));
}

#[tokio::test]
async fn many_purges_go_in_batches() {
    let nodes = nodes(2);
    let revs: Vec<Rev> = (0..1200).map(|n| nodes[0].put(&format!("doc{n}"), "{}")).collect();
    pull_all(&nodes).await;
    for (number, rev) in revs.iter().enumerate() {
        nodes[0].purge(&format!("p{number}"), &format!("doc{number}"), std::slice::from_ref(rev));
    }
    nodes[1].pull(&nodes[0]).await;
    assert_equal(&nodes).await;
    assert_eq!(nodes[1].contents().0.len(), 0);
    assert_eq!(nodes[1].shard().snapshot().purge_seq(), 1200);
}

#[tokio::test]
async fn purges_are_remembered_beyond_the_limit_until_all_peers_have_heard_of_them() {
    let nodes = nodes(3);
    let limit = |write| Batch { purge_infos_limit: 1, ..Batch::of(vec![write]) };
    let revs: Vec<Rev> = (0..5).map(|n| nodes[0].put(&format!("doc{n}"), "{}")).collect();
    pull_all(&nodes).await;
    for (number, rev) in revs.iter().enumerate() {
        let uuid = format!("p{number}").into_bytes().into();
        let (id, revs) = (doc_id(&format!("doc{number}")), vec![rev.clone()]);
        let purge = Write::Purge(PurgeRequest { uuid, id, revs });
        nodes[0].shard().write(limit(purge)).unwrap();
    }
    let remembered = |node: &Node| {
        node.shard().compact_now().unwrap();
        node.shard().snapshot().purges(0).count()
    };
    let mut target = nodes[0].target();
    target.purge_infos_limit = 1;
    work(Kind::Pull, &target, &nodes[1].source()).await.unwrap();
    assert_eq!(nodes[0].shard().property(PURGES_DONE).unwrap().unwrap()[..], 0u64.to_be_bytes());
    assert_eq!(remembered(&nodes[0]), 5);
    work(Kind::Pull, &target, &nodes[2].source()).await.unwrap();
    assert_eq!(nodes[0].shard().property(PURGES_DONE).unwrap().unwrap()[..], 5u64.to_be_bytes());
    assert_eq!(remembered(&nodes[0]), 1);
    assert_equal(&nodes).await;
}
