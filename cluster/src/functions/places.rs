//! Who may run a function now. Places are few, and no database has more than its share of them: one
//! whose functions never end keeps nobody waiting but its own users.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use settee_model::docid::DbName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Databases that are remembered although nobody runs anything of theirs.
const REMEMBERED: usize = 256;

/// See the module.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    each: usize,
    shares: Mutex<HashMap<DbName, Weak<Semaphore>>>,
    waiting: AtomicUsize,
}

/// Counts as waiting as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Leave to run something, as long as it lives.
pub(crate) struct Place {
    _all: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// So many places, of which one database may have so many.
    pub(crate) fn new(all: usize, each: usize) -> Places {
        let all = Arc::new(Semaphore::new(all));
        Places { all, each, shares: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Whether somebody waits for a place.
    pub(crate) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits for a place. The database's own queue comes first, so that those who wait there stand in
    /// nobody's way.
    pub(crate) async fn take(&self, database: &DbName) -> Place {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let share = self.share(database);
        // Semaphores that are never closed.
        let own = share.acquire_owned().await.ok();
        let all = self.all.clone().acquire_owned().await.ok();
        Place { _all: all, _own: own }
    }

    fn share(&self, database: &DbName) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(database).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= REMEMBERED {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(self.each));
        shares.insert(database.clone(), Arc::downgrade(&share));
        share
    }
}
