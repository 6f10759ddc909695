//! The configuration of one node asked for and changed through another, and the part of it that all
//! nodes have in common.

use serde_json::{Value, json};
use settee_tests::ask::{get, put, put_json, wait_for};
use settee_tests::client::{ANONYMOUS, Client, Request};
use settee_tests::cluster::Cluster;

use crate::program;

#[test]
fn a_node_is_configured_through_another() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    let one = &mut clients[0];
    let limit = "/_node/node2@127.0.0.1/_config/uuids/max_count";
    assert_eq!(answer(one, "GET", limit), (404, reason("not_found", "unknown_config_value")));
    assert_eq!(answer(one, "PUT", limit), (200, json!("")), "the value of before");
    assert_eq!(get(one, limit), "3");
    assert_eq!(get(one, "/_node/node2@127.0.0.1/_config/uuids"), json!({"max_count": "3"}));
    assert_eq!(get(one, "/_node/node2@127.0.0.1/_config")["uuids"]["max_count"], "3");
    assert_eq!(get(one, "/_uuids?count=4")["uuids"].as_array().map(Vec::len), Some(4));
    let refused = clients[1].send(&Request::new("GET", "/_uuids?count=4")).expect("an answer");
    assert_eq!(refused.status, 400, "it holds there");
    cluster.nodes()[1].kill_and_restart().expect("a process");
    cluster.wait_until_joined().expect("a cluster");
    let three = &mut clients[2];
    assert_eq!(answer(three, "DELETE", limit), (200, json!("3")), "it was kept there");
    assert_eq!(answer(three, "DELETE", limit).0, 404);
    assert_eq!(answer(three, "POST", limit).0, 405);
    assert_eq!(answer(three, "POST", "/_node/node2@127.0.0.1/_config/_reload").0, 200);
    assert_eq!(get(three, "/_node/node2@127.0.0.1")["couchdb"], "Welcome");
    assert_eq!(get(three, "/_node/node2@127.0.0.1/_nodes")["doc_count"], 3);
    let head = Request::new("HEAD", "/_node/node2@127.0.0.1/_config");
    assert_eq!(three.send(&head).expect("an answer").status, 200);
}

#[test]
fn what_no_node_answers_is_refused() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut client = cluster.clients().remove(0);
    let config = "/_node/node2@127.0.0.1/_config";
    let nobody = answer(&mut client, "GET", "/_node/nobody@nowhere/_config");
    assert_eq!(nobody, (404, reason("not_found", "no such node: nobody@nowhere")));
    let stranger = Request::new("GET", config).header("Authorization", ANONYMOUS);
    assert_eq!(client.send(&stranger).expect("an answer").status, 401);
    for (path, status) in
        [("_config/a/b", 404), ("_dbs/nothing", 404), ("_nothing", 400), ("_config/a/b/c", 404)]
    {
        let path = format!("/_node/node2@127.0.0.1/{path}");
        assert_eq!(answer(&mut client, "GET", &path).0, status, "{path}");
    }
    for (body, status) in [("3", 400), ("\"", 400), (&*format!("\"{}\"", "x".repeat(1 << 20)), 413)]
    {
        assert_eq!(put_json(&mut client, &format!("{config}/a/b"), body).status, status);
    }
    cluster.nodes()[1].kill();
    let down = wait_for(|| {
        let answer = answer(&mut client, "GET", config);
        (answer.0 != 200).then_some(answer)
    });
    assert_eq!(down, (412, reason("nodedown", "node2@127.0.0.1 is down")));
}

#[test]
fn the_secret_of_nodes_is_never_told() {
    let mut cluster = Cluster::start(&program(), 2).expect("a cluster");
    let mut client = cluster.clients().remove(0);
    for node in ["_local", "node1@127.0.0.1", "node2@127.0.0.1"] {
        let config = format!("/_node/{node}/_config");
        let secret = answer(&mut client, "GET", &format!("{config}/cluster/secret"));
        assert_eq!(secret, (404, reason("not_found", "unknown_config_value")), "{node}");
        let section = get(&mut client, &format!("{config}/cluster"));
        assert!(section["seedlist"].is_string() && section["secret"].is_null(), "{section}");
        let whole = get(&mut client, &config);
        assert_eq!(whole["cluster"], section, "{node}");
        assert!(!whole.to_string().contains("a secret of tests"), "{whole}");
    }
    // It is known all the same.
    cluster.nodes()[1].kill_and_restart().expect("a process");
    cluster.wait_until_joined().expect("a cluster");
}

#[test]
fn how_databases_are_laid_out_holds_on_all_nodes() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    let set = |client: &mut Client, key: &str, value: &str| {
        let path = format!("/_node/_local/_config/cluster/{key}");
        put_json(client, &path, &json!(value).to_string())
    };
    assert_eq!(set(&mut clients[2], "q", "5").status, 200);
    assert_eq!(set(&mut clients[1], "n", "2").status, 200);
    for (node, client) in clients.iter_mut().enumerate() {
        wait_for(|| {
            let shown = get(client, "/_node/_local/_config/cluster");
            (shown["q"] == "5" && shown["n"] == "2").then_some(())
        });
        let db = format!("/db-{node}");
        assert_eq!(put(client, &db, "").status, 201);
        assert_eq!(laid_out(client, &db), (5, 2));
    }
    cluster.nodes()[0].kill_and_restart().expect("a process");
    cluster.wait_until_joined().expect("a cluster");
    assert_eq!(put(&mut clients[0], "/later", "").status, 201);
    assert_eq!(laid_out(&mut clients[0], "/later"), (5, 2));
    for key in ["q", "n"] {
        let path = format!("/_node/_local/_config/cluster/{key}");
        assert_eq!(answer(&mut clients[0], "DELETE", &path).0, 200);
        wait_for(|| (answer(&mut clients[1], "GET", &path).0 == 404).then_some(()));
    }
    assert_eq!(put(&mut clients[1], "/last", "").status, 201);
    assert_eq!(laid_out(&mut clients[1], "/last"), (2, 3));
}

/// Shards and copies of a database.
fn laid_out(client: &mut Client, db: &str) -> (u64, u64) {
    let cluster = &get(client, db)["cluster"];
    (cluster["q"].as_u64().expect("q"), cluster["n"].as_u64().expect("n"))
}

/// The answer to a request; what is put is `"3"`.
fn answer(client: &mut Client, method: &str, path: &str) -> (u16, Value) {
    let request = Request::new(method, path);
    let request = if method == "PUT" { request.json("\"3\"") } else { request };
    let answer = client.send(&request).expect("an answer");
    (answer.status, answer.json().expect("JSON"))
}

fn reason(error: &str, reason: &str) -> Value {
    json!({"error": error, "reason": reason})
}
