//! A long stretch of changes on many threads: one reads the changes, several map documents, one puts rows
//! into the indexes while the next ones are mapped, and the calling one puts batches back into their
//! order. All that waits between them is bounded. Never decides which indexes go on together, nor
//! how far (see `build`).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use settee_engine::Error;
use settee_engine::index::DocRows;
use settee_engine::shard::Change;

use super::{Build, BuildError, Stretch};
use crate::view::work::{MapRows, rows_of};

/// Changes of a batch.
const BATCH: usize = 256;
/// Batches that may be under way.
const WINDOW: usize = 64;
/// Rows are put in when they take so much memory, so that little is left to do at the end.
const CHUNK: usize = 4 << 20;
/// They are saved when so much was put in, or so much time has passed.
const SAVED: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(3);

/// How many batches there are is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// A number, and the changes of the batch that has it.
type Job = (u64, Result<Vec<Change>, Error>);

/// A batch that was mapped.
struct Done {
    number: u64,
    changes: u64,
    last: u64,
    rows: Result<MapRows, BuildError>,
}

/// Rows that are in order and wait to be put in.
#[derive(Default)]
struct Chunk {
    rows: MapRows,
    memory: usize,
    changes: u64,
    last: u64,
}

pub(super) fn run(build: &Build<'_>, stretch: &Stretch<'_>) -> Result<(), BuildError> {
    let (permits, taken) = channel();
    for _ in 0..WINDOW {
        let _ = permits.send(());
    }
    let (jobs, waiting) = sync_channel(build.threads);
    let (mapped, results) = sync_channel(WINDOW);
    let (chunks, to_write) = sync_channel(0);
    let batches = AtomicU64::new(UNKNOWN);
    let all = &batches;
    thread::scope(|scope| {
        scope.spawn(move || read(stretch, &taken, &jobs, all));
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..build.threads {
            let (waiting, mapped) = (waiting.clone(), mapped.clone());
            map_on_thread(scope, build, stretch, waiting, mapped)?;
        }
        drop((waiting, mapped));
        let writer = scope.spawn(move || write(build, stretch, &to_write));
        let collected = collect(stretch, &results, &permits, &chunks, all);
        drop((chunks, results, permits));
        let written = writer.join().unwrap_or(Err(BuildError::Stopped));
        // If the writer failed, the collector only knows that nobody takes its chunks.
        written.and(collected)
    })
}

/// Cuts the changes into batches and says how many these are; ends when nobody takes them.
fn read(
    stretch: &Stretch<'_>,
    permits: &Receiver<()>,
    jobs: &SyncSender<Job>,
    batches: &AtomicU64,
) {
    let mut changes = stretch.changes().peekable();
    let mut number = 0;
    while changes.peek().is_some() {
        if permits.recv().is_err() {
            return;
        }
        let batch = changes.by_ref().take(BATCH).collect();
        if jobs.send((number, batch)).is_err() {
            return;
        }
        number += 1;
    }
    batches.store(number, Ordering::Release);
}

fn map_on_thread<'scope>(
    scope: &'scope Scope<'scope, '_>,
    build: &'scope Build<'_>,
    stretch: &'scope Stretch<'_>,
    waiting: Arc<Mutex<Receiver<Job>>>,
    mapped: SyncSender<Done>,
) -> Result<(), BuildError> {
    let builder = thread::Builder::new().name("settee-map".into());
    let builder = builder.stack_size(stretch.program.stack());
    let spawned = builder.spawn_scoped(scope, move || {
        build.pace.begin();
        map(build, stretch, &waiting, &mapped);
    });
    spawned.map(drop).map_err(|error| Error::io("start a thread", "settee-map", error).into())
}

fn map(
    build: &Build<'_>,
    stretch: &Stretch<'_>,
    waiting: &Mutex<Receiver<Job>>,
    mapped: &SyncSender<Done>,
) {
    let mut runner = stretch.program.runner();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok((number, changes)) = next() {
        let count = changes.as_ref().map_or(0, |changes| changes.len() as u64);
        let last = changes.as_ref().ok().and_then(|changes| changes.last()).map_or(0, |c| c.seq);
        let rows = changes.map_err(BuildError::from);
        let work = |changes: Vec<_>| {
            let mapped = || rows_of(stretch.snapshot, &stretch.program, &mut runner, &changes);
            // A thread that ended here would be waited for by all others.
            catch_unwind(AssertUnwindSafe(mapped)).unwrap_or(Err(BuildError::Stopped))
        };
        let rows = rows.and_then(work);
        let go_on = build.pace.go_on();
        let rows = if go_on { rows } else { Err(BuildError::Stopped) };
        if mapped.send(Done { number, changes: count, last, rows }).is_err() {
            return;
        }
    }
    stretch.program.give_back(runner);
}

/// Hands chunks to the writer, in order. After an error what came before it is handed over.
fn collect(
    stretch: &Stretch<'_>,
    results: &Receiver<Done>,
    permits: &Sender<()>,
    chunks: &SyncSender<Chunk>,
    batches: &AtomicU64,
) -> Result<(), BuildError> {
    let empty = || Chunk { rows: vec![Vec::new(); stretch.targets.len()], ..Chunk::default() };
    let (mut ahead, mut next) = (BTreeMap::new(), 0);
    let (mut chunk, mut since) = (empty(), Instant::now());
    let hand_over = |chunk: Chunk| chunks.send(chunk).map_err(|_| BuildError::Stopped);
    while let Ok(done) = results.recv() {
        ahead.insert(done.number, done);
        while let Some(done) = ahead.remove(&next) {
            next += 1;
            match done.rows {
                Ok(rows) => chunk.add(rows, done.changes, done.last),
                Err(error) => {
                    if chunk.changes > 0 {
                        hand_over(chunk)?;
                    }
                    return Err(error);
                }
            }
            // Nobody reads more changes when there are none.
            let _ = permits.send(());
        }
        if chunk.memory >= CHUNK || (chunk.changes > 0 && since.elapsed() >= PATIENCE) {
            hand_over(std::mem::replace(&mut chunk, empty()))?;
            since = Instant::now();
        }
    }
    // A thread that ended before its time leaves a gap.
    if next != batches.load(Ordering::Acquire) {
        return Err(BuildError::Stopped);
    }
    chunk.last = stretch.to;
    hand_over(chunk)
}

impl Chunk {
    fn add(&mut self, rows: MapRows, changes: u64, last: u64) {
        for (all, rows) in self.rows.iter_mut().zip(rows) {
            self.memory += rows.iter().map(DocRows::memory).sum::<usize>();
            all.extend(rows);
        }
        self.changes += changes;
        self.last = last;
    }
}

fn write(
    build: &Build<'_>,
    stretch: &Stretch<'_>,
    chunks: &Receiver<Chunk>,
) -> Result<(), BuildError> {
    let mut from = stretch.from;
    let (mut unsaved, mut since) = (0, Instant::now());
    while let Ok(chunk) = chunks.recv() {
        unsaved += chunk.memory;
        let save = unsaved >= SAVED || since.elapsed() >= PATIENCE || chunk.last == stretch.to;
        stretch.apply(&chunk.rows, from, chunk.last, save)?;
        if save {
            (unsaved, since) = (0, Instant::now());
        }
        build.progress.done.fetch_add(chunk.changes, Ordering::Relaxed);
        from = chunk.last;
    }
    Ok(())
}
