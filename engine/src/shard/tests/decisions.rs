//! Decisions are told before they are durable, and with all that another copy needs to follow.

use std::sync::Arc;
use std::sync::mpsc::channel;

use bytes::Bytes;
use settee_model::doc::{
    AttContent, AttEdit, AttSource, Attachment, Chunk, DocEdit, Encoding, Hold,
};
use settee_model::edit::EditError;
use settee_model::rev::{Rev, RevPath};

use super::kit::*;
use super::model::contents;
use crate::io::{Fault, SimStorage};
use crate::shard::{Batch, Decision, Made, Outcome, PURGES_DONE, Shard, Write};
use crate::{Engine, Error};

/// What was told of a batch: the decision, if there was one, and how it ended.
fn tell(shard: &Arc<Shard>, batch: Batch) -> (Option<Decision>, Result<Vec<Outcome>, Error>) {
    let (decide, decided) = channel();
    let (end, ended) = channel();
    shard.submit_telling(
        batch,
        Box::new(move |decision| drop(decide.send(decision))),
        Box::new(move |outcomes| drop(end.send(outcomes))),
    );
    // If nobody decides, nobody keeps the other end.
    (decided.recv().ok(), ended.recv().unwrap())
}

/// Writes, and gives the decision once it is durable.
fn decide(shard: &Arc<Shard>, batch: Batch) -> Decision {
    let (decision, outcomes) = tell(shard, batch);
    let decision = decision.unwrap();
    assert_eq!(outcomes.unwrap(), decision.outcomes);
    decision
}

fn start() -> (Engine, Arc<Shard>) {
    let engine = open(&SimStorage::new());
    let shard = engine.create_shard(&shard_id()).unwrap();
    (engine, shard)
}

/// The writes that another copy is to carry out after a decision.
fn followed(writes: Vec<Write>, decision: Decision) -> Vec<Write> {
    let follow = |(write, made): (Write, Option<Made>)| match (write, made) {
        (Write::Interactive(edit), Some(made)) => Some(made.following(edit)),
        _ => None,
    };
    writes.into_iter().zip(decision.made).filter_map(follow).collect()
}

fn attachments(shard: &Arc<Shard>) -> Vec<Attachment> {
    let snapshot = shard.snapshot();
    let head = snapshot.head(&doc_id("doc")).unwrap().unwrap();
    snapshot.record(head.body.unwrap()).unwrap().atts
}

#[test]
fn another_copy_that_follows_decisions_has_the_same_documents() {
    let ((_one, here), (_two, there)) = (start(), start());
    let mut last: Option<Rev> = None;
    for round in 0..8 {
        // The fifth deletes, the sixth makes the document anew.
        let deleted = round == 4;
        let revs = last.as_ref().filter(|_| round != 5).map(path).unwrap_or_default();
        let text = if deleted { "{}".into() } else { format!("{{\"round\":{round}}}") };
        let mut atts = Vec::new();
        let mut hold = None;
        if !deleted {
            let bytes = format!("{round}").repeat(100);
            atts.push(upload(&here, &format!("new{}", round % 2), bytes.as_bytes()));
            hold = Some(upload(&there, "same", bytes.as_bytes()));
            if round > 0 && round != 5 {
                let old = format!("new{}", (round + 1) % 2);
                let content_type = "application/octet-stream".into();
                let source = AttSource::Stub;
                atts.push(AttEdit { name: old, content_type, revpos: None, source });
            }
        }
        let made = DocEdit { deleted, atts, ..edit("doc", revs, &text) };
        let refused = edit("doc", made_up(9, "x"), "{\"late\":true}");
        let other = edit(&format!("other{round}"), RevPath::default(), "{}");
        let writes = [made, refused, other].map(Write::Interactive).to_vec();
        let batch = Batch { revs_limit: 3, ..Batch::of(writes.clone()) };
        let decision = decide(&here, batch);
        let Outcome::Written(rev) = decision.outcomes[0].clone() else { panic!("{decision:?}") };
        assert!(matches!(decision.outcomes[1], Outcome::Failed(_)), "{decision:?}");
        assert!(decision.made[1].is_none());
        last = Some(rev.clone());
        let following = followed(writes, decision);
        assert_eq!(following.len(), 2);
        let batch = Batch { revs_limit: 3, ..Batch::of(following) };
        let outcomes = there.write(batch).unwrap();
        assert_eq!(outcomes[0], Outcome::Written(rev.clone()));
        drop(hold);
        assert_eq!(contents(&there.snapshot()), contents(&here.snapshot()));
        assert_eq!(attachments(&there), attachments(&here));
    }
}

#[test]
fn a_copy_that_missed_edits_learns_their_names() {
    let ((_one, here), (_two, there)) = (start(), start());
    let first = put(&here, edit("doc", RevPath::default(), "{}"));
    let second = put(&here, edit("doc", path(&first), "{}"));
    let writes = vec![Write::Interactive(edit("doc", path(&second), "{}"))];
    let decision = decide(&here, Batch::of(writes.clone()));
    let made = decision.made[0].clone().unwrap();
    assert_eq!(made.path.ids.len(), 3);
    put(&there, edit("doc", RevPath::default(), "{}"));
    there.write(Batch::of(followed(writes, decision))).unwrap();
    let row = there.snapshot().doc(&doc_id("doc")).unwrap().unwrap();
    assert_eq!(row.tree.leaf_count(), 1, "it must not be a conflict");
}

#[test]
fn a_decision_is_told_before_it_is_durable() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    put(&shard, edit("before", RevPath::default(), "{}"));
    disk.fail_at(disk.operations(), Fault::Fail);
    let write = Write::Interactive(edit("x", RevPath::default(), "{}"));
    let (decision, outcomes) = tell(&shard, Batch::of(vec![write]));
    assert!(matches!(decision.unwrap().outcomes[0], Outcome::Written(_)));
    outcomes.unwrap_err();
}

#[test]
fn what_fails_is_never_decided() {
    let (engine, shard) = start();
    let lost = attachment(
        "lost",
        AttContent {
            encoding: Encoding::Identity,
            length: 1,
            stored_length: 1,
            md5: [0; 16],
            chunks: vec![Chunk { hash: [9; 32], length: 1 }],
        },
        Hold::default(),
    );
    let made = DocEdit { atts: vec![lost], ..edit("x", RevPath::default(), "{}") };
    let (decision, outcomes) = tell(&shard, Batch::of(vec![Write::Interactive(made)]));
    assert!(decision.is_none() && matches!(outcomes, Err(Error::UploadLost)));
    engine.drop_shard(&shard_id()).unwrap();
    let late = Batch::of(vec![local("_local/x", None, Some("{}"))]);
    let (decision, outcomes) = tell(&shard, late);
    assert!(decision.is_none() && outcomes.is_err());
}

/// Two copies: the first has decided an edit, of which the second is to hear.
fn decided(here: &Arc<Shard>, edit: DocEdit) -> (Rev, Write) {
    let write = Write::Interactive(edit);
    let decision = decide(here, Batch::of(vec![write.clone()]));
    let Outcome::Written(rev) = decision.outcomes[0].clone() else { panic!("{decision:?}") };
    (rev, followed(vec![write], decision).remove(0))
}

#[test]
fn a_decision_does_not_bring_back_what_was_purged_after_it() {
    let ((_one, here), (_two, there)) = (start(), start());
    let refused = Outcome::Failed(EditError::Conflict);
    let (first, follow) = decided(&here, edit("doc", RevPath::default(), "{}"));
    assert_eq!(write(&there, purge("1", "doc", std::slice::from_ref(&first))), purged(&[]));
    assert_eq!(write(&there, follow.clone()), refused);
    // Nor the revisions before one that came and went.
    let (second, follow_second) = decided(&here, edit("doc", path(&first), "{}"));
    assert_eq!(write(&there, follow_second), refused);
    // It is written again after the purge: the same revision, but decided by who knew of the purge.
    let gone = [second.clone()];
    write(&here, purge("1", "doc", std::slice::from_ref(&first)));
    assert_eq!(write(&here, purge("2", "doc", &gone)), purged(&gone));
    let (again, follow) = decided(&here, edit("doc", RevPath::default(), "{}"));
    assert_eq!(again, first);
    assert_eq!(write(&there, follow.clone()), Outcome::Written(first.clone()));
    assert_eq!(write(&there, follow), Outcome::Unchanged(first));
    // Purges of others say nothing.
    write(&there, purge("3", "docs", &gone));
    let (_, follow) = decided(&here, edit("do", RevPath::default(), "{}"));
    assert!(matches!(write(&there, follow), Outcome::Written(_)));
}

#[test]
fn a_purge_that_others_may_have_forgotten_refuses_nothing() {
    let ((_one, here), (_two, there)) = (start(), start());
    let (_, follow) = decided(&here, edit("doc", RevPath::default(), "{}"));
    for number in 0..3 {
        let purge = purge(&number.to_string(), if number > 0 { "other" } else { "doc" }, &[]);
        let batch = Batch { purge_infos_limit: 2, ..Batch::of(vec![purge]) };
        there.write(batch).unwrap();
    }
    let done = |done: u64| Write::Property {
        name: Bytes::from_static(PURGES_DONE),
        value: Some(Bytes::copy_from_slice(&done.to_be_bytes())),
    };
    write(&there, done(0));
    assert_eq!(write(&there, follow.clone()), Outcome::Failed(EditError::Conflict));
    write(&there, done(1));
    assert!(matches!(write(&there, follow), Outcome::Written(_)));
}

fn purged(revs: &[Rev]) -> Outcome {
    Outcome::Purged(revs.to_vec())
}
