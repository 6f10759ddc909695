//! Views on this node: which design documents define what (`known`), indexes of shard copies brought
//! up to date before they are asked (`building`), who may do so (`lanes` for the node, `turns` for an
//! index), how hard it works (`pace`) and how far it is (`tasks`). Never reads rows, never merges shards.

mod background;
mod building;
mod found;
mod known;
mod lanes;
mod local;
mod pace;
mod query;
mod ready;
mod tasks;
#[cfg(test)]
mod tests;
mod turns;
mod upkeep;

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;
use settee_engine::index::{Position, Signature};
use settee_engine::{Engine, Index, Shard};
use settee_query::view::{Setup, Spares};
use tokio::time::{sleep, timeout};

pub use crate::coord::view::ViewRows;
pub(crate) use background::{Changed, keep_building};
pub use known::DesignDoc;
pub(crate) use known::{Hash, Known};
pub use query::{LineDoc, LineValue, Update, ViewHead, ViewLine, ViewQuery};
pub(crate) use upkeep::{IndexAsk, IndexState};

use crate::Error;
use crate::catalogue::instance_of;
use crate::disk::DiskMonitor;
use crate::flight::Flight;
use crate::functions::FunctionSettings;
use crate::info::ActiveTask;
use crate::steps;
use building::{Builds, Goal, Outcome};
use known::Shelf;
use lanes::Lanes;
use tasks::Tasks;
use turns::Turns;

/// How long a query waits for its index, as CouchDB's `view_permsg`.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Attempts of a build that others disturb.
const ATTEMPTS: usize = 8;

/// See the module.
pub(crate) struct Views {
    engine: Engine,
    disk: Arc<DiskMonitor>,
    settings: RwLock<FunctionSettings>,
    shelf: Shelf,
    builds: Builds,
    lanes: Arc<Lanes>,
    turns: Turns,
    tasks: Tasks,
    spares: Arc<Spares>,
}

impl Views {
    pub(crate) fn new(engine: Engine, disk: Arc<DiskMonitor>) -> Views {
        Views {
            engine,
            disk,
            settings: RwLock::default(),
            shelf: Shelf::default(),
            builds: Builds::default(),
            lanes: Arc::default(),
            turns: Turns::default(),
            tasks: Tasks::default(),
            spares: Arc::default(),
        }
    }

    /// From now on functions are held to these.
    pub(crate) fn set(&self, settings: FunctionSettings) {
        let mut now = self.settings.write();
        if *now != settings {
            self.spares.keep_at_most(settings.most());
            *now = settings;
            self.shelf.clear();
        }
    }

    /// Lets engines go that nobody has used for long; how long to rest before the next time.
    fn sweep(&self) -> Duration {
        let idle = self.settings.read().idle;
        self.spares.sweep(idle);
        (idle / 4).clamp(Duration::from_secs(1), Duration::from_secs(60))
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
            Setup { limits, log, reduce_limit, spares: self.spares.clone() }
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
        self.builds.waiting(&(shard.id().clone(), known.hash(), Goal::Rows))
    }

    /// Names of the indexes of a shard that are being built.
    pub(crate) fn building(&self, shard: &Shard) -> HashSet<Signature> {
        let here = self.builds.names().into_iter().filter(|(of, ..)| of == shard.id());
        let known = here.filter_map(|(_, hash, _)| self.shelf.get(instance_of(shard.id()), &hash));
        let maps = known.flat_map(|known| known.definition().maps.clone());
        maps.map(|map| map.signature).collect()
    }

    /// The indexes of all maps with all reduces, without waiting; none if they are not all open.
    pub(crate) fn open(&self, shard: &Shard, known: &Known) -> Option<Vec<Arc<Index>>> {
        known.open(shard.id())
    }

    /// The same, if they have all that is in the shard now.
    pub(crate) fn current(&self, shard: &Shard, known: &Known) -> Option<Vec<Arc<Index>>> {
        self.at(shard, known, end(shard))
    }

    fn at(&self, shard: &Shard, known: &Known, goal: Position) -> Option<Vec<Arc<Index>>> {
        let indexes = self.open(shard, known)?;
        let reached = indexes.iter().all(|index| reaches(index, goal));
        if reached {
            known.set_ready(shard.id());
        }
        reached.then_some(indexes)
    }

    /// The indexes of all maps as they are, made if need be. They may not carry all reduces.
    pub(crate) async fn as_they_are(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
    ) -> Result<Vec<Arc<Index>>, Error> {
        if let Some(indexes) = self.open(shard, known) {
            return Ok(indexes);
        }
        let (views, shard, known) = (self.clone(), shard.clone(), known.clone());
        steps::blocking(move || Ok(views.open_each(&shard, &known)?)).await
    }

    /// The same with all reduces, which takes a while if one is new.
    pub(crate) async fn with_reduces(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
    ) -> Result<Vec<Arc<Index>>, Error> {
        match self.open(shard, known) {
            Some(indexes) => Ok(indexes),
            None => self.built(shard, known, Goal::Reduces, |_| true).await,
        }
    }

    /// The indexes of all maps, with all that is in the shard now, or was at a position. They are built
    /// together, so that each document is read once; whoever leaves lets the build end if nobody else
    /// waits.
    pub(crate) async fn up_to_date(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
        at_least: Option<Position>,
    ) -> Result<Vec<Arc<Index>>, Error> {
        let end = end(shard);
        // One of another life says nothing.
        let goal = at_least.filter(|at| at.epoch == end.epoch).unwrap_or(end);
        match self.at(shard, known, goal) {
            Some(indexes) => Ok(indexes),
            None => {
                self.disk.check_views()?;
                self.built(shard, known, Goal::Rows, |index| reaches(index, goal)).await
            }
        }
    }

    /// Waits for builds until one was good enough.
    async fn built(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
        goal: Goal,
        is_good: impl Fn(&Index) -> bool,
    ) -> Result<Vec<Arc<Index>>, Error> {
        let built = async {
            let mut disturbed = 0;
            loop {
                match self.join(shard, known, goal).ended().await.ok_or(Error::Closing)? {
                    Some(Ok(indexes)) if indexes.iter().all(|index| is_good(index)) => {
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
    fn join(
        self: &Arc<Self>,
        shard: &Arc<Shard>,
        known: &Arc<Known>,
        goal: Goal,
    ) -> Arc<Flight<Outcome>> {
        self.builds.join((shard.id().clone(), known.hash(), goal), |flight| {
            self.clone().fly(shard.clone(), known.clone(), goal, flight)
        })
    }
}

/// Looks after views until they are gone.
pub(crate) async fn tidy(views: Weak<Views>) {
    while let Some(here) = views.upgrade() {
        let rest = here.sweep();
        drop(here);
        sleep(rest).await;
    }
}

/// Where an index must be to show all that is in a shard now.
pub(crate) fn end(shard: &Shard) -> Position {
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
