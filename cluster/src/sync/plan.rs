//! Which pairs of copies are to be worked on, when, and how many at once. Pure: times are given in
//! milliseconds since some moment. At most one entry for each pair and kind of work.

use std::collections::{BTreeSet, HashMap};

use settee_engine::ShardId;

use crate::raft::NodeId;

/// What is done with a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Pull what is new by sequence, and `_local/` documents.
    Pull,
    /// Compare everything by digests, and pull what differs.
    Compare,
}

/// A piece of work: bring the copy of a shard on this node to what a node's copy has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Job {
    pub(super) shard: ShardId,
    pub(super) source: NodeId,
    pub(super) kind: Kind,
}

/// How many jobs run, and how long one waits that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Jobs at once.
    pub(super) jobs: usize,
    /// Jobs at once with the same source.
    pub(super) jobs_of_source: usize,
    /// After the first failure; twice as much after each further one.
    pub(super) retry_first: u64,
    pub(super) retry_most: u64,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    due: u64,
    failures: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Plan {
    limits: Limits,
    waiting: HashMap<Job, Wait>,
    by_due: BTreeSet<(u64, Job)>,
    /// With the failures in a row before.
    running: HashMap<Job, u32>,
}

impl Plan {
    pub(super) fn new(limits: Limits) -> Plan {
        Plan { limits, waiting: HashMap::new(), by_due: BTreeSet::new(), running: HashMap::new() }
    }

    /// There is a reason to do a job by then; an earlier wish counts.
    pub(super) fn want(&mut self, job: Job, due: u64) {
        let known = self.waiting.get(&job).copied();
        let failures = known.map_or(0, |wait| wait.failures);
        let due = known.map_or(due, |wait| wait.due.min(due));
        self.put(job, Wait { due, failures });
    }

    /// The next job that is due and may run beside those that do. [`Plan::done`] must follow.
    pub(super) fn next(&mut self, now: u64) -> Option<Job> {
        if self.running.len() >= self.limits.jobs {
            return None;
        }
        let due = self.by_due.iter().take_while(|(due, _)| *due <= now);
        let job = due.map(|(_, job)| job).find(|job| self.may_run(job))?.clone();
        let wait = self.take(&job)?;
        self.running.insert(job.clone(), wait.failures);
        Some(job)
    }

    /// When to ask for the next job, unless something else happens before: those that are due by
    /// now wait for others to end.
    pub(super) fn wake_after(&self, now: u64) -> Option<u64> {
        let due = self.by_due.iter().map(|(due, _)| *due);
        due.into_iter().find(|due| *due > now)
    }

    /// A job has ended. Unless it was forgotten meanwhile, it is done again: after so long if it
    /// went well, else when it may go better.
    pub(super) fn done(&mut self, job: Job, again: Option<u64>, now: u64) {
        let Some(failures) = self.running.remove(&job) else { return };
        match again {
            Some(pause) => self.want(job, now + pause),
            None => {
                let pause = self.limits.retry_first << failures.min(16);
                let due = now + pause.min(self.limits.retry_most);
                self.put(job, Wait { due, failures: failures + 1 });
            }
        }
    }

    /// Gives up the jobs that no copy is left for; those that run end by themselves.
    pub(super) fn keep(&mut self, wanted: impl Fn(&Job) -> bool) {
        let gone: Vec<Job> = self.waiting.keys().filter(|job| !wanted(job)).cloned().collect();
        for job in gone {
            self.take(&job);
        }
        self.running.retain(|job, _| wanted(job));
    }

    /// Whether nothing runs and nothing is due by then.
    #[cfg(test)]
    pub(super) fn is_quiet(&self, now: u64) -> bool {
        self.running.is_empty() && self.by_due.first().is_none_or(|(due, _)| *due > now)
    }

    fn may_run(&self, job: &Job) -> bool {
        let mut of_source = 0;
        for other in self.running.keys() {
            if other.source == job.source {
                of_source += 1;
                if other.shard == job.shard {
                    return false;
                }
            }
        }
        of_source < self.limits.jobs_of_source
    }

    fn put(&mut self, job: Job, wait: Wait) {
        self.take(&job);
        self.by_due.insert((wait.due, job.clone()));
        self.waiting.insert(job, wait);
    }

    fn take(&mut self, job: &Job) -> Option<Wait> {
        let wait = self.waiting.remove(job)?;
        self.by_due.remove(&(wait.due, job.clone()));
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(shard: u32, source: NodeId, kind: Kind) -> Job {
        let shard = ShardId::parse(&format!("00000000-ffffffff/db{shard}.1")).unwrap();
        Job { shard, source, kind }
    }

    fn plan() -> Plan {
        Plan::new(Limits { jobs: 3, jobs_of_source: 2, retry_first: 10, retry_most: 50 })
    }

    #[test]
    fn the_earliest_wish_counts_and_jobs_come_when_they_are_due() {
        let mut plan = plan();
        let (one, two) = (job(1, 1, Kind::Pull), job(2, 1, Kind::Pull));
        plan.want(one.clone(), 50);
        plan.want(two.clone(), 30);
        plan.want(one.clone(), 20);
        plan.want(one.clone(), 40);
        assert_eq!(plan.wake_after(0), Some(20));
        assert_eq!(plan.wake_after(20), Some(30));
        assert_eq!(plan.next(19), None);
        assert!(plan.is_quiet(19) && !plan.is_quiet(20));
        assert_eq!(plan.next(30), Some(one.clone()));
        assert_eq!(plan.next(30), Some(two.clone()));
        assert_eq!(plan.wake_after(0), None);
        plan.done(one, Some(100), 31);
        plan.done(two, Some(100), 31);
        assert!(plan.is_quiet(130) && !plan.is_quiet(131));
    }

    #[test]
    fn a_pair_is_worked_on_once_at_a_time_and_no_source_takes_all_the_room() {
        let mut plan = plan();
        let pull = job(1, 1, Kind::Pull);
        plan.want(pull.clone(), 0);
        plan.want(job(1, 1, Kind::Compare), 0);
        plan.want(job(2, 1, Kind::Pull), 1);
        plan.want(job(3, 1, Kind::Pull), 2);
        plan.want(job(3, 2, Kind::Pull), 3);
        plan.want(job(4, 2, Kind::Pull), 4);
        let first: Vec<Job> = std::iter::from_fn(|| plan.next(9)).collect();
        assert_eq!(first, [pull.clone(), job(2, 1, Kind::Pull), job(3, 2, Kind::Pull)]);
        // A wish during the work is a job of its own, after it.
        plan.want(pull.clone(), 9);
        plan.done(pull, Some(100), 9);
        assert_eq!(plan.next(9), Some(job(1, 1, Kind::Compare)));
    }

    #[test]
    fn failures_wait_longer_each_time_and_a_success_forgets_them() {
        let mut plan = plan();
        let pull = job(1, 1, Kind::Pull);
        plan.want(pull.clone(), 0);
        let mut now = 0;
        for pause in [10, 20, 40, 50, 50] {
            assert_eq!(plan.next(now), Some(pull.clone()));
            plan.done(pull.clone(), None, now);
            assert_eq!(plan.wake_after(0), Some(now + pause));
            now += pause;
        }
        plan.next(now);
        plan.done(pull.clone(), Some(7), now);
        assert_eq!(plan.wake_after(0), Some(now + 7));
        plan.next(now + 7);
        plan.done(pull, None, now);
        assert_eq!(plan.wake_after(0), Some(now + 10));
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let mut plan = plan();
        let (one, two) = (job(1, 1, Kind::Pull), job(2, 2, Kind::Pull));
        plan.want(one.clone(), 0);
        plan.want(two, 0);
        plan.next(0);
        plan.keep(|_| false);
        plan.done(one, None, 0);
        assert!(plan.is_quiet(u64::MAX));
    }
}
