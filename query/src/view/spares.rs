//! [`Spares`]: engines that nobody needs now, kept for who needs them next: a few of each owner, so many
//! of all, and none for long. Never gives one to somebody else than its owner.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::js::Views;

/// Engines that are kept of one owner.
const EACH: usize = 2;
/// And of all, if nobody says otherwise.
const ALL: usize = 16;

/// See the module.
pub struct Spares(Mutex<Kept>);

struct Kept {
    /// The one that was used last at the end.
    idle: VecDeque<Idle>,
    most: usize,
    owners: u64,
}

struct Idle {
    owner: u64,
    engine: Views,
    since: Instant,
}

impl Default for Spares {
    fn default() -> Self {
        Spares(Mutex::new(Kept { idle: VecDeque::new(), most: ALL, owners: 0 }))
    }
}

impl Spares {
    /// From now on no more are kept.
    pub fn keep_at_most(&self, most: usize) {
        let mut kept = self.kept();
        kept.most = most;
        let dropped = kept.trim();
        drop(kept);
        drop(dropped);
    }

    /// Lets go what nobody has used for so long.
    pub fn sweep(&self, age: Duration) {
        let mut kept = self.kept();
        let fresh = kept.idle.iter().position(|idle| idle.since.elapsed() < age);
        let old = fresh.unwrap_or(kept.idle.len());
        let dropped: Vec<Idle> = kept.idle.drain(..old).collect();
        drop(kept);
        drop(dropped);
    }

    /// How many are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.kept().idle.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Takes out those that are too many, which are to be dropped when nobody waits for that.
    fn trim(&mut self) -> Vec<Idle> {
        let surplus = self.idle.len().saturating_sub(self.most);
        self.idle.drain(..surplus).collect()
    }
}

/// Somebody whose engines can do the same. They end with it.
pub(super) struct Owner {
    spares: Arc<Spares>,
    id: u64,
}

impl Owner {
    pub(super) fn new(spares: &Arc<Spares>) -> Owner {
        let mut kept = spares.kept();
        kept.owners += 1;
        Owner { spares: spares.clone(), id: kept.owners }
    }

    /// One of its engines, if one is kept.
    pub(super) fn take(&self) -> Option<Views> {
        let mut kept = self.spares.kept();
        let place = kept.idle.iter().rposition(|idle| idle.owner == self.id)?;
        kept.idle.remove(place).map(|idle| idle.engine)
    }

    /// Gives an engine back.
    pub(super) fn give(&self, engine: Views) {
        let mut kept = self.spares.kept();
        let own = kept.idle.iter().filter(|idle| idle.owner == self.id).count();
        if own >= EACH {
            drop(kept);
            return drop(engine);
        }
        kept.idle.push_back(Idle { owner: self.id, engine, since: Instant::now() });
        let dropped = kept.trim();
        drop(kept);
        drop(dropped);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut kept = self.spares.kept();
        let all = std::mem::take(&mut kept.idle);
        let (own, others) = all.into_iter().partition(|idle| idle.owner == self.id);
        kept.idle = others;
        drop(kept);
        let own: VecDeque<Idle> = own;
        drop(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::js::{Limits, ViewsSource};

    fn engine() -> Views {
        Views::new(ViewsSource::default(), Limits::default(), Arc::new(|_: &str| {}))
    }

    #[test]
    fn so_many_are_kept_and_none_for_long() {
        let spares = Arc::new(Spares::default());
        spares.keep_at_most(3);
        let owners: Vec<Owner> = (0..3).map(|_| Owner::new(&spares)).collect();
        for owner in &owners {
            (0..3).for_each(|_| owner.give(engine()));
        }
        assert_eq!(spares.count(), 3);
        assert!(owners[0].take().is_none(), "those that were used first are gone");
        assert!(owners[1].take().is_some() && owners[1].take().is_none());
        spares.sweep(Duration::from_secs(60));
        assert_eq!(spares.count(), 2);
        spares.sweep(Duration::ZERO);
        assert_eq!(spares.count(), 0);
    }

    #[test]
    fn they_end_with_their_owner() {
        let spares = Arc::new(Spares::default());
        let (one, other) = (Owner::new(&spares), Owner::new(&spares));
        one.give(engine());
        other.give(engine());
        drop(one);
        assert_eq!(spares.count(), 1);
        assert!(other.take().is_some());
    }
}
