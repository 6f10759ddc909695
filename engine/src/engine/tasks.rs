//! What runs in the background, for `_active_tasks`. Starts and stops nothing, and knows of
//! compactions of shards alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::shard::ShardId;

/// A compaction that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The shard.
    pub shard: ShardId,
    /// Seconds since 1970 when it began.
    pub started_on: u64,
    /// Entries copied so far.
    pub done: u64,
    /// Entries to copy.
    pub total: u64,
}

impl Task {
    /// How far it is, in percent.
    #[must_use]
    pub fn progress(&self) -> u64 {
        (self.done.min(self.total) * 100).checked_div(self.total).unwrap_or(0)
    }
}

/// All that run.
#[derive(Default)]
pub(crate) struct Tasks {
    running: Mutex<Vec<Arc<Running>>>,
}

struct Running {
    shard: ShardId,
    started_on: u64,
    done: AtomicU64,
    total: AtomicU64,
}

/// A task's place in the list; gone when it is dropped.
pub(crate) struct Progress<'a> {
    tasks: &'a Tasks,
    running: Arc<Running>,
}

impl Tasks {
    pub(crate) fn begin(&self, shard: &ShardId, now_s: u64, total: u64) -> Progress<'_> {
        let running = Arc::new(Running {
            shard: shard.clone(),
            started_on: now_s,
            done: AtomicU64::new(0),
            total: AtomicU64::new(total),
        });
        self.running.lock().push(running.clone());
        Progress { tasks: self, running }
    }

    pub(crate) fn list(&self) -> Vec<Task> {
        let task = |running: &Arc<Running>| Task {
            shard: running.shard.clone(),
            started_on: running.started_on,
            done: running.done.load(Ordering::Relaxed),
            total: running.total.load(Ordering::Relaxed),
        };
        self.running.lock().iter().map(task).collect()
    }
}

impl Progress<'_> {
    pub(crate) fn advance(&self, entries: u64) {
        self.running.done.fetch_add(entries, Ordering::Relaxed);
    }

    pub(crate) fn expect_more(&self, entries: u64) {
        self.running.total.fetch_add(entries, Ordering::Relaxed);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.tasks.running.lock().retain(|other| !Arc::ptr_eq(other, &self.running));
    }
}
