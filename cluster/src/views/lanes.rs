//! Who may build now. What is soon done goes in the quick lane and keeps nobody waiting there for long;
//! the rest takes turns in the slow lane, where whoever has had its slice gives way to others that
//! wait. No database has more than its share of either. Never builds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use settee_model::docid::DbName;

use crate::functions::{Place, Places};

/// Builds that go on at once, of one database or of many.
const SLOW: usize = 4;
/// How long one may go on while others wait.
const SLICE: Duration = Duration::from_secs(3);
/// Short builds that go on at once, each on one thread, and those of one database.
const QUICK: (usize, usize) = (32, 16);
/// How long one may go on there.
const SHORT: Duration = Duration::from_secs(1);
/// Changes that are soon read: so few that more than one thread is of no use.
pub(super) const SOON: u64 = 256;

/// Which way a build goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Quick,
    Slow,
}

/// See the module.
pub(super) struct Lanes {
    quick: Places,
    slow: Places,
}

/// Leave to build for a while.
pub(super) struct Slice {
    lanes: Arc<Lanes>,
    lane: Lane,
    since: Instant,
    _place: Place,
}

impl Default for Lanes {
    fn default() -> Self {
        Lanes { quick: Places::new(QUICK.0, QUICK.1), slow: Places::new(SLOW, SLOW) }
    }
}

impl Lanes {
    /// Waits for a slice.
    pub(super) async fn slice(self: &Arc<Self>, lane: Lane, database: &DbName) -> Slice {
        let place = self.places(lane).take(database).await;
        Slice { lanes: self.clone(), lane, since: Instant::now(), _place: place }
    }

    fn places(&self, lane: Lane) -> &Places {
        match lane {
            Lane::Quick => &self.quick,
            Lane::Slow => &self.slow,
        }
    }
}

impl Slice {
    /// The lane that it is in.
    pub(super) fn lane(&self) -> Lane {
        self.lane
    }

    /// Whether it is the turn of others.
    pub(super) fn is_over(&self) -> bool {
        let had = self.since.elapsed();
        match self.lane {
            Lane::Quick => had > SHORT,
            Lane::Slow => had > SLICE && self.lanes.slow.are_wanted(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::Poll;

    use super::*;

    async fn is_there<R>(asked: impl Future<Output = R>) -> bool {
        let mut asked = Box::pin(asked);
        std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await.is_ready()
    }

    #[tokio::test]
    async fn a_slice_of_the_slow_lane_ends_when_others_wait() {
        let (lanes, name) = (Arc::new(Lanes::default()), DbName::trusted("a"));
        let mut slices = Vec::new();
        for _ in 0..SLOW {
            slices.push(lanes.slice(Lane::Slow, &name).await);
        }
        for slice in &mut slices {
            slice.since = slice.since.checked_sub(SLICE * 2).unwrap();
        }
        assert!(!slices[0].is_over(), "nobody else wants to build");
        let mut other = Box::pin(lanes.slice(Lane::Slow, &name));
        assert!(!is_there(&mut other).await);
        assert!(slices[0].is_over());
        slices.pop();
        assert!(is_there(&mut other).await);
        assert!(!slices[0].is_over());
    }

    #[tokio::test]
    async fn whoever_builds_long_is_in_nobodys_way_who_is_soon_done() {
        let lanes = Arc::new(Lanes::default());
        let name = DbName::trusted("a");
        let mut slices = Vec::new();
        for _ in 0..SLOW {
            slices.push(lanes.slice(Lane::Slow, &name).await);
        }
        assert!(is_there(lanes.slice(Lane::Quick, &name)).await);
        assert!(!is_there(lanes.slice(Lane::Slow, &name)).await);
        let mut quick = lanes.slice(Lane::Quick, &name).await;
        quick.since = quick.since.checked_sub(SHORT * 2).unwrap();
        assert!(quick.is_over());
    }
}
