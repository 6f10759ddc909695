//! Functions of design documents in a cluster: what one node answered with 201 is what every other node
//! runs from then on.

use serde_json::{Value, json};
use settee_tests::client::{Client, Request, Response};
use settee_tests::cluster::Cluster;

use crate::program;

/// All copies everywhere, and one copy of each range on some node.
const DATABASES: [(&str, &str); 2] = [("/all", "?q=2&n=3"), ("/spread", "?q=4&n=1")];

#[test]
fn functions_are_the_newest_on_every_node_at_once() {
    let cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    for (db, layout) in DATABASES {
        ask(&mut clients[0], "PUT", &format!("{db}{layout}"), None, 201);
        for n in 0..6 {
            ask(&mut clients[0], "PUT", &format!("{db}/doc{n}"), Some(json!({ "n": n })), 201);
        }
        let mut rev = Value::Null;
        for round in 0..6 {
            let writer = round % 3;
            let mut ddoc = ddoc(round);
            if !rev.is_null() {
                ddoc["_rev"] = rev;
            }
            let made =
                ask(&mut clients[writer], "PUT", &format!("{db}/_design/d"), Some(ddoc), 201);
            rev = made.json().expect("JSON")["rev"].clone();
            for other in [(writer + 1) % 3, (writer + 2) % 3, writer] {
                check(&mut clients[other], db, round, other);
            }
        }
        let gone = format!("{db}/_design/d?rev={}", rev.as_str().expect("a revision"));
        ask(&mut clients[1], "DELETE", &gone, None, 200);
        for client in &mut clients {
            ask(client, "POST", db, Some(json!({"no": 1})), 201);
        }
    }
}

/// One whose functions all say in which round it was made.
fn ddoc(round: usize) -> Value {
    json!({
        "validate_doc_update":
            format!("function(doc) {{ if (doc.no) throw {{forbidden: 'round {round}'}} }}"),
        "filters": {"f": format!("function(doc) {{ return doc.n === {round} }}")},
        "views": {"v": {"map": "function(doc) { if ('n' in doc) emit(doc.n, 1) }"}},
        "lists": {"l": format!(
            "function() {{ var n = 0; while (getRow()) n++; return 'list {round} ' + n }}"
        )},
        "shows": {"s": format!("function(doc) {{ return 'show {round} ' + doc.n }}")},
        "updates": {"u": format!(
            "function(doc) {{ doc.round = {round}; return [doc, 'update {round}'] }}"
        )},
    })
}

fn check(client: &mut Client, db: &str, round: usize, node: usize) {
    let at = format!("{db}, round {round}, node {node}");
    let no = format!("{db}/no{round}-{node}");
    let refused = ask(client, "PUT", &no, Some(json!({"no": 1})), 403);
    assert_eq!(refused.json().expect("JSON")["reason"], format!("round {round}"), "{at}");
    let known = json!({"new_edits": false, "docs": [{"_id": "no", "_rev": "1-aa", "no": 1}]});
    let refused = ask(client, "POST", &format!("{db}/_bulk_docs"), Some(known), 201);
    assert_eq!(refused.json().expect("JSON")[0]["error"], "forbidden", "{at}");
    let changes = ask(client, "GET", &format!("{db}/_changes?filter=d/f"), None, 200);
    let changes = changes.json().expect("JSON");
    let ids: Vec<&str> = changes["results"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["id"].as_str())
        .collect();
    assert_eq!(ids, [format!("doc{round}")], "{at}");
    let text = |client: &mut Client, method, path: &str, status| {
        ask(client, method, &format!("{db}/_design/d/{path}"), None, status).text()
    };
    assert_eq!(text(client, "GET", "_list/l/v", 200), format!("list {round} 6"), "{at}");
    assert_eq!(text(client, "GET", "_show/s/doc3", 200), format!("show {round} 3"), "{at}");
    assert_eq!(text(client, "PUT", "_update/u/doc4", 201), format!("update {round}"), "{at}");
    let written = ask(client, "GET", &format!("{db}/doc4"), None, 200).json().expect("JSON");
    assert_eq!(written["round"], round, "{at}");
}

fn ask(
    client: &mut Client,
    method: &str,
    path: &str,
    body: Option<Value>,
    status: u16,
) -> Response {
    let request = Request::new(method, path);
    let request = match body {
        Some(body) => request.json(&body.to_string()),
        None => request,
    };
    let answer = client.send(&request).expect("an answer");
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    answer
}
