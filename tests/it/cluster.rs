//! Three real nodes on loopback: they are one database, whichever is asked.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use settee_tests::client::{Client, Request, Response};
use settee_tests::cluster::Cluster;

use crate::program;

/// How long a node that comes back may take until it shows what the others show.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(10);

#[test]
fn three_nodes_are_one_database() {
    let cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/db?q=2&n=3", "").status, 201);
    for number in 0..30 {
        let path = format!("/db/doc-{number}");
        assert_eq!(put(&mut clients[number % 3], &path, &number.to_string()).status, 201);
    }
    for client in &mut clients {
        for number in 0..30 {
            assert_eq!(get(client, &format!("/db/doc-{number}"))["n"], Value::from(number));
        }
        assert_eq!(get(client, "/db")["doc_count"], 30);
        assert_eq!(rows(client, "/db/_changes", "results"), 30);
    }
    let expected = contents(&mut clients[0], "/db");
    for client in &mut clients {
        wait_for(|| (contents(client, "/db") == expected).then_some(()));
    }
    assert_eq!(clients[1].send(&Request::new("DELETE", "/db")).expect("an answer").status, 200);
    for client in &mut clients {
        wait_for(|| (status(client, "/db") == 404).then_some(()));
    }
}

#[test]
fn it_forms_whatever_the_order_of_starts() {
    for order in [[2, 1, 0], [1, 0, 2]] {
        let rest = Duration::from_millis(300);
        Cluster::start_in(&program(), &order, rest).expect("a cluster");
    }
}

pub(crate) fn put(client: &mut Client, path: &str, n: &str) -> Response {
    let body = if n.is_empty() { String::new() } else { format!("{{\"n\":{n}}}") };
    put_json(client, path, &body)
}

/// Puts JSON, or nothing.
pub(crate) fn put_json(client: &mut Client, path: &str, body: &str) -> Response {
    let request = Request::new("PUT", path);
    let request = if body.is_empty() { request } else { request.json(body) };
    client.send(&request).expect("an answer")
}

pub(crate) fn get(client: &mut Client, path: &str) -> Value {
    let answer = client.send(&Request::new("GET", path)).expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json().expect("JSON")
}

pub(crate) fn status(client: &mut Client, path: &str) -> u16 {
    client.send(&Request::new("GET", path)).expect("an answer").status
}

fn rows(client: &mut Client, path: &str, list: &str) -> usize {
    get(client, path)[list].as_array().expect("rows").len()
}

/// What a node shows of a database: revisions by id.
pub(crate) fn contents(client: &mut Client, db: &str) -> BTreeMap<String, String> {
    let answer = client.send(&Request::new("GET", &format!("{db}/_all_docs"))).expect("an answer");
    let body = answer.json().expect("JSON");
    let rows = body["rows"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row["id"]), text(&row["value"]["rev"]))).collect()
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < CATCH_UP, "not after {CATCH_UP:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
