//! Everything is overwritten again and again: what was replaced gives its room back in time.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use settee_tests::ask::wait_for;
use settee_tests::client::{Client, Request};
use settee_tests::given;
use settee_tests::orders::{bulk, id, named};
use settee_tests::server::Server;

use crate::{MIB, disk, expect, program};

/// The disk may take so many times what is live.
const TIMES: f64 = 2.0;
/// Documents of one request.
const BATCH: usize = 1000;

#[test]
fn the_disk_stays_under_twice_the_live_data() {
    let (count, rounds) = (given("OVERWRITTEN", 1_000_000), given("OVERWRITES", 20));
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    expect(&mut client, &Request::new("PUT", "/over"), 201);
    let mut revs = vec![None; count];
    overwrite(&mut client, &mut revs, 0);
    // What a first load leaves behind is no overwriting.
    compact(&mut client);
    let (worst, done) = (Mutex::new(Taken::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = server.client();
            while !done.load(Ordering::Relaxed) {
                let taken = Taken { live: live(&mut client), disk: disk(data.path()) };
                let mut worst = worst.lock().expect("no panic");
                if taken.times() > worst.times() {
                    *worst = taken;
                }
                drop(worst);
                thread::sleep(Duration::from_millis(100));
            }
        });
        for round in 1..=rounds {
            let began = Instant::now();
            overwrite(&mut client, &mut revs, round);
            let worst = worst.lock().expect("no panic");
            eprintln!("round {round}: {:?}, {worst} at worst", began.elapsed());
        }
        done.store(true, Ordering::Relaxed);
    });
    let worst = worst.into_inner().expect("no panic");
    assert!(worst.times() < TIMES, "{worst}");
}

/// What the disk takes, log and all, and what of it is live, in bytes. The history of revisions is
/// live, too, and grows with each round.
struct Taken {
    disk: u64,
    live: u64,
}

impl Default for Taken {
    fn default() -> Self {
        Taken { disk: 0, live: 1 }
    }
}

impl Taken {
    fn times(&self) -> f64 {
        self.disk as f64 / self.live as f64
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (disk, live) = (self.disk / MIB, self.live / MIB);
        write!(f, "{disk} MiB of disk for {live} MiB ({:.2})", self.times())
    }
}

fn live(client: &mut Client) -> u64 {
    info(client)["sizes"]["active"].as_u64().expect("a size").max(1)
}

fn info(client: &mut Client) -> Value {
    expect(client, &Request::new("GET", "/over"), 200).json().expect("JSON")
}

/// A new revision of every document.
fn overwrite(client: &mut Client, revs: &mut [Option<String>], round: usize) {
    for (batch, revs) in revs.chunks_mut(BATCH).enumerate() {
        let first = batch * BATCH;
        let document = |(at, rev): (usize, &Option<String>)| {
            named(&id(first + at), rev.as_deref(), first + at + round)
        };
        let documents: Vec<_> = revs.iter().enumerate().map(document).collect();
        let request = Request::new("POST", "/over/_bulk_docs").json(&bulk(&documents));
        let answer = expect(client, &request, 201).json().expect("JSON");
        for (rev, row) in revs.iter_mut().zip(answer.as_array().expect("rows")) {
            *rev = Some(row["rev"].as_str().expect("a revision").to_owned());
        }
    }
}

/// Compacts, and waits until the log is cut off, too.
fn compact(client: &mut Client) {
    expect(client, &Request::new("POST", "/over/_compact").json("{}"), 202);
    wait_for(|| (info(client)["compact_running"] == false).then_some(()));
    thread::sleep(Duration::from_secs(10));
}
