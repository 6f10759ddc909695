//! What is measured: each row is the same work for either side, over HTTP; memory is asked of the
//! system. Documents are made from their number alone, so both sides get the same bytes. Knows one side
//! at a time; the comparison is `report`'s.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;
use settee_tests::client::{Request, Response};
use settee_tests::orders::{bulk_body, document, id};

use crate::load::{Nodes, closed_loop, timed};
use crate::report::Better;
use crate::transfers::Size;
use crate::users::Proof;

/// A row of the table.
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// What its figure counts.
    pub unit: &'static str,
    /// Which way is up.
    pub better: Better,
    /// Whether [`Bench::prepare_queries`] comes first.
    pub needs_indexes: bool,
    /// Measures one side once; `None` when that can't be measured (no process id given).
    pub run: fn(&mut Bench) -> io::Result<Option<f64>>,
}

/// The rows, in the order in which they run.
pub const ROWS: [Row; 41] = [
    rate("bulk insert, 1000 a batch", "docs/s", Bench::bulk_insert),
    rate("durable write, 1 client", "docs/s", |b| b.single_writes(1)),
    rate("durable write, 64 clients", "docs/s", |b| b.single_writes(64)),
    rate("durable update, 64 clients", "docs/s", |b| b.updates(64)),
    rate("read with r=1, 1 client", "docs/s", |b| b.reads(1, 1)),
    rate("read with r=1, 64 clients", "docs/s", |b| b.reads(1, 64)),
    rate("read with r=2, 1 client", "docs/s", |b| b.reads(2, 1)),
    rate("read with r=2, 64 clients", "docs/s", |b| b.reads(2, 64)),
    rate("read as nobody, 32 clients", "docs/s", |b| b.reads_as(Proof::Nothing, 32)),
    rate("read with a cookie, 32 clients", "docs/s", |b| b.reads_as(Proof::Cookie, 32)),
    rate("read with a password, 32 clients", "docs/s", |b| b.reads_as(Proof::Password, 32)),
    rate("log in, 2 clients", "logins/s", |b| b.logins(2)),
    rate("_all_docs", "rows/s", |b| b.scan("_all_docs")),
    rate("_all_docs with documents", "rows/s", |b| b.scan("_all_docs?include_docs=true")),
    rate("_changes", "rows/s", |b| b.scan("_changes")),
    rate("_changes with documents", "rows/s", |b| b.scan("_changes?include_docs=true")),
    rate("_bulk_get of 500, 4 clients", "docs/s", |b| b.bulk_get(4)),
    rate("upload of 8 MiB, 4 clients", "MiB/s", |b| b.uploads(Size::Large, 4)),
    rate("upload of 16 KiB, 32 clients", "MiB/s", |b| b.uploads(Size::Small, 32)),
    rate("download of 8 MiB, 4 clients", "MiB/s", |b| b.downloads(Size::Large, 4)),
    rate("download of 16 KiB, 32 clients", "MiB/s", |b| b.downloads(Size::Small, 32)),
    query("_changes with a filter", "changes/s", Bench::filtered_changes),
    query("view build", "docs/s", |b| b.view_build(None)),
    query("view build with _sum", "docs/s", |b| b.view_build(Some("_sum"))),
    query("view build, JavaScript reduce", "docs/s", |b| b.view_build(Some(REDUCE))),
    query("view, a range of 10,000", "rows/s", Bench::view_range),
    query("view, 10,000 keys", "rows/s", Bench::view_keys),
    query("view, group level 1", "queries/s", |b| b.group_level(1)),
    query("view, group level 2", "queries/s", |b| b.group_level(2)),
    latency("read p99", |b| b.read_p99(false)),
    latency("read p99 while a view is built", |b| b.read_p99(true)),
    query("Mango index build", "docs/s", Bench::mango_build),
    query("_find by index, 1 client", "queries/s", |b| b.find_one(1)),
    query("_find by index, 16 clients", "queries/s", |b| b.find_one(16)),
    query("_find of 10,000 by index", "docs/s", Bench::find_range),
    query("_find without an index", "docs/s", Bench::find_by_scan),
    size("space before compaction", "bytes/doc", Bench::space),
    size("space after compaction", "bytes/doc", Bench::compacted_space),
    size("resident memory", "MiB", Bench::memory),
    size("restart, until a read is answered", "ms", Bench::restart),
    size("resident memory after a restart", "MiB", Bench::memory),
];

/// Sums, as applications write it that know no better.
const REDUCE: &str = "function (keys, values, rereduce) { return sum(values); }";

const fn rate(
    name: &'static str,
    unit: &'static str,
    run: fn(&mut Bench) -> io::Result<Option<f64>>,
) -> Row {
    Row { name, unit, better: Better::More, needs_indexes: false, run }
}

const fn query(
    name: &'static str,
    unit: &'static str,
    run: fn(&mut Bench) -> io::Result<Option<f64>>,
) -> Row {
    Row { needs_indexes: true, ..rate(name, unit, run) }
}

const fn latency(name: &'static str, run: fn(&mut Bench) -> io::Result<Option<f64>>) -> Row {
    Row { needs_indexes: true, ..size(name, "ms", run) }
}

const fn size(
    name: &'static str,
    unit: &'static str,
    run: fn(&mut Bench) -> io::Result<Option<f64>>,
) -> Row {
    Row { name, unit, better: Better::Less, needs_indexes: false, run }
}

/// One side of the comparison.
pub struct Bench {
    pub(crate) addresses: String,
    pids: Vec<u32>,
    pub(crate) docs: usize,
    pub(crate) seconds: u64,
    query: String,
    pub(crate) nodes: Nodes,
    /// Counts the databases and id families made, so that every round writes new documents.
    pub(crate) turn: usize,
}

/// How long compaction may take to end.
const COMPACTION_LIMIT: Duration = Duration::from_secs(300);

impl Bench {
    /// Nothing is sent yet.
    pub fn new(addresses: &str, pids: &[u32], docs: usize, seconds: u64, q: Option<u32>) -> Self {
        Bench {
            addresses: addresses.into(),
            pids: pids.to_vec(),
            docs,
            seconds,
            query: q.map_or(String::new(), |q| format!("?q={q}")),
            nodes: Nodes::new(addresses, 0),
            turn: 0,
        }
    }

    /// Makes the database that is read, with all its documents, and one for writes.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn prepare(&mut self) -> io::Result<()> {
        for db in ["bench_read", "bench_write"] {
            self.nodes.send(&Request::new("DELETE", &format!("/{db}")))?;
            self.expect(&Request::new("PUT", &format!("/{db}{}", self.query)), 201)?;
        }
        for first in (0..self.docs).step_by(1000) {
            let body = bulk_body("", first, 1000.min(self.docs - first));
            self.expect(&Request::new("POST", "/bench_read/_bulk_docs").json(&body), 201)?;
        }
        Ok(())
    }

    /// Removes what was made.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn clean_up(&mut self) -> io::Result<()> {
        for db in ["bench_read", "bench_write"] {
            self.nodes.send(&Request::new("DELETE", &format!("/{db}")))?;
        }
        Ok(())
    }

    pub(crate) fn expect(&mut self, request: &Request, status: u16) -> io::Result<Value> {
        let response = self.nodes.send(request)?;
        accept(request, &response, status)?;
        response.json()
    }

    fn bulk_insert(&mut self) -> io::Result<Option<f64>> {
        self.turn += 1;
        let prefix = format!("bulk{}-", self.turn);
        let (mut written, mut seconds) = (0, 0.0);
        while seconds < self.seconds as f64 {
            let body = bulk_body(&prefix, written, 1000);
            let request = Request::new("POST", "/bench_write/_bulk_docs").json(&body);
            // What the client takes to make the documents is not the server's.
            seconds += timed(|| accept(&request, &self.nodes.send(&request)?, 201))?;
            written += 1000;
        }
        Ok(Some(written as f64 / seconds))
    }

    fn single_writes(&mut self, clients: usize) -> io::Result<Option<f64>> {
        self.turn += 1;
        let turn = self.turn;
        let next = |worker: usize, n: usize| {
            let number = n * clients + worker;
            let path = format!("/bench_write/single{turn}-{}", id(number));
            Request::new("PUT", &path).json(&document(number))
        };
        closed_loop(&self.addresses, clients, self.seconds, next, |r| r.status == 201).map(Some)
    }

    /// Each worker updates a document of its own again and again.
    fn updates(&mut self, clients: usize) -> io::Result<Option<f64>> {
        self.turn += 1;
        let turn = self.turn;
        let revs: Vec<_> = (0..clients).map(|_| std::sync::Mutex::new(String::new())).collect();
        let next = |worker: usize, n: usize| {
            let path = format!("/bench_write/update{turn}-{worker}");
            let request = Request::new("PUT", &path).json(&document(n));
            let rev = revs.get(worker).and_then(|rev| rev.lock().ok()).map(|rev| rev.clone());
            match rev {
                Some(rev) if !rev.is_empty() => request.header("If-Match", &rev),
                _ => request,
            }
        };
        // The answer says which document it is about, and so whose turn is next.
        let accept = |response: &settee_tests::client::Response| {
            let Ok(body) = response.json() else { return false };
            let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
            let worker = id.rsplit('-').next().and_then(|w| w.parse::<usize>().ok());
            let rev = body.get("rev").and_then(Value::as_str).unwrap_or_default();
            if let Some(Ok(mut slot)) = worker.and_then(|w| revs.get(w)).map(|slot| slot.lock()) {
                rev.clone_into(&mut slot);
            }
            response.status == 201
        };
        closed_loop(&self.addresses, clients, self.seconds, next, accept).map(Some)
    }

    fn reads(&mut self, r: usize, clients: usize) -> io::Result<Option<f64>> {
        let docs = self.docs;
        let next = |worker: usize, n: usize| {
            // A walk that visits documents far from each other.
            let number = (n * clients + worker).wrapping_mul(7919) % docs;
            Request::new("GET", &format!("/bench_read/{}?r={r}", id(number)))
        };
        closed_loop(&self.addresses, clients, self.seconds, next, |r| r.status == 200).map(Some)
    }

    fn scan(&mut self, what: &str) -> io::Result<Option<f64>> {
        let path = format!("/bench_read/{what}");
        let mut rows = 0;
        let seconds = timed(|| {
            let response = self.nodes.send(&Request::new("GET", &path))?;
            rows = response.body.iter().filter(|byte| **byte == b'\n').count();
            if response.status == 200 && rows >= self.docs {
                return Ok(());
            }
            Err(io::Error::other(format!("{path}: {} with {rows} lines", response.status)))
        })?;
        Ok(Some(self.docs as f64 / seconds))
    }

    /// Bytes for each document on all nodes: the answer is about one copy of each range.
    fn file_size(&mut self) -> io::Result<f64> {
        let info = self.expect(&Request::new("GET", "/bench_read"), 200)?;
        let number = |at: &str| info.pointer(at).and_then(Value::as_f64).unwrap_or_default();
        Ok(number("/sizes/file") * number("/cluster/n") / self.docs as f64)
    }

    fn space(&mut self) -> io::Result<Option<f64>> {
        self.expect(&Request::new("POST", "/bench_read/_ensure_full_commit").json("{}"), 201)?;
        self.file_size().map(Some)
    }

    fn compacted_space(&mut self) -> io::Result<Option<f64>> {
        self.expect(&Request::new("POST", "/bench_read/_compact").json("{}"), 202)?;
        let deadline = Instant::now() + COMPACTION_LIMIT;
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let info = self.expect(&Request::new("GET", "/bench_read"), 200)?;
            if info.get("compact_running") == Some(&Value::Bool(false)) {
                return self.file_size().map(Some);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("compaction does not end"));
            }
        }
    }

    fn memory(&mut self) -> io::Result<Option<f64>> {
        let kib = self.pids.iter().map(|pid| resident(*pid)).sum::<io::Result<f64>>()?;
        Ok((!self.pids.is_empty()).then_some(kib / 1024.0))
    }
}

/// Fails, with what was answered, unless it was answered so.
pub(crate) fn accept(request: &Request, response: &Response, status: u16) -> io::Result<()> {
    if response.status == status {
        return Ok(());
    }
    let what = format!("{} {}: {}", request.method, request.path, response.text());
    Err(io::Error::other(what))
}

/// KiB of memory that a process has.
fn resident(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.ok_or_else(|| io::Error::other(format!("no memory of {pid}")))
}
