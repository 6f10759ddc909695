//! [`Pool`]: the engines of this node. Each belongs to one revision of one design document of one
//! database for ever, is used by one call at a time, and is kept for the next one as long as there is
//! room. A call runs on a thread that may block; who waits for it waits no longer than its kind may,
//! also where the engine cannot be stopped in time: its place is taken until it is back. What runs is
//! for who calls to say; no design document is read here.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use settee_model::docid::{DbName, DocId};
use settee_model::rev::Rev;
use settee_query::js::{self, Design};
use tokio::time::{sleep, timeout_at};

use super::FunctionSettings;
use super::places::Places;
use crate::Error;
use crate::steps::off;

/// What the engine may be late when it stops a function whose time is up.
const GRACE: Duration = Duration::from_millis(100);

/// Engines that may hold a place for as long as a client takes to read are so many of all.
const LISTS: usize = 4;

/// What a function waits for while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Call,
    /// Nothing, over some documents; each may take the whole time.
    Batch,
    /// Rows and clients.
    List,
}

/// What an engine is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) database: DbName,
    /// When the database was made.
    pub(crate) created: u64,
    pub(crate) ddoc: DocId,
    pub(crate) rev: Rev,
}

/// See the module.
pub(crate) struct Pool {
    setup: RwLock<Arc<Setup>>,
    shelf: Mutex<Shelf>,
}

/// What follows from the settings.
struct Setup {
    settings: FunctionSettings,
    calls: Places,
    lists: Places,
}

#[derive(Default)]
struct Shelf {
    /// The one that was used last at the end.
    idle: VecDeque<Idle>,
    busy: usize,
}

struct Idle {
    key: Key,
    design: Design,
    since: Instant,
    /// Of other settings it is of no use.
    setup: Weak<Setup>,
}

/// Counts as busy as long as it lives, also where a call panics.
struct Busy<'a>(&'a Pool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut shelf = self.0.shelf.lock();
        shelf.busy = shelf.busy.saturating_sub(1);
    }
}

impl Setup {
    fn new(settings: FunctionSettings) -> Setup {
        let most = settings.most();
        let lists = most.div_ceil(LISTS);
        let calls = most.saturating_sub(lists).max(1);
        let each = calls.div_ceil(LISTS).max(2).min(calls);
        let (calls, lists) = (Places::new(calls, each), Places::new(lists, lists.div_ceil(2)));
        Setup { settings, calls, lists }
    }
}

impl Pool {
    pub(crate) fn new(settings: FunctionSettings) -> Pool {
        let setup = RwLock::new(Arc::new(Setup::new(settings)));
        Pool { setup, shelf: Mutex::default() }
    }

    /// From now on other settings hold. What runs goes on as it began.
    pub(crate) fn set(&self, settings: FunctionSettings) {
        if self.setup.read().settings == settings {
            return;
        }
        *self.setup.write() = Arc::new(Setup::new(settings));
        let idle = std::mem::take(&mut self.shelf.lock().idle);
        drop(idle);
    }

    /// The settings of now.
    pub(crate) fn settings(&self) -> FunctionSettings {
        self.setup.read().settings.clone()
    }

    /// Runs something with the engine for `key`, which is made of `source` if there is none: the
    /// design document as JSON.
    pub(crate) async fn call<R: Send + 'static>(
        self: &Arc<Self>,
        key: Key,
        kind: Kind,
        source: impl FnOnce() -> Vec<u8> + Send + 'static,
        work: impl FnOnce(&mut Design) -> Result<R, js::Error> + Send + 'static,
    ) -> Result<R, Error> {
        let setup = self.setup.read().clone();
        let time = setup.settings.limits.time;
        let patience = match kind {
            Kind::Call | Kind::List => time,
            // It stops to begin with documents when half the time is up.
            Kind::Batch => time + time / 2,
        };
        let late = tokio::time::Instant::now() + patience + GRACE;
        let places = if kind == Kind::List { &setup.lists } else { &setup.calls };
        let place = timeout_at(late, places.take(&key.database)).await;
        let place = place.map_err(|_| Error::Script(js::Error::Timeout))?;
        let pool = self.clone();
        let running = off(move || {
            let taken = pool.take(&key, &setup);
            let busy = Busy(&pool);
            let mut design = taken
                .unwrap_or_else(|| Design::new(source(), setup.settings.limits.clone(), log(&key)));
            let result = work(&mut design);
            drop(busy);
            pool.put(key, design, &setup);
            drop(place);
            result
        });
        let done = match kind {
            Kind::List => running.await,
            _ => match timeout_at(late, running).await {
                Ok(done) => done,
                Err(_) => return Err(Error::Script(js::Error::Timeout)),
            },
        };
        let result = done.map_err(|error| {
            tracing::error!(%error, "a function was lost");
            Error::Closing
        })?;
        result.map_err(Error::Script)
    }

    /// An engine that waits for `key`; makes room for one otherwise.
    fn take(&self, key: &Key, setup: &Arc<Setup>) -> Option<Design> {
        let mut shelf = self.shelf.lock();
        shelf.busy += 1;
        let fits = |idle: &Idle| idle.key == *key && idle.setup.as_ptr() == Arc::as_ptr(setup);
        let place = shelf.idle.iter().rposition(fits);
        let found = place.and_then(|place| shelf.idle.remove(place));
        let dropped = shelf.trim(setup.settings.most());
        drop(shelf);
        drop(dropped);
        found.map(|idle| idle.design)
    }

    fn put(&self, key: Key, design: Design, setup: &Arc<Setup>) {
        let idle = Idle { key, design, since: Instant::now(), setup: Arc::downgrade(setup) };
        let mut shelf = self.shelf.lock();
        shelf.idle.push_back(idle);
        let dropped = shelf.trim(setup.settings.most());
        drop(shelf);
        drop(dropped);
    }

    /// Lets go what nobody has used for long, or can use no more.
    fn sweep(&self) {
        let setup = self.setup.read().clone();
        let mut shelf = self.shelf.lock();
        let all = std::mem::take(&mut shelf.idle);
        let of_use = |idle: &Idle| {
            idle.since.elapsed() < setup.settings.idle && idle.setup.as_ptr() == Arc::as_ptr(&setup)
        };
        let (kept, dropped): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(of_use);
        shelf.idle = kept;
        drop(shelf);
        drop(dropped);
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let shelf = self.shelf.lock();
        (shelf.idle.len(), shelf.busy)
    }
}

impl Shelf {
    /// Takes the oldest engines out until all that are left are few enough.
    fn trim(&mut self, most: usize) -> Vec<Idle> {
        let room = most.saturating_sub(self.busy);
        let surplus = self.idle.len().saturating_sub(room);
        self.idle.drain(..surplus).collect()
    }
}

/// What functions `log` goes into the server's own log.
fn log(key: &Key) -> js::Log {
    let (database, ddoc) = (key.database.clone(), key.ddoc.clone());
    Arc::new(move |line| tracing::info!(%database, %ddoc, line, "a function says"))
}

/// Looks after the pool until it is gone.
pub(crate) async fn tidy(pool: Weak<Pool>) {
    while let Some(here) = pool.upgrade() {
        here.sweep();
        let rest =
            (here.settings().idle / 4).clamp(Duration::from_secs(1), Duration::from_secs(60));
        drop(here);
        sleep(rest).await;
    }
}
