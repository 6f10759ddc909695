//! One behaviour a test: what is written can be read, again after a restart, and sequences, counts
//! and purges are CouchDB's.

use std::sync::Arc;

use settee_model::doc::{AttEdit, AttSource, DocEdit};
use settee_model::edit::EditError;
use settee_model::rev::RevPath;

use super::kit::*;
use crate::io::{Crash, SimStorage, Storage};
use crate::shard::{Batch, Outcome, PurgeRequest, Shard, Which, Write};
use crate::tree::Direction;
use crate::{Error, Snapshot};

fn ids(snapshot: &Snapshot) -> Vec<(u64, String)> {
    let changes = snapshot.changes(0, Direction::Forward);
    changes.map(|change| change.unwrap()).map(|c| (c.seq, c.id.to_string())).collect()
}

#[test]
fn documents_can_be_read_also_after_a_restart() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let first = put(&shard, edit("a", RevPath::default(), r#"{"n":1}"#));
    let second = put(&shard, edit("a", path(&first), r#"{"n":2}"#));
    put(&shard, edit("b", RevPath::default(), r#"{"n":3}"#));
    for round in 0..3 {
        let engine = match round {
            // The same one, one after a crash, one after a clean end.
            0 => engine.clone(),
            1 => {
                disk.crash(Crash::LoseAll);
                open(&disk)
            }
            _ => {
                let engine = open(&disk);
                engine.close().unwrap();
                open(&disk)
            }
        };
        let shard = engine.shard(&shard_id()).unwrap();
        let snapshot = shard.snapshot();
        assert_eq!(snapshot.update_seq(), 3);
        assert_eq!(ids(&snapshot), [(2, "a".into()), (3, "b".into())]);
        let info = snapshot.doc(&doc_id("a")).unwrap().unwrap();
        assert_eq!(info.winner().unwrap().rev(), second);
        assert_eq!(body(&shard, "a"), r#"{"n":2}"#);
        let old = info.tree.get(&first).unwrap().value.unwrap().body.unwrap();
        assert_eq!(&snapshot.record(old).unwrap().body[..], br#"{"n":1}"#);
        let counts = snapshot.counts().unwrap();
        assert_eq!((counts.doc_count, counts.del_count, counts.sizes.external), (2, 0, 14));
    }
}

#[test]
fn a_batch_is_decided_in_the_order_of_ids_and_counts_each_document_once() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let new = |id| Write::Interactive(edit(id, RevPath::default(), "{}"));
    let outcomes = shard.write(Batch::of(vec![new("c"), new("a"), new("c"), new("b")])).unwrap();
    assert!(matches!(outcomes[0], Outcome::Written(_)));
    assert_eq!(outcomes[2], Outcome::Failed(EditError::Conflict));
    assert_eq!(ids(&shard.snapshot()), [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    let branch = |ids| Write::Replicated(edit("a", made_up(2, ids), "{}"));
    let outcomes = shard.write(Batch::of(vec![branch("yx"), branch("zx"), branch("yx")])).unwrap();
    assert!(matches!(outcomes[2], Outcome::Unchanged(_)));
    assert_eq!(ids(&shard.snapshot()), [(2, "b".into()), (3, "c".into()), (4, "a".into())]);
    let info = shard.snapshot().doc(&doc_id("a")).unwrap().unwrap();
    assert_eq!(info.tree.leaf_count(), 3);
}

#[test]
fn deleted_documents_are_counted_and_hidden() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let rev = put(&shard, edit("a", RevPath::default(), "{}"));
    put(&shard, edit("b", RevPath::default(), "{}"));
    put(&shard, deletion("a", &rev));
    let snapshot = shard.snapshot();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let count = |which| snapshot.docs(&all, Direction::Forward, which).count();
    assert_eq!((count(Which::Live), count(Which::All)), (1, 2));
    let counts = snapshot.counts().unwrap();
    assert_eq!((counts.doc_count, counts.del_count), (1, 1));
    assert_eq!(snapshot.count_before(&doc_id("z"), Direction::Forward).unwrap(), 1);
    assert_eq!(snapshot.count_changes_since(2).unwrap(), 1);
}

#[test]
fn local_documents_and_properties_live_apart() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    shard.set_property(b"security", Some("{}".into())).unwrap();
    let rev = |outcome| match outcome {
        Outcome::Written(rev) => rev.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rev(write(&shard, local("_local/a", None, Some("{}")))), "0-1");
    assert_eq!(rev(write(&shard, local("_local/a", Some(1), Some("[]")))), "0-2");
    assert_eq!(rev(write(&shard, local("_local/b", None, Some("{}")))), "0-1");
    assert_eq!(rev(write(&shard, local("_local/b", Some(1), None))), "0-0");
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    let snapshot = shard.snapshot();
    assert_eq!(snapshot.update_seq(), 0);
    assert_eq!(snapshot.local(&doc_id("_local/a")).unwrap().unwrap().rev, 2);
    assert_eq!(snapshot.local(&doc_id("_local/b")).unwrap(), None);
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    assert_eq!(snapshot.locals(&all, Direction::Backward).count(), 1);
    assert_eq!(snapshot.properties().unwrap(), [("security".into(), "{}".into())]);
    assert_eq!(shard.property(b"security").unwrap(), Some("{}".into()));
}

#[test]
fn purges_remove_leaves_once() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let rev = put(&shard, edit("a", RevPath::default(), "{}"));
    put(&shard, edit("b", RevPath::default(), "{}"));
    let branch = Write::Replicated(edit("b", made_up(1, "z"), "{}"));
    assert!(matches!(write(&shard, branch), Outcome::Written(_)));
    let other = made_up(1, "z").tip().unwrap();
    let asked = std::slice::from_ref(&rev);
    assert_eq!(write(&shard, purge("1", "a", asked)), Outcome::Purged(asked.to_vec()));
    assert_eq!(shard.snapshot().update_seq(), 4);
    assert_eq!(write(&shard, purge("1", "a", asked)), Outcome::Purged(vec![]));
    assert_eq!(shard.snapshot().update_seq(), 4);
    let b = std::slice::from_ref(&other);
    assert_eq!(write(&shard, purge("2", "b", b)), Outcome::Purged(vec![other.clone()]));
    assert_eq!(write(&shard, purge("3", "nothing", b)), Outcome::Purged(vec![]));
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    let snapshot = shard.snapshot();
    assert!(snapshot.doc(&doc_id("a")).unwrap().is_none());
    assert_eq!(ids(&snapshot), [(5, "b".into())]);
    assert_eq!((snapshot.update_seq(), snapshot.purge_seq()), (6, 3));
    assert_eq!(snapshot.oldest_purge_seq().unwrap(), 1);
    let infos: Vec<_> = snapshot.purges(1).map(|info| info.unwrap()).collect();
    assert_eq!(infos.len(), 2);
    assert_eq!(infos[0].request.revs, [other]);
    assert!(snapshot.has_purge(&infos[0].request).unwrap());
    let other = PurgeRequest { uuid: b"4"[..].into(), ..infos[0].request.clone() };
    assert!(!snapshot.has_purge(&other).unwrap());
}

#[test]
fn a_full_partition_takes_only_what_makes_it_no_larger() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let limited = |writes| {
        let batch = Batch { partition_limit: Some(20), ..Batch::of(writes) };
        shard.write(batch).unwrap()
    };
    let new = |id, body| Write::Interactive(edit(id, RevPath::default(), body));
    let overflow = |id| Outcome::Failed(EditError::PartitionOverflow(doc_id(id)));
    // What a batch adds itself counts from the next one on.
    let filling = limited(vec![new("p:a", r#"{"n":"1234"}"#), new("p:b", r#"{"n":"5678"}"#)]);
    assert!(filling.iter().all(|outcome| matches!(outcome, Outcome::Written(_))), "{filling:?}");
    let mut outcomes = limited(vec![new("p:c", "{}"), new("q:a", "{}"), new("_design/p:x", "{}")]);
    assert_eq!(outcomes.remove(0), overflow("p:c"));
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Written(_))), "{outcomes:?}");
    let replicated = Write::Replicated(edit("p:d", made_up(1, "d"), "{}"));
    assert!(matches!(limited(vec![replicated])[..], [Outcome::Written(_)]));
    let info = shard.snapshot().doc(&doc_id("p:a")).unwrap().unwrap();
    let first = info.winner().unwrap().rev();
    let again = |body| Write::Interactive(edit("p:a", path(&first), body));
    assert_eq!(limited(vec![again(r#"{"n":"12345"}"#)]), [overflow("p:a")]);
    assert!(matches!(limited(vec![again(r#"{"n":"4321"}"#)])[..], [Outcome::Written(_)]));
}

#[test]
fn compaction_forgets_generations_beyond_the_limit() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let replicate = |start, ids| {
        let write = Write::Replicated(edit("a", made_up(start, ids), "{}"));
        assert!(matches!(self::write(&shard, write), Outcome::Written(_)));
    };
    replicate(6, "fedcba");
    replicate(5, "xdcba");
    let known = |shard: &Shard| shard.snapshot().doc(&doc_id("a")).unwrap().unwrap().tree;
    shard.compact_now().unwrap();
    assert_eq!(known(&shard).len(), 7, "nobody asked for less");
    shard.compact(2);
    shard.compact_now().unwrap();
    let tree = known(&shard);
    let left = |start, ids| tree.path_of(&made_up(start, ids).tip().unwrap()).unwrap();
    // The other branch needs its parent.
    assert_eq!(left(6, "f"), made_up(6, "fed"));
    assert_eq!(left(5, "x"), made_up(5, "xd"));
    drop(shard);
    drop(engine);
    disk.crash(Crash::LoseAll);
    assert_eq!(known(&open(&disk).shard(&shard_id()).unwrap()), tree);
}

#[test]
fn attachments_of_every_size_come_back_and_equal_ones_are_kept_once() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let small = b"small".to_vec();
    let large: Vec<u8> = (0..700_001u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let atts = vec![upload(&shard, "small", &small), upload(&shard, "large", &large)];
    let rev = put(&shard, DocEdit { atts, ..edit("a", RevPath::default(), "{}") });
    let file = || disk.open(&shard_id().file()).unwrap().len().unwrap();
    let before = file();
    let stub = |name: &str| AttEdit {
        name: name.into(),
        content_type: String::new(),
        revpos: None,
        source: AttSource::Stub,
    };
    put(&shard, DocEdit { atts: vec![stub("large")], ..edit("a", path(&rev), "{}") });
    let atts = vec![upload(&shard, "again", &large)];
    put(&shard, DocEdit { atts, ..edit("b", RevPath::default(), "{}") });
    assert_eq!(file(), before);
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    assert_eq!(download(&shard, "a", "large"), large);
    assert_eq!(download(&shard, "b", "again"), large);
    engine.close().unwrap();
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    assert_eq!(download(&shard, "b", "again"), large);
}

#[test]
fn what_an_edit_brings_is_stored_with_it_whether_it_is_known_or_not() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let with = |id: &str, atts| DocEdit { atts, ..edit(id, RevPath::default(), "{}") };
    const BYTES: &[u8] = &[7; 1000];
    let rev = put(&shard, with("first", vec![upload(&shard, "a", BYTES)]));
    put(&shard, with("again", vec![brought("a", BYTES), brought("b", b"other")]));
    put(&shard, DocEdit { deleted: true, ..edit("first", path(&rev), "{}") });
    shard.checkpoint().unwrap();
    shard.compact_now().unwrap();
    assert_eq!(download(&shard, "again", "a"), BYTES);
    drop(shard);
    drop(engine);
    disk.crash(Crash::LoseAll);
    let shard = open(&disk).shard(&shard_id()).unwrap();
    assert_eq!(download(&shard, "again", "a"), BYTES);
    assert_eq!(download(&shard, "again", "b"), b"other");
}

#[test]
fn what_an_edit_brings_gets_its_place_at_once_and_never_moves_for_others() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let bytes = |n: u64| noise(n, 3000).into_bytes();
    let id = |n: u64| format!("doc-{n}");
    let add = |shard: &Arc<Shard>, n| {
        let atts = vec![brought("a", &bytes(n))];
        put(shard, DocEdit { atts, ..edit(&id(n), RevPath::default(), "{}") });
    };
    let all_there = |shard: &Arc<Shard>, count: u64| {
        (0..count).for_each(|n| assert_eq!(download(shard, &id(n), "a"), bytes(n), "{n}"));
    };
    (0..20).for_each(|n| add(&shard, n));
    all_there(&shard, 20);
    // What was there before the file was is read as it was then.
    let (before, head) = (shard.snapshot(), |s: &Snapshot| s.head(&doc_id("doc-0")).unwrap());
    let body = head(&before).and_then(|head| head.body).unwrap();
    let chunk = before.record(body).unwrap().atts[0].content.chunks[0].clone();
    shard.checkpoint().unwrap();
    assert_eq!(before.chunk(&chunk).unwrap(), bytes(0));
    all_there(&shard, 20);
    let file = || shard.sizes().unwrap().file;
    let (one, dirty) = (file(), shard.dirty_bytes());
    assert_eq!(dirty, 0);
    (20..40).for_each(|n| add(&shard, n));
    assert!(shard.dirty_bytes() > 40 << 10, "{} bytes", shard.dirty_bytes());
    shard.checkpoint().unwrap();
    // The same again, and the trees: none of the first twenty was written again.
    assert!(file() < 2 * one + (16 << 10), "{one} bytes first, {} then", file());
    (40..50).for_each(|n| add(&shard, n));
    drop((shard, engine));
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    all_there(&shard, 50);
    // What comes now is not put where the log has something already.
    let later = upload(&shard, "later", &bytes(99));
    put(&shard, DocEdit { atts: vec![later], ..edit("later", RevPath::default(), "{}") });
    shard.checkpoint().unwrap();
    all_there(&shard, 50);
    shard.compact_now().unwrap();
    all_there(&shard, 50);
    assert_eq!(download(&shard, "later", "later"), bytes(99));
}

#[test]
fn garbage_is_seen_beside_attachments_that_pack_well_and_are_shared() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let packs = "the same words ".repeat(20_000);
    let id = |n: u64| format!("doc-{n}");
    let add = |n: u64, bytes: &[u8]| {
        let atts = vec![upload(&shard, "a", bytes)];
        put(&shard, DocEdit { atts, ..edit(&id(n), RevPath::default(), "{}") })
    };
    (0..20).for_each(|n| drop(add(n, packs.as_bytes())));
    let garbage: Vec<_> = (20..30).map(|n| add(n, noise(n, 100_000).as_bytes())).collect();
    let active = || {
        shard.checkpoint().unwrap();
        shard.sizes().unwrap().active
    };
    let before = active();
    assert!((1_000_000..1_030_000).contains(&before), "{before} bytes");
    garbage.iter().zip(20..).for_each(|(rev, n)| drop(put(&shard, deletion(&id(n), rev))));
    let after = active();
    assert!(after < 30_000, "{after} bytes");
    shard.compact_now().unwrap();
    let sizes = shard.sizes().unwrap();
    assert!(sizes.file < 30_000, "{sizes:?}");
    (0..20).for_each(|n| assert_eq!(download(&shard, &id(n), "a"), packs.as_bytes()));
}

#[test]
fn what_packs_well_takes_no_more_memory_than_it_counts() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let extent = shard.durable_state().store.reserve(&[0; 32 << 10]).unwrap();
    assert!(extent.frame.len() < 1000, "{} bytes", extent.frame.len());
    let kept = extent.frame.try_into_mut().unwrap().capacity();
    assert!(kept < 1000, "{kept} bytes");
}

#[test]
fn an_upload_that_nobody_holds_is_not_committed() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let att = upload(&shard, "a", b"bytes");
    let AttSource::Uploaded(uploaded) = att.source else { panic!() };
    let lost = attachment("a", uploaded.content.clone(), Default::default());
    drop(uploaded);
    let edit = DocEdit { atts: vec![lost], ..edit("a", RevPath::default(), "{}") };
    let result = shard.write(Batch::of(vec![Write::Interactive(edit)]));
    assert!(matches!(result, Err(Error::UploadLost)), "{result:?}");
    assert_eq!(shard.snapshot().update_seq(), 0);
}

#[test]
fn shards_are_created_and_dropped_once_and_for_all() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let id = shard_id();
    assert!(matches!(engine.shard(&id), Err(Error::ShardMissing { .. })));
    let shard = engine.create_shard(&id).unwrap();
    assert!(matches!(engine.create_shard(&id), Err(Error::ShardExists { .. })));
    put(&shard, edit("old", RevPath::default(), "{}"));
    shard.checkpoint().unwrap();
    let snapshot = shard.snapshot();
    engine.drop_shard(&id).unwrap();
    assert!(matches!(engine.shard(&id), Err(Error::ShardMissing { .. })));
    assert!(shard.write(Batch::of(vec![])).is_err());
    assert!(snapshot.doc(&doc_id("old")).unwrap().is_some());
    let shard = engine.create_shard(&id).unwrap();
    put(&shard, edit("new", RevPath::default(), "{}"));
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    let again = engine.shard(&id).unwrap();
    assert_eq!(ids(&again.snapshot()), [(1, "new".into())]);
    engine.drop_shard(&id).unwrap();
    disk.crash(Crash::KeepAll);
    let engine = open(&disk);
    assert!(matches!(engine.shard(&id), Err(Error::ShardMissing { .. })));
    assert_eq!(disk.list("shards/00000000-ffffffff").unwrap(), []);
}

#[test]
fn a_shard_that_nobody_uses_is_closed_and_opened_again() {
    let disk = SimStorage::new();
    let options = crate::Options {
        workers: 1,
        checkpoint_idle: std::time::Duration::ZERO,
        close_idle: std::time::Duration::ZERO,
        ..options()
    };
    let engine = crate::Engine::open(std::sync::Arc::new(disk.clone()), options).unwrap();
    let shard = engine.create_shard(&shard_id()).unwrap();
    put(&shard, edit("a", RevPath::default(), "{}"));
    drop(shard);
    while engine.shard_if_open(&shard_id()).is_some() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(ids(&engine.shard(&shard_id()).unwrap().snapshot()), [(1, "a".into())]);
}

#[test]
fn long_runs_of_deleted_documents_are_passed_over() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let live = |n: u32| [0, 70, 71, 900, 901, 3000, 3999].contains(&n);
    let ids: Vec<String> = (0..4000).map(|n| format!("{n:05}")).collect();
    let made = |n: usize| {
        let deleted = !live(n as u32);
        Write::Replicated(DocEdit { deleted, ..edit(&ids[n], made_up(1, "a"), "{}") })
    };
    shard.write(Batch::of((0..4000).map(made).collect())).unwrap();
    let snapshot = shard.snapshot();
    let shown = |low: &str, high: &str, direction| -> Vec<u32> {
        use std::ops::Bound::Included;
        let range = (Included(doc_id(low)), Included(doc_id(high)));
        let rows = snapshot.docs(&range, direction, Which::Live);
        rows.map(|row| row.unwrap().id.as_str().parse().unwrap()).collect()
    };
    let all = [0, 70, 71, 900, 901, 3000, 3999];
    assert_eq!(shown("0", "z", Direction::Forward), all);
    let backward: Vec<u32> = all.into_iter().rev().collect();
    assert_eq!(shown("0", "z", Direction::Backward), backward);
    assert_eq!(shown("00072", "02999", Direction::Forward), [900, 901]);
    assert_eq!(shown("00072", "02999", Direction::Backward), [901, 900]);
    assert!(shown("00902", "02999", Direction::Forward).is_empty());
}
