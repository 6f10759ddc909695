//! What is answered while nodes are away: with a majority of them, and without.

use serde_json::{Value, json};
use settee_tests::ask::wait_for;
use settee_tests::client::{Client, Request, Response};
use settee_tests::cluster::Cluster;

use crate::program;

#[test]
fn with_one_node_of_three_away_a_majority_is_enough() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut client = cluster.clients().remove(0);
    assert_eq!(ask(&mut client, "PUT", "/before", "").status, 201);
    cluster.nodes()[2].kill();
    wait_for_members(&mut client, 2);
    assert_eq!(ask(&mut client, "PUT", "/db", "").status, 201);
    documents(&mut client, "/db", [("", 201, 200), ("w=3", 202, 202), ("w=1", 201, 200)]);
    assert_eq!(ask(&mut client, "POST", "/db/_compact", "{}").status, 202);
    assert_eq!(ask(&mut client, "PUT", "/db/_revs_limit", "7").status, 200);
    assert_eq!(ask(&mut cluster.clients()[1], "GET", "/db/_revs_limit", "").text(), "7\n");
    for db in ["/db", "/before"] {
        assert_eq!(ask(&mut client, "DELETE", db, "").status, 202, "one node knows nothing of it");
        assert_eq!(ask(&mut client, "GET", db, "").status, 404);
    }
    cluster.nodes()[2].restart().expect("a process");
    cluster.wait_until_joined().expect("a cluster");
    let mut away = cluster.clients().remove(2);
    wait_for(|| (ask(&mut away, "GET", "/before", "").status == 404).then_some(()));
    assert_eq!(ask(&mut away, "PUT", "/db", "").status, 201);
    assert_eq!(ask(&mut client, "DELETE", "/db", "").status, 200, "all nodes know of it");
}

#[test]
fn one_node_of_three_alone_takes_documents_and_makes_no_databases() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut client = cluster.clients().remove(1);
    assert_eq!(ask(&mut client, "PUT", "/db", "").status, 201);
    cluster.nodes()[0].kill();
    cluster.nodes()[2].kill();
    wait_for_members(&mut client, 1);
    documents(&mut client, "/db", [("", 202, 202), ("w=3", 202, 202), ("w=1", 201, 200)]);
    for (method, db) in [("PUT", "/new"), ("DELETE", "/db")] {
        let refused = ask(&mut client, method, db, "");
        assert_eq!(refused.status, 503, "{}", refused.text());
        let said = refused.json().expect("JSON");
        assert_eq!(said["error"], "service unavailable");
        assert!(said["reason"].as_str().is_some_and(|reason| reason.contains("majority")));
    }
    assert_eq!(ask(&mut client, "GET", "/db", "").status, 200);
    for node in [0, 2] {
        cluster.nodes()[node].restart().expect("a process");
    }
    cluster.wait_until_joined().expect("a cluster");
    // What was refused may have happened after all, now that a majority is there again.
    wait_for(|| [201, 412].contains(&ask(&mut client, "PUT", "/new", "").status).then_some(()));
    assert_eq!(ask(&mut client, "GET", "/new", "").status, 200);
}

/// Writes of all kinds; each case is a parameter, and what is answered to writes and to removals with it.
fn documents(client: &mut Client, db: &str, cases: [(&str, u16, u16); 3]) {
    for (case, (query, written, removed)) in cases.into_iter().enumerate() {
        let doc = format!("{db}/doc-{case}");
        let with = |path: &str, rev: &Value| match rev.as_str() {
            Some(rev) => format!("{path}?{query}&rev={rev}"),
            None => format!("{path}?{query}"),
        };
        let mut write = |method: &str, path: String, body: &str, expected: u16| {
            let answer = ask(client, method, &path, body);
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text());
            answer.json().expect("JSON")
        };
        let first = write("PUT", with(&doc, &Value::Null), "{\"a\":1}", written);
        let second = write("PUT", with(&doc, &first["rev"]), "{\"a\":2}", written);
        let copy = with(&doc, &Value::Null);
        write("COPY", copy, "", written);
        let several = json!({"docs": [{"_id": format!("b-{case}")}, {"_id": format!("c-{case}")}]});
        write(
            "POST",
            with(&format!("{db}/_bulk_docs"), &Value::Null),
            &several.to_string(),
            written,
        );
        let file = format!("{doc}/file");
        let third = write("PUT", with(&file, &second["rev"]), "text", written);
        // As in CouchDB, which says 200 of attachments whatever became of the write.
        let fourth = write("DELETE", with(&file, &third["rev"]), "", 200);
        write("DELETE", with(&doc, &fourth["rev"]), "", removed);
    }
}

fn ask(client: &mut Client, method: &str, path: &str, body: &str) -> Response {
    let mut request = Request::new(method, path);
    if method == "COPY" {
        let name = path.split(['/', '?']).nth(2).expect("a document");
        request = request.header("Destination", &format!("copy-of-{name}"));
    }
    let request = if body.is_empty() { request } else { request.json(body) };
    client.send(&request).expect("an answer")
}

fn wait_for_members(client: &mut Client, count: usize) {
    let shown = |client: &mut Client| {
        let members = ask(client, "GET", "/_membership", "").json().expect("JSON");
        members["all_nodes"].as_array().map(Vec::len)
    };
    wait_for(|| (shown(client) == Some(count)).then_some(()));
}
