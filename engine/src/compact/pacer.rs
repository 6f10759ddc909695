//! How fast a compaction goes on, and how fast writers may beside it: it rests so that others have the
//! disk, or, if the file has outgrown its share of garbage, hurries and takes the shard's writes itself,
//! in step with what it copies. Copies nothing itself.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::Error;
use crate::engine::{Env, Progress};
use crate::shard::Shard;

/// While the shard has more garbage than it should, a byte may be written to it for so many that are
/// copied.
const COPIED_FOR_WRITTEN: u64 = 8;
/// The most that may be written at once, in bytes, though more was copied while nobody wrote.
const BURST: i64 = 1 << 20;

/// A part of the work.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// So much is done.
    Done {
        /// Entries looked at.
        entries: u64,
        /// Bytes written.
        bytes: u64,
    },
    /// All that was copied is synced now, which may take long.
    Sync,
}

/// See the module's description.
pub(crate) struct Pacer<'a> {
    shard: &'a Arc<Shard>,
    env: &'a Env,
    progress: Progress<'a>,
    /// The copy does not rest.
    hurried: Cell<bool>,
    /// Writers wait for the copy, so that the file does not outgrow it.
    in_step: bool,
    /// How much may be written now, in bytes.
    credit: Cell<i64>,
}

impl<'a> Pacer<'a> {
    /// For a copy of a shard that has so many entries.
    pub(crate) fn of(shard: &'a Arc<Shard>, env: &'a Env, entries: u64) -> Result<Self, Error> {
        let in_step = env.options.compaction.wants(&shard.sizes()?);
        let progress = env.tasks.begin(shard.id(), env.now_ms() / 1000, entries);
        let (hurried, credit) = (Cell::new(in_step), Cell::new(0));
        Ok(Pacer { shard, env, progress, hurried, in_step, credit })
    }

    /// From now on the copy does not rest.
    pub(super) fn hurry(&self) {
        self.hurried.set(true);
    }

    /// More entries are to be copied.
    pub(super) fn expect_more(&self, entries: u64) {
        self.progress.expect_more(entries);
    }

    /// Counts the work, ends it if the shard is gone, rests so that others have the disk, and lets
    /// writers have their share.
    pub(crate) fn keep(&self, step: Step) -> Result<(), Error> {
        let Step::Done { entries, bytes } = step else {
            self.shard.release_writes();
            return Ok(());
        };
        self.progress.advance(entries);
        self.shard.check_going()?;
        if self.env.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let rate = self.env.options.compaction.bytes_per_second;
        if rate > 0 && bytes > 0 && !self.hurried.get() {
            thread::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64));
        }
        if self.in_step {
            self.let_write(bytes);
        }
        Ok(())
    }

    fn let_write(&self, copied: u64) {
        let share = i64::try_from(copied / COPIED_FOR_WRITTEN).unwrap_or(BURST);
        let mut credit = self.credit.get().saturating_add(share).min(BURST);
        self.shard.hold_writes();
        if credit > 0 {
            credit = credit.saturating_sub_unsigned(self.shard.write_in_step() as u64);
        }
        self.credit.set(credit);
    }
}

impl Drop for Pacer<'_> {
    fn drop(&mut self) {
        self.shard.release_writes();
    }
}
