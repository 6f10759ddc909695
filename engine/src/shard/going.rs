//! Whether a shard takes writes, and how it stops: for ever when it is dropped, until the log is in
//! order again when that failed. Never decides what is written.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::state::State;
use super::{NONE, Shard};
use crate::Error;

/// Why a shard takes no writes.
pub(super) enum Stop {
    Dropped,
    /// What was not durable then never will be.
    LogFailed(Error),
}

impl Shard {
    /// Why it takes no writes, if so.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        self.env.check_open()?;
        self.check_going()
    }

    /// Why its file must not change, if so.
    pub(crate) fn check_going(&self) -> Result<(), Error> {
        match &*self.stopped.lock() {
            Some(Stop::Dropped) => Err(Error::ShardMissing { shard: self.id.shared().clone() }),
            Some(Stop::LogFailed(error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Whether it was dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        matches!(&*self.stopped.lock(), Some(Stop::Dropped))
    }

    fn stop(&self, stop: Stop) {
        let mut stopped = self.stopped.lock();
        if !matches!(*stopped, Some(Stop::Dropped)) {
            *stopped = Some(stop);
        }
        drop(stopped);
        self.durable_moved.notify_all();
    }

    /// The log failed: what is not durable never will be, and no more writes are taken until
    /// [`Shard::resume`].
    pub(crate) fn fail(&self, error: Error) {
        self.stop(Stop::LogFailed(error.clone()));
        let waiting = std::mem::take(&mut self.durable.lock().waiting);
        waiting.into_iter().for_each(|(_, call)| call(Err(error.clone())));
    }

    /// Takes no writes from now on, for the shard is dropped; waits for those under way and for a
    /// checkpoint or compaction. Answers with the epoch and the number for the last frame.
    pub(crate) fn end(&self) -> (u64, u64) {
        self.stop(Stop::Dropped);
        let _turn = self.upkeep.lock();
        let head = self.head.lock();
        (head.epoch, head.counters.number + 1)
    }

    /// The shard was not dropped after all.
    pub(crate) fn go_on(&self) {
        *self.stopped.lock() = None;
    }

    /// Whether it takes no writes because the log failed.
    pub(crate) fn has_lost_log(&self) -> bool {
        matches!(&*self.stopped.lock(), Some(Stop::LogFailed(_)))
    }

    /// Goes back to the last durable state, because the log has failed and begins anew from there.
    pub(crate) fn rewind(&self) {
        let mut head = self.head.lock();
        let durable = self.durable_state();
        *head = (*durable).clone();
        if durable.store.holds(durable.counters.number) {
            self.oldest_lsn.store(NONE, Ordering::Release);
            // What is left came with frames that the log has lost.
            durable.store.unwritten().clear();
        }
        self.account(&head);
    }

    /// The log is in order again.
    pub(crate) fn resume(&self) {
        let mut stopped = self.stopped.lock();
        if matches!(*stopped, Some(Stop::LogFailed(_))) {
            *stopped = None;
        }
    }

    /// Waits until all that `head` holds is durable, or never will be.
    pub(super) fn wait_durable(&self, head: &MutexGuard<'_, State>) -> Result<Arc<State>, Error> {
        let mut durable = self.durable.lock();
        while durable.state.counters.number < head.counters.number {
            self.check_going()?;
            self.env.log.wait_for(&self.durable_moved, &mut durable);
        }
        Ok(durable.state.clone())
    }
}
