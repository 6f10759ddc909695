//! [`Lull`]: since when nothing is under way. Counts what is, and never knows what it is.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// See the module.
pub struct Lull(Mutex<State>);

struct State {
    under_way: usize,
    /// When that became none.
    since: Instant,
}

impl Default for Lull {
    /// Nothing is under way from now on.
    fn default() -> Self {
        Lull(Mutex::new(State { under_way: 0, since: Instant::now() }))
    }
}

impl Lull {
    /// Something begins.
    pub fn begin(&self) {
        self.0.lock().under_way += 1;
    }

    /// Something that began is over.
    pub fn end(&self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if state.under_way == 0 {
            state.since = Instant::now();
        }
    }

    /// Done when nothing was under way for so long. It looks only now and then, so that beginning and
    /// ending cost next to nothing; it may be late by as much again.
    pub async fn lasts(&self, patience: Duration) {
        while let Some(left) = self.left(patience) {
            sleep(left).await;
        }
    }

    /// How long to wait at least before it can have lasted so long; `None` if it has.
    fn left(&self, patience: Duration) -> Option<Duration> {
        let state = self.0.lock();
        if state.under_way > 0 {
            return Some(patience);
        }
        patience.checked_sub(state.since.elapsed()).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn only_what_is_quiet_for_long_has_lasted() {
        let lull = Arc::new(Lull::default());
        let busy = tokio::spawn({
            let lull = lull.clone();
            async move {
                // Often something, and never for long nothing.
                for _ in 0..20 {
                    lull.begin();
                    lull.end();
                    sleep(PATIENCE / 20).await;
                }
                lull.begin();
                lull.begin();
                lull.end();
            }
        });
        let began = Instant::now();
        // As long as the other one, and then some.
        assert!(
            timeout(4 * PATIENCE, lull.lasts(PATIENCE)).await.is_err(),
            "{:?}",
            began.elapsed()
        );
        busy.await.unwrap();
        lull.end();
        timeout(20 * PATIENCE, lull.lasts(PATIENCE)).await.expect("nothing is under way");
    }
}
