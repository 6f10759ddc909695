//! Writes in step with a compaction: they wait for their share, and none is forgotten.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use settee_model::rev::RevPath;

use super::kit::*;
use crate::compact::Policy;
use crate::compact::pacer::{Pacer, Step};
use crate::io::SimStorage;
use crate::shard::{Batch, Outcome, Shard, Write};
use crate::{Engine, Error, Options};

const SOON: Duration = Duration::from_secs(10);

type Answer = Receiver<Result<Vec<Outcome>, Error>>;

/// Writes without waiting for it.
fn begin(shard: &Arc<Shard>, id: &str) -> Answer {
    let (tell, told) = channel();
    let write = Write::Interactive(edit(id, RevPath::default(), "{}"));
    shard.submit(Batch::of(vec![write]), Box::new(move |result| drop(tell.send(result))));
    told
}

#[test]
fn what_is_held_waits_for_its_step_or_for_the_end() {
    let engine = open(&SimStorage::new());
    let shard = engine.create_shard(&shard_id()).unwrap();
    assert_eq!(shard.write_in_step(), 0, "nobody holds them");
    shard.hold_writes();
    assert_eq!(shard.write_in_step(), 0, "nothing waits");
    let (one, two) = (begin(&shard, "one"), begin(&shard, "two"));
    assert!(waits(&one));
    assert!(shard.write_in_step() > 0);
    assert!(is_done(&one));
    assert!(is_done(&two));
    let three = begin(&shard, "three");
    assert!(waits(&three));
    shard.release_writes();
    assert!(is_done(&three));
    assert!(is_done(&begin(&shard, "four")));
    assert_eq!(shard.snapshot().counts().unwrap().doc_count, 4);
}

#[test]
fn what_is_held_ends_with_its_shard() {
    let engine = open(&SimStorage::new());
    let shard = engine.create_shard(&shard_id()).unwrap();
    shard.hold_writes();
    let waits = begin(&shard, "doc");
    engine.drop_shard(&shard_id()).unwrap();
    shard.release_writes();
    let end = waits.recv_timeout(SOON).unwrap();
    assert!(matches!(end, Err(Error::ShardMissing { .. })), "{end:?}");
}

/// Whether a write is answered, in time.
fn is_done(told: &Answer) -> bool {
    told.recv_timeout(SOON).is_ok_and(|result| result.is_ok())
}

fn waits(told: &Answer) -> bool {
    told.recv_timeout(Duration::from_millis(100)).is_err()
}

/// A shard whose file is saved, with three times as much in it as is live.
fn outgrown() -> (Engine, Arc<Shard>) {
    outgrown_with(options())
}

fn outgrown_with(options: Options) -> (Engine, Arc<Shard>) {
    let compaction = Policy { min_file: 0, ..options.compaction };
    let options = Options { compaction, ..options };
    let engine = Engine::open(Arc::new(SimStorage::new()), options).unwrap();
    let shard = engine.create_shard(&shard_id()).unwrap();
    let mut revs = RevPath::default();
    for seed in 1..=3 {
        revs = path(&put(&shard, edit("doc", revs, &noise(seed, 50_000))));
        shard.checkpoint().unwrap();
    }
    (engine, shard)
}

#[test]
fn who_has_outgrown_his_share_writes_a_byte_for_eight_that_are_copied() {
    let (_engine, shard) = outgrown();
    let pacer = Pacer::of(&shard, &shard.env, 1).unwrap();
    let copied = |bytes| pacer.keep(Step::Done { entries: 1, bytes }).unwrap();
    copied(0);
    let one = begin(&shard, "one");
    copied(0);
    assert!(waits(&one), "nothing was copied for it");
    copied(8);
    assert!(is_done(&one), "more than it was worth, which is owed from now on");
    let two = begin(&shard, "two");
    copied(8 * 400);
    assert!(waits(&two), "a write is 512 bytes at least");
    copied(8 * 400);
    assert!(is_done(&two));
    let three = begin(&shard, "three");
    copied(8);
    assert!(waits(&three));
    pacer.keep(Step::Sync).unwrap();
    assert!(is_done(&three), "a sync may take long");
    copied(0);
    let four = begin(&shard, "four");
    assert!(waits(&four));
    drop(pacer);
    assert!(is_done(&four));
}

#[test]
fn who_has_not_waits_for_no_copy() {
    let (_engine, shard) = outgrown();
    shard.compact_now().unwrap();
    let pacer = Pacer::of(&shard, &shard.env, 1).unwrap();
    pacer.keep(Step::Done { entries: 1, bytes: 0 }).unwrap();
    assert!(is_done(&begin(&shard, "one")));
}

#[test]
fn a_compaction_takes_the_writes_of_who_has_outgrown_his_share() {
    // Nobody else writes: there are no threads.
    let threadless = || outgrown_with(Options { threads: false, ..options() });
    let (_engine, shard) = threadless();
    let _told = begin(&shard, "one");
    shard.compact_now().unwrap();
    assert!(shard.snapshot().doc(&doc_id("one")).unwrap().is_some());

    let (engine, shard) = threadless();
    shard.compact_now().unwrap();
    let told = begin(&shard, "one");
    shard.compact_now().unwrap();
    assert!(shard.snapshot().doc(&doc_id("one")).unwrap().is_none(), "that is its writer's");
    while engine.turn() {}
    assert!(is_done(&told));
}
