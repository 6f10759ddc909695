//! Nodes that know nothing of each other become a cluster by `/_cluster_setup`, as CouchDB's guides
//! say, and then have administrators and sessions in common.

use serde_json::{Value, json};
use settee_tests::ask::{put_json as put, status, wait_for};
use settee_tests::client::{Client, Request, Response};
use settee_tests::cluster::Cluster;

use crate::program;

#[test]
fn the_guides_sequence_makes_a_cluster() {
    let mut cluster = Cluster::start_apart(&program(), 3).expect("three nodes");
    let ports: Vec<u16> = cluster.nodes().iter().map(|node| node.port()).collect();
    let mut clients = cluster.clients();
    assert_eq!(state(&mut clients[0]), "cluster_disabled");
    let enable = json!({
        "action": "enable_cluster", "bind_address": "0.0.0.0", "username": "admin",
        "password": "pass", "node_count": "3",
    });
    assert_eq!(setup(&mut clients[0], &enable).status, 201);
    let again = setup(&mut clients[0], &enable);
    assert_eq!((again.status, &*again.text()), (400, ENABLED));
    for port in &ports[1..] {
        let mut remote = enable.clone();
        remote["port"] = json!(port);
        remote["remote_node"] = json!("127.0.0.1");
        remote["remote_current_user"] = json!("admin");
        remote["remote_current_password"] = json!("pass");
        for _ in 0..2 {
            let enabled = setup(&mut clients[0], &remote);
            assert_eq!(enabled.status, 201, "{}", enabled.text());
        }
        let add = json!({
            "action": "add_node", "host": "127.0.0.1", "port": port, "username": "admin",
            "password": "pass",
        });
        for _ in 0..2 {
            let added = setup(&mut clients[0], &add);
            assert_eq!(added.status, 201, "{}", added.text());
        }
    }
    assert_eq!(setup(&mut clients[0], &json!({"action": "finish_cluster"})).status, 201);
    assert_eq!(state(&mut clients[0]), "cluster_finished");
    cluster.wait_until_joined().expect("a cluster");
    wait_for(|| (put(&mut clients[2], "/db", "").status == 201).then_some(()));
    wait_for(|| (status(&mut clients[1], "/db") == 200).then_some(()));
    // What they learned outlives them.
    for node in cluster.nodes() {
        node.kill();
        node.restart().expect("a process");
    }
    cluster.wait_until_joined().expect("a cluster");
    assert_eq!(status(&mut clients[1], "/db"), 200);
}

const ENABLED: &str = "{\"error\":\"bad_request\",\"reason\":\"Cluster is already enabled\"}\n";

#[test]
fn a_node_with_databases_is_refused_and_keeps_them() {
    let mut cluster = Cluster::start_apart(&program(), 2).expect("two nodes");
    let port = cluster.nodes()[1].port();
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[1], "/own", "").status, 201);
    assert_eq!(put(&mut clients[1], "/own/doc", "{}").status, 201);
    let enable = json!({"action": "enable_cluster", "bind_address": "0.0.0.0", "node_count": 2});
    assert_eq!(setup(&mut clients[0], &enable).status, 201);
    let add = json!({
        "action": "add_node", "host": "127.0.0.1", "port": port, "username": "admin",
        "password": "pass",
    });
    let refused = setup(&mut clients[0], &add);
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("own"), "{}", refused.text());
    assert_eq!(status(&mut clients[1], "/own/doc"), 200);
    assert_eq!(put(&mut clients[1], "/own/more", "{}").status, 201);
    assert_eq!(put(&mut clients[0], "/other", "").status, 201);
}

#[test]
fn administrators_and_sessions_hold_on_all_nodes() {
    let cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    let bob = "/_node/_local/_config/admins/bob";
    assert_eq!(put(&mut clients[0], bob, "\"secret\"").status, 200);
    let login = |client: &mut Client| {
        let request = Request::new("POST", "/_session");
        client.send(&request.json("{\"name\":\"bob\",\"password\":\"secret\"}")).expect("an answer")
    };
    let mut cookie = String::new();
    for client in &mut clients {
        let answer = wait_for(|| Some(login(client)).filter(|answer| answer.status == 200));
        let set = answer.header("set-cookie").expect("a cookie");
        cookie = set.split(';').next().expect("a cookie").to_owned();
    }
    for client in &mut clients {
        let request = Request::new("GET", "/_session").header("Cookie", &cookie);
        let session = client.send(&request).expect("an answer").json().expect("JSON");
        assert_eq!(session["userCtx"]["name"], "bob", "{session}");
    }
    let deleted = clients[1].send(&Request::new("DELETE", bob)).expect("an answer");
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    for client in &mut clients {
        wait_for(|| (login(client).status == 401).then_some(()));
    }
}

fn setup(client: &mut Client, body: &Value) -> Response {
    let request = Request::new("POST", "/_cluster_setup").json(&body.to_string());
    client.send(&request).expect("an answer")
}

fn state(client: &mut Client) -> Value {
    let answer = client.send(&Request::new("GET", "/_cluster_setup")).expect("an answer");
    answer.json().expect("JSON")["state"].clone()
}
