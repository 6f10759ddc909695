//! Whose turn it is: who only looks never waits, and who wants the same shard does.

use std::sync::mpsc;
use std::time::Duration;

use super::registry::Claim;
use crate::Error;
use crate::io::SimStorage;
use crate::shard::tests::kit::{open, shard_id};

#[test]
fn a_shard_is_opened_by_one_while_others_look_elsewhere() {
    let engine = open(&SimStorage::new());
    let (env, registry, id) = (&engine.0.env, &engine.0.registry, shard_id());
    let Ok(Claim::Turn(turn)) = registry.claim(env, &id) else { panic!("somebody has it") };
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| tell.send(engine.create_shard(&id).map(drop)).unwrap());
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        // Neither of these waits.
        assert!(engine.shard_if_open(&id).is_none());
        engine.trim().unwrap();
        engine.look_after();
        drop(turn);
        told.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
    });
    assert!(engine.shard_if_open(&id).is_some());
}

#[test]
fn a_drop_that_fails_leaves_the_shard_as_it_was() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    engine.create_shard(&shard_id()).unwrap();
    disk.fail_at(disk.operations(), crate::io::Fault::Fail);
    assert!(engine.drop_shard(&shard_id()).is_err());
    engine.look_after();
    assert!(engine.shard(&shard_id()).is_ok());
    engine.drop_shard(&shard_id()).unwrap();
    assert!(matches!(engine.shard(&shard_id()), Err(Error::ShardMissing { .. })));
}
