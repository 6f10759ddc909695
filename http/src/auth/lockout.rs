//! [`Lockout`]: counts failed logins, so that a peer that guesses passwords is shut out for a
//! while. Forgets by itself; never blocks an address for an account at which nobody failed from there.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use settee_model::config::Config;

/// What becomes of peers that fail often: `[chttpd_auth_lockout]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    mode: Mode,
    /// How many failures are often.
    threshold: u32,
    /// How long failures are remembered, from the first.
    memory: Duration,
    /// How many peers and accounts are remembered; holds from a start on.
    pub capacity: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing is counted.
    Off,
    /// The log tells of it.
    Warn,
    /// They are refused.
    Enforce,
}

impl Rule {
    /// Reads what is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let section = "chttpd_auth_lockout";
        Rule {
            mode: match config.get(section, "mode").unwrap_or("enforce") {
                "enforce" => Mode::Enforce,
                "warn" => Mode::Warn,
                _ => Mode::Off,
            },
            threshold: config.parsed(section, "threshold", 5),
            memory: Duration::from_millis(config.parsed(section, "max_lifetime", 300_000)),
            capacity: config.parsed(section, "max_objects", 10_000),
        }
    }
}

/// How many there were since a time.
#[derive(Clone, Debug)]
struct Failures {
    count: Arc<AtomicU32>,
    first: Instant,
}

impl Failures {
    fn none() -> Failures {
        Failures { count: Arc::default(), first: Instant::now() }
    }
}

/// Failed logins by peer and account.
#[derive(Debug)]
pub struct Lockout {
    /// By peer and a keyed hash of the name: names are as long as strangers like.
    failures: Cache<(IpAddr, u64), Failures>,
    names: RandomState,
    /// Whether anybody ever failed: spares all others the look-up.
    any: AtomicBool,
}

impl Lockout {
    /// No failures yet; so many peers and accounts are remembered.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let (failures, names) = (Cache::new(capacity), RandomState::new());
        Lockout { failures, names, any: AtomicBool::new(false) }
    }

    /// What a peer does to log in as somebody, whose password has this salt: with a new one nobody has
    /// failed yet.
    #[must_use]
    pub fn attempt<'a>(
        &'a self,
        peer: IpAddr,
        account: &'a str,
        salt: &str,
        rule: Rule,
    ) -> Attempt<'a> {
        let key = (network(peer), self.names.hash_one((account, salt)));
        Attempt { lockout: self, account, key, rule }
    }
}

/// A peer that tries to log in as somebody.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    lockout: &'a Lockout,
    account: &'a str,
    key: (IpAddr, u64),
    rule: Rule,
}

impl Attempt<'_> {
    /// Whom the peer wants to be.
    #[must_use]
    pub fn account(&self) -> &str {
        self.account
    }

    /// Whether the peer failed too often before.
    #[must_use]
    pub fn refused(&self) -> bool {
        let often = self.rule.mode != Mode::Off && self.failures() >= self.rule.threshold;
        if often && self.rule.mode == Mode::Warn {
            tracing::warn!(name = self.account, peer = %self.key.0, "many failed logins");
        }
        often && self.rule.mode == Mode::Enforce
    }

    /// Counts a failure.
    pub fn failed(&self) {
        if self.rule.mode == Mode::Off {
            return;
        }
        self.lockout.any.store(true, Ordering::Relaxed);
        let known = &self.lockout.failures;
        if self.known().is_none() {
            known.remove(&self.key);
        }
        let made = known.get_or_insert_with(&self.key, || Ok::<_, Infallible>(Failures::none()));
        let Ok(failures) = made;
        failures.count.fetch_add(1, Ordering::Relaxed);
    }

    fn failures(&self) -> u32 {
        self.known().map_or(0, |failures| failures.count.load(Ordering::Relaxed))
    }

    /// Failures of late.
    fn known(&self) -> Option<Failures> {
        if !self.lockout.any.load(Ordering::Relaxed) {
            return None;
        }
        let known = self.lockout.failures.get(&self.key);
        known.filter(|failures| failures.first.elapsed() < self.rule.memory)
    }
}

/// Whom an address belongs to: of IPv6 one customer has a whole /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pairs: &[(&str, &str)]) -> Rule {
        let mut config = Config::default();
        pairs.iter().for_each(|(key, value)| config.set("chttpd_auth_lockout", key, value));
        Rule::from_config(&config)
    }

    #[test]
    fn counts_for_each_peer_account_and_password() {
        let (lockout, rule) = (Lockout::new(100), rule(&[("threshold", "3")]));
        let attempt = |peer: [u8; 4], name, salt| lockout.attempt(peer.into(), name, salt, rule);
        let here = [127, 0, 0, 1];
        for _ in 0..3 {
            assert!(!attempt(here, "ann", "a").refused());
            attempt(here, "ann", "a").failed();
        }
        assert!(attempt(here, "ann", "a").refused());
        assert!(!attempt(here, "bob", "a").refused());
        assert!(!attempt(here, "ann", "b").refused());
        assert!(!attempt([10, 0, 0, 1], "ann", "a").refused());
    }

    #[test]
    fn all_addresses_of_a_network_count_as_one() {
        let (lockout, rule) = (Lockout::new(100), rule(&[("threshold", "1")]));
        let attempt = |peer: &str| lockout.attempt(peer.parse().unwrap(), "ann", "", rule);
        attempt("2001:db8:1:2:3::4").failed();
        attempt("::ffff:10.0.0.1").failed();
        for (peer, refused) in [
            ("2001:db8:1:2:ffff::1", true),
            ("2001:db8:1:3:3::4", false),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
        ] {
            assert_eq!(attempt(peer).refused(), refused, "{peer}");
        }
    }

    #[test]
    fn failures_at_the_same_time_are_all_counted() {
        let (lockout, rule) = (Lockout::new(100), rule(&[]));
        let attempt = lockout.attempt([127, 0, 0, 1].into(), "ann", "", rule);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| attempt.failed()));
            }
        });
        assert_eq!(attempt.failures(), 4000);
    }

    #[test]
    fn what_is_counted_and_for_how_long() {
        for (pairs, refused, counted) in [
            (&[("threshold", "1")][..], true, 2),
            (&[("threshold", "1"), ("mode", "warn")], false, 2),
            (&[("threshold", "1"), ("mode", "off")], false, 0),
            (&[("threshold", "1"), ("mode", "of")], false, 0),
            (&[("threshold", "1"), ("max_lifetime", "0")], false, 0),
        ] {
            let lockout = Lockout::new(100);
            let attempt = lockout.attempt([127, 0, 0, 1].into(), "ann", "", rule(pairs));
            attempt.failed();
            attempt.failed();
            assert_eq!((attempt.refused(), attempt.failures()), (refused, counted), "{pairs:?}");
        }
    }
}
