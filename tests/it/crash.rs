//! kill -9 under load: whatever was acknowledged is there afterwards, whole, and nothing that was
//! never sent. `ROUNDS` (10 by default) says how often the server is killed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use settee_tests::client::{Client, Request};
use settee_tests::given;
use settee_tests::server::Server;

use crate::program;

/// Connections that write at once.
const WRITERS: usize = 8;

/// What one document must be at least: the last acknowledged edit, and what was sent after it
/// without an answer.
#[derive(Clone, Default)]
struct Known {
    acknowledged: Option<(String, u64)>,
    in_flight: Option<u64>,
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let rounds = given("ROUNDS", 10);
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let created = server.client().send(&Request::new("PUT", "/crash?q=2")).expect("an answer");
    assert_eq!(created.status, 201, "{}", created.text());
    let known = Mutex::new(BTreeMap::<String, Known>::new());
    for round in 0..rounds {
        write_until_killed(&mut server, &known, round);
        server.kill_and_restart().expect("a restart");
        check(&server.client(), &known);
    }
}

fn write_until_killed(server: &mut Server, known: &Mutex<BTreeMap<String, Known>>, round: u64) {
    let stop = AtomicBool::new(false);
    let base = server.base();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (base, stop) = (&base, &stop);
            scope.spawn(move || write(&Client::new(base), known, writer, round, stop));
        }
        // Killed at another moment each time: early, while a checkpoint runs, late.
        thread::sleep(Duration::from_millis(30 + (round * 67) % 400));
        server.kill();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Writes new documents and updates old ones until the connection breaks.
fn write(
    client: &Client,
    known: &Mutex<BTreeMap<String, Known>>,
    writer: usize,
    round: u64,
    stop: &AtomicBool,
) {
    let mut client = client.again();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = if turn % 3 == 0 {
            format!("own-{writer}")
        } else {
            format!("doc-{writer}-{round}-{turn}")
        };
        let value = round * 1_000_000 + turn;
        let rev = {
            let mut known = known.lock().expect("a lock");
            let entry = known.entry(id.clone()).or_default();
            if entry.in_flight.is_some() {
                // Unknown whether it was written: read it after the restart.
                return;
            }
            entry.in_flight = Some(value);
            entry.acknowledged.as_ref().map(|(rev, _)| rev.clone())
        };
        let mut request =
            Request::new("PUT", &format!("/crash/{id}")).json(&format!("{{\"value\":{value}}}"));
        if let Some(rev) = rev {
            request = request.header("If-Match", &rev);
        }
        let Ok(answer) = client.send(&request) else { return };
        assert_eq!(answer.status, 201, "{id}: {}", answer.text());
        let rev = answer.json().expect("JSON")["rev"].as_str().expect("a revision").to_owned();
        let mut known = known.lock().expect("a lock");
        known.insert(id, Known { acknowledged: Some((rev, value)), in_flight: None });
    }
}

/// Compares what is there with what is known, and learns what became of unanswered writes.
fn check(client: &Client, known: &Mutex<BTreeMap<String, Known>>) {
    let mut client = client.again();
    let path = "/crash/_all_docs?include_docs=true";
    let answer = client.send(&Request::new("GET", path)).expect("an answer");
    let body = answer.json().expect("JSON");
    let mut there = BTreeMap::new();
    for row in body["rows"].as_array().expect("rows") {
        let id = row["id"].as_str().expect("an id").to_owned();
        let rev = row["value"]["rev"].as_str().expect("a revision").to_owned();
        there.insert(id, (rev, row["doc"]["value"].as_u64().expect("a value")));
    }
    let mut known = known.lock().expect("a lock");
    for id in there.keys() {
        assert!(known.contains_key(id), "{id} was never sent");
    }
    known.retain(|id, entry| {
        let found = there.get(id);
        let unanswered = entry.in_flight.take();
        let as_acknowledged = found == entry.acknowledged.as_ref();
        let as_sent = found.is_some_and(|(_, value)| Some(*value) == unanswered);
        assert!(as_acknowledged || as_sent, "{id}: {found:?}, not {:?}", entry.acknowledged);
        entry.acknowledged = found.cloned();
        found.is_some()
    });
    let changes = client.send(&Request::new("GET", "/crash/_changes")).expect("an answer");
    let changes = changes.json().expect("JSON");
    let changes = changes["results"].as_array().map(Vec::len);
    assert_eq!(changes, Some(there.len()), "_changes and _all_docs disagree");
    assert_eq!(body["total_rows"], Value::from(there.len()));
}

/// Files that the server may have open in the test that follows; its shards are far more.
const FEW_FILES: u32 = 200;
const DATABASES: usize = 80;

#[test]
fn a_server_with_many_databases_comes_back_where_few_files_may_be_open() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let limited = data.path().join("limited.sh");
    let program = program();
    let script = format!("#!/bin/sh\nulimit -n {FEW_FILES}\nexec '{}' \"$@\"\n", program.display());
    fs::write(&limited, script).expect("to write");
    fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).expect("a program");
    let mut server = Server::start(&limited, &data.path().join("data")).expect("a server");
    let send = |client: &mut Client, request: &Request, status| {
        let answer = client.send(request).expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.text());
    };
    for round in 0..2 {
        let mut client = server.client();
        for n in 0..DATABASES {
            if round == 0 {
                send(&mut client, &Request::new("PUT", &format!("/many-{n}?q=2")), 201);
            }
            let doc = format!("/many-{n}/doc-{round}");
            send(&mut client, &Request::new("PUT", &doc).json("{}"), 201);
        }
        server.kill_and_restart().expect("a restart");
        let mut client = server.client();
        for n in 0..DATABASES {
            send(&mut client, &Request::new("GET", &format!("/many-{n}/doc-{round}")), 200);
        }
    }
}
