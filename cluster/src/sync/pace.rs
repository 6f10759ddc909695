//! Keeps internal replication from taking the disk away from clients: rests after each batch, in
//! proportion to what the batch took. Only arithmetic and sleep.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// A rest is this part of the work before it, and no longer than that.
const PART: u32 = 4;
const LONGEST: Duration = Duration::from_secs(1);

/// Since when a batch is worked on.
pub(super) struct Pace(Instant);

impl Pace {
    pub(super) fn begin() -> Pace {
        Pace(Instant::now())
    }

    /// The batch is done.
    pub(super) async fn rest(self) {
        sleep(rest_after(self.0.elapsed())).await;
    }
}

fn rest_after(work: Duration) -> Duration {
    (work / PART).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_are_short_and_bounded() {
        assert_eq!(rest_after(Duration::ZERO), Duration::ZERO);
        assert_eq!(rest_after(Duration::from_millis(100)), Duration::from_millis(25));
        assert_eq!(rest_after(Duration::from_secs(60)), LONGEST);
    }
}
