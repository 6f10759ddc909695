//! What the server counts about itself: counters by CouchDB's names (`metrics`), distributions of
//! the last seconds (`histogram`), and how both are told, as JSON (`shown`) and for Prometheus
//! (`prometheus`). One for the process, as there is one process to tell of. Counting is an addition,
//! never a lock, and takes no memory that grows.

mod histogram;
mod metrics;
mod of_request;
mod prometheus;
mod shown;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use histogram::{Histogram, Summary};
pub use metrics::{Counter, Distribution, Gauge};
pub use of_request::OfRequest;
pub use prometheus::text;
pub use shown::tree;

/// Counts since the start.
pub struct Stats {
    began: Instant,
    counters: [AtomicU64; Counter::ALL.len()],
    distributions: [Histogram; Distribution::ALL.len()],
}

/// What a metric says now.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A count since the start, which only grows.
    Count(u64),
    /// How many there are.
    Now(u64),
    /// How values of the last seconds were distributed.
    Distributed(Box<Summary>),
}

/// A metric and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name in CouchDB, part by part.
    pub path: &'static [&'static str],
    /// What it is about.
    pub about: &'static str,
    /// What it says.
    pub value: Value,
}

static STATS: LazyLock<Stats> = LazyLock::new(Stats::new);

/// The process' own.
#[must_use]
pub fn stats() -> &'static Stats {
    &STATS
}

impl Stats {
    fn new() -> Self {
        Stats {
            began: Instant::now(),
            counters: [const { AtomicU64::new(0) }; Counter::ALL.len()],
            distributions: [const { Histogram::new() }; Distribution::ALL.len()],
        }
    }

    /// How long it has counted.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// Counts one more.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several more.
    pub fn add(&self, counter: Counter, more: u64) {
        if let Some(cell) = self.counters.get(counter as usize) {
            cell.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Takes a value into a distribution; `now` is the time that it is of.
    pub fn observe(&self, distribution: Distribution, value: f64, now: Instant) {
        if let Some(histogram) = self.distributions.get(distribution as usize) {
            histogram.add(value, now.saturating_duration_since(self.began).as_secs());
        }
    }

    /// Everything by name, in order; of gauges those that somebody knows.
    #[must_use]
    pub fn metrics(&self, gauge: impl Fn(Gauge) -> Option<u64>) -> Vec<Metric> {
        let now = self.uptime().as_secs();
        let counted = Counter::ALL.iter().zip(&self.counters).map(|(described, cell)| {
            let (path, about) = *described;
            Metric { path, about, value: Value::Count(cell.load(Ordering::Relaxed)) }
        });
        let seen = Distribution::ALL.iter().zip(&self.distributions).map(|(described, of)| {
            let (path, about) = *described;
            Metric { path, about, value: Value::Distributed(Box::new(of.summary(now))) }
        });
        let there = Gauge::ALL.iter().filter_map(|(which, path, about)| {
            Some(Metric { path, about, value: Value::Now(gauge(*which)?) })
        });
        let mut all: Vec<_> = counted.chain(seen).chain(there).collect();
        all.sort_by_key(|metric| metric.path);
        all
    }
}

/// Somebody who is counted as long as this lives.
pub struct Present(&'static AtomicU64);

static FOLLOWERS: AtomicU64 = AtomicU64::new(0);

impl Present {
    /// A client that waits for changes.
    #[must_use]
    pub fn follower() -> Self {
        FOLLOWERS.fetch_add(1, Ordering::Relaxed);
        Present(&FOLLOWERS)
    }

    /// How many clients wait for changes.
    #[must_use]
    pub fn followers() -> u64 {
        FOLLOWERS.load(Ordering::Relaxed)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_by_name() {
        let stats = Stats::new();
        stats.count(Counter::Get);
        stats.add(Counter::DocumentWrites, 3);
        stats.observe(Distribution::RequestTime, 2.0, stats.began);
        let gauge = |gauge| (gauge == Gauge::OpenFiles).then_some(7);
        let all = stats.metrics(gauge);
        let value = |path: &[&str]| {
            let found = all.iter().find(|metric| metric.path == path);
            found.map(|metric| metric.value.clone())
        };
        let get = value(&["couchdb", "httpd_request_methods", "GET"]);
        assert_eq!(get, Some(Value::Count(1)));
        assert_eq!(value(&["couchdb", "document_writes"]), Some(Value::Count(3)));
        assert_eq!(value(&["couchdb", "open_os_files"]), Some(Value::Now(7)));
        assert_eq!(value(&["couchdb", "open_databases"]), None, "nobody knows");
        let Some(Value::Distributed(time)) = value(&["couchdb", "request_time"]) else { panic!() };
        assert_eq!(time.n, 1);
        assert!(all.is_sorted_by(|one, two| one.path < two.path), "no name is there twice");
    }

    #[test]
    fn who_went_is_not_counted() {
        let one = Present::follower();
        let there = Present::followers();
        drop(one);
        assert!(there >= 1);
    }
}
