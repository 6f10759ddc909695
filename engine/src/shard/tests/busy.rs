//! Many writers, readers and uploads at once, while the engine checkpoints, compacts and closes
//! shards as often as it can; then the power goes.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use settee_model::doc::DocEdit;
use settee_model::rev::{Rev, RevPath};

use super::kit::*;
use crate::compact::Policy;
use crate::io::{Crash, SimStorage};
use crate::shard::{Batch, Outcome, ShardId, Which, Write};
use crate::tree::Direction;
use crate::{Engine, Options, Snapshot};

const ROUNDS: usize = 300;

fn restless() -> Options {
    Options {
        workers: 2,
        writers: 2,
        shard_dirty_bytes: 20 << 10,
        log_bytes: 10_000,
        checkpoint_idle: Duration::ZERO,
        close_idle: Duration::ZERO,
        compaction: Policy { ratio: 1.1, min_file: 0, bytes_per_second: 0, automatic: true },
        ..options()
    }
}

fn name(n: usize) -> ShardId {
    ShardId::parse(&format!("{n:08x}-ffffffff/db.1")).unwrap()
}

/// Shard and document, the last revision that was acknowledged and its attachment.
type Acknowledged = HashMap<(usize, String), (Rev, Vec<u8>)>;

/// Writes documents, new and again, some with attachments.
fn write_some(engine: &Engine, worker: usize, shared: &Mutex<Acknowledged>) {
    let mut acknowledged = Acknowledged::new();
    for round in 0..ROUNDS {
        let n = round % 2;
        let shard = engine.shard(&name(n)).unwrap();
        let id = format!("{worker}-{}", round % 12 / 2);
        let old = acknowledged.get(&(n, id.clone())).map(|(rev, _)| path(rev));
        let bytes = vec![(round * 7 + worker) as u8; if round % 3 == 0 { 500 } else { 20 }];
        let atts = vec![upload(&shard, "att", &bytes)];
        let text = format!("{{\"round\":{round}}}");
        let made = DocEdit { atts, ..edit(&id, old.unwrap_or_default(), &text) };
        let other = edit(&format!("{worker}-once-{round}"), RevPath::default(), "{}");
        let writes = vec![Write::Interactive(made), Write::Interactive(other)];
        let outcomes = shard.write(Batch::of(writes)).unwrap();
        let Outcome::Written(rev) = &outcomes[0] else { panic!("{outcomes:?}") };
        acknowledged.insert((n, id.clone()), (rev.clone(), bytes.clone()));
        shared.lock().insert((n, id), (rev.clone(), bytes));
    }
}

/// Takes the power from a copy of the disk and looks what is left there.
fn lose_power(disk: &SimStorage, acknowledged: &Mutex<Acknowledged>) {
    let acknowledged = acknowledged.lock().clone();
    let disk = disk.fork();
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    for ((n, id), (rev, _)) in acknowledged {
        let snapshot = engine.shard(&name(n)).unwrap().snapshot();
        let head = snapshot.head(&doc_id(&id)).unwrap().unwrap();
        assert!(head.winner.pos >= rev.pos, "{id}: {} is gone", rev);
    }
    (0..2).for_each(|n| look_around(&engine.shard(&name(n)).unwrap().snapshot()));
}

/// Everything that hangs together in a snapshot.
fn look_around(snapshot: &Snapshot) {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let counts = snapshot.counts().unwrap();
    let rows: Vec<_> = snapshot.docs(&all, Direction::Forward, Which::Live).collect();
    assert_eq!(rows.len() as u64, counts.doc_count);
    let changes: Vec<_> =
        snapshot.changes(0, Direction::Backward).map(|change| change.unwrap()).collect();
    assert_eq!(changes.len(), rows.len());
    assert_eq!(changes.first().map_or(0, |change| change.seq), snapshot.update_seq());
    for row in rows {
        let record = snapshot.record(row.unwrap().head.body.unwrap()).unwrap();
        for att in &record.atts {
            att.content.chunks.iter().for_each(|chunk| drop(snapshot.chunk(chunk).unwrap()));
        }
    }
}

#[test]
fn nothing_is_lost_or_torn_while_everything_happens_at_once() {
    let disk = SimStorage::new();
    let engine = Engine::open(Arc::new(disk.clone()), restless()).unwrap();
    (0..2).for_each(|n| drop(engine.create_shard(&name(n)).unwrap()));
    let done = AtomicBool::new(false);
    let acknowledged = Mutex::new(Acknowledged::new());
    let shards = || (0..2).map(|n| engine.shard(&name(n)).unwrap());
    let until_done = |work: &dyn Fn()| {
        while !done.load(Ordering::Relaxed) {
            work();
        }
    };
    let write = |worker| write_some(&engine, worker, &acknowledged);
    std::thread::scope(|scope| {
        scope.spawn(|| until_done(&|| shards().for_each(|shard| look_around(&shard.snapshot()))));
        scope.spawn(|| until_done(&|| shards().for_each(|shard| shard.compact_now().unwrap())));
        scope.spawn(|| until_done(&|| lose_power(&disk, &acknowledged)));
        let write = &write;
        let writers: Vec<_> = (0..4).map(|worker| scope.spawn(move || write(worker))).collect();
        let results: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::Relaxed);
        results.into_iter().for_each(Result::unwrap);
    });
    disk.crash(Crash::LoseAll);
    let engine = open(&disk);
    for ((n, id), (rev, bytes)) in acknowledged.into_inner() {
        let shard = engine.shard(&name(n)).unwrap();
        assert_eq!(shard.snapshot().head(&doc_id(&id)).unwrap().unwrap().winner, rev);
        assert_eq!(download(&shard, &id, "att"), bytes);
    }
    let counts = |n| engine.shard(&name(n)).unwrap().snapshot().counts().unwrap().doc_count;
    assert_eq!(counts(0) + counts(1), 4 * (ROUNDS as u64 + 12));
}
