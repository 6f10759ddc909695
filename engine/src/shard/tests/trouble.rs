//! Disks that fill up or fail: what was acknowledged stays readable, and when the trouble is over
//! everything goes on without a restart.

use std::sync::Arc;
use std::time::Duration;

use settee_model::doc::DocEdit;
use settee_model::rev::RevPath;

use super::kit::*;
use super::model::contents;
use crate::check::check;
use crate::compact::Policy;
use crate::io::{Crash, Fault, SimStorage};
use crate::shard::{Batch, Shard, ShardId, Write};
use crate::{Engine, Error, Options};

fn try_put(engine: &Engine, id: &str) -> Result<(), Error> {
    let shard = engine.shard(&shard_id())?;
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(1000));
    let write = Write::Interactive(edit(id, RevPath::default(), &text));
    shard.write(Batch::of(vec![write])).map(|_| ())
}

/// Used bytes of a disk, about.
fn used(disk: &SimStorage) -> u64 {
    let folders = ["log", "tmp", "shards/00000000-ffffffff"];
    let list = |folder: &&str| {
        let entries = crate::io::Storage::list(disk, folder).unwrap();
        entries.into_iter().map(|entry| format!("{folder}/{}", entry.name)).collect::<Vec<_>>()
    };
    let len = |path: String| crate::io::Storage::open(disk, &path).unwrap().len().unwrap();
    folders.iter().flat_map(list).map(len).sum()
}

#[test]
fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    engine.create_shard(&shard_id()).unwrap();
    try_put(&engine, "before").unwrap();
    disk.set_capacity(Some(used(&disk) + 5000));
    let mut written = 0;
    let error = loop {
        match try_put(&engine, &format!("doc-{written}")) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "the disk never fills up");
    };
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    engine.look_after();
    assert!(matches!(try_put(&engine, "full"), Err(Error::DiskFull { .. })));
    let snapshot = engine.shard(&shard_id()).unwrap().snapshot();
    assert_eq!(snapshot.update_seq(), written + 1);
    disk.set_capacity(None);
    engine.look_after();
    try_put(&engine, "after").unwrap();
    let shown = contents(&engine.shard(&shard_id()).unwrap().snapshot());
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    let snapshot = engine.shard(&shard_id()).unwrap().snapshot();
    assert_eq!(contents(&snapshot), shown);
    assert_eq!(snapshot.update_seq(), written + 2);
}

#[test]
fn after_any_failure_of_the_disk_writes_go_on_and_nothing_is_lost() {
    for after in 0..40 {
        let disk = SimStorage::new();
        let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
        let shard = engine.create_shard(&shard_id()).unwrap();
        try_put(&engine, "first").unwrap();
        disk.fail_at(disk.operations() + after, Fault::Fail);
        let mut acknowledged = vec!["first".to_owned()];
        for n in 0..12 {
            let id = format!("doc-{n}");
            if try_put(&engine, &id).is_ok() {
                acknowledged.push(id);
            }
            if n % 3 == 1 {
                let _ = shard.checkpoint();
            }
            engine.look_after();
        }
        assert!(acknowledged.len() >= 12, "{acknowledged:?}");
        shard.checkpoint().unwrap();
        engine.trim().unwrap();
        try_put(&engine, "last").unwrap();
        let shown = contents(&shard.snapshot());
        disk.crash(Crash::LoseAll);
        let engine = open(&disk);
        let snapshot = engine.shard(&shard_id()).unwrap().snapshot();
        assert_eq!(contents(&snapshot), shown);
        for id in &acknowledged {
            assert!(snapshot.doc(&doc_id(id)).unwrap().is_some(), "{id} is gone");
        }
    }
}

/// A shard whose file was to be replaced by compaction, which failed when it had its name already
/// but not yet durably: out of file handles, or out of luck.
fn half_swapped(disk: &SimStorage) -> (Engine, Arc<Shard>) {
    half_swapped_after(disk, |engine, shard| {
        try_put(engine, "first").unwrap();
        shard.checkpoint().unwrap();
        try_put(engine, "second").unwrap();
    })
}

/// The same with something else in it.
fn half_swapped_after(
    disk: &SimStorage,
    prepare: impl Fn(&Engine, &Arc<Shard>),
) -> (Engine, Arc<Shard>) {
    let measure = |disk: &SimStorage, fail: Option<u64>| {
        let engine = open(disk);
        let shard = engine.create_shard(&shard_id()).unwrap();
        prepare(&engine, &shard);
        shard.checkpoint().unwrap();
        if let Some(last) = fail {
            disk.fail_at(last, Fault::Fail);
        }
        assert_eq!(shard.compact_now().is_err(), fail.is_some());
        (engine, shard)
    };
    let sample = SimStorage::new();
    drop(measure(&sample, None));
    measure(disk, Some(sample.operations() - 1))
}

#[test]
fn nothing_is_written_to_a_file_that_may_have_lost_its_name() {
    for crash in [Crash::KeepAll, Crash::LoseAll] {
        let disk = SimStorage::new();
        let (engine, shard) = half_swapped(&disk);
        try_put(&engine, "third").unwrap();
        shard.checkpoint().unwrap();
        engine.trim().unwrap();
        try_put(&engine, "fourth").unwrap();
        engine.trim().unwrap();
        let shown = contents(&shard.snapshot());
        disk.crash(crash);
        let engine = open(&disk);
        assert_eq!(contents(&engine.shard(&shard_id()).unwrap().snapshot()), shown);
    }
}

#[test]
fn attachments_are_not_put_into_a_file_that_may_have_lost_its_name() {
    for crash in [Crash::KeepAll, Crash::LoseAll] {
        let disk = SimStorage::new();
        let (_engine, shard) = half_swapped(&disk);
        let failed = shard.durable_state().store.clone();
        let atts = vec![brought("brought", &[8; 3000])];
        put(&shard, DocEdit { atts, ..edit("brought", RevPath::default(), "{}") });
        assert!(failed.has_failed());
        // Nor is a place taken there: in the other file something may stand at it.
        assert_eq!(failed.unwritten().bytes(), 0);
        let atts = vec![upload(&shard, "uploaded", &[7; 3000])];
        put(&shard, DocEdit { atts, ..edit("uploaded", RevPath::default(), "{}") });
        disk.crash(crash);
        let engine = open(&disk);
        let shard = engine.shard(&shard_id()).unwrap();
        assert_eq!(download(&shard, "brought", "brought"), [8; 3000]);
        assert_eq!(download(&shard, "uploaded", "uploaded"), [7; 3000]);
        shard.compact_now().unwrap();
        assert_eq!(download(&shard, "brought", "brought"), [8; 3000]);
    }
}

#[test]
fn a_chunk_that_only_one_of_two_files_has_is_brought_again() {
    let bytes = [8; 3000];
    for crash in [Crash::KeepAll, Crash::LoseAll] {
        let disk = SimStorage::new();
        let prepare = |engine: &Engine, shard: &Arc<Shard>| {
            let atts = vec![brought("att", &bytes)];
            let rev = put(shard, DocEdit { atts, ..edit("first", RevPath::default(), "{}") });
            shard.checkpoint().unwrap();
            // Nothing refers to its bytes any more: the copy will not have them.
            put(shard, deletion("first", &rev));
            try_put(engine, "second").unwrap();
        };
        let (_engine, shard) = half_swapped_after(&disk, prepare);
        let again = DocEdit {
            atts: vec![brought("att", &bytes)],
            ..edit("again", RevPath::default(), "{}")
        };
        put(&shard, again);
        disk.crash(crash);
        let engine = open(&disk);
        let shard = engine.shard(&shard_id()).unwrap();
        assert_eq!(download(&shard, "again", "att"), bytes);
    }
}

#[test]
fn a_shard_that_met_a_failure_that_is_over_goes_on() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    try_put(&engine, "before").unwrap();
    // As if it had been opened while the log was put in order.
    shard.fail(Error::Closed);
    assert!(try_put(&engine, "refused").is_err());
    engine.look_after();
    try_put(&engine, "after").unwrap();
    shard.checkpoint().unwrap();
    assert!(shard.is_saved());
}

#[test]
fn an_upload_keeps_a_chunk_that_no_document_names_any_more() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let bytes = vec![7; 256 << 10];
    let atts = vec![upload(&shard, "att", &bytes)];
    let rev = put(&shard, DocEdit { atts, ..edit("a", RevPath::default(), "{}") });
    put(&shard, deletion("a", &rev));
    let mut writer = shard.chunk_writer();
    writer.write(&bytes).unwrap();
    shard.compact_now().unwrap();
    let (chunks, hold) = writer.finish().unwrap();
    let atts = vec![attachment("att", content(&bytes, chunks), hold)];
    put(&shard, DocEdit { atts, ..edit("b", RevPath::default(), "{}") });
    assert!(download(&shard, "b", "att") == bytes);
}

#[test]
fn attachments_that_go_one_after_the_other_are_all_kept_whatever_compaction_does_in_between() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let mut writer = shard.chunk_writer();
    let mut atts = Vec::new();
    // The last is the first again.
    let each = [(0, 300_000), (1, 20), (2, 600_000), (0, 300_000)];
    let bytes = |(seed, length): (u64, usize)| noise(seed + 1, length).into_bytes();
    for (number, what) in each.into_iter().enumerate() {
        let (one, two) = (bytes(what), 10 * number);
        writer.write(&one[..two]).unwrap();
        shard.compact_now().unwrap();
        writer.write(&one[two..]).unwrap();
        let (chunks, hold) = writer.finish().unwrap();
        atts.push(attachment(&format!("{number}"), content(&one, chunks), hold));
        shard.compact_now().unwrap();
    }
    drop(writer);
    shard.compact_now().unwrap();
    put(&shard, DocEdit { atts, ..edit("a", RevPath::default(), "{}") });
    shard.compact_now().unwrap();
    disk.crash(Crash::LoseAll);
    let shard = open(&disk).shard(&shard_id()).unwrap();
    for (number, what) in each.into_iter().enumerate() {
        assert!(download(&shard, "a", &format!("{number}")) == bytes(what), "{number}");
    }
}

#[test]
fn who_waits_for_what_the_log_lost_is_told_so() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    // A writer that found nothing to do after a frame which the log loses meanwhile.
    shard.fail(Error::Closed);
    let number = shard.durable_state().counters.number + 1;
    shard.when_durable(number, Box::new(move |result| drop(tell.send(result))));
    shard.resume();
    try_put(&engine, "other").unwrap();
    assert!(matches!(told.try_recv(), Ok(Err(Error::Closed))));
}

#[test]
fn a_damaged_shard_can_be_dropped() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    engine.create_shard(&shard_id()).unwrap();
    try_put(&engine, "a").unwrap();
    engine.close().unwrap();
    for offset in [20, 4096 + 20] {
        disk.flip_bit(&shard_id().file(), offset);
    }
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    assert!(matches!(engine.shard(&shard_id()), Err(Error::Corrupt { .. })));
    engine.drop_shard(&shard_id()).unwrap();
    engine.create_shard(&shard_id()).unwrap();
    try_put(&engine, "b").unwrap();
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    assert_eq!(engine.shard(&shard_id()).unwrap().snapshot().update_seq(), 1);
}

#[test]
fn a_log_that_cannot_be_written_is_not_tried_all_the_time() {
    let disk = SimStorage::new();
    let options = Options { workers: 1, shard_dirty_bytes: 100, dirty_bytes: 100, ..options() };
    let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
    engine.create_shard(&shard_id()).unwrap();
    for n in 0..10 {
        try_put(&engine, &format!("doc-{n}")).unwrap();
    }
    disk.set_capacity(Some(0));
    assert!(try_put(&engine, "full").is_err());
    let before = disk.operations();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(disk.operations() - before < 40, "{} operations", disk.operations() - before);
    disk.set_capacity(None);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while try_put(&engine, "after").is_err() {
        assert!(std::time::Instant::now() < until, "it never goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn full_disk() -> (SimStorage, Engine, settee_model::rev::Rev) {
    let disk = SimStorage::new();
    let options = Options { reserve_bytes: 30_000, ..options() };
    let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
    let shard = engine.create_shard(&shard_id()).unwrap();
    let rev = put(&shard, edit("old", RevPath::default(), "{}"));
    let other = engine.create_shard(&other_id()).unwrap();
    put(&other, edit("large", RevPath::default(), &noise(1, 60_000)));
    other.checkpoint().unwrap();
    engine.look_after();
    disk.set_capacity(Some(disk.used() + 3000));
    let full = (0..100).find_map(|n| try_put(&engine, &format!("doc-{n}")).err());
    assert!(matches!(full, Some(Error::DiskFull { .. })), "{full:?}");
    (disk, engine, rev)
}

fn other_id() -> ShardId {
    ShardId::parse("00000000-ffffffff/other.1").unwrap()
}

#[test]
fn on_a_full_disk_room_can_be_made() {
    let (_disk, engine, rev) = full_disk();
    engine.look_after();
    let shard = engine.shard(&shard_id()).unwrap();
    assert!(matches!(try_put(&engine, "more"), Err(Error::DiskFull { .. })));
    assert!(matches!(
        engine.create_shard(&ShardId::parse("x").unwrap()),
        Err(Error::DiskFull { .. })
    ));
    assert!(matches!(try_upload(&shard, "att", &[7; 9]), Err(Error::DiskFull { .. })));
    put(&shard, deletion("old", &rev));
    write(&shard, purge("uuid", "old", &[rev]));
    shard.compact_now().unwrap();
    engine.look_after();
    assert!(matches!(try_put(&engine, "more"), Err(Error::DiskFull { .. })));
    engine.drop_shard(&other_id()).unwrap();
    engine.look_after();
    try_put(&engine, "more").unwrap();
}

#[test]
fn a_shard_is_dropped_at_once_from_a_full_disk() {
    let (_disk, engine, _) = full_disk();
    engine.drop_shard(&other_id()).unwrap();
    engine.look_after();
    try_put(&engine, "more").unwrap();
}

#[test]
fn a_damaged_shard_does_not_hold_the_log() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    try_put(&engine, "a").unwrap();
    shard.checkpoint().unwrap();
    try_put(&engine, "b").unwrap();
    engine.create_shard(&other_id()).unwrap();
    let damage = |disk: &SimStorage| disk.flip_bit(&shard_id().file(), 20);
    damage(&disk);
    let work = |engine: &Engine, round: usize| {
        let other = engine.shard(&other_id()).unwrap();
        for n in 0..10 {
            put(&other, edit(&format!("{round}-{n}"), RevPath::default(), "{}"));
        }
        other.checkpoint().unwrap();
        engine.trim().unwrap();
        crate::io::Storage::list(&disk, "log").unwrap().len()
    };
    for round in 0..2 {
        disk.crash(Crash::LoseAll);
        let engine = open(&disk);
        assert!(matches!(engine.shard(&shard_id()), Err(Error::Corrupt { .. })));
        assert!(matches!(engine.create_shard(&shard_id()), Err(Error::Corrupt { .. })));
        assert_eq!(work(&engine, round), 1, "the log was not cut");
    }
    let found = check(&disk, &options().log, &mut |_| {}).unwrap().damages;
    assert_eq!(found.len(), 1, "{found:?}");
    // Dropped, nothing of it is left.
    let dropped = disk.fork();
    dropped.crash(Crash::LoseAll);
    let engine = open(&dropped);
    engine.drop_shard(&shard_id()).unwrap();
    for path in [shard_id().file(), shard_id().kept_file()] {
        assert!(crate::io::Storage::open(&dropped, &path).is_err());
    }
    engine.create_shard(&shard_id()).unwrap();
    // Readable again, it has everything.
    damage(&disk);
    assert!(check(&disk, &options().log, &mut |_| {}).unwrap().is_clean());
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    try_put(&engine, "c").unwrap();
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    assert_eq!(engine.shard(&shard_id()).unwrap().snapshot().update_seq(), 3);
    assert!(crate::io::Storage::open(&disk, &shard_id().kept_file()).is_err());
}

#[test]
fn compaction_does_not_rest_while_writers_wait() {
    let disk = SimStorage::new();
    let policy = Policy { bytes_per_second: 100_000, ..options().compaction };
    let options = Options { compaction: policy, ..options() };
    let engine = Engine::open(Arc::new(disk), options).unwrap();
    let shard = engine.create_shard(&shard_id()).unwrap();
    put(&shard, edit("a", RevPath::default(), &noise(1, 150_000)));
    let mut longest = Duration::ZERO;
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| shard.compact_now().unwrap());
        std::thread::sleep(Duration::from_millis(300));
        assert!(!compaction.is_finished());
        put(&shard, edit("b", RevPath::default(), &noise(2, 800_000)));
        for n in 0.. {
            let start = std::time::Instant::now();
            put(&shard, edit(&format!("doc-{n}"), RevPath::default(), "{}"));
            longest = longest.max(start.elapsed());
            if compaction.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(longest < Duration::from_secs(2), "a write waited {longest:?}");
}

#[test]
fn no_write_follows_the_frame_that_drops_its_shard() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    try_put(&engine, "first").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let head = shard.head.lock();
    let number = head.counters.number;
    let write = |id| Write::Interactive(edit(id, RevPath::default(), "{}"));
    let done = Box::new(move |result| tell.send(result).unwrap());
    shard.submit(Batch::of(vec![write("a"), write("b")]), done);
    // The writer has found that the shard takes writes, and waits for its turn.
    std::thread::sleep(Duration::from_millis(100));
    let (_, last) = std::thread::scope(|scope| {
        let end = scope.spawn(|| shard.end());
        std::thread::sleep(Duration::from_millis(100));
        drop(head);
        end.join().unwrap()
    });
    assert!(matches!(told.recv().unwrap(), Err(Error::ShardMissing { .. })));
    assert_eq!(last, number + 1);
    assert_eq!(shard.head.lock().counters.number, number);
}

#[test]
fn the_last_callback_may_hold_the_engine() {
    for _ in 0..20 {
        let disk = SimStorage::new();
        let engine = open(&disk);
        let shard = engine.create_shard(&shard_id()).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let write = Write::Interactive(edit("a", RevPath::default(), "{}"));
        let held = engine.clone();
        let done = move |result: Result<_, Error>| {
            drop(held);
            tell.send(result.map(|_| ())).unwrap();
        };
        shard.submit(Batch::of(vec![write]), Box::new(done));
        drop((shard, engine));
        // Nobody joins the thread that it runs on; whether it was written does not matter.
        let _ = told.recv().unwrap();
    }
}
