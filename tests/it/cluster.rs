//! Three real nodes on loopback: they are one database, whichever is asked.

use serde_json::Value;
use settee_tests::ask::{contents, get, put, status, wait_for};
use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;

use crate::program;

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

fn rows(client: &mut Client, path: &str, list: &str) -> usize {
    get(client, path)[list].as_array().expect("rows").len()
}
