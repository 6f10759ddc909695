//! When the scheduler works, and what it does with damage.

use super::*;
use std::collections::HashSet;

use parking_lot::Mutex;

use crate::sync::scheduler::{Place, Places, Scheduler, Setting, Timing};

/// One of two nodes, as its scheduler sees the cluster.
struct Map {
    target: Target,
    source: Source,
    shared: Mutex<bool>,
    /// Whether the other node can be reached.
    up: Mutex<bool>,
    asked: Mutex<HashSet<ShardId>>,
    /// What was agreed on whether the copy is being filled.
    filling: Mutex<Vec<bool>>,
}

impl Places for Map {
    fn shared(&self) -> Vec<(ShardId, Vec<NodeId>)> {
        if *self.shared.lock() { vec![(shard_id(), vec![self.source.node])] } else { Vec::new() }
    }

    fn place(&self, shard: &ShardId) -> Option<Place> {
        self.asked.lock().insert(shard.clone());
        let mut source = self.source.clone();
        if !*self.up.lock() {
            // A shard that is not there is as good as a node that is not there.
            let nowhere = ShardId::parse("00000000-ffffffff/nowhere.1").unwrap();
            let engine = self.target.copy.engine().clone();
            source.copy =
                ShardCopy::Local(LocalCopy::new(crate::Host::new(engine), nowhere, PATIENCE));
        }
        let filling = self.filling.lock().last() == Some(&true);
        let target = self.target.clone();
        self.shared.lock().then(|| Place { target, sources: vec![source], filling })
    }

    fn set_filling(self: Arc<Self>, shard: ShardId, filling: bool) -> Setting {
        assert_eq!(shard, shard_id());
        self.filling.lock().push(filling);
        Box::pin(async { Ok(()) })
    }
}

fn map(target: &Node, source: &Node) -> Arc<Map> {
    Arc::new(Map {
        target: target.target(),
        source: source.source(),
        shared: Mutex::new(true),
        up: Mutex::new(true),
        asked: Mutex::default(),
        filling: Mutex::default(),
    })
}

fn timing() -> Timing {
    Timing {
        settle: Duration::from_millis(50),
        compare_after: Duration::from_millis(100),
        ..Timing::default()
    }
}

fn start(map: &Arc<Map>) -> Scheduler {
    let places: Arc<dyn Places> = map.clone();
    Scheduler::start(Arc::downgrade(&places), timing())
}

/// Waits until both copies are equal; whether that came in time.
async fn become_equal(one: &Node, two: &Node, patience: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + patience;
    while one.contents() != two.contents() {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn it_pulls_when_the_map_is_new_and_after_commits_and_hints() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    one.put("a", "{}");
    let map = map(two, one);
    let scheduler = start(&map);
    assert!(!become_equal(one, two, SHORT).await);
    scheduler.map_changed();
    assert!(become_equal(one, two, LONG).await);
    // Without a reason it sleeps.
    one.put("b", "{}");
    assert!(!become_equal(one, two, SHORT).await);
    scheduler.ear().committed(&shard_id());
    assert!(become_equal(one, two, LONG).await);
    one.put("c", "{}");
    scheduler.behind(&shard_id());
    assert!(become_equal(one, two, LONG).await);
    scheduler.stop();
}

#[tokio::test]
async fn a_peer_that_comes_up_is_pulled_from() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    one.put("a", "{}");
    let map = map(two, one);
    *map.up.lock() = false;
    let scheduler = start(&map);
    scheduler.map_changed();
    assert!(!become_equal(one, two, SHORT).await);
    *map.up.lock() = true;
    scheduler.peer_up(one.id);
    assert!(become_equal(one, two, LONG).await);
}

#[tokio::test]
async fn a_peer_that_was_there_before_the_map_is_compared_with() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    let path = |start, ids: &[u8]| RevPath {
        start,
        ids: ids.iter().map(|id| RevId::from_md5([*id; 16])).collect(),
    };
    // What no pull sees: a branch that came late.
    one.replicate("a", path(2, b"ba"), "{}");
    two.replicate("a", path(2, b"b"), "{}");
    pull_all(&nodes).await;
    two.replicate("a", path(1, b"a"), "{}");
    pull_all(&nodes).await;
    let map = map(two, one);
    let scheduler = start(&map);
    scheduler.peer_up(one.id);
    scheduler.map_changed();
    assert!(become_equal(one, two, LONG).await);
}

#[tokio::test]
async fn with_no_other_copy_it_does_nothing() {
    let nodes = nodes(1);
    let map = map(&nodes[0], &nodes[0]);
    *map.shared.lock() = false;
    let scheduler = start(&map);
    scheduler.map_changed();
    scheduler.ear().committed(&shard_id());
    scheduler.behind(&shard_id());
    scheduler.peer_up(7);
    tokio::time::sleep(SHORT).await;
    assert!(map.asked.lock().is_empty());
}

#[tokio::test]
async fn a_damaged_copy_is_made_anew_from_the_other_one() {
    let mut nodes = nodes(2);
    for number in 0..300 {
        nodes[0].put(&format!("doc{number}"), &format!(r#"{{"n":{number}}}"#));
    }
    nodes[1].pull(&nodes[0]).await;
    // All is in the file, and then some of it is other bytes.
    nodes[1].engine().close().unwrap();
    nodes[1].engine = None;
    damage(&nodes[1].disk);
    nodes[1].crash(Crash::KeepAll);
    nodes[0].put("doc1", "{}");
    let map = map(&nodes[1], &nodes[0]);
    let scheduler = start(&map);
    scheduler.map_changed();
    let deadline = tokio::time::Instant::now() + LONG;
    while nodes[1].engine().shard(&shard_id()).is_err()
        || nodes[1].shard().snapshot().counts().unwrap().doc_count < 300
    {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(become_equal(&nodes[0], &nodes[1], LONG).await);
    assert_equal(&nodes).await;
    scheduler.stop();
    // All were told before it was empty, and when it was filled again.
    assert_eq!(*map.filling.lock(), [true, false]);
}

#[tokio::test]
async fn a_copy_that_is_filled_answers_readers_when_it_has_all() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    one.put("a", "{}");
    let map = map(two, one);
    map.filling.lock().push(true);
    let full = || *map.filling.lock() == [true, false];
    *map.up.lock() = false;
    let scheduler = start(&map);
    scheduler.map_changed();
    tokio::time::sleep(SHORT).await;
    assert!(!full(), "nothing was pulled");
    *map.up.lock() = true;
    scheduler.peer_up(one.id);
    assert!(become_equal(one, two, LONG).await);
    let deadline = tokio::time::Instant::now() + LONG;
    while !full() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_damaged_copy_stays_as_it_is_when_no_other_can_be_read() {
    let mut nodes = nodes(2);
    nodes[1].put("a", "{}");
    nodes[1].engine().close().unwrap();
    nodes[1].engine = None;
    damage(&nodes[1].disk);
    nodes[1].crash(Crash::KeepAll);
    let before = nodes[1].disk.operations();
    let map = map(&nodes[1], &nodes[0]);
    *map.up.lock() = false;
    let scheduler = start(&map);
    scheduler.map_changed();
    tokio::time::sleep(SHORT).await;
    assert!(matches!(
        nodes[1].engine().shard(&shard_id()),
        Err(settee_engine::Error::Corrupt { .. })
    ));
    assert_eq!(nodes[1].disk.operations(), before);
}

/// Changes bytes of the shard's file.
fn damage(disk: &SimStorage) {
    use settee_engine::io::Storage;
    let file = disk.open("shards/00000000-ffffffff/db.1.shard").unwrap();
    file.write_at(&[0xff; 8192], 0).unwrap();
    file.sync().unwrap();
}
