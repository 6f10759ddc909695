//! Edits, `_local/` documents and purges go to all copies, and clients hear how many have them.

use std::time::Instant;

use settee_engine::shard::{Batch, PurgeRequest, Write};
use settee_model::rev::{RevId, RevPath};

use super::super::docs;
use super::*;
use crate::docs::IdRevs;
use crate::tests::{edit, removal};

#[tokio::test]
async fn an_edit_comes_to_all_copies_whoever_coordinates() {
    let nodes = Nodes::three().await;
    let databases = [nodes.database(0), nodes.database(1), nodes.database(2)];
    let mut last = None;
    for round in 0..6 {
        let made = edit("doc", &format!("{{\"n\":{round}}}"), last.as_ref());
        let other = edit(&format!("d{round}"), "{}", None);
        let late = edit("d0", "{}", None);
        let results =
            write(&databases[round % 3], vec![made, other, late], EditMode::Interactive, 3)
                .await
                .unwrap();
        assert!(results.iter().all(|result| !result.accepted), "{results:?}");
        let rev = results[0].result.clone().unwrap();
        assert_eq!(rev.pos, round as u64 + 1);
        // The first round makes it, in the same batch as the late one.
        assert_eq!(results[2].result, Err(Error::Conflict));
        for at in 0..3 {
            nodes.has(at, "doc", &rev).await;
            assert_eq!(nodes.body(at, "doc").await.unwrap(), format!("{{\"n\":{round}}}"));
            assert_eq!(nodes.leaves(at, &format!("d{round}")).await.len(), 1);
        }
        last = Some(rev);
    }
    put(&databases[1], removal("doc", &last.unwrap()), 3).await.unwrap();
    for at in 0..3 {
        assert_eq!(nodes.body(at, "doc").await, Err(Error::NotFound { deleted: true }));
    }
}

#[tokio::test]
async fn others_have_it_before_the_owner_has_synced() {
    let nodes = Nodes::three().await;
    for at in [0, 1] {
        let database = nodes.database(at);
        // The connections, and the shard, are there.
        put(&database, edit(&format!("first{at}"), "{}", None), 3).await.unwrap();
        nodes.gates[0].close();
        let name = format!("doc{at}");
        let (rev, accepted) = put(&database, edit(&name, "{}", None), 2).await.unwrap();
        assert!(!accepted, "two of three have it");
        assert!(nodes.leaves(0, &name).await.is_empty());
        nodes.has(1, &name, &rev).await;
        // What the owner decides next knows of it.
        let opened = tokio::spawn({
            let gate = nodes.gates[0].clone();
            async move {
                sleep(Duration::from_millis(50)).await;
                gate.open();
            }
        });
        let refused = put(&database, edit(&name, "{\"late\":1}", None), 2).await;
        opened.await.unwrap();
        assert_eq!(refused, Err(Error::Conflict));
        nodes.comes(0, &name, &rev).await;
    }
}

#[tokio::test]
async fn one_copy_that_has_it_makes_it_accepted() {
    let nodes = Nodes::three().await;
    let database = nodes.database(0);
    put(&database, edit("first", "{}", None), 3).await.unwrap();
    nodes.gates[1].close();
    nodes.gates[2].close();
    let (rev, accepted) = put(&database, edit("doc", "{}", None), 2).await.unwrap();
    assert!(accepted);
    nodes.gates[1].open();
    nodes.gates[2].open();
    for at in 0..3 {
        nodes.comes(at, "doc", &rev).await;
    }
}

#[tokio::test]
async fn the_next_copy_decides_when_the_owner_is_down() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(1);
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    nodes.all[0].kill();
    let begun = Instant::now();
    let (second, accepted) = put(&database, edit("doc", "{}", Some(&first)), 2).await.unwrap();
    assert!(!accepted);
    assert_eq!(put(&database, edit("doc", "{}", Some(&first)), 2).await, Err(Error::Conflict));
    let (third, accepted) = put(&database, edit("doc", "{}", Some(&second)), 3).await.unwrap();
    assert!(accepted, "three were wanted and two are there");
    nodes.all[2].kill();
    let (fourth, accepted) = put(&database, edit("doc", "{}", Some(&third)), 2).await.unwrap();
    assert!(accepted, "two were wanted and one is there");
    assert!(begun.elapsed() < CALL, "nobody waited for the dead: {:?}", begun.elapsed());
    assert_eq!(nodes.leaves(1, "doc").await, [fourth]);
    nodes.all[0].revive();
    assert_eq!(nodes.leaves(0, "doc").await, [first]);
    drop(database);
    // Nobody of all.
    let stranger = {
        let database = nodes.database(3);
        nodes.all.iter_mut().for_each(Far::kill);
        database
    };
    let lost = put(&stranger, edit("doc", "{}", None), 1).await;
    assert!(matches!(lost, Err(Error::Unreachable(_))), "{lost:?}");
}

#[tokio::test]
async fn an_owner_that_missed_an_edit_refuses_nothing_that_follows_it() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(1);
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    let (other, _) = put(&database, edit("other", "{}", None), 3).await.unwrap();
    nodes.all[0].kill();
    let (second, accepted) = put(&database, edit("doc", "{}", Some(&first)), 2).await.unwrap();
    assert!(!accepted);
    nodes.all[0].revive();
    // One that knows nothing of the fault asks the owner at once.
    let database = nodes.database(2);
    let [third, late, other, strange] = [
        edit("doc", "{\"n\":3}", Some(&second)),
        edit("doc", "{\"n\":4}", Some(&second)),
        edit("other", "{}", Some(&other)),
        edit("new", "{}", Some(&second)),
    ];
    let results = write(&database, vec![third, late, other, strange], EditMode::Interactive, 2);
    let results = results.await.unwrap();
    assert!(results.iter().all(|result| !result.accepted), "{results:?}");
    let third = results[0].result.clone().unwrap();
    assert_eq!(third.pos, 3);
    assert_eq!(results[1].result, Err(Error::Conflict));
    assert_eq!(results[2].result.as_ref().unwrap().pos, 2);
    assert_eq!(results[3].result, Err(Error::Conflict));
    for at in [1, 2] {
        nodes.comes(at, "doc", &third).await;
    }
}

#[tokio::test]
async fn a_purge_that_comes_before_the_write_stands() {
    let nodes = Nodes::three().await;
    let database = nodes.database(0);
    // The revision has no other name in another document.
    let (rev, _) = put(&database, edit("twin", "{}", None), 3).await.unwrap();
    let purge = async |at: usize| {
        let (uuid, revs) = (b"purge"[..].into(), vec![rev.clone()]);
        let purge = Write::Purge(PurgeRequest { uuid, id: id("doc"), revs });
        nodes.copy(at).write(Batch::of(vec![purge])).await.unwrap();
    };
    purge(1).await;
    let (written, accepted) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    assert!(written == rev && accepted, "one of three has purged it meanwhile");
    assert!(nodes.leaves(1, "doc").await.is_empty());
    for at in [0, 2] {
        nodes.has(at, "doc", &rev).await;
        purge(at).await;
        assert!(nodes.leaves(at, "doc").await.is_empty());
    }
    // Who decides now knows of the purge.
    assert_eq!(put(&database, edit("doc", "{}", None), 3).await, Ok((rev.clone(), false)));
    for at in 0..3 {
        nodes.has(at, "doc", &rev).await;
    }
}

#[tokio::test]
async fn a_refusal_is_doubted_if_what_was_missing_has_come_meanwhile() {
    use super::super::doubt::doubt;
    use settee_engine::shard::Outcome;
    use settee_model::edit::EditError;
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    let (second, _) = put(&database, edit("doc", "{}", Some(&first)), 3).await.unwrap();
    let copies: Vec<_> = (0..3).map(|at| nodes.copy(at)).collect();
    let refusals = |edits: [DocEdit; 2]| {
        let refused = || (Ok(Outcome::Failed(EditError::Conflict)), false);
        (Batch::of(edits.map(Write::Interactive).to_vec()), [refused(), refused()])
    };
    // It ends with the second one; whoever replaces the first one is late, now and later.
    let late = || edit("doc", "{\"late\":1}", Some(&first));
    let (batch, acked) = refusals([late(), edit("doc", "{\"n\":3}", Some(&second))]);
    let doubted = doubt(&copies, 0, &batch, &acked, &[0, 1]).await;
    let [doubted] = &doubted[..] else { panic!("{}", doubted.len()) };
    assert_eq!((&doubted.places[..], doubted.knows), (&[1][..], 0));
    let (batch, acked) = refusals([late(), edit("doc", "{\"n\":3}", None)]);
    assert!(doubt(&copies, 0, &batch, &acked, &[0, 1]).await.is_empty());
}

#[tokio::test]
async fn what_some_copy_has_replaced_no_other_copy_replaces_again() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(1);
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    nodes.all[0].kill();
    let (second, _) = put(&database, edit("doc", "{}", Some(&first)), 2).await.unwrap();
    nodes.all[0].revive();
    // The second copy has replaced it, and nobody has heard of that yet.
    let next = edit("doc", "{\"n\":3}", Some(&second));
    nodes.copy(1).write(Batch::of(vec![Write::Interactive(next)])).await.unwrap();
    let late = put(&nodes.database(2), edit("doc", "{\"n\":4}", Some(&second)), 2).await;
    assert_eq!(late.unwrap_err(), Error::Conflict);
    nodes.has(2, "doc", &second).await;
}

#[tokio::test]
async fn a_refusal_by_who_has_forgotten_the_revision_stands() {
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    let mut meta = (*database.meta()).clone();
    meta.revs_limit = 1;
    database.set_meta(Arc::new(meta));
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    // The owner and another one have replaced it and know no more of it, the third one lags.
    let next = edit("doc", "{\"n\":2}", Some(&first));
    for at in [0, 1] {
        let batch = Batch { revs_limit: 1, ..Batch::of(vec![Write::Interactive(next.clone())]) };
        nodes.copy(at).write(batch).await.unwrap();
    }
    let late = put(&database, edit("doc", "{\"n\":3}", Some(&first)), 2).await;
    assert_eq!(late.unwrap_err(), Error::Conflict);
    nodes.has(2, "doc", &first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_edits_one_wins_everywhere() {
    let nodes = Nodes::three().await;
    let (one, two) = (nodes.database(1), nodes.database(2));
    let mut last: Option<Rev> = None;
    for round in 0..30 {
        let made = |who| edit("doc", &format!("{{\"{who}\":{round}}}"), last.as_ref());
        let (a, b) = tokio::join!(put(&one, made("a"), 3), put(&two, made("b"), 3));
        let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
        let (rev, accepted) = won.unwrap();
        assert!(!accepted);
        assert_eq!(lost, Err(Error::Conflict));
        for at in 0..3 {
            nodes.has(at, "doc", &rev).await;
        }
        last = Some(rev);
    }
}

#[tokio::test]
async fn a_copy_that_missed_edits_gets_no_conflict_by_the_next() {
    let nodes = Nodes::three().await;
    let database = nodes.database(0);
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    // Somebody wrote while the third was away.
    let made = settee_engine::shard::Write::Interactive(edit("doc", "{\"n\":2}", Some(&first)));
    let decided = nodes.copy(0).decide(&Batch::of(vec![made])).await.unwrap();
    decided.1.wait().await.unwrap();
    let second = nodes.leaves(0, "doc").await.remove(0);
    let (third, accepted) = put(&database, edit("doc", "{}", Some(&second)), 3).await.unwrap();
    assert!(!accepted);
    for at in 0..3 {
        nodes.has(at, "doc", &third).await;
    }
}

#[tokio::test]
async fn what_needs_no_decision_goes_to_all_copies_at_once() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(1);
    let (first, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    let ids = ["aa", "bb"].map(RevId::parse).to_vec();
    let other = DocEdit { revs: RevPath { start: 2, ids }, ..edit("doc", "{\"r\":1}", None) };
    let local = edit("_local/l", "{\"l\":1}", None);
    let unnamed = edit("doc", "{}", None);
    let edits = vec![other, local, unnamed];
    let results = write(&database, edits, EditMode::Replicated, 3).await.unwrap();
    assert!(results.iter().all(|result| !result.accepted), "{results:?}");
    assert!(matches!(results[2].result, Err(Error::BadRequest(_))), "{results:?}");
    let replicated = results[0].result.clone().unwrap();
    for at in 0..3 {
        assert_eq!(nodes.leaves(at, "doc").await, [first.clone(), replicated.clone()]);
        assert_eq!(nodes.body(at, "_local/l").await.unwrap(), "{\"l\":1}");
    }
    nodes.all[0].kill();
    let requests = vec![IdRevs { id: id("doc"), revs: vec![first.clone()] }];
    let options = UpdateOptions { w: Some(3), max_partition_size: None };
    let new_id = || "f".repeat(32);
    let results = super::super::write::purge(&database, requests, options, &new_id).await.unwrap();
    assert_eq!((results[0].result.clone(), results[0].accepted), (Ok(vec![first]), true));
    for at in 1..3 {
        nodes.comes(at, "doc", &replicated).await;
    }
}

#[tokio::test]
async fn copies_that_are_being_filled_take_writes_and_tell_nothing() {
    let nodes = Nodes::three().await;
    let old = RevPath::single("1-aa".parse().unwrap());
    let old = Write::Replicated(DocEdit { revs: old, ..edit("old", "{}", None) });
    nodes.copy(0).write(Batch::of(vec![old])).await.unwrap();
    for at in 0..3 {
        let database = nodes.filling(at, &[2, 3]);
        let opened = docs::open(&database, &id("old"), OpenOptions::default()).await.unwrap();
        assert_eq!(opened.doc.rev().unwrap().to_string(), "1-aa", "asked at {at}");
        let again = put(&database, edit("old", "{\"n\":1}", None), 2).await;
        assert_eq!(again, Err(Error::Conflict), "asked at {at}");
        // What is written is where it should be, as ever.
        let name = format!("new{at}");
        let (rev, accepted) = put(&database, edit(&name, "{}", None), 3).await.unwrap();
        assert!(!accepted);
        for copy in 0..3 {
            nodes.has(copy, &name, &rev).await;
        }
    }
    // With none but them, nothing is said that may be wrong.
    nodes.all[0].local().remove().await.unwrap();
    let database = nodes.filling(1, &[2, 3]);
    let opened = docs::open(&database, &id("old"), OpenOptions::default()).await;
    assert!(!matches!(opened, Ok(_) | Err(Error::NotFound { .. })), "{opened:?}");
    assert!(put(&database, edit("old", "{}", None), 2).await.is_err());
}
