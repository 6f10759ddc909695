//! Mango in a cluster: every node answers as one node does, and a node that dies in the middle of an
//! answer is not noticed.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;
use settee_tests::server::Server;

use crate::program;

const DOCS: usize = 4000;

fn post(client: &mut Client, path: &str, body: &Value) -> Value {
    let request = Request::new("POST", path).json(&body.to_string());
    let answer = client.send(&request).expect("an answer");
    assert!(answer.status < 300, "{path} {body}: {}", answer.text());
    answer.json().expect("JSON")
}

/// Makes the same database everywhere.
fn fill(client: &mut Client, path: &str) {
    assert_eq!(client.send(&Request::new("PUT", path)).expect("an answer").status, 201);
    for some in (0..DOCS).collect::<Vec<_>>().chunks(1000) {
        let doc = |n: &usize| {
            json!({"_id": format!("doc{n:05}"), "n": n, "g": n * 7 % 13, "t": format!("t{}", n % 5),
                "pad": "x".repeat(400)})
        };
        let docs: Vec<_> = some.iter().map(doc).collect();
        post(client, "/db/_bulk_docs", &json!({ "docs": docs }));
    }
    for (name, fields) in [("n", json!(["n"])), ("gt", json!(["g", "t", "n"]))] {
        post(
            client,
            "/db/_index",
            &json!({"index": {"fields": fields}, "ddoc": name, "name": name}),
        );
    }
}

fn questions() -> Vec<Value> {
    vec![
        json!({"selector": {"pad": {"$exists": true}, "t": "t3"}, "limit": 5000}),
        json!({"selector": {"n": {"$gt": 10}}, "sort": [{"n": "desc"}], "limit": 5000}),
        json!({"selector": {"g": 5, "t": {"$gt": "t1"}}, "fields": ["g", "t", "n"], "limit": 5000}),
        json!({"selector": {"g": {"$in": [1, 5, 12]}}, "sort": ["g", "t", "n"], "limit": 300, "skip": 7}),
        json!({"selector": {"$or": [{"n": 17}, {"n": {"$gt": 3990}}]}, "use_index": "n"}),
        json!({"selector": {"_id": {"$in": ["doc00001", "doc03999", "none"]}}}),
        json!({"selector": {"n": {"$lt": 40}, "t": "t2"}, "r": 2}),
        json!({"selector": {"t": {"$regex": "[14]$"}}, "fields": ["_id"], "limit": 33, "execution_stats": true}),
    ]
}

/// The answer without what it took.
fn answer(client: &mut Client, question: &Value) -> Value {
    let mut answer = post(client, "/db/_find", question);
    if let Some(stats) = answer.get_mut("execution_stats").and_then(Value::as_object_mut) {
        stats.retain(|name, _| name == "results_returned");
    }
    answer
}

#[test]
fn three_nodes_answer_as_one_and_while_one_dies() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let single = Server::start(&program(), data.path()).expect("a server");
    let mut one = single.client();
    fill(&mut one, "/db?q=1");
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    // Two copies of each range: some lie elsewhere, whoever is asked.
    fill(&mut clients[0], "/db?q=6&n=2");
    let expected: Vec<Value> =
        questions().iter().map(|question| answer(&mut one, question)).collect();
    assert!(expected.iter().all(|answer| !answer["docs"].as_array().unwrap().is_empty()));
    for client in &mut clients {
        for (question, expected) in questions().iter().zip(&expected) {
            assert!(answer(client, question) == *expected, "{question}");
        }
    }
    let mut client = clients.remove(0);
    let wanted = expected.clone();
    let reader = thread::spawn(move || {
        for _ in 0..3 {
            for (question, expected) in questions().iter().zip(&wanted) {
                assert!(answer(&mut client, question) == *expected, "{question}");
            }
        }
    });
    thread::sleep(Duration::from_millis(150));
    cluster.nodes()[2].kill();
    reader.join().expect("the same answers");
    for (question, expected) in questions().iter().zip(&expected) {
        assert!(answer(&mut clients[0], question) == *expected, "{question}");
    }
}
