//! Everything at once for an hour: writes, updates, deletions, reads, lists, feeds, compaction. What the
//! server holds of memory, files and disk, and how long its answers take, must level off.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::client::{Client, Request};
use settee_tests::given;
use settee_tests::orders::{id, named};
use settee_tests::server::Server;

use crate::{MIB, disk, expect, program};

/// Clients that change documents, each its own, so that none meets a conflict.
const WRITERS: usize = 4;
/// Clients that read.
const READERS: usize = 2;
/// Documents of each writer: they are made, changed, deleted and made again.
const DOCUMENTS: usize = 20_000;
/// Samples in the whole time.
const SAMPLES: u32 = 60;
/// How much more the last third may take than the one before it.
const MORE: f64 = 1.25;
/// Changes of what is next to nothing, which are no trend.
const SLACK: [f64; 4] = [32.0, 50.0, 64.0, 2.0];
/// Rest of a client between requests: the server is used, not beaten.
const REST: Duration = Duration::from_millis(2);

/// What is held at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    memory_mib: f64,
    files: f64,
    disk_mib: f64,
    /// The 99th percentile of all answers since the last sample.
    p99_ms: f64,
    requests: usize,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { memory_mib, files, disk_mib, p99_ms, requests } = self;
        write!(f, "{memory_mib:.0} MiB, {files} files, {disk_mib:.0} MiB of disk, ")?;
        write!(f, "p99 {p99_ms:.2} ms of {requests} requests")
    }
}

/// How long answers took, and whether it is over.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    took: Mutex<Vec<Duration>>,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    fn send(&self, client: &mut Client, request: &Request, status: u16) -> serde_json::Value {
        let began = Instant::now();
        let answer = expect(client, request, status);
        self.took.lock().expect("a lock").push(began.elapsed());
        thread::sleep(REST);
        answer.json().expect("JSON")
    }
}

#[test]
fn what_is_held_levels_off() {
    let time = Duration::from_secs(60 * given("MINUTES", 60));
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    expect(&mut server.client(), &Request::new("PUT", "/soak"), 201);
    let load = Load::default();
    let samples = thread::scope(|scope| {
        for number in 0..WRITERS {
            let (load, client) = (&load, server.client());
            scope.spawn(move || write(load, client, number));
        }
        for _ in 0..READERS {
            let (load, client) = (&load, server.client());
            scope.spawn(move || read(load, client));
        }
        scope.spawn(|| listen(&load, &server.client()));
        scope.spawn(|| look_after(&load, server.client(), time / 40));
        let samples = watch(&load, &server, data.path(), time);
        load.done.store(true, Ordering::Relaxed);
        samples
    });
    judge(&samples);
}

/// Makes, changes and deletes documents, over and over.
fn write(load: &Load, mut client: Client, number: usize) {
    let mut revs: Vec<Option<String>> = vec![None; DOCUMENTS];
    for turn in 0.. {
        let at = turn * 7919 % DOCUMENTS;
        let name = format!("{number}-{}", id(at));
        let rev = revs[at].take();
        let (request, status) = match &rev {
            Some(rev) if turn % 5 == 0 => {
                (Request::new("DELETE", &format!("/soak/{name}?rev={rev}")), 200)
            }
            rev => {
                let body = named(&name, rev.as_deref(), turn);
                (Request::new("PUT", &format!("/soak/{name}")).json(&body), 201)
            }
        };
        let answer = load.send(&mut client, &request, status);
        if status == 201 {
            revs[at] = Some(answer["rev"].as_str().expect("a revision").to_owned());
        }
        if !load.goes_on() {
            return;
        }
    }
}

/// Reads pieces of the list and of the feed.
fn read(load: &Load, mut client: Client) {
    for turn in 0.. {
        let from = format!("{}-{}", turn % WRITERS, id(turn * 104_729 % DOCUMENTS));
        let list = format!("/soak/_all_docs?include_docs=true&limit=20&startkey=%22{from}%22");
        load.send(&mut client, &Request::new("GET", &list), 200);
        let changes = "/soak/_changes?descending=true&limit=20";
        load.send(&mut client, &Request::new("GET", changes), 200);
        if !load.goes_on() {
            return;
        }
    }
}

/// Follows all changes.
fn listen(load: &Load, client: &Client) {
    let path = "/soak/_changes?feed=continuous&since=now&heartbeat=1000";
    let (_, mut feed) = client.open_feed(&Request::new("GET", path)).expect("a feed");
    let mut piece = vec![0; 1 << 16];
    while load.goes_on() {
        assert!(feed.read(&mut piece).expect("more of the feed") > 0, "the feed ended");
    }
}

/// Compacts now and then, as administrators do.
fn look_after(load: &Load, mut client: Client, every: Duration) {
    let mut last = Instant::now();
    while load.goes_on() {
        thread::sleep(Duration::from_millis(200));
        if last.elapsed() > every {
            expect(&mut client, &Request::new("POST", "/soak/_compact").json("{}"), 202);
            last = Instant::now();
        }
    }
}

fn watch(load: &Load, server: &Server, data: &Path, time: Duration) -> Vec<Sample> {
    let sample = |_| {
        thread::sleep(time / SAMPLES);
        let mut took = std::mem::take(&mut *load.took.lock().expect("a lock"));
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        let sample = Sample {
            memory_mib: (server.memory().expect("its memory") / MIB) as f64,
            files: server.open_files().expect("its files") as f64,
            disk_mib: (disk(data) / MIB) as f64,
            p99_ms: p99.as_secs_f64() * 1000.0,
            requests: took.len(),
        };
        eprintln!("{sample}");
        sample
    };
    (0..SAMPLES).map(sample).collect()
}

/// The last third of the time is like the one before it.
fn judge(samples: &[Sample]) {
    let third = samples.len() / 3;
    let kinds: [(&str, fn(&Sample) -> f64); 4] = [
        ("MiB of memory", |sample| sample.memory_mib),
        ("open files", |sample| sample.files),
        ("MiB of disk", |sample| sample.disk_mib),
        ("ms of p99", |sample| sample.p99_ms),
    ];
    for ((what, of), slack) in kinds.into_iter().zip(SLACK) {
        let mean = |part: &[Sample]| part.iter().map(of).sum::<f64>() / part.len() as f64;
        let (before, last) = (mean(&samples[third..2 * third]), mean(&samples[2 * third..]));
        eprintln!("{what}: {before:.2} in the middle third, {last:.2} in the last");
        assert!(last <= before * MORE + slack, "{what}: {before:.2}, then {last:.2}");
    }
}
