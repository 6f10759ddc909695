//! How a write becomes durable: batches wait in the shard's queue, one thread at a time (a writer's,
//! for a small one its caller's, during compaction the compactor's) takes all of them, decides them,
//! applies them to the newest state and gives the log one frame; when the frame is durable the state is
//! published and everybody is told. Decisions are in `decide`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::batch::{Batch, Decision, Done, OnDecided, Outcome, Write};
use super::decide::Decider;
use super::queue::{Job, Queued, Told};
use super::state::State;
use super::{Call, NONE, Shard};
use crate::Error;
use crate::engine::Commit;
use crate::page::Pages;

/// A single document that takes so much memory, with what it brings, may be written without a change of threads, in bytes.
const QUICK: usize = 64 << 10;

/// Decided batches that will be durable with one frame.
struct Decided {
    decisions: Vec<Decision>,
    /// The next state and the frame that leads to it; `None` if nothing changes.
    next: Option<(State, Bytes)>,
}

impl Shard {
    /// Hands a batch to the shard's writer and returns; `done` is called once, on this thread if the
    /// shard cannot take the batch ([`Error::Overloaded`], or why it takes none at all).
    pub fn submit(self: &Arc<Self>, batch: Batch, done: Done) {
        self.take(batch, Told { decided: None, done });
    }

    /// [`Shard::submit`] that also tells what was decided, before it is durable.
    pub fn submit_telling(self: &Arc<Self>, batch: Batch, decided: OnDecided, done: Done) {
        self.take(batch, Told { decided: Some(decided), done });
    }

    fn take(self: &Arc<Self>, batch: Batch, told: Told) {
        self.touch();
        self.revs_limit.store(batch.revs_limit, Ordering::Relaxed);
        if let Err(error) = self.check_writable().and_then(|()| self.check_room(&batch)) {
            return (told.done)(Err(error));
        }
        let job = Job { batch, told };
        if self.is_quick(&job.batch) && self.queue.claim() {
            if let Err(job) = self.write_at_once(job) {
                self.queue.put_back(job);
            }
            return self.hand_on();
        }
        match self.queue.push(job, self.env.options.queue_bytes) {
            Queued::Waits => {}
            Queued::First => self.ask_for_writer(),
            Queued::Refused(job) => (job.told.done)(Err(Error::Overloaded)),
        }
    }

    fn ask_for_writer(self: &Arc<Self>) {
        self.env.ready.push(self.clone());
        // The writer threads may have ended just now.
        if let Err(error) = self.env.check_open() {
            tell(self.queue.take().into_iter().map(|job| job.told), Err(error));
        }
    }

    /// On a full disk only what frees room is written.
    fn check_room(&self, batch: &Batch) -> Result<(), Error> {
        if batch.writes.iter().all(Write::frees) { Ok(()) } else { self.env.check_room() }
    }

    /// Whether a batch is small and alone, so that it costs less to decide it than to wake a thread.
    /// While the log is busy it is better to let writes gather.
    fn is_quick(&self, batch: &Batch) -> bool {
        let [write] = batch.writes.as_slice() else { return false };
        write.edit().is_some()
            && write.bytes() <= QUICK
            && !self.is_heavy()
            && self.env.log.is_idle()
    }

    /// Writes a job on the caller's thread, which must be the shard's writer, without waiting for
    /// anything; gives it back if that is not possible or if anything speaks against it.
    fn write_at_once(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        let Some(mut head) = self.head.try_lock() else { return Err(job) };
        let pages = head.store.pages.resident_only();
        let decide = |()| self.decide(&head, &pages, std::slice::from_ref(&job));
        match self.check_writable().and_then(decide) {
            Ok(decided) => self.commit(&mut head, decided, vec![job]),
            Err(_) => return Err(job),
        }
        Ok(())
    }

    /// Sees to it that what came meanwhile is written too.
    fn hand_on(self: &Arc<Self>) {
        if self.queue.more() {
            self.env.ready.push(self.clone());
        }
    }

    /// Writes what waits. Called by a writer thread that was told of the shard.
    pub(crate) fn write_waiting(self: &Arc<Self>) {
        self.slow_down();
        let jobs = self.queue.take();
        self.write_jobs(jobs);
        self.hand_on();
    }

    /// A compaction begins to copy: writer threads leave the shard to [`Shard::write_in_step`].
    pub(crate) fn hold_writes(&self) {
        self.queue.hold();
    }

    /// Writes what waits for a compaction that goes on meanwhile; how much that was, in bytes. Nothing
    /// while memory is short, for a checkpoint must come first, which is not for who compacts.
    pub(crate) fn write_in_step(self: &Arc<Self>) -> usize {
        if self.is_heavy() {
            return 0;
        }
        let Some(jobs) = self.queue.take_held() else { return 0 };
        let bytes = jobs.iter().map(Job::bytes).sum();
        self.write_jobs(jobs);
        self.hand_on();
        bytes
    }

    /// The compaction does not look after writes now, or has ended.
    pub(crate) fn release_writes(self: &Arc<Self>) {
        if self.queue.release() {
            self.ask_for_writer();
        }
    }

    fn write_jobs(self: &Arc<Self>, jobs: Vec<Job>) {
        if let Err(error) = self.check_writable() {
            return tell(jobs.into_iter().map(|job| job.told), Err(error));
        }
        let mut head = self.head.lock();
        // Once more, for nothing may follow the frame with which a shard ends.
        let decide = |()| self.decide(&head, &head.store.pages, &jobs);
        match self.check_writable().and_then(decide) {
            Ok(decided) => self.commit(&mut head, decided, jobs),
            Err(error) if jobs.len() == 1 => {
                drop(head);
                tell(jobs.into_iter().map(|job| job.told), Err(error));
            }
            // One of them meets damage, or names what is not there: the others shall not suffer.
            Err(_) => {
                drop(head);
                jobs.into_iter().for_each(|job| self.write_jobs(vec![job]));
            }
        }
    }

    /// Writes wait while memory holds far more than it should until it lies in the file.
    fn slow_down(self: &Arc<Self>) {
        if self.check_writable().is_ok()
            && self.is_heavy()
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(shard = %self.id, %error, "checkpoint failed");
        }
    }

    fn is_heavy(&self) -> bool {
        let (options, own) = (&self.env.options, self.dirty_bytes());
        let all = self.env.dirty.load(Ordering::Relaxed);
        own > 0 && (own > 4 * options.shard_dirty_bytes || all > 2 * options.dirty_bytes)
    }

    fn decide(&self, head: &State, pages: &Pages, jobs: &[Job]) -> Result<Decided, Error> {
        let mut decider = Decider::new(head, &self.uploads, pages.clone());
        decider.load(jobs.iter().map(|job| &job.batch))?;
        let decide = |job: &Job| match job.told.decided {
            Some(_) => decider.decide_telling(&job.batch),
            None => {
                let outcomes = decider.decide(&job.batch)?;
                Ok(Decision { outcomes, made: Vec::new() })
            }
        };
        let decisions = jobs.iter().map(decide).collect::<Result<Vec<_>, _>>()?;
        Ok(Decided { decisions, next: decider.finish()? })
    }

    fn commit(self: &Arc<Self>, head: &mut State, decided: Decided, jobs: Vec<Job>) {
        let mut early = Vec::new();
        let mut answers = Vec::with_capacity(jobs.len());
        let design = jobs.iter().flat_map(|job| &job.batch.writes).any(Write::is_design);
        for (job, decision) in jobs.into_iter().zip(decided.decisions) {
            let Told { decided, done } = job.told;
            match decided {
                Some(tell) => {
                    answers.push((done, decision.outcomes.clone()));
                    early.push((tell, decision));
                }
                None => answers.push((done, decision.outcomes)),
            }
        }
        let tell_early = || early.into_iter().for_each(|(tell, decision)| tell(decision));
        let answer = move |result: Result<(), Error>| {
            let answers = answers.into_iter();
            answers.for_each(|(done, outcomes)| done(result.clone().map(|()| outcomes)));
        };
        let Some((next, frame)) = decided.next else {
            tell_early();
            // What was decided may rest on writes that are not durable yet.
            return self.when_durable(head.counters.number, Box::new(answer));
        };
        let state = Arc::new(next.clone());
        let shard = self.clone();
        // A lower bound of the frame's lsn must be known before the log may have the frame.
        let bound = self.env.log.next_lsn();
        let first =
            self.oldest_lsn.compare_exchange(NONE, bound, Ordering::AcqRel, Ordering::Acquire);
        self.written_ms.store(self.env.now_ms(), Ordering::Relaxed);
        let number = next.counters.number;
        self.durable.lock().waiting.push((number, Box::new(answer)));
        let done = Box::new(move |result: Result<(), Error>| match result {
            Ok(()) => shard.publish(state, bound, design),
            Err(error) => shard.fail(error),
        });
        match self.env.log.append(self.id.shared(), frame, done) {
            Ok(_) => {
                *head = next;
                self.account(head);
                self.call_for_help();
                tell_early();
            }
            Err(error @ Error::TooLarge { .. }) => {
                if first.is_ok() {
                    // The file still has everything.
                    head.store.unwritten().clear();
                    self.oldest_lsn.store(NONE, Ordering::Release);
                }
                self.give_up(number, &error);
            }
            Err(error) => self.fail(error),
        }
    }

    /// The log did not take the frame with that number.
    fn give_up(&self, number: u64, error: &Error) {
        let mut durable = self.durable.lock();
        let waiting = std::mem::take(&mut durable.waiting);
        let (refused, others): (Vec<_>, _) =
            waiting.into_iter().partition(|(wanted, _)| *wanted == number);
        durable.waiting = others;
        drop(durable);
        refused.into_iter().for_each(|(_, call)| call(Err(error.clone())));
    }

    /// Calls back when the frame with that number is durable, or never will be.
    pub(super) fn when_durable(&self, number: u64, call: Call) {
        let mut durable = self.durable.lock();
        if durable.state.counters.number >= number {
            drop(durable);
            return call(Ok(()));
        }
        // Who stops a shard says so before it calls back who waits: nobody must come after that, for
        // the number may be given again, to a frame that knows nothing of this call.
        if let Err(error) = self.check_going() {
            drop(durable);
            return call(Err(error));
        }
        durable.waiting.push((number, call));
    }

    /// A frame is durable: readers see its state from now on, and everybody is told.
    fn publish(&self, state: Arc<State>, lsn_bound: u64, design: bool) {
        let number = state.counters.number;
        let update_seq = state.counters.update_seq;
        let mut durable = self.durable.lock();
        let changed = durable.state.counters.update_seq != update_seq;
        durable.state = state;
        durable.lsn_bound = lsn_bound;
        let waiting = std::mem::take(&mut durable.waiting);
        let (reached, later): (Vec<_>, _) =
            waiting.into_iter().partition(|(wanted, _)| *wanted <= number);
        durable.waiting = later;
        drop(durable);
        self.durable_moved.notify_all();
        if changed {
            self.env.notify(&self.id, Commit { update_seq, design });
        }
        reached.into_iter().for_each(|(_, call)| call(Ok(())));
    }
}

fn tell(waiting: impl Iterator<Item = Told>, result: Result<Vec<Outcome>, Error>) {
    waiting.for_each(|told| (told.done)(result.clone()));
}
