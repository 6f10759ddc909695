//! Disks that fill up or fail: what was acknowledged stays readable, and when the trouble is over
//! everything goes on without a restart.

use std::sync::Arc;

use settee_model::doc::{AttContent, DocEdit, Encoding};
use settee_model::rev::RevPath;

use super::kit::*;
use super::model::contents;
use crate::io::{Crash, Fault, SimStorage};
use crate::shard::{Batch, Shard, Write};
use crate::{Engine, Error};

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
    let measure = |disk: &SimStorage, fail: Option<u64>| {
        let engine = open(disk);
        let shard = engine.create_shard(&shard_id()).unwrap();
        try_put(&engine, "first").unwrap();
        shard.checkpoint().unwrap();
        try_put(&engine, "second").unwrap();
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
        let atts = vec![upload(&shard, "att", &[7; 3000])];
        put(&shard, DocEdit { atts, ..edit("third", RevPath::default(), "{}") });
        disk.crash(crash);
        let engine = open(&disk);
        assert_eq!(download(&engine.shard(&shard_id()).unwrap(), "third", "att"), [7; 3000]);
    }
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
    let length = bytes.len() as u64;
    let encoding = Encoding::Identity;
    let content = AttContent { encoding, length, stored_length: length, md5: [0; 16], chunks };
    let atts = vec![attachment("att", content, hold)];
    put(&shard, DocEdit { atts, ..edit("b", RevPath::default(), "{}") });
    assert!(download(&shard, "b", "att") == bytes);
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
