//! Bringing indexes of one shard up to date. Indexes that stand at the same change go on together, so
//! that each document is read and parsed once; those that lag behind come first. Documents are mapped
//! on several threads, rows are put in by one, in the order of the changes, and saved from time to time.
//! Never decides when.

mod pipeline;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use settee_engine::index::{DocRows, Position};
use settee_engine::shard::Change;
use settee_engine::tree::Direction;
use settee_engine::{Error, Index, Shard, Snapshot};

use super::mapper::{Program, Programs};
use super::work::{MapRows, rows_of};
use crate::js;

/// So few changes are not worth starting threads for.
const FEW: u64 = 64;
/// Purged documents that are taken out at once.
const PURGES: usize = 1000;

/// Why indexes are not up to date.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Shard or index could not be read or written. [`Error::Corrupt`] may mean that an index is
    /// damaged: it can be dropped and made again.
    #[error(transparent)]
    Engine(#[from] Error),
    /// A map reached a limit, is no function, or asked for the query to fail.
    #[error(transparent)]
    Script(#[from] js::Error),
    /// The [`Pace`] ended it, or somebody else changed an index.
    #[error("stopped")]
    Stopped,
}

/// How hard a build works.
pub trait Pace: Sync {
    /// Called at the beginning of each thread that maps, e.g. to lower its priority.
    fn begin(&self) {}

    /// Called by each of these threads after each batch; may wait. `false` ends the build; what was
    /// done until then is kept.
    fn go_on(&self) -> bool {
        true
    }
}

/// No waiting, no end.
impl Pace for () {}

/// How far a build is, in changes.
#[derive(Debug, Default)]
pub struct Progress {
    /// Changes whose rows are in the indexes.
    pub done: AtomicU64,
    /// Changes that there are to be read.
    pub total: AtomicU64,
}

/// An index and the map that makes its rows, by its number in the definition.
#[derive(Clone)]
pub struct Target {
    /// Which map.
    pub map: usize,
    /// Its index.
    pub index: Arc<Index>,
}

/// What it takes to bring indexes of one shard up to date.
pub struct Build<'a> {
    /// The maps.
    pub programs: &'a Programs,
    /// The shard.
    pub shard: &'a Shard,
    /// Its indexes, each once.
    pub targets: &'a [Target],
    /// Threads that map; without any, and if there is little to do, the calling thread does all. It
    /// then needs stack for the maps (see [`js`]).
    pub threads: usize,
    /// How hard to work.
    pub pace: &'a dyn Pace,
    /// Where to say how far it is.
    pub progress: &'a Progress,
}

/// Indexes that go on together over some changes.
struct Stretch<'a> {
    snapshot: &'a Snapshot,
    targets: Vec<&'a Target>,
    program: Arc<Program>,
    from: u64,
    to: u64,
}

impl Build<'_> {
    /// Reads the shard to what is its end now. If others build these indexes meanwhile, nothing breaks,
    /// but work is done twice, and one of them stops.
    ///
    /// # Errors
    /// See [`BuildError`]. What was done until then is kept.
    pub fn run(&self) -> Result<(), BuildError> {
        let targets: Vec<&Target> = self.targets.iter().collect();
        let snapshot = self.shard.snapshot();
        let mut furthest_back = snapshot.update_seq();
        for target in &targets {
            let position = prepare(&target.index, &snapshot)?;
            furthest_back = furthest_back.min(position.update_seq);
        }
        let total = snapshot.count_changes_since(furthest_back)?;
        self.progress.total.store(total, Ordering::Relaxed);
        self.progress.done.store(0, Ordering::Relaxed);
        while let Some(stretch) = self.next(&snapshot, &targets) {
            let few = snapshot.count_changes_since(stretch.from)? <= FEW;
            if self.threads == 0 || few {
                self.go(&stretch)?;
            } else {
                pipeline::run(self, &stretch)?;
            }
        }
        Ok(())
    }

    /// The indexes that are furthest back, and how far they go before others join them.
    fn next<'a>(&self, snapshot: &'a Snapshot, targets: &[&'a Target]) -> Option<Stretch<'a>> {
        let at = |target: &&Target| target.index.snapshot().position().update_seq;
        let from = targets.iter().map(at).min()?;
        let ahead = targets.iter().map(at).filter(|seq| *seq > from).min();
        let to = ahead.unwrap_or(snapshot.update_seq());
        if from >= to {
            return None;
        }
        let targets: Vec<&Target> =
            targets.iter().filter(|target| at(target) == from).copied().collect();
        let maps: Vec<usize> = targets.iter().map(|target| target.map).collect();
        Some(Stretch { snapshot, targets, program: self.programs.of(&maps), from, to })
    }

    /// Does all on this thread. Rows are saved later, with others.
    fn go(&self, stretch: &Stretch<'_>) -> Result<(), BuildError> {
        let mut runner = stretch.program.runner();
        let mut batch = Vec::new();
        let mut from = stretch.from;
        let mut changes = stretch.changes().peekable();
        while let Some(change) = changes.next().transpose()? {
            let seq = change.seq;
            batch.push(change);
            if batch.len() as u64 >= FEW || changes.peek().is_none() {
                let to = if changes.peek().is_none() { stretch.to } else { seq };
                let rows = rows_of(stretch.snapshot, &stretch.program, &mut runner, &batch)?;
                stretch.apply(&rows, from, to, false)?;
                self.progress.done.fetch_add(batch.len() as u64, Ordering::Relaxed);
                batch.clear();
                from = to;
                if !self.pace.go_on() {
                    return Err(BuildError::Stopped);
                }
            }
        }
        stretch.program.give_back(runner);
        // There may be no changes at all, as each document has only its last.
        if from < stretch.to {
            stretch.apply(&vec![Vec::new(); stretch.targets.len()], from, stretch.to, false)?;
        }
        Ok(())
    }
}

impl Stretch<'_> {
    fn changes(&self) -> impl Iterator<Item = Result<Change, Error>> + use<'_> {
        let to = self.to;
        let changes = self.snapshot.changes(self.from, Direction::Forward);
        changes.take_while(move |change| change.as_ref().map_or(true, |change| change.seq <= to))
    }

    /// Puts rows into all indexes, and saves them if asked to; each on a thread of its own.
    fn apply(&self, rows: &MapRows, from: u64, to: u64, save: bool) -> Result<(), BuildError> {
        let one = |target: &Target, rows: &[DocRows]| {
            let (index, snapshot) = (&target.index, self.snapshot);
            let at = |seq| Position {
                epoch: snapshot.epoch(),
                update_seq: seq,
                purge_seq: snapshot.purge_seq(),
            };
            if !index.apply(rows, at(from), at(to))? {
                return Err(BuildError::Stopped);
            }
            if save {
                index.checkpoint()?;
            }
            Ok(())
        };
        let mut work = self.targets.iter().zip(rows);
        let Some((first, first_rows)) = work.next() else { return Ok(()) };
        std::thread::scope(|scope| {
            let others: Vec<_> = work.map(|(target, rows)| (save, target, rows)).collect();
            if !save {
                one(first, first_rows)?;
                return others.iter().try_for_each(|(_, target, rows)| one(target, rows));
            }
            let one = &one;
            let threads: Vec<_> = others
                .into_iter()
                .map(|(_, target, rows)| scope.spawn(move || one(target, rows)))
                .collect();
            let done = one(first, first_rows);
            threads.into_iter().fold(done, |done, thread| {
                done.and(thread.join().unwrap_or(Err(BuildError::Stopped)))
            })
        })
    }
}

/// Has an index begin anew if it cannot go on from where it is, and takes out what was purged.
fn prepare(index: &Index, snapshot: &Snapshot) -> Result<Position, BuildError> {
    let at = index.snapshot().position();
    let now = Position { update_seq: 0, epoch: snapshot.epoch(), purge_seq: snapshot.purge_seq() };
    let known = at.purge_seq == now.purge_seq
        || snapshot.oldest_purge_seq()? <= at.purge_seq.saturating_add(1);
    let follows = at.epoch == now.epoch
        && at.update_seq <= snapshot.update_seq()
        && at.purge_seq <= now.purge_seq;
    if !follows || !known {
        if at != Position::default() {
            index.reset()?;
        }
        return moved(index, &[], Position::default(), now);
    }
    if at.purge_seq == now.purge_seq {
        return Ok(at);
    }
    let mut gone: Vec<DocRows> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    for purge in snapshot.purges(at.purge_seq) {
        let id = purge?.request.id;
        // What is left of a document has changed and comes with the changes.
        if ids.insert(id.clone()) && snapshot.head(&id)?.is_none() {
            gone.push(DocRows::none(id));
        }
        if gone.len() >= PURGES {
            moved(index, &std::mem::take(&mut gone), at, at)?;
        }
    }
    moved(index, &gone, at, Position { update_seq: at.update_seq, ..now })
}

fn moved(
    index: &Index,
    rows: &[DocRows],
    from: Position,
    to: Position,
) -> Result<Position, BuildError> {
    if index.apply(rows, from, to)? { Ok(to) } else { Err(BuildError::Stopped) }
}
