//! Everything is overwritten again and again: what was replaced gives its room back in time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::ask::wait_for;
use settee_tests::client::{Client, Request};
use settee_tests::given;
use settee_tests::orders::{bulk, id, named};
use settee_tests::server::Server;

use crate::{MIB, disk, expect, program};

/// The disk may take so many times what compacted data takes.
const TIMES: u64 = 2;
/// Documents of one request.
const BATCH: usize = 1000;

#[test]
fn the_disk_stays_under_twice_the_live_data() {
    let (count, rounds) = (given("OVERWRITTEN", 500_000), given("OVERWRITES", 20));
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    expect(&mut client, &Request::new("PUT", "/over"), 201);
    let mut revs = vec![None; count];
    overwrite(&mut client, &mut revs, 0);
    let live = compacted(&mut client, || disk(data.path()));
    eprintln!("live data: {} MiB of disk", live / MIB);
    let (most, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(disk(data.path()), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(100));
            }
        });
        for round in 1..=rounds {
            let began = Instant::now();
            overwrite(&mut client, &mut revs, round);
            let now = disk(data.path()) / MIB;
            let most = most.load(Ordering::Relaxed) / MIB;
            eprintln!("round {round}: {:?}, {now} MiB of disk, {most} at most", began.elapsed());
        }
        done.store(true, Ordering::Relaxed);
    });
    let most = most.into_inner();
    assert!(most < live * TIMES, "{} MiB of disk for {} MiB", most / MIB, live / MIB);
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

/// What the disk takes once the database was compacted.
fn compacted(client: &mut Client, disk: impl Fn() -> u64) -> u64 {
    expect(client, &Request::new("POST", "/over/_compact").json("{}"), 202);
    wait_for(|| {
        let info = expect(client, &Request::new("GET", "/over"), 200).json().expect("JSON");
        (info["compact_running"] == false).then_some(())
    });
    // The log is cut off a moment later.
    thread::sleep(Duration::from_secs(10));
    disk()
}
