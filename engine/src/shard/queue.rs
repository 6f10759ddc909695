//! The batches that wait for a shard's writer. Bounded; decides nothing.

use parking_lot::Mutex;

use super::batch::{Batch, Done, OnDecided, Write};

/// A batch and whom to tell.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) told: Told,
}

/// Whom to tell what.
pub(super) struct Told {
    pub(super) decided: Option<OnDecided>,
    pub(super) done: Done,
}

impl Job {
    /// About how much memory it holds.
    pub(super) fn bytes(&self) -> usize {
        self.batch.writes.iter().map(Write::bytes).sum()
    }
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    bytes: usize,
    /// A writer thread has the shard, or will have it.
    scheduled: bool,
    /// No writer thread is to be told: a compaction takes what waits, in step with its copy.
    held: bool,
}

/// See the module's description.
#[derive(Default)]
pub(super) struct WriteQueue(Mutex<Waiting>);

/// What became of a job that was to be queued.
pub(super) enum Queued {
    /// It waits, and a writer thread knows.
    Waits,
    /// It waits, and the caller must tell a writer thread.
    First,
    /// Too much waits already.
    Refused(Job),
}

impl WriteQueue {
    /// Queues a job unless more than `limit` bytes wait; a job alone is always taken.
    pub(super) fn push(&self, job: Job, limit: usize) -> Queued {
        let bytes = job.bytes();
        let mut waiting = self.0.lock();
        let bytes = waiting.bytes.saturating_add(bytes);
        if bytes > limit && !waiting.jobs.is_empty() {
            return Queued::Refused(job);
        }
        waiting.bytes = bytes;
        waiting.jobs.push(job);
        if waiting.held || std::mem::replace(&mut waiting.scheduled, true) {
            return Queued::Waits;
        }
        Queued::First
    }

    /// Makes the caller the shard's writer if it has none and nothing waits; [`WriteQueue::more`]
    /// must follow.
    pub(super) fn claim(&self) -> bool {
        let mut waiting = self.0.lock();
        let idle = waiting.jobs.is_empty() && !waiting.scheduled && !waiting.held;
        waiting.scheduled |= idle;
        idle
    }

    /// Queues a job of the caller, who is the shard's writer, before all others.
    pub(super) fn put_back(&self, job: Job) {
        let mut waiting = self.0.lock();
        waiting.bytes = waiting.bytes.saturating_add(job.bytes());
        waiting.jobs.insert(0, job);
    }

    /// All that wait.
    pub(super) fn take(&self) -> Vec<Job> {
        self.0.lock().take()
    }

    /// The writer thread is done with what it took. Whether there is more for it.
    pub(super) fn more(&self) -> bool {
        let mut waiting = self.0.lock();
        waiting.scheduled = !waiting.jobs.is_empty() && !waiting.held;
        waiting.scheduled
    }

    /// From now on what comes waits for [`WriteQueue::take_held`].
    pub(super) fn hold(&self) {
        self.0.lock().held = true;
    }

    /// All that wait while the queue is held, if anything does and no writer thread is at it;
    /// [`WriteQueue::more`] must follow.
    pub(super) fn take_held(&self) -> Option<Vec<Job>> {
        let mut waiting = self.0.lock();
        if !waiting.held || waiting.scheduled || waiting.jobs.is_empty() {
            return None;
        }
        waiting.scheduled = true;
        Some(waiting.take())
    }

    /// The queue is held no more. Whether the caller must tell a writer thread.
    pub(super) fn release(&self) -> bool {
        let mut waiting = self.0.lock();
        waiting.held = false;
        let tell = !waiting.scheduled && !waiting.jobs.is_empty();
        waiting.scheduled |= tell;
        tell
    }
}

impl Waiting {
    fn take(&mut self) -> Vec<Job> {
        self.bytes = 0;
        std::mem::take(&mut self.jobs)
    }
}
