//! Configuration and administration over HTTP: what may be set and what may not, that it lasts, and
//! that what a server tells about itself is so.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use settee_tests::ask::wait_for;
use settee_tests::client::{Client, Request};

use crate::with_server;

const CONFIG: &str = "/_node/_local/_config";

fn ask(client: &mut Client, request: &Request) -> (u16, Value) {
    let answer = client.send(request).expect("an answer");
    (answer.status, answer.json().unwrap_or_default())
}

fn get(client: &mut Client, path: &str) -> (u16, Value) {
    ask(client, &Request::new("GET", path))
}

fn set(client: &mut Client, key: &str, value: &str) -> (u16, Value) {
    let path = format!("{CONFIG}/{key}");
    ask(client, &Request::new("PUT", &path).json(&json!(value).to_string()))
}

/// What is set, as `_config` shows it.
fn shown(client: &mut Client) -> Value {
    get(client, CONFIG).1
}

#[test]
fn what_names_programs_or_files_is_closed() {
    with_server(|_, client| {
        let before = shown(client);
        let refused = json!("Config section blacklisted for modification over HTTP API.");
        for section in [
            "daemons",
            "external",
            "httpd_design_handlers",
            "httpd_db_handlers",
            "httpd_global_handlers",
            "native_query_servers",
            "os_daemons",
            "query_servers",
            "feature_flags",
            "settee",
        ] {
            let key = format!("{section}/run");
            let (status, body) = set(client, &key, "/bin/sh");
            assert_eq!((status, &body["error"]), (403, &json!("forbidden")), "{key}");
            assert_eq!(body["reason"], refused);
            let delete = Request::new("DELETE", &format!("{CONFIG}/{key}"));
            assert_eq!(ask(client, &delete).0, 403, "{key}");
        }
        for key in [
            "couchdb/database_dir",
            "couchdb/view_index_dir",
            "couchdb/util_driver_dir",
            "couchdb/uri_file",
            "log/file",
            "log/writer",
            "ssl/cert_file",
            "ssl/key_file",
            "cluster/secret",
            "cluster/mesh",
            "couchdb/anything",
            "httpd/anything",
        ] {
            assert_eq!(set(client, key, "/tmp/x").0, 403, "{key}");
        }
        assert_eq!(shown(client), before, "nothing was changed");
    });
}

#[test]
fn nothing_that_is_set_becomes_something_else() {
    with_server(|server, client| {
        let file = server.setup().data.join("local.ini");
        let (before, text) = (shown(client), fs::read_to_string(&file).expect("a file"));
        let reason = |what: &str| json!({"error": "bad_request", "reason": format!("Invalid configuration {what}")});
        for value in
            ["x\n[admins]\neve = eve", "x\r[admins]\reve = eve", "x\u{1a}y", "a\u{0}b", "a ; b"]
        {
            assert_eq!(set(client, "test/key", value), (400, reason("value")), "{value:?}");
        }
        for key in ["a%0Aeve%20=%20eve", "a%0D", "%5Badmins%5D", "eve%20=%20eve", ";k", "%00"] {
            let key = format!("test/{key}");
            assert_eq!(set(client, &key, "value"), (400, reason("key")), "{key}");
        }
        for section in ["a%5D%0Aeve", "%5Badmins", "a%5D", "x%0D", "x%20;"] {
            let key = format!("{section}/key");
            assert_eq!(set(client, &key, "value"), (400, reason("section")), "{section}");
        }
        for body in ["true", "11", "{}", "[\"x\"]", "null"] {
            let request = Request::new("PUT", &format!("{CONFIG}/a/b")).json(body);
            let answer = ask(client, &request);
            assert_eq!((answer.0, &answer.1["reason"]), (400, &json!("a JSON string expected")));
        }
        assert_eq!(shown(client), before);
        assert_eq!(fs::read_to_string(&file).expect("a file"), text);
    });
}

#[test]
fn what_is_set_lasts() {
    with_server(|server, client| {
        let values = [
            ("couchdb/max_document_size", "50000000"),
            ("chttpd/require_valid_user", "true"),
            ("chttpd_auth/require_valid_user", "true"),
            ("httpd/WWW-Authenticate", "Basic realm=\"couchdb\""),
            ("httpd/enable_cors", "true"),
            ("chttpd/enable_cors", "true"),
            ("chttpd/max_http_request_size", "4294967296"),
            // An old name, and one of now that has a value already.
            ("couch_httpd_auth/hash_algorithms", "sha512"),
            ("cors/credentials", "true"),
            ("cors/origins", "app://obsidian.md,capacitor://localhost,http://localhost"),
            ("chttpd/config_whitelist", "[{chttpd,config_whitelist}, {test,foo}]"),
            ("couchdb-bootstrap/some%20thing", "a = b; c, [d] é"),
            ("jwt_keys/hmac:a=b", "aGVsbG8="),
        ];
        for (key, value) in values {
            assert_eq!(set(client, key, value).0, 200, "{key}");
            assert_eq!(get(client, &format!("{CONFIG}/{key}")), (200, json!(value)), "{key}");
        }
        let brief = Request::new("PUT", &format!("{CONFIG}/test/brief"));
        let brief = brief.header("X-Couch-Persist", "false").json("\"now\"");
        assert_eq!(ask(client, &brief), (200, json!("")), "the value of before");
        assert_eq!(get(client, &format!("{CONFIG}/test")), (200, json!({"brief": "now"})));
        let before = shown(client);
        let reload = Request::new("POST", &format!("{CONFIG}/_reload"));
        assert_eq!(ask(client, &reload), (200, json!({"ok": true})));
        assert_eq!(get(client, &format!("{CONFIG}/test/brief")).0, 404, "it was in no file");
        server.kill_and_restart().expect("a process");
        let mut after = shown(client);
        after["test"] = json!({"brief": "now"});
        assert_eq!(after, before);
        let anonymous = Request::new("GET", "/").header("Authorization", "none");
        assert_eq!(ask(client, &anonymous).0, 401, "it holds, too");
        let now = format!("{CONFIG}/chttpd_auth/hash_algorithms");
        assert_eq!(get(client, &now), (200, json!("sha512")), "it is the same setting");
        let old = Request::new("DELETE", &format!("{CONFIG}/couch_httpd_auth/hash_algorithms"));
        assert_eq!(ask(client, &old), (200, json!("sha512")));
        assert_eq!(get(client, &now), (200, json!("sha256, sha")));
        let key = format!("{CONFIG}/couchdb/max_document_size");
        let delete = Request::new("DELETE", &key);
        assert_eq!(ask(client, &delete), (200, json!("50000000")));
        assert_eq!(
            ask(client, &delete),
            (404, json!({"error": "not_found", "reason": "unknown_config_value"}))
        );
    });
}

const STATS: &str = "/_node/_local/_stats";

/// What a metric of `_stats` says.
fn metric(client: &mut Client, path: &str) -> u64 {
    let shown = get(client, &format!("{STATS}/couchdb/{path}")).1;
    shown["value"].as_u64().unwrap_or_else(|| panic!("{path}: {shown}"))
}

#[test]
fn a_server_counts_what_it_does() {
    with_server(|_, client| {
        let names = [
            "httpd_request_methods/PUT",
            "httpd_status_codes/409",
            "database_writes",
            "document_writes",
            "database_reads",
            "httpd/bulk_requests",
        ];
        let before = names.map(|name| metric(client, name));
        for (method, path, body, status) in [
            ("PUT", "/db", None, 201),
            ("PUT", "/db/doc", Some("{}"), 201),
            ("PUT", "/db/doc", Some("{}"), 409),
            ("GET", "/db/doc", None, 200),
            ("GET", "/db/none", None, 404),
            ("POST", "/db/_bulk_docs", Some(r#"{"docs":[{},{},{}]}"#), 201),
        ] {
            let request = Request::new(method, path);
            let request = body.into_iter().fold(request, |request, body| request.json(body));
            assert_eq!(ask(client, &request).0, status, "{method} {path}");
        }
        let after = names.map(|name| metric(client, name));
        let more: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(more, [3, 1, 2, 4, 1, 1], "{names:?}");
        let time = get(client, &format!("{STATS}/couchdb/request_time")).1;
        assert_eq!(time["type"], "histogram");
        let value = &time["value"];
        assert!(value["n"].as_u64() >= Some(6) && value["max"].as_f64() > Some(0.0), "{time}");
        assert_eq!(value["percentile"].as_array().map(Vec::len), Some(6));
        assert!(metric(client, "open_os_files") > 3 && metric(client, "open_databases") > 0);
        assert_eq!(get(client, &format!("{STATS}/couchdb/none/of/it")), (200, Value::Null));
        let feed = Request::new("GET", "/db/_changes?feed=continuous&heartbeat=1000&since=now");
        let feed = client.open_feed(&feed).expect("a feed");
        wait_for(|| (metric(client, "httpd/clients_requesting_changes") == 1).then_some(()));
        drop(feed);
        wait_for(|| (metric(client, "httpd/clients_requesting_changes") == 0).then_some(()));
        let system = get(client, "/_node/_local/_system").1;
        assert!(system["memory"]["processes"].as_u64() > Some(1 << 20), "{system}");
        assert!(system["uptime"].is_u64() && system["process_count"].as_u64() > Some(0));
        let smoosh = get(client, "/_node/_local/_smoosh/status").1;
        assert_eq!(smoosh["channels"]["ratio_dbs"]["active"], 0, "{smoosh}");
        for path in ["_stats", "_system", "_prometheus", "_smoosh/status", "_versions"] {
            let path = format!("/_node/_local/{path}");
            assert_eq!(ask(client, &Request::new("DELETE", &path)).0, 405, "{path}");
            let stranger = Request::new("GET", &path).header("Authorization", "none");
            assert_eq!(ask(client, &stranger).0, 401, "{path}");
        }
    });
}

#[test]
fn metrics_have_a_port_of_their_own_if_it_is_wanted() {
    with_server(|server, client| {
        let port = settee_tests::server::free_port().expect("a port");
        assert_eq!(set(client, "prometheus/port", &port.to_string()).0, 200);
        assert_eq!(set(client, "prometheus/additional_port", "true").0, 200);
        server.kill_and_restart().expect("a process");
        let mut stranger = Client::new(&format!("http://127.0.0.1:{port}"));
        let scrape = stranger.send(&Request::new("GET", "/_node/_local/_prometheus"));
        assert!(scrape.expect("an answer").text().contains("couchdb_uptime_seconds "));
        for path in ["/", "/_node/_local/_config", "/_all_dbs", "/_node/_local/_stats"] {
            assert_eq!(get(&mut stranger, path).0, 404, "{path}");
        }
    });
}

#[test]
fn prometheus_is_content_with_what_it_is_told() {
    with_server(|_, client| {
        assert_eq!(get(client, "/_all_dbs").0, 200);
        let scrape = client.send(&Request::new("GET", "/_node/_local/_prometheus"));
        let scrape = scrape.expect("an answer");
        assert_eq!(scrape.header("content-type"), Some("text/plain; version=2.0"));
        let text = scrape.text();
        for name in ["couchdb_uptime_seconds ", "couchdb_httpd_status_codes{code=\"200\"} "] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} in\n{text}");
        }
        let mut tool = Command::new("promtool");
        tool.args(["check", "metrics"]).stdin(Stdio::piped());
        let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut tool = tool.expect("promtool, which `make setup-it` installs");
        let mut input = tool.stdin.take().expect("its input");
        input.write_all(&scrape.body).expect("it reads");
        drop(input);
        let said = tool.wait_with_output().expect("its end");
        let words = [said.stdout, said.stderr].concat();
        assert!(said.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
    });
}

#[test]
fn a_server_begins_anew_when_it_is_asked_to() {
    with_server(|server, client| {
        assert_eq!(ask(client, &Request::new("PUT", "/kept")).0, 201);
        assert_eq!(set(client, "test/key", "kept").0, 200);
        let restart = Request::new("POST", "/_node/_local/_restart");
        let stranger = restart.clone().header("Authorization", "none");
        assert_eq!(ask(client, &stranger).0, 401);
        assert_eq!(get(client, "/_node/_local/_restart").0, 405);
        let requests = metric(client, "httpd/requests");
        assert!(requests > 3);
        assert_eq!(ask(client, &restart), (200, json!({"ok": true})));
        // The same process counts from the beginning.
        wait_for(|| {
            let answer = server.client().send(&Request::new("GET", STATS)).ok()?;
            let value = answer.json().ok()?["couchdb"]["httpd"]["requests"]["value"].as_u64()?;
            (value < requests).then_some(())
        });
        assert_eq!(get(client, "/kept").0, 200);
        assert_eq!(get(client, &format!("{CONFIG}/test")).1, json!({"key": "kept"}));
        server.terminate().expect("it listens to signals still");
    });
}
