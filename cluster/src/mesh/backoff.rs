//! How long to wait before a peer is tried again: twice as long after each failure, up to a limit,
//! and never all nodes at the same moment. Pure.

use std::time::Duration;

/// Failures in a row, and what they mean for the next attempt.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most: most.max(first), failures: 0 }
    }

    /// Counts a failure and tells how long to wait. `chance` takes away up to a quarter.
    pub(crate) fn failed(&mut self, chance: u8) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let whole = self.first.saturating_mul(1 << doublings).min(self.most);
        whole - whole.mul_f64(f64::from(chance) / 4.0 / 256.0)
    }

    /// Begins anew.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(1000));
        let waits: Vec<_> = (0..7).map(|_| backoff.failed(0)).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000].map(ms));
        (0..200).for_each(|_| assert!(backoff.failed(0) == ms(1000)));
        backoff.succeeded();
        assert_eq!(backoff.failed(0), ms(50));
    }

    #[test]
    fn chance_takes_away_a_quarter_at_most() {
        let ms = Duration::from_millis;
        for chance in 0..=u8::MAX {
            let wait = Backoff::new(ms(1000), ms(1000)).failed(chance);
            assert!(wait > ms(750) && wait <= ms(1000), "{chance}: {wait:?}");
        }
        // A limit below the first wait is no limit.
        assert_eq!(Backoff::new(ms(100), ms(1)).failed(0), ms(100));
    }
}
