//! Configuration and administration over HTTP: what may be set and what may not, that it lasts, and
//! that what a server tells about itself is so.

use std::fs;

use serde_json::{Value, json};
use settee_tests::client::{Client, Request};
use settee_tests::server::Server;

use crate::program;

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

fn with_server(test: impl FnOnce(&mut Server, &mut Client)) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    test(&mut server, &mut client);
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
        let key = format!("{CONFIG}/couchdb/max_document_size");
        let delete = Request::new("DELETE", &key);
        assert_eq!(ask(client, &delete), (200, json!("50000000")));
        assert_eq!(
            ask(client, &delete),
            (404, json!({"error": "not_found", "reason": "unknown_config_value"}))
        );
    });
}
