//! Pulling, one thing at a time.

use settee_engine::io::Crash;
use settee_engine::shard::Batch;

use super::*;
use crate::sync::checkpoint::Checkpoint;

#[tokio::test]
async fn documents_conflicts_tombstones_and_design_documents_are_pulled_once() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    one.put("a", r#"{"n":1}"#);
    one.put("a", r#"{"n":2}"#);
    one.put("b", "{}");
    one.delete("b");
    one.put("_design/d", r#"{"views":{}}"#);
    one.replicate("c", made_up(2, "xa"), r#"{"x":1}"#);
    one.replicate("c", made_up(3, "zya"), r#"{"z":1}"#);
    two.replicate("c", made_up(2, "wa"), r#"{"w":1}"#);
    let report = two.pull(one).await;
    assert_eq!((report.looked_at, report.written), (4, 5));
    assert_eq!(one.pull(two).await.written, 1);
    assert_equal(&nodes).await;
    assert_eq!(two.leaves("c").len(), 3);
    // Now nothing is new, and what was pulled is not looked at again.
    let report = two.pull(one).await;
    assert_eq!((report.looked_at, report.written), (1, 0));
    assert_eq!(two.pull(one).await, Report::default());
    // Histories came along.
    let snapshot = two.shard().snapshot();
    let tree = snapshot.doc(&doc_id("a")).unwrap().unwrap().tree;
    assert_eq!(tree.nodes().len(), 2);
}

#[tokio::test]
async fn many_changes_go_on_from_the_checkpoint_after_a_crash() {
    let mut nodes = nodes(2);
    for number in 0..2500 {
        nodes[0].put(&format!("doc{number}"), "{}");
    }
    // The disk fails in the middle of the work.
    let disk = nodes[1].disk.clone();
    nodes[1].pull(&nodes[0]).await;
    nodes[1].crash(Crash::LoseAll);
    let report = nodes[1].pull(&nodes[0]).await;
    assert_eq!(report, Report::default());
    nodes[0].put("doc7", "{}");
    let operations = disk.operations();
    for at in 3..6 {
        disk.fail_at(operations + at, settee_engine::io::Fault::PowerCut);
    }
    let _ = work(Kind::Pull, &nodes[1].target(), &nodes[0].source()).await;
    nodes[1].crash(Crash::LoseAll);
    let report = nodes[1].pull(&nodes[0]).await;
    assert!(report.looked_at <= 1, "{report:?}");
    assert_equal(&nodes).await;
}

#[tokio::test]
async fn a_source_that_was_made_anew_is_read_from_the_beginning() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    (0..5).for_each(|number| drop(one.put(&format!("old{number}"), "{}")));
    two.pull(one).await;
    one.engine().drop_shard(&shard_id()).unwrap();
    one.engine().create_shard(&shard_id()).unwrap();
    (0..9).for_each(|number| drop(one.put(&format!("new{number}"), "{}")));
    assert_eq!(two.pull(one).await.written, 9);
    assert_eq!(one.pull(two).await.written, 5);
    assert_equal(&nodes).await;
}

#[tokio::test]
async fn attachments_stream_and_are_not_moved_again() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    let large: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.to_le_bytes()).collect();
    one.attach("a", "large", &large);
    one.attach("b", "small", b"12345");
    one.attach("e", "empty", b"");
    two.pull(one).await;
    assert_equal(&nodes).await;
    // The same bytes in another revision are there already.
    let before = two.shard().sizes().unwrap().file;
    let again = one.upload("again", &large);
    one.edit(DocEdit { atts: vec![again], ..one.edit_of("a") });
    two.pull(one).await;
    assert_equal(&nodes).await;
    assert!(two.shard().sizes().unwrap().file - before < 1_000_000);
}

#[tokio::test]
async fn the_newest_local_document_wins_whoever_pulls_first() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    one.local("_local/a", Some(4), Some(r#"{"at":5}"#));
    two.local("_local/a", Some(2), Some(r#"{"at":3}"#));
    one.local("_local/b", None, Some(r#"{"x":1}"#));
    two.local("_local/b", None, Some(r#"{"x":2}"#));
    two.local("_local/c", None, Some("{}"));
    assert_eq!(one.pull(two).await.written, 2);
    assert_eq!(two.pull(one).await.written, 1);
    assert_equal(&nodes).await;
    let (_, locals) = one.contents();
    assert_eq!(locals["_local/a"], (5, Bytes::from_static(br#"{"at":5}"#)));
    assert_eq!(locals["_local/b"], (1, Bytes::from_static(br#"{"x":2}"#)));
    assert_eq!(one.pull(two).await.written + two.pull(one).await.written, 0);
}

#[tokio::test]
async fn a_comparison_finds_what_the_checkpoint_has_passed() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    for number in 0..700 {
        one.put(&format!("doc{number:04}"), "{}");
    }
    // As after a fault that nobody foresaw: the checkpoint says that all is here.
    let head = one.source().head(two.id).await.unwrap();
    let lie = Checkpoint { epoch: head.end.life, seq: head.end.seq, ..Checkpoint::default() };
    let name = Checkpoint::name(one.id, &shard_id());
    two.shard().set_property(&name, Some(lie.encode())).unwrap();
    for number in 0..600 {
        two.put(&format!("doc{number:04}"), "{}");
    }
    assert_eq!(two.pull(one).await, Report::default());
    assert_eq!(two.compare(one).await.written, 100);
    assert_equal(&nodes).await;
    assert_eq!(two.compare(one).await.written, 0);
}

#[tokio::test]
async fn a_comparison_joins_branches_of_which_one_copy_lacks_the_link() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    one.replicate("a", made_up(2, "ba"), "{}");
    two.replicate("a", made_up(2, "b"), "{}");
    pull_all(&nodes).await;
    // When it looked, nothing spoke for it that more was to be known.
    two.replicate("a", made_up(1, "a"), "{}");
    pull_all(&nodes).await;
    assert_eq!(two.leaves("a").len(), 2);
    two.compare(one).await;
    assert_equal(&nodes).await;
    assert_eq!(two.leaves("a").len(), 1);
}

#[tokio::test]
async fn a_batch_that_knows_of_fewer_purges_is_refused_as_a_whole() {
    let nodes = nodes(1);
    let rev = nodes[0].put("a", "{}");
    let batch = |known| {
        let edit = DocEdit { id: doc_id("b"), revs: made_up(1, "x"), ..nodes[0].edit_of("b") };
        Batch { purges_known: Some(known), ..Batch::of(vec![Write::Replicated(edit)]) }
    };
    nodes[0].purge("p", "a", &[rev]);
    let refused = nodes[0].shard().write(batch(0)).unwrap();
    assert!(matches!(refused[..], [Outcome::Failed(_)]));
    assert!(nodes[0].leaves("b").is_empty());
    let taken = nodes[0].shard().write(batch(1)).unwrap();
    assert!(matches!(taken[..], [Outcome::Written(_)]));
}
