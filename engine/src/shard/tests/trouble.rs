//! Disks that fill up or fail: what was acknowledged stays readable, and when the trouble is over
//! everything goes on without a restart.

use std::sync::Arc;

use settee_model::rev::RevPath;

use super::kit::*;
use super::model::contents;
use crate::io::{Crash, Fault, SimStorage};
use crate::shard::{Batch, Write};
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
