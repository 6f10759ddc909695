//! CVE-2014-2668: a number in a request decided what it costs. Such numbers are bounded, and so is
//! nesting.

use settee_tests::client::{Client, Request};

use super::{put, send};
use crate::with_server;

/// More than any integer here holds.
const HUGE: &str = "99999999999999999999";

/// What may be asked for, and what is answered.
const READS: [(&str, u16); 22] = [
    ("/_uuids?count=1000", 200),
    ("/_uuids?count=1001", 400),
    ("/_uuids?count=-1", 400),
    ("/_uuids?count=HUGE", 400),
    ("/_uuids?count=1e9", 400),
    ("/_all_dbs?limit=HUGE", 200),
    ("/_all_dbs?skip=HUGE", 200),
    ("/_dbs_info?limit=HUGE", 200),
    ("/_db_updates?limit=HUGE", 400),
    ("/db/_all_docs?limit=HUGE&skip=HUGE", 200),
    ("/db/_all_docs?limit=-1", 400),
    ("/db/_design/d/_view/v?group_level=HUGE", 200),
    ("/db/_design/d/_view/v?group_level=-1", 400),
    ("/db/_changes?limit=HUGE", 400),
    ("/db/_changes?limit=4294967295", 200),
    ("/db/_changes?since=HUGE", 400),
    ("/db/_changes?feed=longpoll&timeout=HUGE", 400),
    ("/db/_changes?feed=longpoll&heartbeat=0", 400),
    ("/db/_changes?feed=continuous&heartbeat=-1", 400),
    ("/db/doc?r=HUGE", 200),
    ("/db/doc?rev=HUGE-a", 400),
    ("/db/doc?attachments=true&atts_since=%5B%22HUGE-a%22%5D", 400),
];

/// What may be set.
const WRITES: [(&str, &str, u16); 14] = [
    ("/new?q=1025", "", 400),
    ("/new?q=HUGE", "", 400),
    ("/new?q=0", "", 400),
    ("/new?q=-1", "", 400),
    ("/new?q=1&n=1025", "", 400),
    ("/new?q=1&n=HUGE", "", 400),
    ("/db/_revs_limit", "HUGE", 400),
    ("/db/_revs_limit", "0", 400),
    ("/db/_revs_limit", "4294967295", 200),
    ("/db/_purged_infos_limit", "HUGE", 400),
    ("/db/rev?new_edits=false", r#"{"_rev":"HUGE-a"}"#, 400),
    ("/db/revs?new_edits=false", r#"{"_revisions":{"start":HUGE,"ids":["a"]}}"#, 400),
    ("/db/att", r#"{"_attachments":{"a":{"stub":true,"length":HUGE}}}"#, 412),
    ("/db/att", r#"{"_attachments":{"a":{"follows":true,"length":HUGE}}}"#, 400),
];

/// What takes JSON, with the place of a value in it.
const NESTED: [(&str, &str, &str); 30] = [
    ("POST", "/_session", "DEEP"),
    ("POST", "/_session", r#"{"name":DEEP}"#),
    ("POST", "/_dbs_info", r#"{"keys":[DEEP]}"#),
    ("POST", "/_cluster_setup", r#"{"action":DEEP}"#),
    ("PUT", "/_node/_local/_config/test/key", "DEEP"),
    ("PUT", "/_node/_local/_nodes/x@host", "DEEP"),
    ("POST", "/_users", r#"{"_id":"org.couchdb.user:x","name":DEEP,"roles":DEEP}"#),
    ("PUT", "/db/deep", r#"{"a":DEEP}"#),
    ("PUT", "/db/_local/deep", r#"{"a":DEEP}"#),
    ("PUT", "/db/_design/deep", r#"{"views":DEEP,"filters":DEEP,"options":DEEP}"#),
    ("PUT", "/db/_design/deeper", r#"{"views":{"v":{"map":DEEP,"reduce":DEEP}}}"#),
    ("PUT", "/db/atts", r#"{"_attachments":{"a":DEEP}}"#),
    ("PUT", "/db/revs?new_edits=false", r#"{"_rev":"1-a","_revisions":DEEP}"#),
    ("PUT", "/db/_security", r#"{"admins":DEEP,"x":DEEP}"#),
    ("PUT", "/db/_revs_limit", "DEEP"),
    ("POST", "/db/_bulk_docs", r#"{"docs":[DEEP]}"#),
    ("POST", "/db/_bulk_get", r#"{"docs":[{"id":DEEP}]}"#),
    ("POST", "/db/_all_docs", r#"{"keys":[DEEP]}"#),
    ("POST", "/db/_all_docs/queries", r#"{"queries":[{"keys":[DEEP]}]}"#),
    ("POST", "/db/_design/d/_view/v", r#"{"keys":[DEEP]}"#),
    ("POST", "/db/_design/d/_view/v/queries", r#"{"queries":[{"startkey":DEEP}]}"#),
    ("POST", "/db/_changes?filter=_doc_ids", r#"{"doc_ids":[DEEP]}"#),
    ("POST", "/db/_changes?filter=_selector", r#"{"selector":{"a":DEEP}}"#),
    ("POST", "/db/_changes?filter=d/f", r#"{"a":DEEP}"#),
    ("POST", "/db/_revs_diff", r#"{"doc":[DEEP]}"#),
    ("POST", "/db/_purge", r#"{"doc":[DEEP]}"#),
    ("POST", "/db/_find", r#"{"selector":{"a":DEEP}}"#),
    ("POST", "/db/_explain", r#"{"selector":{"$and":[DEEP]},"sort":[DEEP]}"#),
    ("POST", "/db/_index", r#"{"index":{"fields":[DEEP],"partial_filter_selector":DEEP}}"#),
    ("POST", "/db/_design/d/_update/u", "DEEP"),
];

/// Nesting that is allowed, nearly allowed, and not.
fn deep() -> Vec<String> {
    let mut all = Vec::new();
    for (open, close) in [
        ("[", "]"),
        ("{\"a\":", "}"),
        ("[{\"a\":", "}]"),
        ("{\"$not\":", "}"),
        ("{\"$or\":[", "]}"),
    ] {
        for levels in [150, 490, 900, 990, 1001, 50_000] {
            all.push(format!("{}1{}", open.repeat(levels), close.repeat(levels)));
        }
    }
    // Never closed.
    all.push("[".repeat(50_000));
    all
}

#[test]
fn cve_2014_2668_numbers_and_nesting_are_bounded() {
    with_server(|server, client| {
        fill(client);
        for (path, status) in READS {
            let path = path.replace("HUGE", HUGE);
            let answer = send(client, &Request::new("GET", &path));
            assert_eq!(answer.status, status, "{path}: {:.200}", answer.text());
        }
        for (path, body, status) in WRITES {
            let (path, body) = (path.replace("HUGE", HUGE), body.replace("HUGE", HUGE));
            let answer = settee_tests::ask::put_json(client, &path, &body);
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
        }
        for deep in deep() {
            for (method, path, body) in NESTED {
                let request = Request::new(method, path).json(&body.replace("DEEP", &deep));
                let answer = client.send(&request);
                let status = answer.map(|answer| answer.status);
                let fair = status.as_ref().is_ok_and(|status| *status < 500);
                assert!(
                    fair,
                    "{method} {path} {body} with {deep:.20}… of {}: {status:?}",
                    deep.len()
                );
            }
            for path in [
                "/db/_all_docs?key=DEEP",
                "/db/_design/d/_view/v?keys=DEEP",
                "/db/doc?open_revs=DEEP",
            ] {
                if deep.len() < 7000 {
                    let path = path.replace(
                        "DEEP",
                        &deep.replace('"', "%22").replace('{', "%7B").replace('}', "%7D"),
                    );
                    let status =
                        client.send(&Request::new("GET", &path)).map(|answer| answer.status);
                    assert!(
                        status.as_ref().is_ok_and(|status| *status < 500),
                        "{path:.60}: {status:?}"
                    );
                }
            }
        }
        // What was taken can be read again, by all who read it.
        for path in [
            "/db/deep",
            "/db/_all_docs?include_docs=true",
            "/db/_changes?include_docs=true",
            "/db/_design/d/_view/v",
            "/db/_security",
        ] {
            assert_eq!(send(client, &Request::new("GET", path)).status, 200, "{path}");
        }
        server.kill_and_restart().expect("a start with what was taken");
    });
}

pub fn fill(client: &mut Client) {
    put(client, "/db?q=1", "");
    put(client, "/db/doc", "{}");
    let ddoc = r#"{
        "views": {"v": {"map": "function(doc) { emit(doc.a, doc.a) }", "reduce": "_count"}},
        "filters": {"f": "function(doc, req) { return true }"},
        "updates": {"u": "function(doc, req) { return [null, 'x'] }"}
    }"#;
    put(client, "/db/_design/d", ddoc);
}
