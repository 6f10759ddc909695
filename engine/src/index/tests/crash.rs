//! The same work again and again with a fault at each operation of the disk in turn. Afterwards the
//! index must be as it was at some moment, not before the last checkpoint that was finished.

use super::*;
use crate::io::{Crash, Fault};

const BATCHES: u64 = 6;

fn batch(number: u64) -> Model {
    let rows = |n: u64| {
        let count = (n * 7 + number) % 4;
        (0..count).map(|k| (format!("k{}", (n + k * number) % 5), format!("{number}"))).collect()
    };
    (0..25)
        .filter(|n| !(n + number).is_multiple_of(3))
        .map(|n| (format!("d{n}"), rows(n)))
        .collect()
}

fn model(batches: u64) -> Model {
    (1..=batches).flat_map(batch).collect()
}

/// Does the work until something fails; answers with the batches that were saved.
fn work(engine: &Engine, shard: &Arc<Shard>) -> Result<u64, (u64, Error)> {
    let mut saved = 0;
    let mut go = || {
        let index = engine.index(shard, SIGNATURE, &reducers)?;
        for number in 1..=BATCHES {
            let docs: Vec<_> = batch(number).iter().map(|(id, rows)| doc_rows(id, rows)).collect();
            let from = index.snapshot().position();
            assert!(index.apply(&docs, from, position(shard, number))?);
            match number {
                1 | 2 | 4 => index.checkpoint()?,
                3 => index.compact()?,
                5 => index.replan(Bytes::from_static(b"plan"), reducers(b"plan")?)?,
                _ => {}
            }
            if number < BATCHES {
                saved = number;
            }
        }
        Ok(())
    };
    match go() {
        Ok(()) => Ok(saved),
        Err(error) => Err((saved, error)),
    }
}

fn is_sound(engine: &Engine, shard: &Shard, at_least: u64) {
    let index = index(engine, shard);
    let snapshot = index.snapshot();
    let at = snapshot.position().update_seq;
    assert!((at_least..=BATCHES).contains(&at), "{at} of {at_least}");
    let rows = sorted(&model(at));
    assert_eq!(found(&snapshot), rows);
    let all: String = rows.iter().map(|(_, value)| value.as_str()).collect();
    let cut = all.len().saturating_sub(snapshot.plan().len());
    assert_eq!(snapshot.reduce(&ALL).unwrap(), all.as_bytes()[cut..]);
}

/// Whether the fault was met.
fn run(operation: u64, fault: Fault, crash: Crash) -> bool {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = shard(&engine, 10);
    let before = disk.operations();
    disk.fail_at(before + operation, fault);
    let done = work(&engine, &shard);
    let saved = match &done {
        Ok(saved) | Err((saved, _)) => *saved,
    };
    if let (Err(_), Fault::Fail) = (&done, fault) {
        // Without a crash it goes on, maybe from the beginning.
        let index = index(&engine, &shard);
        let at = index.snapshot().position().update_seq;
        assert_eq!(found(&index.snapshot()), sorted(&model(at)));
        index.checkpoint().unwrap();
        is_sound(&engine, &shard, at);
    }
    let met = disk.operations() > before + operation;
    drop(shard);
    disk.crash(crash);
    drop(engine);
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    // After a sync that failed without a crash the index may have begun anew.
    is_sound(&engine, &shard, if fault == Fault::PowerCut { saved } else { 0 });
    met
}

#[test]
fn a_power_cut_loses_only_what_was_not_saved() {
    for crash in [
        Crash::LoseAll,
        Crash::KeepAll,
        Crash::Tear { sector: 512, seed: 1 },
        Crash::Tear { sector: 4096, seed: 2 },
        Crash::Tear { sector: 512, seed: 3 },
    ] {
        let mut operation = 0;
        while run(operation, Fault::PowerCut, crash) {
            operation += 1;
        }
        assert!(operation > 20, "{operation}");
    }
}

#[test]
fn an_operation_that_fails_leaves_an_index_that_goes_on() {
    let mut operation = 0;
    while run(operation, Fault::Fail, Crash::LoseAll) {
        operation += 1;
    }
    assert!(operation > 20, "{operation}");
}
