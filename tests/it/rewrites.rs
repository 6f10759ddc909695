//! Functions that rewrite requests: what they may make of one, and what they cannot.

use serde_json::json;
use settee_tests::ask::configure;
use settee_tests::client::{Client, Request, Response};
use settee_tests::server::Server;

use crate::program;

/// What the function does is named by what follows `_rewrite` in the path.
const FUNCTION: &str = r#"function(req) { return {
    store: {path: "../../doc/file", method: "PUT"},
    post: {path: "../../", method: "POST"},
    mine: {path: "../../", method: "POST", body: toJSON({_id: "mine"}),
        headers: {"Content-Type": "application/json"}},
    other: {path: "../../../db2/doc"},
    config: {path: "/../../../_node/_local/_config/x/y", method: "PUT", body: "\"z\""},
    up: {path: "../.."},
    who: {path: "_show/who", headers: {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc=",
        "Cookie": "AuthSession=abc", "X-Seen": "yes"}},
    head: {path: "../../doc", method: "HEAD"},
    direct: {code: 200, body: "<b>", headers: {"Content-Type": "text/html",
        "Connection": "upgrade", "Upgrade": "x", "Transfer-Encoding": "chunked"}}
}[req.path[4]] }"#;

struct Place {
    client: Client,
    _server: Server,
    _data: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let data = tempfile::tempdir().expect("a temporary directory");
        let server = Server::start(&program(), data.path()).expect("a server");
        let mut place = Place { client: server.client(), _server: server, _data: data };
        let shows = json!({
            "who": "function(doc, req) { return req.userCtx.name + req.headers['X-Seen'] }",
            "early": "function() { return {code: 101, body: 'x'} }",
            "length": "function(doc, req) { return '' + req.body.length }",
        });
        let rules = json!([{"from": "*", "to": "*"}]);
        for (path, body) in [
            ("/db", json!(null)),
            ("/db2", json!(null)),
            ("/db/doc", json!({"n": 1})),
            ("/db2/doc", json!({"n": 2})),
            ("/db/_design/f", json!({"rewrites": FUNCTION, "shows": shows})),
            ("/db/_design/r", json!({"rewrites": rules})),
        ] {
            let made = place.ask(&Request::new("PUT", path).json(&body.to_string()));
            assert_eq!(made.status, 201, "{path}: {}", made.text());
        }
        place
    }

    fn ask(&mut self, request: &Request) -> Response {
        self.client.send(request).expect("an answer")
    }

    fn rewritten(&mut self, method: &str, what: &str) -> Response {
        self.ask(&Request::new(method, &format!("/db/_design/f/_rewrite/{what}")))
    }
}

fn with_body(path: &str, media: &str, body: &[u8]) -> Request {
    let mut request = Request::new("POST", path).header("Content-Type", media);
    request.body = Some(body.to_vec());
    request
}

#[test]
fn bodies_are_passed_on_as_they_came() {
    let mut place = Place::new();
    let doc = place.ask(&Request::new("GET", "/db/doc")).json().expect("JSON");
    let path = format!("/db/_design/f/_rewrite/store?rev={}", doc["_rev"].as_str().expect("a rev"));
    let bytes: Vec<u8> = (0..=255).collect();
    let stored = place.ask(&with_body(&path, "application/x-any", &bytes));
    assert_eq!(stored.status, 201, "{}", stored.text());
    assert_eq!(place.ask(&Request::new("GET", "/db/doc/file")).body, bytes);
    // `{"_id":"packed"}`
    let packed =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\x56\x8a\xcf\x4c\x51\xb2\x52\x2a\x48\
        \x4c\xce\x4e\x4d\x51\xaa\x05\x00\x93\xe8\xfd\xbc\x10\x00\x00\x00";
    for (name, made) in [("post", "packed"), ("mine", "mine")] {
        let path = format!("/db/_design/f/_rewrite/{name}");
        let request = with_body(&path, "application/json", packed);
        let answer = place.ask(&request.header("Content-Encoding", "gzip"));
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        assert_eq!(answer.json().expect("JSON")["id"], made);
    }
}

#[test]
fn nothing_is_changed_out_of_the_database() {
    let mut place = Place::new();
    let refused = place.rewritten("GET", "config");
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert_eq!(refused.json().expect("JSON")["error"], "insecure_rewrite_rule");
    let path = "/db/_design/r/_rewrite/%2e%2e/%2e%2e/%2e%2e/_all_dbs";
    assert_eq!(place.ask(&Request::new("GET", path)).status, 500);
    assert_eq!(place.rewritten("GET", "other").json().expect("JSON")["n"], 2);
    assert_eq!(place.rewritten("PUT", "other").status, 500);
    let inside = place.rewritten("GET", "up");
    assert_eq!(inside.json().expect("JSON")["db_name"], "db");
    configure(&mut place.client, "chttpd/secure_rewrites", "false");
    assert_eq!(place.rewritten("GET", "config").status, 200);
}

#[test]
fn who_asks_and_how_is_not_for_functions_to_say() {
    let mut place = Place::new();
    assert_eq!(place.rewritten("GET", "who").text(), "adminyes");
    let got = place.rewritten("GET", "head");
    assert_eq!((got.status, got.json().expect("JSON")["n"].clone()), (200, json!(1)));
    assert_eq!(place.rewritten("HEAD", "up").body, b"");
}

#[test]
fn answers_of_functions_are_no_more_than_answers() {
    let mut place = Place::new();
    let direct = place.rewritten("GET", "direct");
    assert_eq!((direct.status, &*direct.text()), (200, "<b>"));
    assert_eq!(direct.header("content-security-policy"), Some("sandbox"));
    assert_eq!(direct.header("content-type"), Some("text/html"));
    assert_eq!((direct.header("upgrade"), direct.header("transfer-encoding")), (None, None));
    assert_eq!(place.ask(&Request::new("GET", "/db/_design/f/_show/early")).status, 500);
}

#[test]
fn bodies_that_no_engine_has_room_for_are_refused() {
    let mut place = Place::new();
    let path = "/db/_design/f/_show/length";
    let fits = place.ask(&with_body(path, "text/plain", &vec![1; 2 << 20]));
    assert_eq!((fits.status, fits.text()), (200, (2 << 20).to_string()));
    for path in [path, "/db/_design/f/_rewrite/post", "/db/_design/f/_update/none"] {
        let refused = place.ask(&with_body(path, "text/plain", &vec![1; 17 << 20]));
        assert!([404, 413].contains(&refused.status), "{path}: {}", refused.text());
    }
}
