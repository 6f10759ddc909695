//! Brings indexes up to date after commits, so that queries find them so: a few databases at once, in
//! the order in which they changed. One that takes long lets those that wait go first, and goes on after
//! them. Whoever asks a view does not wait for this.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use settee_engine::ShardId;
use settee_model::doc::StoredDoc;
use settee_model::docid::DbName;
use settee_model::json::Raw;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::DesignDoc;
use crate::Error;
use crate::catalogue::{database_of, instance_of};
use crate::coord::designs::design_docs;
use crate::local::LocalCopy;
use crate::node::Node;

/// Rest after a change: what is written in that time is built at once.
const REST: Duration = Duration::from_secs(2);
/// Databases that are remembered; more are built when somebody asks.
const MOST: usize = 100_000;
/// Databases that are built at once; half of the builds that a node has room for.
const AT_ONCE: usize = 2;
/// After so long one lets others go first.
const TURN: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_secs(1);
/// Databases whose design documents are kept for their next change, and how long these may be.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 256 * 1024;

/// Databases that have changed.
#[derive(Default)]
pub(crate) struct Changed {
    queue: Mutex<Queue>,
    bell: Notify,
}

/// Those that wait, by what the names of their shards end with.
#[derive(Default)]
struct Queue {
    shards: HashMap<String, Vec<ShardId>>,
    /// Each once, with when its time has come, which is in the same order.
    order: VecDeque<(Instant, String)>,
    /// Those that somebody builds now.
    busy: HashSet<String>,
}

impl Changed {
    /// A shard has changed. Called by the engine, on a thread that must not wait.
    pub(crate) fn note(&self, shard: &ShardId) {
        if database_of(shard).is_some() && self.queue.lock().add(shard) {
            self.bell.notify_one();
        }
    }

    /// The next database that has rested, with its shards that have changed. It is the caller's until
    /// that says [`Changed::done`].
    async fn next(&self) -> (String, Vec<ShardId>) {
        loop {
            let wait = match self.queue.lock().take(Instant::now()) {
                Ok(taken) => return taken,
                Err(wait) => wait,
            };
            match wait {
                Some(rest) => sleep(rest).await,
                None => self.bell.notified().await,
            }
        }
    }

    /// A database was built but for some shards, whose turn comes again.
    fn done(&self, instance: &str, left: &[ShardId]) {
        let mut queue = self.queue.lock();
        queue.busy.remove(instance);
        for shard in left {
            queue.add(shard);
        }
    }

    /// Whether one waits that has rested.
    fn is_waiting(&self) -> bool {
        let queue = self.queue.lock();
        queue
            .first()
            .and_then(|at| queue.order.get(at))
            .is_some_and(|(due, _)| *due <= Instant::now())
    }
}

impl Queue {
    /// Puts a shard in, if there is room; whether its database did not wait already.
    fn add(&mut self, shard: &ShardId) -> bool {
        let instance = instance_of(shard);
        if let Some(shards) = self.shards.get_mut(instance) {
            if !shards.contains(shard) {
                shards.push(shard.clone());
            }
            return false;
        }
        if self.shards.len() >= MOST {
            return false;
        }
        self.shards.insert(instance.to_owned(), vec![shard.clone()]);
        self.order.push_back((Instant::now() + REST, instance.to_owned()));
        true
    }

    /// Where the first is that nobody builds.
    fn first(&self) -> Option<usize> {
        self.order.iter().position(|(_, instance)| !self.busy.contains(instance))
    }

    /// Takes it out if it has rested; how long it still must otherwise.
    fn take(&mut self, now: Instant) -> Result<(String, Vec<ShardId>), Option<Duration>> {
        let at = self.first().ok_or(None)?;
        let (due, instance) = self.order.get(at).ok_or(None)?;
        let rest = due.saturating_duration_since(now);
        if !rest.is_zero() {
            return Err(Some(rest));
        }
        let (instance, shards) = self.shards.remove_entry(instance).ok_or(None)?;
        self.order.remove(at);
        self.busy.insert(instance.clone());
        Ok((instance, shards))
    }
}

/// Design documents with views, as a mark says that they still are.
type Marked = (u64, Arc<[Arc<DesignDoc>]>);

/// Those of databases that were built lately, by what the names of their shards end with.
#[derive(Default)]
struct Remembered(Mutex<VecDeque<(String, Marked)>>);

impl Remembered {
    fn get(&self, instance: &str, now: u64) -> Option<Arc<[Arc<DesignDoc>]>> {
        let kept = self.0.lock();
        let (_, (mark, ddocs)) = kept.iter().find(|(name, _)| name == instance)?;
        (*mark == now).then(|| ddocs.clone())
    }

    fn put(&self, instance: &str, marked: Marked) {
        let mut kept = self.0.lock();
        kept.retain(|(name, _)| name != instance);
        if marked.1.iter().map(|ddoc| ddoc.body.len()).sum::<usize>() <= KEPT_BYTES {
            kept.push_back((instance.to_owned(), marked));
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

/// Builds for as long as the node is there.
pub(crate) fn keep_building(node: &Weak<Node>, changed: &Arc<Changed>) {
    let remembered = Arc::new(Remembered::default());
    for _ in 0..AT_ONCE {
        let (node, changed, remembered) = (node.clone(), changed.clone(), remembered.clone());
        tokio::spawn(async move {
            while node.strong_count() > 0 {
                let (instance, shards) = changed.next().await;
                let left = build(&node, &changed, &remembered, &instance, &shards).await;
                changed.done(&instance, left.unwrap_or_default());
            }
        });
    }
}

/// Builds what lags behind in some shards of a database; gives back those whose turn is to come again.
/// None if there is nothing to build.
async fn build<'a>(
    node: &Weak<Node>,
    changed: &Changed,
    remembered: &Remembered,
    instance: &str,
    shards: &'a [ShardId],
) -> Option<&'a [ShardId]> {
    let ddocs = match ddocs_of(&*node.upgrade()?, remembered, instance, shards.first()?).await {
        Ok(ddocs) => ddocs,
        Err(error) => {
            tracing::debug!(database = instance, %error, "no indexes are built ahead");
            return None;
        }
    };
    let began = Instant::now();
    let over = || node.strong_count() == 0 || (began.elapsed() >= TURN && changed.is_waiting());
    for (at, shard) in shards.iter().enumerate() {
        for ddoc in ddocs.iter() {
            // The node itself is not held: it may end meanwhile.
            let here = node.upgrade()?;
            let (host, patience) = (here.host().clone(), here.settings().patience());
            drop(here);
            if let Err(error) = host.disk.check_ahead() {
                tracing::debug!(database = instance, %error, "no indexes are built ahead");
                return None;
            }
            build_one(&LocalCopy::new(host, shard.clone(), patience), ddoc, over).await;
            if over() {
                return shards.get(at..);
            }
        }
    }
    None
}

/// Brings the indexes of one design document up to date, or leaves if the time is over.
async fn build_one(copy: &LocalCopy, ddoc: &Arc<DesignDoc>, over: impl Fn() -> bool) {
    let mut building = pin!(copy.build(ddoc));
    loop {
        match timeout(LOOK, &mut building).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::debug!(shard = %copy.id(), ddoc = ddoc.id, %error, "not built ahead");
                return;
            }
            // What was built stays.
            Err(_) if over() => return,
            Err(_) => {}
        }
    }
}

/// The design documents of a database with views that are to be built ahead.
async fn ddocs_of(
    node: &Node,
    remembered: &Remembered,
    instance: &str,
    shard: &ShardId,
) -> Result<Arc<[Arc<DesignDoc>]>, Error> {
    let name = DbName::trusted(database_of(shard).unwrap_or_default());
    // What changes from here on is read again.
    let mark = node.marks().now(&name);
    if let Some(ddocs) = remembered.get(instance, mark) {
        return Ok(ddocs);
    }
    let database = node.database(&name)?;
    let partitioned = database.meta().partitioned;
    let wanted = |doc: StoredDoc| {
        let ddoc = DesignDoc::new(doc.id.as_str(), doc.record.body, partitioned);
        is_wanted(&ddoc).then(|| Arc::new(ddoc))
    };
    let ddocs: Arc<[_]> = design_docs(&database, wanted).await?.into();
    remembered.put(instance, (mark, ddocs.clone()));
    Ok(ddocs)
}

/// Whether a design document has views and does not say that nobody is to build ahead.
fn is_wanted(ddoc: &DesignDoc) -> bool {
    let [views, ahead] = Raw(&ddoc.body).pick(["views", "autoupdate"]);
    views.is_some() && ahead.and_then(Raw::as_bool) != Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(range: &str, name: &str) -> ShardId {
        ShardId::parse(&format!("{range}/{name}.1700000000")).unwrap()
    }

    fn taken(queue: &mut Queue, now: Instant) -> Option<String> {
        queue.take(now).ok().map(|(instance, _)| instance)
    }

    #[test]
    fn databases_take_turns_and_nobody_builds_one_twice_at_a_time() {
        let mut queue = Queue::default();
        let [a, b] = ["a", "b"].map(|name| shard("00000000-7fffffff", name));
        let other = shard("80000000-ffffffff", "a");
        assert!(queue.add(&a) && queue.add(&b));
        assert!(!queue.add(&other) && !queue.add(&a));
        let now = Instant::now();
        assert!(queue.take(now).is_err_and(|rest| rest.is_some_and(|rest| rest <= REST)));
        let rested = now + REST;
        let (instance, shards) = queue.take(rested).unwrap();
        assert_eq!((instance.as_str(), shards), (instance_of(&a), vec![a.clone(), other]));
        // It changes while it is built: somebody else is next.
        assert!(queue.add(&a));
        assert_eq!(taken(&mut queue, rested).as_deref(), Some(instance_of(&b)));
        assert_eq!(queue.take(rested + REST), Err(None));
        queue.busy.remove(instance_of(&a));
        assert_eq!(taken(&mut queue, rested + REST).as_deref(), Some(instance_of(&a)));
        assert!(queue.order.is_empty() && queue.shards.is_empty());
    }

    #[test]
    fn design_documents_are_read_again_when_they_have_changed() {
        let remembered = Remembered::default();
        let ddoc = |body: &str| {
            let body = bytes::Bytes::from(body.to_owned());
            Arc::new(DesignDoc::new("_design/d", body, false))
        };
        remembered.put("a", (1, [ddoc("{}")].into()));
        assert!(remembered.get("a", 1).is_some());
        assert!(remembered.get("a", 2).is_none() && remembered.get("b", 1).is_none());
        remembered.put("a", (2, [ddoc(&" ".repeat(KEPT_BYTES + 1))].into()));
        assert!(remembered.get("a", 1).is_none() && remembered.get("a", 2).is_none());
        (0..=KEPT).for_each(|at| remembered.put(&at.to_string(), (1, [].into())));
        assert!(remembered.get("0", 1).is_none() && remembered.get("1", 1).is_some());
    }
}
