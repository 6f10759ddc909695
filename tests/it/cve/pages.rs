//! CVE-2010-2234: pages of other servers asked in their reader's name, whose browser remembers a
//! password or a cookie.

use serde_json::{Value, json};
use settee_tests::ask::{as_nobody, configure, get};
use settee_tests::client::{Client, Request};

use super::{from_page, put, send};
use crate::with_server;

/// What a page can have sent without asking before.
const MEDIA: [Option<&str>; 4] = [
    None,
    Some("text/plain"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=x"),
];

/// What takes JSON by POST.
const JSON: [&str; 29] = [
    "/_cluster_setup",
    "/_dbs_info",
    "/_reload_query_servers",
    "/_users",
    "/_users/_bulk_docs",
    "/_replicator",
    "/db",
    "/db?batch=ok",
    "/db/_all_docs",
    "/db/_bulk_docs",
    "/db/_bulk_get",
    "/db/_changes",
    "/db/_compact",
    "/db/_compact/d",
    "/db/_design_docs",
    "/db/_ensure_full_commit",
    "/db/_explain",
    "/db/_find",
    "/db/_index",
    "/db/_index/_bulk_delete",
    "/db/_local_docs",
    "/db/_missing_revs",
    "/db/_purge",
    "/db/_revs_diff",
    "/db/_design/d/_list/l/v",
    "/db/_design/d/_view/v",
    "/db/_design/d/_view/v/queries",
    "/parts/_partition/p/_all_docs",
    "/parts/_partition/p/_find",
];

/// What takes JSON whatever it is called, as in CouchDB: it only reads, and a page gets no answer.
const READ: [&str; 3] =
    ["/db/_all_docs/queries", "/db/_design_docs/queries", "/db/_local_docs/queries"];

/// What takes no body.
const BARE: [&str; 4] = [
    "/_node/_local/_config/_reload",
    "/_node/_local/_restart",
    "/db/_sync_shards",
    "/db/_view_cleanup",
];

/// What other methods change, which only a page may use that was allowed to.
const METHODS: [(&str, &str); 8] = [
    ("PUT", "/new"),
    ("DELETE", "/db"),
    ("PUT", "/db/doc"),
    ("DELETE", "/db/doc"),
    ("COPY", "/db/doc"),
    ("PUT", "/db/_security"),
    ("PUT", "/db/_revs_limit"),
    ("PUT", "/_node/_local/_config/admins/eve"),
];

/// All that an attack could have changed.
fn state(client: &mut Client) -> Vec<Value> {
    let paths = [
        "/_all_dbs",
        "/_node/_local/_config",
        "/_membership",
        "/db/_security",
        "/db/_revs_limit",
        "/db/_all_docs?include_docs=true&conflicts=true",
        "/db/_local_docs",
        "/db/_changes?style=all_docs",
        "/_users/_all_docs",
        "/_replicator/_all_docs",
    ];
    paths.map(|path| get(client, path)).into()
}

pub fn fill(client: &mut Client) {
    put(client, "/db", "");
    put(client, "/parts?partitioned=true", "");
    put(client, "/db/doc", "{}");
    let ddoc = json!({
        "views": {"v": {"map": "function(doc) { emit(doc._id) }"}},
        "lists": {"l": "function() { send('<b>list</b>') }"},
        "shows": {
            "s": "function() { return {headers: {'Content-Type': 'text/html'}, body: '<b>show</b>'} }",
            "j": "function() { return {headers: {'Content-Type': 'text/html'}, json: '<b>show</b>'} }",
        },
        "updates": {"u": "function(doc, req) { return [{_id: 'made'}, '<b>update</b>'] }"},
        "rewrites": "function(req) { return {code: 200, body: '<b>rewrite</b>', headers: {'Content-Type': 'text/html'}} }",
    });
    put(client, "/db/_design/d", &ddoc.to_string());
}

#[test]
fn cve_2010_2234_pages_of_others_change_nothing() {
    with_server(|server, client| {
        fill(client);
        // A rule for a new user, which the server makes when it is first asked for.
        get(client, "/_users/_all_docs");
        let before = state(client);
        let bodies = ["{}", r#"{"docs":[{"_id":"evil"}]}"#, "a=b&c=d", ""];
        for (path, body) in JSON.iter().flat_map(|path| bodies.map(|body| (path, body))) {
            for media in MEDIA {
                let answer = send(client, &from_page("POST", path, media, body));
                assert_eq!(answer.status, 415, "{path} {media:?} {body}: {}", answer.text());
            }
        }
        for (path, media) in READ.iter().flat_map(|path| MEDIA.map(|media| (path, media))) {
            let answer = send(client, &from_page("POST", path, media, r#"{"queries":[{}]}"#));
            assert_eq!(answer.status, 200, "{path} {media:?}: {}", answer.text());
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path} {media:?}");
        }
        for (path, media) in BARE.iter().flat_map(|path| MEDIA.map(|media| (path, media))) {
            for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
                let mut request = from_page("POST", path, media, "");
                request.headers[0].1 = origin.to_owned();
                let answer = send(client, &request);
                assert_eq!(answer.status, 403, "{path} {media:?} {origin}: {}", answer.text());
            }
        }
        let form = "--x\r\nContent-Disposition: form-data; name=\"_doc\"\r\n\r\n{\"a\":1}\r\n--x--";
        for path in ["/db/evil", "/db/doc"] {
            for referer in [None, Some("http://evil.example/"), Some("http://127.0.0.1/")] {
                let mut request = from_page("POST", path, MEDIA[3], form);
                request.headers.extend(referer.map(|of| ("Referer".to_owned(), of.to_owned())));
                assert_eq!(send(client, &request).status, 400, "{path} {referer:?}");
            }
        }
        for (method, path) in METHODS {
            let asked =
                [("Origin", "http://evil.example"), ("Access-Control-Request-Method", method)];
            let told = as_nobody(client, "OPTIONS", path, &asked);
            assert_eq!(told.header("access-control-allow-origin"), None, "{method} {path}");
            assert!(told.status >= 400, "{method} {path}");
        }
        let routes =
            JSON.iter().chain(&READ).chain(&BARE).map(|path| path.replace("?batch=ok", ""));
        let update =
            ["/db/_design/d/_update/u".to_owned(), "/db/_design/d/_update/u/doc".to_owned()];
        for path in routes.chain(update) {
            for more in ["", "?_method=DELETE", "?doc=%7B%7D&action=finish_cluster&rev=1-a"] {
                assert!(send(client, &Request::new("GET", &format!("{path}{more}"))).status < 502);
            }
        }
        assert_eq!(state(client), before);
        // Pages of this server, and those that are let in, may.
        let own = format!("http://127.0.0.1:{}", server.port());
        let ask = |client: &mut Client, origin: &str| {
            let request = Request::new("POST", "/db/_view_cleanup").header("Origin", origin);
            send(client, &request).status
        };
        assert_eq!([ask(client, &own), ask(client, "http://friend.example")], [202, 403]);
        configure(client, "chttpd/enable_cors", "true");
        configure(client, "cors/origins", "http://friend.example");
        assert_eq!([ask(client, "http://friend.example"), ask(client, &own)], [202, 202]);
        assert_eq!(ask(client, "http://evil.example"), 403);
        // A login may come from a page; its cookie need not go to others.
        configure(client, "chttpd_auth/same_site", "Lax");
        let login = from_page("POST", "/_session", MEDIA[2], "name=admin&password=pass");
        let answer = send(client, &login);
        let cookie = answer.header("set-cookie").expect("a cookie");
        assert!(cookie.contains("; HttpOnly") && cookie.ends_with("; SameSite=Lax"), "{cookie}");
    });
}
