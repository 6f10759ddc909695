//! Far more shards than may be open at once, on a system that lets few files be open.

use std::sync::Arc;

use settee_model::rev::RevPath;

use super::kit::*;
use crate::io::{Crash, SimStorage};
use crate::shard::ShardId;
use crate::{Engine, Options};

const SHARDS: usize = 60;
const MAY_BE_OPEN: usize = 10;
const HANDLES: usize = MAY_BE_OPEN + 10;

fn start(disk: &SimStorage) -> Engine {
    let options = Options { open_shards: MAY_BE_OPEN, ..options() };
    Engine::open(Arc::new(disk.clone()), options).unwrap()
}

fn name(n: usize) -> ShardId {
    ShardId::parse(&format!("{n:08x}-ffffffff/db.1")).unwrap()
}

fn docs(engine: &Engine, n: usize) -> u64 {
    engine.shard(&name(n)).unwrap().snapshot().counts().unwrap().doc_count
}

/// A disk whose log has something for each of many shards, half of which have a file.
fn crowd() -> SimStorage {
    let disk = SimStorage::new();
    let engine = open(&disk);
    for n in 0..SHARDS {
        let shard = engine.create_shard(&name(n)).unwrap();
        put(&shard, edit("a", RevPath::default(), "{}"));
        if n % 2 == 0 {
            shard.checkpoint().unwrap();
        }
        put(&shard, edit("b", RevPath::default(), "{}"));
    }
    disk.crash(Crash::KeepAll);
    disk
}

#[test]
fn a_start_needs_no_more_files_than_may_be_open() {
    let disk = crowd();
    disk.set_handles(Some(HANDLES));
    for _ in 0..2 {
        let engine = start(&disk);
        for n in 0..SHARDS {
            assert_eq!(docs(&engine, n), 2);
        }
        disk.crash(Crash::KeepAll);
    }
}

#[test]
fn shards_are_made_and_used_beyond_what_may_be_open() {
    let disk = SimStorage::new();
    disk.set_handles(Some(HANDLES));
    let engine = start(&disk);
    for n in 0..SHARDS {
        let shard = engine.create_shard(&name(n)).unwrap();
        put(&shard, edit("a", RevPath::default(), "{}"));
    }
    engine.look_after();
    for n in 0..SHARDS {
        put(&engine.shard(&name(n)).unwrap(), edit("b", RevPath::default(), "{}"));
        assert!(disk.open_files() <= HANDLES);
    }
    engine.close().unwrap();
    drop(engine);
    let engine = start(&disk);
    (0..SHARDS).for_each(|n| assert_eq!(docs(&engine, n), 2));
}

#[test]
fn memory_is_given_back_while_the_log_is_read() {
    let disk = crowd();
    let options = Options { dirty_bytes: 1000, ..options() };
    let engine = Engine::open(Arc::new(disk), options).unwrap();
    assert!(engine.dirty_bytes() <= 2000, "{}", engine.dirty_bytes());
}
