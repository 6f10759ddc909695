//! One build, from its beginning to its end: which lane it takes, what it does with a slice of it, and
//! what becomes of indexes that are damaged or dropped meanwhile. Never decides who waits.

use std::sync::{Arc, Weak};

use settee_engine::{Index, Shard, ShardId};
use settee_model::docid::DbName;
use settee_query::view::{Build, BuildError, MapDef, Target, carry, forsake, lacks, open_index};

use super::known::Hash;
use super::lanes::{Lane, SOON};
use super::pace::Quiet;
use super::{Known, Views};
use crate::catalogue::{database_of, instance_of};
use crate::flight::{Flight, Flights};
use crate::{Error, steps};

/// What a build has come to; none if others disturbed it.
pub(super) type Outcome = Option<Result<Vec<Arc<Index>>, Error>>;

/// What is wanted of the indexes of a design document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    /// That they show all that is in the shard.
    Rows,
    /// That they carry all reduces, whatever they show.
    Reduces,
}

/// Builds: of which shard, of which design document, and what for.
pub(super) type Builds = Flights<(ShardId, Hash, Goal), Outcome>;

/// How a slice ended.
enum End {
    Done(Outcome),
    /// There is more to do than what may be done now.
    More,
}

impl Views {
    /// Builds for who waits for a flight.
    pub(super) async fn fly(
        self: Arc<Self>,
        shard: Arc<Shard>,
        known: Arc<Known>,
        goal: Goal,
        flight: Weak<Flight<Outcome>>,
    ) -> Outcome {
        let name = DbName::trusted(database_of(shard.id()).unwrap_or_default());
        let mut lane = Lane::Quick;
        loop {
            let signatures = known.definition().maps.iter().map(|map| map.signature);
            let turn = self.turns.take(shard.id(), signatures).await;
            let quiet = Quiet::new(flight.clone(), self.lanes.slice(lane, &name).await);
            let (views, shard, known) = (self.clone(), shard.clone(), known.clone());
            let slice = move || {
                let end = views.build(&shard, &known, goal, &quiet);
                drop(turn);
                Ok(end)
            };
            match steps::blocking(slice).await {
                Ok(End::Done(outcome)) => return outcome,
                Ok(End::More) => lane = Lane::Slow,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What can be done with a slice. Blocks.
    fn build(&self, shard: &Arc<Shard>, known: &Known, goal: Goal, quiet: &Quiet) -> End {
        let mut mended = false;
        loop {
            let indexes = match self.open_each(shard, known) {
                Ok(indexes) => indexes,
                Err(error) => return End::Done(Some(Err(error.into()))),
            };
            match self.bring(shard, known, goal, quiet, &indexes) {
                Ok(true) => return End::Done(Some(Ok(indexes))),
                Ok(false) => return End::More,
                Err(BuildError::Stopped) if quiet.gave_way() => return End::More,
                // Dropped while it was built: if anybody wants it still, it is made again.
                Err(
                    BuildError::Stopped
                    | BuildError::Engine(settee_engine::Error::IndexDropped { .. }),
                ) => return End::Done(None),
                Err(BuildError::Script(error)) => {
                    return End::Done(Some(Err(Error::Script(error))));
                }
                Err(BuildError::Engine(error)) => {
                    if mended || !self.drop_damaged(&indexes, &error) {
                        return End::Done(Some(Err(error.into())));
                    }
                    mended = true;
                }
            }
        }
    }

    /// Brings indexes where they are wanted; `false` if that takes longer than the lane is for.
    fn bring(
        &self,
        shard: &Arc<Shard>,
        known: &Known,
        goal: Goal,
        quiet: &Quiet,
        indexes: &[Arc<Index>],
    ) -> Result<bool, BuildError> {
        if quiet.slice().lane() == Lane::Quick && is_long(shard, known, goal, indexes)? {
            return Ok(false);
        }
        if goal == Goal::Rows {
            // Without rows this is for nothing; with rows that are gone by now it could be in vain.
            self.carry_each(shard, known, indexes, |index| index.snapshot().count() == 0)?;
            self.build_rows(shard, known, quiet, indexes)?;
        }
        self.carry_each(shard, known, indexes, |_| true)?;
        known.opened(shard.id(), indexes);
        if goal == Goal::Rows {
            known.set_ready(shard.id());
        }
        Ok(true)
    }

    /// Has those of the indexes carry their reduces.
    fn carry_each(
        &self,
        shard: &Shard,
        known: &Known,
        indexes: &[Arc<Index>],
        wanted: impl Fn(&Index) -> bool,
    ) -> Result<(), settee_engine::Error> {
        let maps = known.definition().maps.iter().zip(indexes);
        for (map, index) in maps.filter(|(_, index)| wanted(index)) {
            let others = || self.shelf.reduces_of(instance_of(shard.id()), map.signature);
            carry(index, &map.reduces, others, known.setup())?;
        }
        Ok(())
    }

    fn build_rows(
        &self,
        shard: &Arc<Shard>,
        known: &Known,
        quiet: &Quiet,
        indexes: &[Arc<Index>],
    ) -> Result<(), BuildError> {
        let target = |(map, index): (usize, &Arc<Index>)| Target { map, index: index.clone() };
        let targets: Vec<Target> = indexes.iter().enumerate().map(target).collect();
        let task = self.tasks.begin(shard.id(), known.ddoc(), self.engine.now().as_secs());
        let build = Build {
            programs: known.programs(),
            shard,
            targets: &targets,
            threads: if quiet.slice().lane() == Lane::Slow { steps::threads() } else { 0 },
            pace: quiet,
            progress: task.progress(),
        };
        build.run().map(drop)
    }

    /// The indexes of all maps as they are. Blocks.
    pub(super) fn open_each(
        &self,
        shard: &Arc<Shard>,
        known: &Known,
    ) -> Result<Vec<Arc<Index>>, settee_engine::Error> {
        let maps = known.definition().maps.iter();
        let open = |map: &MapDef| open_index(&self.engine, shard, map.signature, known.setup());
        let indexes: Vec<_> = maps.clone().map(open).collect::<Result<_, _>>()?;
        if !maps.zip(&indexes).any(|(map, index)| lacks(index, &map.reduces)) {
            known.opened(shard.id(), &indexes);
        }
        Ok(indexes)
    }

    /// Sees to an index that could not be read: what is damaged is dropped, and what it could not
    /// make is tried anew by who wants it. Blocks.
    pub(super) fn see_to(&self, index: &Arc<Index>, known: &Known, error: &settee_engine::Error) {
        if !matches!(error, settee_engine::Error::Reduce { .. }) {
            self.drop_damaged(std::slice::from_ref(index), error);
        } else if let Err(error) = forsake(index, known.setup()) {
            tracing::warn!(%error, "an index keeps a reduction that it could not make");
        }
    }

    /// Drops the one of these indexes that is damaged, if an error says so: it is made again. Blocks.
    fn drop_damaged(&self, indexes: &[Arc<Index>], error: &settee_engine::Error) -> bool {
        let Some(index) = indexes.iter().find(|index| index.is_damage(error)) else { return false };
        tracing::error!(%error, "an index is damaged; it is made again");
        self.engine.drop_this_index(index).is_ok()
    }
}

/// Whether a build is one for the slow lane.
fn is_long(
    shard: &Shard,
    known: &Known,
    goal: Goal,
    indexes: &[Arc<Index>],
) -> Result<bool, settee_engine::Error> {
    let snapshot = shard.snapshot();
    for (map, index) in known.definition().maps.iter().zip(indexes) {
        let view = index.snapshot();
        if view.count() > SOON && lacks(index, &map.reduces) {
            return Ok(true);
        }
        let at = view.position();
        let from = if at.epoch == snapshot.epoch() { at.update_seq } else { 0 };
        if goal == Goal::Rows && snapshot.count_changes_since(from)? > SOON {
            return Ok(true);
        }
    }
    Ok(false)
}
