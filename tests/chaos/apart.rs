//! Three nodes that hear nothing of each other: there is no majority anywhere. Documents are read
//! and written on every side, databases are not made, and all is one again after.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use settee_tests::ask::{contents, get, put, put_json, wait_for};
use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;
use settee_tests::fault::Fault;

use crate::program;

/// No request takes longer, on no side.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn three_nodes_apart_go_on_with_documents() {
    let mut cluster = Cluster::start_on_net(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/db?q=2&n=3", "").status, 201);
    for number in 0..20 {
        assert_eq!(put(&mut clients[number % 3], &format!("/db/old-{number}"), "0").status, 201);
    }
    let old: Vec<String> = contents(&mut clients[0], "/db").into_values().collect();
    cluster.inflict(Fault::Cut, 0).expect("a cut");
    cluster.inflict(Fault::Cut, 1).expect("a cut");
    let mut branches = Vec::new();
    for (side, client) in clients.iter_mut().enumerate() {
        let revs = alone(client, side, &old[0]);
        branches.push(revs);
    }
    cluster.heal(Fault::Cut, 0).expect("all links");
    let healed = Instant::now();
    let expected: BTreeSet<&str> = branches.iter().map(String::as_str).collect();
    assert_eq!(expected.len(), 3, "{branches:?}");
    let seen = |client: &mut Client| {
        let doc = get(client, "/db/old-0?conflicts=true");
        let conflicts = doc["_conflicts"].as_array().cloned().unwrap_or_default();
        (contents(client, "/db"), doc, conflicts)
    };
    wait_for(|| {
        let seen: Vec<_> = clients.iter_mut().map(seen).collect();
        let same = seen.windows(2).all(|two| two[0] == two[1]);
        let (ids, doc, conflicts) = &seen[0];
        let leaves = conflicts.iter().chain([&doc["_rev"]]).filter_map(Value::as_str);
        let leaves: BTreeSet<&str> = leaves.collect();
        (same && leaves == expected && ids.len() == 20 + 3 * 10).then_some(())
    });
    eprintln!("three nodes that were apart are equal after {:?}", healed.elapsed());
    let (_, doc, _) = seen(&mut clients[0]);
    assert_eq!(doc["_rev"], **branches.iter().max().expect("a winner"), "{doc}");
    wait_for(|| [201, 412].contains(&put(&mut clients[2], "/other", "").status).then_some(()));
}

/// What a node does when it is alone; the revision that it gave the document that all change.
fn alone(client: &mut Client, side: usize, old: &str) -> String {
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    let mut timed = |client: &mut Client, request: &Request| {
        let began = Instant::now();
        let answer = client.send(request).expect("an answer");
        slowest = slowest.max(began.elapsed());
        answer
    };
    for number in 0..10 {
        let path = format!("/db/side-{side}-{number}");
        let written = timed(client, &Request::new("PUT", &path).json("{\"n\":1}"));
        assert_eq!(written.status, 202, "{side}: {}", written.text());
        let read = timed(client, &Request::new("GET", &path));
        assert_eq!(read.status, 200, "{side}: {}", read.text());
        let read = timed(client, &Request::new("GET", &format!("/db/old-{number}")));
        assert_eq!(read.status, 200, "{side}: {}", read.text());
    }
    assert_eq!(contents(client, "/db").len(), 30);
    let change = format!("{{\"_rev\":\"{old}\",\"side\":{side}}}");
    let changed = put_json(client, "/db/old-0", &change);
    assert_eq!(changed.status, 202, "{}", changed.text());
    let refused = put(client, "/other", "");
    assert_eq!(refused.status, 503, "{}", refused.text());
    let refusal = refused.json().expect("JSON");
    eprintln!("side {side}: {:?}, slowest {slowest:?}; {refusal}", begun.elapsed());
    assert!(refusal["reason"].as_str().is_some_and(|reason| reason.len() > 20), "{refusal}");
    assert!(slowest < PATIENCE, "a request took {slowest:?}");
    changed.json().expect("JSON")["rev"].as_str().expect("a revision").to_owned()
}
