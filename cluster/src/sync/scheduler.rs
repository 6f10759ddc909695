//! [`Scheduler`]: when this node's copies pull from which others. It wakes when there is a reason
//! (a commit, a peer that came up, a write that some copy has missed, another shard map) and every
//! now and then without one. With no shared shard it sleeps for good. Which pair comes next is
//! decided in `plan`.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use settee_engine::ShardId;
use tokio::sync::Notify;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::ask::{Source, Target};
use super::job::{Filled, do_job};
use super::plan::{Job, Kind, Limits, Plan};
use crate::Error;
use crate::raft::NodeId;

/// Where copies are; asked anew for every job.
pub(crate) trait Places: Send + Sync + 'static {
    /// Every shard with a copy here and others elsewhere, with the nodes of those.
    fn shared(&self) -> Vec<(ShardId, Vec<NodeId>)>;

    /// The copies of a shard that lies here and elsewhere.
    fn place(&self, shard: &ShardId) -> Option<Place>;

    /// Agrees with the other nodes on whether the copy here is being filled.
    fn set_filling(self: Arc<Self>, shard: ShardId, filling: bool) -> Setting;
}

/// On its way to being agreed on.
pub(crate) type Setting = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// The copies of a shard.
pub(crate) struct Place {
    pub(crate) target: Target,
    pub(crate) sources: Vec<Source>,
    /// The copy here lacks what the others had before it came.
    pub(crate) filling: bool,
}

/// How long things wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// From a commit here to a look at the other copies, which are likely to have it, too.
    pub(crate) settle: Duration,
    /// From a peer's coming up to a comparison with its copies.
    pub(crate) compare_after: Duration,
    /// Between two looks without a reason.
    pub(crate) look_every: Duration,
    /// Between two comparisons without a reason.
    pub(crate) compare_every: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            settle: Duration::from_secs(10),
            compare_after: Duration::from_secs(30),
            look_every: Duration::from_secs(3600),
            compare_every: Duration::from_secs(24 * 3600),
        }
    }
}

/// From hearing that something lacks to a look, in milliseconds.
const HEARD: u64 = 200;

const LIMITS: Limits = Limits { jobs: 8, jobs_of_source: 4, retry_first: 500, retry_most: 60_000 };

/// See the module.
pub(crate) struct Scheduler {
    inner: Arc<Inner>,
    run: JoinHandle<()>,
}

struct Inner {
    places: Weak<dyn Places>,
    timing: Timing,
    begun: Instant,
    plan: Mutex<Plan>,
    /// Shards that were written to and not looked at since. As many as are shared, at most.
    fresh: Mutex<HashSet<ShardId>>,
    known: Mutex<HashSet<(ShardId, NodeId)>>,
    /// Peers that came up before anything was known to be shared with them: when this node starts, it
    /// may hear of its peers before it knows its shard map.
    early: Mutex<HashSet<NodeId>>,
    /// Whether any shard is shared, so that commits of others cost nothing.
    any: AtomicBool,
    /// The shard map may be another one than that which `known` was taken from.
    stale: AtomicBool,
    wake: Arc<Notify>,
    filled: Arc<Filled>,
}

impl Scheduler {
    /// Begins to look after the copies, until it is dropped or those who know them are.
    pub(crate) fn start(places: Weak<dyn Places>, timing: Timing) -> Scheduler {
        let inner = Arc::new(Inner {
            places,
            timing,
            begun: Instant::now(),
            plan: Mutex::new(Plan::new(LIMITS)),
            fresh: Mutex::default(),
            known: Mutex::default(),
            early: Mutex::default(),
            any: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            wake: Arc::default(),
            filled: Arc::default(),
        });
        let run = tokio::spawn(run(Arc::downgrade(&inner), inner.wake.clone()));
        Scheduler { inner, run }
    }

    /// The shard map may be another one: new pairs are looked at, old ones forgotten.
    pub(crate) fn map_changed(&self) {
        self.inner.stale.store(true, Ordering::Release);
        self.inner.wake.notify_one();
    }

    /// Who is to be told of commits.
    pub(crate) fn ear(&self) -> Ear {
        Ear(self.inner.clone())
    }

    /// A peer can be reached again: what it has and what this node has are looked at.
    pub(crate) fn peer_up(&self, node: NodeId) {
        if !self.inner.shares_with(node) {
            self.inner.early.lock().insert(node);
        }
        self.inner.rejoined(node);
    }

    /// This node's copy of a shard lacks something, or may be damaged. It is looked at a moment
    /// later, for where one write was missed others are.
    pub(crate) fn behind(&self, shard: &ShardId) {
        let inner = &self.inner;
        let places = inner.places.upgrade().filter(|_| inner.any.load(Ordering::Relaxed));
        let Some(places) = places else { return };
        let due = inner.now() + HEARD;
        for source in places.place(shard).into_iter().flat_map(|place| place.sources) {
            inner.want(shard.clone(), source.node, Kind::Pull, due);
        }
        inner.wake.notify_one();
    }

    /// Stops; work under way ends in the middle, which is as good as its end.
    pub(crate) fn stop(&self) {
        self.run.abort();
    }
}

/// Takes note of commits for a [`Scheduler`], without keeping anything but its plans alive.
pub(crate) struct Ear(Arc<Inner>);

impl Ear {
    /// A shard of this node was written to. Quick, for the log's thread.
    pub(crate) fn committed(&self, shard: &ShardId) {
        let inner = &self.0;
        if !inner.any.load(Ordering::Relaxed) {
            return;
        }
        let mut fresh = inner.fresh.lock();
        // The first one is waited for; those that follow it soon are looked at together.
        if fresh.is_empty() {
            inner.wake.notify_one();
        }
        if !fresh.contains(shard) {
            fresh.insert(shard.clone());
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.run.abort();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Inner {
    fn now(&self) -> u64 {
        millis(self.begun.elapsed())
    }

    fn want(&self, shard: ShardId, source: NodeId, kind: Kind, due: u64) {
        self.plan.lock().want(Job { shard, source, kind }, due);
    }

    fn shares_with(&self, node: NodeId) -> bool {
        self.known.lock().iter().any(|(_, source)| *source == node)
    }

    /// All that is shared with a peer is looked at, and compared later.
    fn rejoined(&self, node: NodeId) {
        let now = self.now();
        let known = self.known.lock();
        let shards: Vec<_> = known.iter().filter(|(_, source)| *source == node).cloned().collect();
        drop(known);
        for (shard, source) in shards {
            self.want(shard.clone(), source, Kind::Pull, now);
            self.want(shard, source, Kind::Compare, now + millis(self.timing.compare_after));
        }
        self.wake.notify_one();
    }

    /// Takes the shard map over if it may be another one; when to, if that was done a moment ago. It is
    /// much work where there are many databases: a tenth of the time at most goes there.
    fn learn(&self, rest: &mut Instant) -> Option<Instant> {
        let begun = Instant::now();
        if begun < *rest {
            return self.stale.load(Ordering::Acquire).then_some(*rest);
        }
        if self.stale.swap(false, Ordering::AcqRel) {
            self.take_map();
            *rest = Instant::now() + 9 * begun.elapsed();
        }
        None
    }

    fn take_map(&self) {
        let Some(places) = self.places.upgrade() else { return };
        let shared = places.shared().into_iter();
        let pairs: HashSet<(ShardId, NodeId)> = shared
            .flat_map(|(shard, nodes)| nodes.into_iter().map(move |node| (shard.clone(), node)))
            .collect();
        self.any.store(!pairs.is_empty(), Ordering::Relaxed);
        let mut early = self.early.lock();
        let mut known = self.known.lock();
        let mut plan = self.plan.lock();
        let now = self.now();
        for (shard, source) in pairs.difference(&known) {
            let (shard, source) = (shard.clone(), *source);
            let compare = match early.contains(&source) {
                true => now + millis(self.timing.compare_after),
                false => now + self.spread(&(&shard, source)),
            };
            plan.want(Job { shard: shard.clone(), source, kind: Kind::Pull }, now);
            plan.want(Job { shard, source, kind: Kind::Compare }, compare);
        }
        plan.keep(|job| pairs.contains(&(job.shard.clone(), job.source)));
        early.retain(|node| !pairs.iter().any(|(_, source)| source == node));
        *known = pairs;
    }

    /// Spreads comparisons over the time between two of them.
    fn spread(&self, what: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        hasher.finish() % millis(self.timing.compare_every).max(1)
    }

    /// When to look at the shards that were written to, or looks at them if that is now.
    fn take_commits(&self, due: Option<Instant>) -> Option<Instant> {
        if self.fresh.lock().is_empty() {
            return None;
        }
        let due = due.unwrap_or_else(|| Instant::now() + self.timing.settle);
        if due > Instant::now() {
            return Some(due);
        }
        let fresh = std::mem::take(&mut *self.fresh.lock());
        let places = self.places.upgrade()?;
        let due = self.now();
        for shard in fresh {
            for source in places.place(&shard).into_iter().flat_map(|place| place.sources) {
                self.want(shard.clone(), source.node, Kind::Pull, due);
            }
        }
        None
    }

    /// Begins the jobs that are due.
    fn begin(&self, running: &mut JoinSet<Result<(), Error>>, jobs: &mut HashMap<Id, Job>) {
        let Some(places) = self.places.upgrade() else { return };
        loop {
            let next = self.plan.lock().next(self.now());
            let Some(job) = next else { return };
            match places.place(&job.shard) {
                Some(place) => {
                    let (work, filled, places) = (job.clone(), self.filled.clone(), places.clone());
                    let task =
                        running.spawn(async move { do_job(&work, &place, &places, &filled).await });
                    jobs.insert(task.id(), job);
                }
                None => self.plan.lock().keep(|other| *other != job),
            }
        }
    }

    fn done(&self, job: Job, result: Result<(), Error>) {
        let timing = &self.timing;
        let again = match &result {
            Ok(()) => Some(match job.kind {
                Kind::Pull => timing.look_every,
                Kind::Compare => timing.compare_every,
            }),
            Err(error) => {
                tracing::debug!(shard = %job.shard, node = job.source, %error, "not pulled");
                None
            }
        };
        self.plan.lock().done(job, again.map(millis), self.now());
    }
}

async fn run(inner: Weak<Inner>, wake: Arc<Notify>) {
    let (mut running, mut jobs, mut settled) = (JoinSet::new(), HashMap::new(), None);
    let mut rest = Instant::now();
    loop {
        let Some(here) = inner.upgrade() else { return };
        let unlearnt = here.learn(&mut rest);
        settled = here.take_commits(settled);
        here.begin(&mut running, &mut jobs);
        let next = here.plan.lock().wake_after(here.now());
        let next = next.map(|next| here.begun + Duration::from_millis(next));
        let next = next.into_iter().chain(settled).chain(unlearnt).min();
        drop(here);
        let timer = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            () = wake.notified() => None,
            () = timer => None,
            ended = running.join_next_with_id(), if !running.is_empty() => ended,
        };
        let (Some(ended), Some(here)) = (ended, inner.upgrade()) else { continue };
        let (task, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a job of internal replication was lost");
                (error.id(), Err(Error::Storage("internal error".into())))
            }
        };
        if let Some(job) = jobs.remove(&task) {
            here.done(job, result);
        }
    }
}
