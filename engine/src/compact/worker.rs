//! Compaction of one shard: copies what is live into a new file while everybody goes on, follows the
//! changes that come meanwhile, and at last, with the writer standing still, puts the new file in the
//! place of the old one. When it fails or is killed, nothing has happened.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::copy::{Copy, Step};
use crate::Error;
use crate::engine::{Env, Progress};
use crate::shard::Shard;
use crate::shard::state::State;
use crate::shard::store::Store;

/// The writer is stopped for the rest when so little is left, in frames and bytes.
const FEW_FRAMES: u64 = 64;
const FEW_BYTES: u64 = 1 << 20;
/// After so many rounds the copy no longer rests: the old file grows while it follows the writer.
const RESTFUL: usize = 1;
/// After so many the writer is faster than copying is; it must wait for what it wrote in the last.
const ROUNDS: usize = 20;
/// While the shard has more garbage than it should, a byte may be written to it for so many that are
/// copied.
const COPIED_FOR_WRITTEN: u64 = 8;
/// The most that may be written at once, in bytes, though more was copied while nobody wrote.
const BURST: i64 = 1 << 20;

/// Compacts a shard; writes only if nothing goes wrong.
pub(crate) fn compact(shard: &Arc<Shard>, env: &Env) -> Result<(), Error> {
    // What is clean is not looked at again when it comes to catching up.
    shard.save_in_place()?;
    let draft = env.draft_path();
    let result = copy_and_swap(shard, env, &draft);
    if result.is_err() {
        env.discard(&draft);
    }
    result
}

fn copy_and_swap(shard: &Arc<Shard>, env: &Env, draft: &str) -> Result<(), Error> {
    let file = env.storage.create(draft)?;
    let place = shard.id().file();
    let store = Store::over(file, place.as_str().into(), &env.cache);
    let mut seen = shard.durable_state();
    let in_step = env.options.compaction.wants(&shard.sizes()?);
    let pace = Pace {
        shard,
        env,
        progress: env.tasks.begin(shard.id(), env.now_ms() / 1000, entries(&seen)),
        hurried: Cell::new(in_step),
        in_step,
        credit: Cell::new(0),
    };
    let keep = |step| pace.keep(step);
    let mut copy = Copy::of(&seen, store.into(), shard.revs_limit(), &keep)?;
    for round in 0..ROUNDS {
        let now = shard.durable_state();
        if is_little(&seen, &now)? {
            break;
        }
        if round == RESTFUL {
            pace.hurried.set(true);
        }
        pace.progress.expect_more(now.counters.update_seq - seen.counters.update_seq);
        copy.catch_up(&seen, &now)?;
        copy.save()?;
        seen = now;
    }
    shard.swap(copy, &seen, draft)
}

/// Whether the writer may wait until what changed since is copied.
fn is_little(since: &State, now: &State) -> Result<bool, Error> {
    let frames = now.counters.number - since.counters.number;
    let bytes = now.content_bytes()?.saturating_sub(since.content_bytes()?);
    Ok(frames <= FEW_FRAMES && bytes <= FEW_BYTES)
}

fn entries(state: &State) -> u64 {
    state.trees.each().into_iter().map(crate::tree::Tree::count).sum()
}

/// How fast a copy may go on, and how fast writers beside it.
struct Pace<'a> {
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

impl Pace<'_> {
    /// Counts the work, ends it if the shard is gone, rests so that others have the disk, and lets
    /// writers have their share.
    fn keep(&self, step: Step) -> Result<(), Error> {
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

impl Drop for Pace<'_> {
    fn drop(&mut self) {
        self.shard.release_writes();
    }
}
