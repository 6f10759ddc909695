//! [`Lockout`]: counts failed logins, so that a peer that guesses passwords is shut out for a
//! while. Forgets by itself; never blocks anybody for an account they did not fail at.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// How long failures are remembered.
const MEMORY: Duration = Duration::from_secs(300);
/// How many peers and accounts are remembered.
const CAPACITY: usize = 10_000;

/// Failed logins by peer and account.
#[derive(Debug)]
pub struct Lockout {
    /// By peer and a keyed hash of the name: names are as long as strangers like.
    failures: Cache<(IpAddr, u64), (u32, Instant)>,
    names: RandomState,
    /// Whether anybody ever failed: spares all others the look-up.
    any: AtomicBool,
}

impl Lockout {
    /// No failures yet.
    #[must_use]
    pub fn new() -> Self {
        let (failures, names) = (Cache::new(CAPACITY), RandomState::new());
        Lockout { failures, names, any: AtomicBool::new(false) }
    }

    /// What a peer does to log in as somebody.
    #[must_use]
    pub fn attempt<'a>(&'a self, peer: IpAddr, account: &'a str, most: Option<u32>) -> Attempt<'a> {
        Attempt { lockout: self, peer, account, most }
    }

    /// How often this peer failed at this account of late.
    #[must_use]
    pub fn failures(&self, peer: IpAddr, account: &str) -> u32 {
        if !self.any.load(Ordering::Relaxed) {
            return 0;
        }
        let known = self.failures.get(&(peer, self.names.hash_one(account)));
        known.filter(|(_, first)| first.elapsed() < MEMORY).map_or(0, |(count, _)| count)
    }

    /// Counts one more.
    pub fn failed(&self, peer: IpAddr, account: &str) {
        self.any.store(true, Ordering::Relaxed);
        let key = (peer, self.names.hash_one(account));
        let known = self.failures.get(&key).filter(|(_, first)| first.elapsed() < MEMORY);
        let (count, first) = known.unwrap_or((0, Instant::now()));
        self.failures.insert(key, (count.saturating_add(1), first));
    }
}

/// A peer that tries to log in as somebody.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    lockout: &'a Lockout,
    peer: IpAddr,
    account: &'a str,
    /// Failures after which it is refused.
    most: Option<u32>,
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
        self.most.is_some_and(|most| self.lockout.failures(self.peer, self.account) >= most)
    }

    /// Counts a failure.
    pub fn failed(&self) {
        self.lockout.failed(self.peer, self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_for_each_peer_and_account() {
        let (lockout, here) = (Lockout::new(), IpAddr::from([127, 0, 0, 1]));
        for _ in 0..3 {
            lockout.failed(here, "ann");
        }
        assert_eq!(lockout.failures(here, "ann"), 3);
        assert_eq!(lockout.failures(here, "bob"), 0);
        assert_eq!(lockout.failures(IpAddr::from([10, 0, 0, 1]), "ann"), 0);
    }
}
