//! One node of three is lost again and again under load, killed or frozen: the others go on, nothing
//! that was acknowledged is lost, and the node is equal to the others soon after it is back. `FAULTS`
//! (3 by default) says how often.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;

use crate::cluster::{contents, put, wait_for};
use crate::program;

/// Connections that write at once.
const WRITERS: usize = 6;
const NODES: usize = 3;
/// No request takes longer. Unoptimised programs on a busy machine prove nothing about that.
const SLOWEST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });

/// What the writers know.
#[derive(Default)]
struct Tally {
    acknowledged: Mutex<BTreeSet<String>>,
    slowest: Mutex<Duration>,
    asked: AtomicUsize,
    failed: AtomicUsize,
}

/// Which node is not to be asked; none if it is as large as their number.
struct Load {
    lost: AtomicUsize,
    done: AtomicBool,
}

#[test]
fn one_node_of_three_may_be_lost_at_any_time() {
    let faults = std::env::var("FAULTS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut cluster = Cluster::start(&program(), NODES).expect("a cluster");
    assert_eq!(put(&mut cluster.clients()[0], "/db?q=2&n=3", "").status, 201);
    let tally = Tally::default();
    let mut longest = Duration::ZERO;
    for fault in 0..faults {
        lose_one(&mut cluster, &tally, fault);
        let healed = Instant::now();
        let acknowledged = tally.acknowledged.lock().expect("a lock");
        let mut clients = cluster.clients();
        wait_for(|| {
            let shown = contents(&mut clients[0], "/db");
            let same = clients.iter_mut().all(|client| contents(client, "/db") == shown);
            (same && acknowledged.iter().all(|id| shown.contains_key(id))).then_some(())
        });
        longest = longest.max(healed.elapsed());
    }
    let (asked, failed) = (tally.asked.into_inner(), tally.failed.into_inner());
    let slowest = tally.slowest.into_inner().expect("a lock");
    eprintln!(
        "{faults} faults: {asked} requests, {failed} not answered well, slowest {slowest:?}; \
         equal again after {longest:?} at most"
    );
    assert!(failed * 1000 <= asked, "{failed} of {asked} requests were not answered well");
    assert!(slowest < SLOWEST, "a request took {slowest:?}");
}

fn lose_one(cluster: &mut Cluster, tally: &Tally, fault: usize) {
    let victim = fault % NODES;
    let kill = (fault / NODES).is_multiple_of(2);
    let load = Load { lost: AtomicUsize::new(NODES), done: AtomicBool::new(false) };
    let clients = cluster.clients();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (clients, load) = (&clients, &load);
            scope.spawn(move || write(clients, load, tally, &format!("{fault}-{writer}")));
        }
        thread::sleep(Duration::from_millis(100 + (fault as u64 * 67) % 300));
        load.lost.store(victim, Ordering::SeqCst);
        let node = &mut cluster.nodes()[victim];
        if kill {
            node.kill();
        } else {
            node.signal("STOP").expect("a process");
        }
        thread::sleep(Duration::from_millis(1000 + (fault as u64 * 131) % 2000));
        if kill {
            node.restart().expect("a process");
        } else {
            node.signal("CONT").expect("a process");
        }
        node.wait_until_up().expect("a node");
        load.done.store(true, Ordering::SeqCst);
    });
}

/// Writes new documents through the nodes that are there, and reads each through another one.
fn write(clients: &[Client], load: &Load, tally: &Tally, name: &str) {
    let mut clients: Vec<Client> = clients.iter().map(Client::again).collect();
    for turn in 0.. {
        if load.done.load(Ordering::SeqCst) {
            return;
        }
        let id = format!("{name}-{turn}");
        let lost = load.lost.load(Ordering::SeqCst);
        let mut there = (0..NODES).cycle().skip(turn).filter(|node| *node != lost);
        let path = format!("/db/{id}");
        let write = Request::new("PUT", &path).json("{}");
        let Some(status) = ask(&mut clients, there.next(), &write, load, tally) else { continue };
        if [201, 202].contains(&status) {
            tally.acknowledged.lock().expect("a lock").insert(id);
        }
        if status == 201 {
            let read = Request::new("GET", &path);
            ask(&mut clients, there.next(), &read, load, tally);
        }
    }
}

/// Asks a node; no answer counts unless the node was there all the time.
fn ask(
    clients: &mut [Client],
    node: Option<usize>,
    request: &Request,
    load: &Load,
    tally: &Tally,
) -> Option<u16> {
    let node = node?;
    let began = Instant::now();
    let answer = clients[node].send(request);
    let status = answer.as_ref().ok().map(|answer| answer.status);
    if load.lost.load(Ordering::SeqCst) == node {
        return status;
    }
    tally.asked.fetch_add(1, Ordering::Relaxed);
    if !status.is_some_and(|status| (200..300).contains(&status)) {
        tally.failed.fetch_add(1, Ordering::Relaxed);
        let said = answer.map_or_else(|error| error.to_string(), |answer| answer.text());
        eprintln!("{} {} after {:?}: {said}", request.method, request.path, began.elapsed());
    }
    let mut slowest = tally.slowest.lock().expect("a lock");
    *slowest = slowest.max(began.elapsed());
    status
}
