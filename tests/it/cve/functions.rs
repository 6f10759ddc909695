//! Functions of design documents: what they leave behind for those of other databases (2023-26268), and
//! what they learn of who asks (2023-45725).

use serde_json::json;
use settee_tests::ask::get;
use settee_tests::base64;
use settee_tests::client::{Client, Request};

use super::{put, send};
use crate::with_server;

/// Leaves something behind wherever a function can.
const LEAVE: &str = "leaked = 1; Object.prototype.two = 2; Array.prototype.three = 3; Math.four = 4; \
    Function.prototype.five = 5; toJSON.six = 6; JSON.parse = function() { return {seven: 7} }; \
    this.eight = 8; String.prototype.nine = 9; log = null; isArray = null; \
    (0, function() { return this })().ten = 10;";

/// What of that is there.
const SEEN: &str = "[typeof leaked, typeof ({}).two, typeof [].three, typeof Math.four, \
    typeof (function() {}).five, typeof toJSON.six, typeof JSON.parse('{}').seven, typeof eight, \
    typeof 'x'.nine, typeof ten, typeof log, typeof isArray].join()";

const CLEAN: &str = "undefined,undefined,undefined,undefined,undefined,undefined,undefined,undefined,\
    undefined,undefined,function,function";

/// The same design document for all databases.
fn ddoc() -> String {
    let asked = |answer: &str| {
        format!(
            "function(doc, req) {{ var seen = {SEEN}; if (req.query.leave) {{ {LEAVE} }} {answer} }}"
        )
    };
    let rewrite = format!(
        "function(req) {{ var seen = {SEEN}; if (req.query.leave) {{ {LEAVE} }} \
         return {{code: 200, body: seen}} }}"
    );
    let validate = format!(
        "function(doc) {{ if (doc.look) throw {{forbidden: {SEEN}}}; if (doc.leave) {{ {LEAVE} }} }}"
    );
    let map = format!("function(doc) {{ emit({SEEN}); if (doc.leave) {{ {LEAVE} }} }}");
    json!({
        "shows": {"f": asked("return seen")},
        "lists": {"f": asked("send(seen)")},
        "updates": {"f": asked("return [null, seen]")},
        "filters": {"f": asked(&format!("return seen === '{CLEAN}'"))},
        "rewrites": rewrite,
        "validate_doc_update": validate,
        "views": {"v": {"map": map}, "f": {"map": map}},
    })
    .to_string()
}

/// Calls each kind of function of a database; what those of them saw that say it.
fn call(client: &mut Client, db: &str, leave: bool) -> Vec<(String, String)> {
    let more = if leave { "?leave=1" } else { "" };
    let ddoc = format!("/{db}/_design/d");
    let mut seen = Vec::new();
    for (method, path) in [
        ("GET", format!("{ddoc}/_show/f{more}")),
        ("GET", format!("{ddoc}/_list/f/v{more}")),
        ("POST", format!("{ddoc}/_update/f{more}")),
        ("GET", format!("{ddoc}/_rewrite/x{more}")),
    ] {
        seen.push((path.clone(), send(client, &Request::new(method, &path)).text()));
    }
    let filtered = format!("/{db}/_changes?filter=d/f{}", more.replace('?', "&"));
    let rows = get(client, &filtered)["results"].as_array().map(Vec::len);
    // A document, another, and the design document.
    let all = if rows == Some(3) { CLEAN.to_owned() } else { format!("{rows:?} rows") };
    seen.push((filtered, all));
    let look = Request::new("PUT", &format!("/{db}/look")).json("{\"look\":true}");
    let told = send(client, &look).json().expect("JSON");
    seen.push(("validation".to_owned(), told["reason"].as_str().unwrap_or_default().to_owned()));
    for row in get(client, &format!("{ddoc}/_view/v"))["rows"].as_array().expect("rows") {
        seen.push(("view".to_owned(), row["key"].as_str().unwrap_or_default().to_owned()));
    }
    seen
}

fn fill(client: &mut Client, db: &str, left: &str) {
    put(client, &format!("/{db}?q=1"), "");
    put(client, &format!("/{db}/_design/d"), &ddoc());
    put(client, &format!("/{db}/a"), left);
    put(client, &format!("/{db}/b"), left);
}

#[test]
fn cve_2023_26268_nothing_is_left_behind_for_other_databases() {
    with_server(|_, client| {
        fill(client, "evil", "{\"leave\":true}");
        for _ in 0..6 {
            call(client, "evil", true);
        }
        let left = call(client, "evil", false);
        let dirty = left.iter().filter(|(_, seen)| seen != CLEAN).count();
        assert!(dirty > 0, "the functions leave nothing behind, so nothing is tested");
        fill(client, "good", "{}");
        // The same name again is another database.
        assert_eq!(send(client, &Request::new("DELETE", "/evil")).status, 200);
        fill(client, "evil", "{}");
        for db in ["good", "evil"] {
            for (what, seen) in call(client, db, false) {
                assert_eq!(seen, CLEAN, "{db} {what}");
            }
        }
    });
}

#[test]
fn cve_2023_45725_functions_do_not_learn_how_who_asks_proves_it() {
    with_server(|_, client| {
        put(client, "/db", "");
        put(client, "/db/doc", "{}");
        let all = |answer: &str| {
            format!("function(doc, req) {{ var all = toJSON([doc, req, this.req]); {answer} }}")
        };
        let ddoc = json!({
            "shows": {"f": all("return all")},
            "lists": {"f": all("send(all); send(toJSON(getRow()))")},
            "updates": {"f": all("return [null, all]")},
            "filters": {"f": all("if (doc._id === 'doc' && /s3cret|Basic|AuthSession/i.test(all)) throw {forbidden: all}; return true")},
            "rewrites": "function(req) { return {code: 200, body: toJSON(req)} }",
            "views": {"v": {"map": "function(doc) { emit(1) }"}},
        });
        put(client, "/db/_design/d", &ddoc.to_string());
        let login = Request::new("POST", "/_session").json(r#"{"name":"admin","password":"pass"}"#);
        let set = send(client, &login).header("set-cookie").expect("a cookie").to_owned();
        let cookie = set.split(';').next().expect("a cookie").to_owned();
        let basic = format!("Basic {}", base64(b"admin:pass"));
        let proofs = [cookie.as_str(), basic.as_str(), "s3cret"];
        for (authorization, cookies, token) in [
            ("Authorization", "Cookie", "X-Auth-CouchDB-Token"),
            ("authorization", "cookie", "x-auth-couchdb-token"),
            ("AUTHORIZATION", "COOKIE", "X-AUTH-COUCHDB-TOKEN"),
            ("aUTHORIZATIOn", "cOOKIe", "X-auth-COUCHDB-token"),
        ] {
            for (method, path) in [
                ("GET", "/db/_design/d/_show/f"),
                ("GET", "/db/_design/d/_show/f/doc"),
                ("POST", "/db/_design/d/_show/f"),
                ("GET", "/db/_design/d/_list/f/v"),
                ("POST", "/db/_design/d/_update/f"),
                ("PUT", "/db/_design/d/_update/f/doc"),
                ("GET", "/db/_design/d/_rewrite/x"),
                ("POST", "/db/_design/d/_rewrite/x"),
                ("GET", "/db/_changes?filter=d/f"),
                ("GET", "/db/_changes?filter=d/f&feed=longpoll"),
                ("GET", "/db/_changes?filter=d/f&feed=eventsource&timeout=1"),
            ] {
                let request = Request::new(method, path)
                    .header(authorization, &basic)
                    .header(cookies, &format!("other=s3cret; {cookie}"))
                    .header(token, "s3cret")
                    .header("Proxy-Authorization", "Basic s3cret")
                    .header("X-Harmless", "shown");
                let answer = send(client, &request);
                let text = answer.text();
                assert_eq!(answer.status, 200, "{method} {path}: {text}");
                let asked = path.contains("_changes") || text.contains("shown");
                assert!(asked, "{path} tells nothing of the request: {text}");
                for proof in proofs {
                    assert!(!text.contains(proof), "{method} {path} {authorization}: {text}");
                }
            }
        }
        a_rewrite_makes_nobody_somebody_else(client);
    });
}

/// A proxy says who asks in headers; a function that makes the next request does not.
fn a_rewrite_makes_nobody_somebody_else(client: &mut Client) {
    let set = |client: &mut Client, key: &str, value: &str| {
        put(client, &format!("/_node/_local/_config/{key}"), &json!(value).to_string());
    };
    put(client, "/db/_security", r#"{"members":{"names":["ann"]}}"#);
    let rewrite = "function(req) { return {path: '../../../_session', headers: { \
        'X-Auth-CouchDB-UserName': 'root', 'X-Auth-CouchDB-Roles': '_admin', 'X-Roles': '_admin', \
        'Authorization': 'Basic x', 'Cookie': 'AuthSession=x'}} }";
    put(client, "/db/_design/r", &json!({"rewrites": rewrite}).to_string());
    let usual = "{chttpd_auth, proxy_authentication_handler}, {chttpd_auth, default_authentication_handler}";
    set(client, "chttpd/secure_rewrites", "false");
    set(client, "chttpd/authentication_handlers", usual);
    for roles in ["X-Auth-CouchDB-Roles", "X-Roles"] {
        set(client, "chttpd_auth/x_auth_roles", roles);
        let request = Request::new("GET", "/db/_design/r/_rewrite/x");
        let request =
            request.header("Authorization", "none").header("X-Auth-CouchDB-UserName", "ann");
        let answer = send(client, &request);
        let user = answer.json().expect("JSON")["userCtx"].clone();
        assert_eq!(user, json!({"name": "ann", "roles": []}), "{roles}: {}", answer.text());
    }
}
