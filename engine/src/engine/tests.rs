//! Whose turn it is: who only looks never waits, and who wants the same shard does. Engines without
//! threads.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use settee_model::rev::RevPath;

use super::registry::Claim;
use crate::io::SimStorage;
use crate::shard::tests::kit::{doc_id, edit, open, options, put, shard_id};
use crate::shard::{Batch, ShardId, Write};
use crate::{Engine, Error, Options};

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

#[test]
fn room_is_made_while_shards_are_used() {
    const SHARDS: usize = 200;
    let disk = SimStorage::new();
    let options = Options { open_shards: SHARDS, ..options() };
    let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
    let name = |number| ShardId::parse(&format!("00000000-ffffffff/db{number}.1")).unwrap();
    let shards: Vec<_> =
        (0..SHARDS).map(|number| engine.create_shard(&name(number)).unwrap()).collect();
    std::thread::scope(|scope| {
        let room = scope.spawn(|| {
            (0..3000).for_each(|_| engine.0.registry.make_room(&engine.0.env));
        });
        // The one that was used longest ago and the one that was just used trade places all the time.
        let used = (0..).take_while(|_| !room.is_finished());
        for shard in used.filter_map(|turn: usize| shards.get(turn * 79 % SHARDS)) {
            disk.advance(Duration::from_millis(1));
            shard.touch();
        }
        assert!(room.join().is_ok());
    });
}

#[test]
fn without_threads_nothing_happens_until_it_is_somebodys_turn() {
    let options = Options { threads: false, ..options() };
    let engine = Engine::open(Arc::new(SimStorage::new()), options).unwrap();
    let shard = engine.create_shard(&shard_id()).unwrap();
    let (tell, told) = mpsc::channel();
    let write = Write::Interactive(edit("a", RevPath::default(), "{}"));
    shard.submit(Batch::of(vec![write]), Box::new(move |result| tell.send(result).unwrap()));
    assert!(told.try_recv().is_err());
    assert!(shard.snapshot().doc(&doc_id("a")).unwrap().is_none());
    while engine.turn() {}
    told.try_recv().unwrap().unwrap();
    assert!(shard.snapshot().doc(&doc_id("a")).unwrap().is_some());
    // Who must wait does itself what it waits for.
    put(&shard, edit("b", RevPath::default(), "{}"));
    shard.checkpoint().unwrap();
    shard.compact_now().unwrap();
    drop(shard);
    engine.drop_shard(&shard_id()).unwrap();
    engine.close().unwrap();
}
