//! Functions of design documents that do harm: each ends in an error for its own request, in time,
//! and nobody else notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use settee_tests::ask::configure;
use settee_tests::client::{Client, Request, Response};
use settee_tests::server::Server;

use crate::program;

/// What a call may take here.
const LIMIT: Duration = Duration::from_millis(400);
/// What a request may take that runs into it: the limit, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Bodies of functions that never end, or take too much.
const HARM: [(&str, &str); 9] = [
    ("loop", "while (true);"),
    ("labels", "a: for (;;) { for (;;) continue a; }"),
    ("caught", "for (;;) { try { while (true); } catch (e) {} }"),
    ("bomb", "var a = []; while (true) a.push(new Array(1000).join('x'));"),
    ("double", "var s = 'x'; while (true) s += s;"),
    ("deep", "function f() { return f() + 1 } f();"),
    ("deepjson", "var a = []; for (var i = 0; i < 1e6; i++) a = [a]; toJSON(a);"),
    ("regexp", "/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!');"),
    (
        "getter",
        "var o = {}; Object.defineProperty(o, 'x', {get: function() { return o.x + 1 }}); o.x;",
    ),
];

struct Place {
    client: Client,
    _server: Server,
    _data: tempfile::TempDir,
}

fn place() -> Place {
    let data = tempfile::tempdir().expect("a temporary directory");
    // Small stacks unless the program says better: functions that recurse shall not need luck.
    let stack = [("RUST_MIN_STACK", "1048576")];
    let server = Server::start_with(&program(), data.path(), &stack).expect("a server");
    let mut client = server.client();
    configure(&mut client, "couchdb/os_process_timeout", &LIMIT.as_millis().to_string());
    for db in ["/bad", "/good"] {
        ask(&mut client, "PUT", &format!("{db}?q=1"), None, 201);
        ask(&mut client, "PUT", &format!("{db}/d"), Some("{\"n\":1}"), 201);
    }
    let good = json!({
        "validate_doc_update": "function(doc) { if (doc.no) throw {forbidden: 'no'} }",
        "shows": {"s": "function() { return 'fine' + typeof ({}).polluted }"},
    });
    ask(&mut client, "PUT", "/good/_design/g", Some(&good.to_string()), 201);
    Place { client, _server: server, _data: data }
}

fn ask(client: &mut Client, method: &str, path: &str, body: Option<&str>, status: u16) -> Response {
    let mut request = Request::new(method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = client.send(&request).expect("an answer");
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    answer
}

/// A design document with every kind of function, all of which do harm.
fn harmful(body: &str) -> Value {
    let function = format!("function(doc, req) {{ {body} return 'survived' }}");
    json!({
        "shows": {"f": function},
        "updates": {"f": function},
        "lists": {"f": function},
        "filters": {"f": function},
        "rewrites": function,
        "views": {"v": {"map": "function(doc) { emit(doc._id) }"}, "f": {"map": "function(doc) { if (doc.n === 1) for (;;); }"}},
    })
}

/// The answer must be an error, come in time, and leave the other database as it was.
fn ends_in_an_error(place: &mut Place, what: &str, request: &Request) {
    let began = Instant::now();
    let answer = place.client.send(request).expect("an answer");
    let took = began.elapsed();
    let failed = answer.status >= 400 || answer.text().contains("\"code\":500");
    assert!(failed, "{what} {}: {} {}", request.path, answer.status, answer.text());
    assert!(took < PATIENCE, "{what} {}: {took:?}", request.path);
    let fine = ask(&mut place.client, "GET", "/good/_design/g/_show/s", None, 200);
    assert_eq!(fine.text(), "fineundefined");
}

#[test]
fn harm_ends_in_an_error_for_its_own_request() {
    let mut place = place();
    for (name, body) in HARM {
        let ddoc = format!("/bad/_design/{name}");
        ask(&mut place.client, "PUT", &ddoc, Some(&harmful(body).to_string()), 201);
        for (method, path) in [
            ("GET", format!("{ddoc}/_show/f/d")),
            ("PUT", format!("{ddoc}/_update/f/d")),
            ("GET", format!("{ddoc}/_list/f/v")),
            ("GET", format!("/bad/_changes?filter={name}/f")),
            ("GET", format!("{ddoc}/_rewrite/x")),
        ] {
            ends_in_an_error(&mut place, name, &Request::new(method, &path));
        }
    }
    let view = Request::new("GET", "/bad/_changes?filter=_view&view=loop/f");
    ends_in_an_error(&mut place, "view", &view);
}

/// Each runs on a thread of the server's, whose stack must last longer than the engine's patience.
#[test]
fn whatever_calls_itself_the_server_stands() {
    let mut place = place();
    for (n, body) in [
        "function f() { return [1].map(f) } f();",
        "JSON.parse(new Array(1e5).join('['));",
        "eval(new Array(1e5).join('('));",
        "new RegExp(new Array(1e5).join('('));",
        "var f = function() {}; for (var i = 0; i < 1e5; i++) f = f.bind(); f();",
        "var o = {toJSON: function() { return JSON.stringify(o) }}; JSON.stringify(o);",
        "var o = {toString: function() { return '' + o }}; throw o;",
        "function f() { return [2, 1].sort(f) } f();",
        "function f() { return 'a'.replace(/a/, f) } f();",
        "class A { constructor() { return new A } } new A;",
    ]
    .into_iter()
    .enumerate()
    {
        let map = format!("function(doc) {{ {body} }}");
        let reduce = format!("function(keys, values) {{ {body} }}");
        let mut ddoc = harmful(body);
        ddoc["views"] =
            json!({"m": {"map": map}, "r": {"map": "function() { emit(1) }", "reduce": reduce}});
        let path = format!("/bad/_design/deep{n}");
        ask(&mut place.client, "PUT", &path, Some(&ddoc.to_string()), 201);
        for end in ["_show/f/d", "_list/f/m", "_rewrite/x", "_view/m", "_view/r"] {
            let request = Request::new("GET", &format!("{path}/{end}"));
            place.client.send(&request).expect("an answer");
            ask(&mut place.client, "GET", "/good/_design/g/_show/s", None, 200);
        }
    }
}

#[test]
fn a_validation_that_does_harm_refuses_writes_and_no_more() {
    let mut place = place();
    for (name, body) in HARM {
        let source = format!("function(doc) {{ if (doc.harm) {{ {body} }} }}");
        let ddoc = json!({"validate_doc_update": source}).to_string();
        let path = format!("/bad/_design/{name}");
        let made = ask(&mut place.client, "PUT", &path, Some(&ddoc), 201);
        let rev = made.json().expect("JSON")["rev"].as_str().expect("a revision").to_owned();
        let write = Request::new("PUT", &format!("/bad/{name}")).json("{\"harm\":1}");
        ends_in_an_error(&mut place, name, &write);
        ask(&mut place.client, "PUT", &format!("/bad/{name}"), Some("{\"harm\":0}"), 201);
        ask(&mut place.client, "GET", "/bad/d", None, 200);
        ask(&mut place.client, "PUT", &format!("/good/{name}"), Some("{}"), 201);
        ask(&mut place.client, "DELETE", &format!("{path}?rev={rev}"), None, 200);
    }
}

#[test]
fn many_who_loop_keep_no_other_database_waiting() {
    let mut place = place();
    ask(
        &mut place.client,
        "PUT",
        "/bad/_design/l",
        Some(&harmful("while (true);").to_string()),
        201,
    );
    let loops: Vec<_> = (0..24)
        .map(|_| {
            let mut client = place.client.again();
            std::thread::spawn(move || {
                let began = Instant::now();
                let answer = client.send(&Request::new("GET", "/bad/_design/l/_show/f"));
                (answer.expect("an answer").status, began.elapsed())
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    for n in 0..10 {
        let began = Instant::now();
        ask(&mut place.client, "GET", "/good/_design/g/_show/s", None, 200);
        ask(&mut place.client, "PUT", &format!("/good/w{n}"), Some("{}"), 201);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }
    for ended in loops {
        let (status, took) = ended.join().expect("a thread");
        assert_eq!(status, 500);
        assert!(took < PATIENCE, "{took:?}");
    }
}

#[test]
fn tricks_with_prototypes_stay_where_they_are_played() {
    let mut place = place();
    let trick = json!({"shows": {
        "t": "function() { Object.prototype.polluted = 1; Array.prototype.push = null; JSON.stringify = null; \
              Function.prototype.call = null; String.prototype.toString = null; return 'x' }",
        "u": "function(doc, req) { req.__proto__.evil = 1; doc.constructor.constructor('return this')().evil = 1; return 'x' }",
        "v": "function(doc, req) { return toJSON([typeof ({}).evil, typeof ({}).polluted, [1].length]) }",
    }});
    ask(&mut place.client, "PUT", "/bad/_design/t", Some(&trick.to_string()), 201);
    for path in ["t", "u/d", "t", "u/d"] {
        let tried = Request::new("GET", &format!("/bad/_design/t/_show/{path}"));
        place.client.send(&tried).expect("an answer");
        let after = ask(&mut place.client, "GET", "/bad/_design/t/_show/v", None, 200);
        assert!(after.text().starts_with("[\"undefined\",\"undefined\""), "{}", after.text());
        let other = ask(&mut place.client, "GET", "/good/_design/g/_show/s", None, 200);
        assert_eq!(other.text(), "fineundefined");
    }
}

#[test]
fn a_validation_counts_from_the_answer_on() {
    let mut place = place();
    let mut rev = String::new();
    for round in 0..20 {
        let no = round % 2 == 0;
        let source = format!("function() {{ if ({no}) throw {{forbidden: 'round {round}'}} }}");
        let mut ddoc = json!({"validate_doc_update": source});
        if !rev.is_empty() {
            ddoc["_rev"] = Value::from(rev.clone());
        }
        let made = ask(&mut place.client, "PUT", "/bad/_design/v", Some(&ddoc.to_string()), 201);
        rev = made.json().expect("JSON")["rev"].as_str().expect("a revision").to_owned();
        let status = if no { 403 } else { 201 };
        ask(&mut place.client, "PUT", &format!("/bad/round{round}"), Some("{}"), status);
    }
    ask(&mut place.client, "DELETE", "/bad", None, 200);
    ask(&mut place.client, "PUT", "/bad", None, 201);
    ask(&mut place.client, "PUT", "/bad/round0", Some("{}"), 201);
}

#[test]
fn a_selector_may_validate_in_the_place_of_a_function() {
    let mut place = place();
    let rule = json!({
        "language": "query",
        "validate_doc_update": {
            "newDoc.n": {"$type": "number"},
            "$or": [{"oldDoc": null}, {"oldDoc.n": {"$lt": 3}}]
        }
    });
    let client = &mut place.client;
    ask(client, "PUT", "/good/_design/rule", Some(&rule.to_string()), 201);
    let refused = ask(client, "PUT", "/good/new", Some("{\"n\":\"text\"}"), 403);
    assert_eq!(refused.json().expect("JSON")["error"], "forbidden");
    let made = ask(client, "PUT", "/good/new", Some("{\"n\":3}"), 201).json().expect("JSON");
    let change = json!({"_rev": made["rev"], "n": 4}).to_string();
    ask(client, "PUT", "/good/new", Some(&change), 403);
    ask(client, "PUT", "/good/d2", Some("{\"n\":2}"), 201);
}

/// From now on `/bad` refuses documents whose `old` is not the revision that they are judged by, and
/// says which that is.
fn tell(client: &mut Client) {
    let source = "function(doc, old) {
        var rev = old ? old._rev : 'none';
        if (doc.old !== rev) throw {forbidden: rev};
    }";
    let ddoc = json!({"validate_doc_update": source}).to_string();
    ask(client, "PUT", "/bad/_design/v", Some(&ddoc), 201);
}

#[test]
fn replicated_edits_are_judged_by_the_nearest_ancestor_that_is_stored() {
    let mut place = place();
    let client = &mut place.client;
    tell(client);
    let mut replicate = |id: &str, ids: &[String], old: &str| {
        let revs = json!({"start": ids.len(), "ids": ids});
        let doc = json!({"_id": id, "_revisions": revs, "old": old});
        let docs = json!({"new_edits": false, "docs": [doc]}).to_string();
        let failed = ask(client, "POST", "/bad/_bulk_docs", Some(&docs), 201).json();
        failed.expect("JSON")[0]["reason"].as_str().map(ToOwned::to_owned)
    };
    let path = |ids: &str| ids.chars().map(|id| format!("{id}{id}")).collect::<Vec<_>>();
    assert_eq!(replicate("x", &path("a"), "wrong"), Some("none".into()));
    assert_eq!(replicate("x", &path("a"), "none"), None);
    assert_eq!(replicate("x", &path("dcba"), "wrong"), Some("1-aa".into()));
    assert_eq!(replicate("x", &path("dcba"), "1-aa"), None);
    assert_eq!(replicate("x", &path("edcba"), "wrong"), Some("4-dd".into()));
    assert_eq!(replicate("x", &path("fa"), "wrong"), Some("1-aa".into()));
    // What is here already is not written again, and so not judged.
    assert_eq!(replicate("x", &path("dcba"), "other"), None);
    // Many ancestors are known, and none of them is stored.
    let long = "tsrqponmlkjihgfedcba";
    assert_eq!(replicate("y", &path(long), "none"), None);
    assert_eq!(replicate("y", &path(&format!("z{}", &long[1..])), "wrong"), Some("none".into()));
    assert_eq!(replicate("y", &path(&format!("u{long}")), "wrong"), Some("20-tt".into()));
    let kept = ask(client, "GET", "/bad/x", None, 200).json().expect("JSON");
    assert_eq!((&kept["_rev"], &kept["old"]), (&json!("4-dd"), &json!("1-aa")));
}

#[test]
fn conflicts_come_before_judgements() {
    let mut place = place();
    let client = &mut place.client;
    tell(client);
    let mut put = |rev: &str, old: &str, status: u16| {
        let path = if rev.is_empty() { "/bad/p".to_owned() } else { format!("/bad/p?rev={rev}") };
        let made = ask(client, "PUT", &path, Some(&json!({"old": old}).to_string()), status);
        let made = made.json().expect("JSON");
        made["rev"].as_str().unwrap_or_default().to_owned()
    };
    put("", "wrong", 403);
    let first = put("", "none", 201);
    put("", "wrong", 409);
    put("1-00000000000000000000000000000000", "wrong", 409);
    put(&first, "wrong", 403);
    let second = put(&first, &first, 201);
    put(&first, "wrong", 409);
    let gone = json!({"_id": "p", "_rev": second, "_deleted": true, "old": second});
    ask(client, "PUT", "/bad/p", Some(&gone.to_string()), 200);
    let ask_again = ask(client, "PUT", "/bad/p", Some("{\"old\":\"wrong\"}"), 403);
    assert_eq!(ask_again.json().expect("JSON")["reason"], "none");
    ask(client, "PUT", "/bad/p", Some("{\"old\":\"none\"}"), 201);
}
