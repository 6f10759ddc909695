//! Views of a cluster: every node gives the same rows, and a node that dies while they are read is not
//! noticed.

use serde_json::{Value, json};
use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;

use crate::program;

const DOCS: usize = 6000;

#[test]
fn a_view_is_complete_while_a_node_dies() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut client = cluster.clients().remove(0);
    // Two copies of each range: some lie elsewhere, whoever is asked.
    put(&mut client, "/db?q=6&n=2", &Value::Null);
    for some in (0..DOCS).collect::<Vec<_>>().chunks(1000) {
        let doc = |n: &usize| json!({"_id": format!("doc{n:05}"), "n": n, "pad": "x".repeat(300)});
        let docs: Vec<_> = some.iter().map(doc).collect();
        let request = Request::new("POST", "/db/_bulk_docs");
        let request = request.json(&json!({ "docs": docs }).to_string());
        assert_eq!(client.send(&request).expect("an answer").status, 201);
    }
    let map = "function(doc) { emit(doc.n % 10, doc.pad); emit('all', 1); }";
    let views = json!({"v": {"map": map, "reduce": "_count"}, "js": {"map": map,
        "reduce": "function(k, v, r) { return r ? sum(v) : v.length; }"}});
    put(&mut client, "/db/_design/d", &json!({ "views": views }));
    let before = read(&mut client, "/db/_design/d/_view/v?reduce=false");
    assert_eq!(before.len(), 2 * DOCS);
    let counted = read(&mut client, "/db/_design/d/_view/js?group=true");
    assert_eq!(counted.len(), 11);
    assert_eq!(counted[10], json!({"key": "all", "value": DOCS}));
    let reader = std::thread::spawn(move || {
        let all = (0..4).map(|_| read(&mut client, "/db/_design/d/_view/v?reduce=false"));
        all.collect::<Vec<_>>()
    });
    std::thread::sleep(std::time::Duration::from_millis(150));
    cluster.nodes()[2].kill();
    for rows in reader.join().expect("answers") {
        assert!(rows == before, "{} rows of {}", rows.len(), before.len());
    }
    let mut second = cluster.clients().remove(1);
    assert!(read(&mut second, "/db/_design/d/_view/v?reduce=false") == before);
    assert_eq!(read(&mut second, "/db/_design/d/_view/js?group=true"), counted);
}

fn put(client: &mut Client, path: &str, body: &Value) {
    let request = Request::new("PUT", path);
    let request = if body.is_null() { request } else { request.json(&body.to_string()) };
    let answer = client.send(&request).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn read(client: &mut Client, path: &str) -> Vec<Value> {
    let answer = client.send(&Request::new("GET", path)).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json().expect("JSON");
    json["rows"].as_array().expect("rows").clone()
}
