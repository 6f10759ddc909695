//! Views on this node: which design documents define what (`known`), indexes of shard copies brought
//! up to date before they are asked (`flight`), how hard that works (`pace`) and how far it is
//! (`tasks`). Never reads rows, never merges shards.

mod background;
mod flight;
mod found;
mod known;
mod local;
mod pace;
mod query;
mod ready;
mod tasks;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use settee_engine::index::Position;
use settee_engine::{Engine, Index, Shard};
use settee_query::view::{Build, BuildError, MapDef, Pace, Setup, Target, open_index};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use crate::coord::view::ViewRows;
pub(crate) use background::{Changed, keep_building};
pub use known::DesignDoc;
pub(crate) use known::Known;
pub use query::{LineDoc, LineValue, Update, ViewHead, ViewLine, ViewQuery};
pub(crate) use upkeep::{IndexAsk, IndexState};

use crate::Error;
use crate::functions::FunctionSettings;
use crate::info::ActiveTask;
use crate::steps;
use flight::{Flight, Flights};
use known::Shelf;
use pace::Quiet;
use tasks::Tasks;

/// How long a query waits for its index, as CouchDB's `view_permsg`.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Builds that go on at once.
const BUILDS: usize = 4;
/// Attempts of a build that others disturb.
const ATTEMPTS: usize = 8;

/// See the module.
pub(crate) struct Views {
    engine: Engine,
    settings: RwLock<FunctionSettings>,
    shelf: Shelf,
    flights: Flights,
    /// Who builds has one.
    permits: Arc<Semaphore>,
    tasks: Tasks,
}

impl Views {
    pub(crate) fn new(engine: Engine) -> Views {
        Views {
            engine,
            settings: RwLock::default(),
            shelf: Shelf::default(),
            flights: Flights::default(),
            permits: Arc::new(Semaphore::new(BUILDS)),
            tasks: Tasks::default(),
        }
    }

    /// From now on functions are held to these.
    pub(crate) fn set(&self, settings: FunctionSettings) {
        let mut now = self.settings.write();
        if *now != settings {
            *now = settings;
            self.shelf.clear();
        }
    }

    /// Builds that are running, on the node of that name.
    pub(crate) fn tasks(&self, node: &str) -> Vec<ActiveTask> {
        self.tasks.list(node, self.engine.now().as_secs())
    }

    /// The views of a design document, ready to be built, for a database by what the names of its shards
    /// end with.
    ///
    /// # Errors
    /// [`Error::Script`] for a language that is not spoken.
    pub(crate) fn known(&self, instance: &str, ddoc: &Arc<DesignDoc>) -> Result<Arc<Known>, Error> {
        self.shelf.get_or(instance, ddoc, |log| {
            let FunctionSettings { limits, reduce_limit, .. } = self.settings.read().clone();
            Setup { limits, log, reduce_limit }
        })
    }

    /// The same if it was asked for lately, by its hash.
    pub(crate) fn known_by_hash(&self, instance: &str, hash: &[u8]) -> Option<Arc<Known>> {
        self.shelf.get(instance, hash)
    }

    /// From now on no index serves in the place of a newer one.
    pub(crate) fn forget_before(&self, instance: &str) {
        self.shelf.forget_before(instance);
    }

    /// How many wait for a build.
    pub(crate) fn waiting(&self, shard: &Shard, known: &Known) -> u64 {
        self.flights.waiting(&(shard.id().clone(), known.hash()))
    }

    /// The indexes of all maps as they are, without waiting; none if they are not all open.
    pub(crate) fn open(&self, shard: &Shard, known: &Known) -> Option<Vec<Arc<Index>>> {
        known.open(shard.id())
    }

    /// The same, if they have all that is in the shard now.
    pub(crate) fn current(&self, shard: &Shard, known: &Known) -> Option<Vec<Arc<Index>>> {
        let goal = goal(shard);
        let indexes = self.open(shard, known)?;
        let current = indexes.iter().all(|index| reaches(index, goal));
        if current {
            known.set_ready(shard.id());
        }
        current.then_some(indexes)
    }

    /// The indexes of all maps as they are, made if need be.
    pub(crate) async fn as_they_are(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
    ) -> Result<Vec<Arc<Index>>, Error> {
        if let Some(indexes) = self.open(shard, known) {
            return Ok(indexes);
        }
        let (views, shard, known) = (self.clone(), shard.clone(), known.clone());
        steps::blocking(move || views.open_all(&shard, &known)).await
    }

    /// The indexes of all maps, with all that is in the shard now. They are built together, so that
    /// each document is read once; whoever leaves lets the build end if nobody else waits.
    pub(crate) async fn up_to_date(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
    ) -> Result<Vec<Arc<Index>>, Error> {
        let goal = goal(shard);
        if let Some(indexes) = self.current(shard, known) {
            return Ok(indexes);
        }
        let built = async {
            let mut disturbed = 0;
            loop {
                match self.join(shard, known).ended().await {
                    Some(Ok(indexes)) if indexes.iter().all(|index| reaches(index, goal)) => {
                        return Ok(indexes);
                    }
                    // It had begun before what was asked for was there.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None if disturbed < ATTEMPTS => disturbed += 1,
                    None => return Err(Error::Overloaded),
                }
            }
        };
        timeout(PATIENCE, built).await.unwrap_or(Err(Error::Timeout))
    }

    /// Joins the build that is under way, or begins one.
    fn join(self: &Arc<Self>, shard: &Arc<Shard>, known: &Arc<Known>) -> Arc<Flight> {
        self.flights.join((shard.id().clone(), known.hash()), |flight| {
            let (views, shard, known) = (self.clone(), shard.clone(), known.clone());
            async move {
                // Closed never.
                let _permit = views.permits.clone().acquire_owned().await.ok();
                let quiet = Quiet::new(flight);
                if !quiet.go_on() {
                    return None;
                }
                steps::off(move || views.build(&shard, &known, &quiet)).await.ok()?
            }
        })
    }

    /// Opens and builds; none if it was stopped. Blocks.
    fn build(
        &self,
        shard: &Arc<Shard>,
        known: &Known,
        quiet: &Quiet,
    ) -> Option<Result<Vec<Arc<Index>>, Error>> {
        let mut mended = false;
        loop {
            match self.build_once(shard, known, quiet) {
                Ok(indexes) => return Some(Ok(indexes)),
                Err(BuildError::Stopped) => return None,
                Err(BuildError::Script(error)) => return Some(Err(Error::Script(error))),
                Err(BuildError::Engine(error)) => {
                    if mended || !self.drop_damaged(shard, known, &error) {
                        return Some(Err(error.into()));
                    }
                    mended = true;
                }
            }
        }
    }

    fn build_once(
        &self,
        shard: &Arc<Shard>,
        known: &Known,
        quiet: &Quiet,
    ) -> Result<Vec<Arc<Index>>, BuildError> {
        let indexes = self.open_each(shard, known)?;
        let targets: Vec<Target> = indexes
            .iter()
            .enumerate()
            .map(|(map, index)| Target { map, index: index.clone() })
            .collect();
        let task = self.tasks.begin(shard.id(), known.ddoc(), self.engine.now().as_secs());
        let build = Build {
            programs: known.programs(),
            shard,
            targets: &targets,
            threads: steps::threads(),
            pace: quiet,
            progress: task.progress(),
        };
        build.run()?;
        known.set_ready(shard.id());
        Ok(indexes)
    }

    fn open_all(&self, shard: &Arc<Shard>, known: &Known) -> Result<Vec<Arc<Index>>, Error> {
        match self.open_each(shard, known) {
            Err(error) if self.drop_damaged(shard, known, &error) => {
                Ok(self.open_each(shard, known)?)
            }
            other => Ok(other?),
        }
    }

    fn open_each(
        &self,
        shard: &Arc<Shard>,
        known: &Known,
    ) -> Result<Vec<Arc<Index>>, settee_engine::Error> {
        let open = |map: &MapDef| {
            open_index(&self.engine, shard, map.signature, &map.reduces, known.setup())
        };
        let indexes: Vec<_> = known.definition().maps.iter().map(open).collect::<Result<_, _>>()?;
        known.opened(shard.id(), &indexes);
        Ok(indexes)
    }

    /// Drops the indexes of a design document if it is one of them that is damaged: they are made
    /// again. Blocks.
    pub(crate) fn drop_damaged(
        &self,
        shard: &Shard,
        known: &Known,
        error: &settee_engine::Error,
    ) -> bool {
        let settee_engine::Error::Corrupt { file, .. } = error else { return false };
        let damaged = |map: &&MapDef| {
            file.starts_with("indexes/") && file.ends_with(&map.signature.file_name())
        };
        let Some(map) = known.definition().maps.iter().find(damaged) else { return false };
        tracing::error!(%error, "an index is damaged; it is made again");
        self.engine.drop_index(shard.id(), map.signature).is_ok()
    }
}

/// Where an index must be to show all that is in a shard now.
fn goal(shard: &Shard) -> Position {
    let snapshot = shard.snapshot();
    Position {
        epoch: snapshot.epoch(),
        update_seq: snapshot.update_seq(),
        purge_seq: snapshot.purge_seq(),
    }
}

fn reaches(index: &Index, goal: Position) -> bool {
    let at = index.snapshot().position();
    at.epoch == goal.epoch && at.update_seq >= goal.update_seq && at.purge_seq >= goal.purge_seq
}
