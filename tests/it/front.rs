//! The HTTP front as browsers and operators meet it: pages of other servers, frames and policies.

use serde_json::json;
use settee_tests::client::{Client, Request, Response};
use settee_tests::server::Server;

use crate::program;

const PAGE: &str = "http://example.com";

fn with_server(test: impl FnOnce(&mut Client)) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    test(&mut server.client());
}

fn configure(client: &mut Client, key: &str, value: &str) {
    let path = format!("/_node/_local/_config/{key}");
    let answer = client.send(&Request::new("PUT", &path).json(&json!(value).to_string()));
    assert_eq!(answer.expect("an answer").status, 200, "{key}");
}

/// Asks as nobody, as a browser does for a page of somebody else.
fn ask(client: &mut Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let nobody = Request::new(method, path).header("Authorization", "none");
    let request = headers.iter().fold(nobody, |request, (name, value)| request.header(name, value));
    client.send(&request).expect("an answer")
}

#[test]
fn pages_of_known_servers_may_ask_before_they_log_in() {
    with_server(|client| {
        let question = [("Origin", PAGE), ("Access-Control-Request-Method", "PUT")];
        let off = ask(client, "OPTIONS", "/", &question);
        assert_eq!((off.status, off.header("access-control-allow-origin")), (405, None));
        configure(client, "chttpd/enable_cors", "true");
        configure(client, "chttpd/require_valid_user", "true");
        configure(client, "cors/origins", "http://example.com, app://obsidian.md");
        configure(client, "cors/credentials", "true");
        for path in ["/", "/missing", "/missing/doc", "/_users/_changes?a=b", "/_session", "/_x"] {
            let told = ask(client, "OPTIONS", path, &question);
            assert_eq!(told.status, 204, "{path}");
            assert_eq!(told.header("access-control-allow-origin"), Some(PAGE), "{path}");
            assert_eq!(told.header("access-control-allow-credentials"), Some("true"), "{path}");
            assert_eq!(told.header("access-control-max-age"), Some("600"), "{path}");
            assert_eq!(told.header("access-control-expose-headers"), None, "{path}");
            assert!(told.header("x-couch-request-id").is_some(), "{path}");
        }
        for headers in [
            &[("Origin", "http://example.org"), ("Access-Control-Request-Method", "PUT")][..],
            &[("Origin", PAGE), ("Access-Control-Request-Method", "BREW")],
            &[("Access-Control-Request-Method", "PUT")],
            &[
                ("Origin", PAGE),
                ("Access-Control-Request-Method", "PUT"),
                ("Access-Control-Request-Headers", "x-unheard-of"),
            ],
        ] {
            let refused = ask(client, "OPTIONS", "/missing", headers);
            assert_eq!(refused.status, 401, "{headers:?}");
            assert_eq!(refused.header("access-control-allow-methods"), None, "{headers:?}");
        }
        assert_eq!(ask(client, "OPTIONS", "/%zz", &question).status, 400);
    });
}

#[test]
fn pages_of_known_servers_may_read_every_answer() {
    with_server(|client| {
        configure(client, "httpd/enable_cors", "true");
        configure(client, "cors/origins", PAGE);
        let feed = "/_users/_all_docs";
        for (path, status) in [("/", 200), ("/missing", 404), ("/_all_dbs", 401), (feed, 401)] {
            let answer = ask(client, "GET", path, &[("Origin", PAGE)]);
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
            let names = answer.header("access-control-expose-headers").expect("names");
            let expected = "content-type, cache-control, accept-ranges, etag, server, \
                            x-couch-request-id, x-couch-update-newrev, x-couchdb-body-time";
            assert_eq!(names, expected, "{path}");
            let strange = ask(client, "GET", path, &[("Origin", "https://example.com")]);
            assert_eq!(strange.status, status, "{path}");
            assert_eq!(strange.header("access-control-allow-origin"), None, "{path}");
        }
        configure(client, "cors/origins", "*");
        configure(client, "cors:other.host/origins", "http://one.example");
        for (host, origin, allowed) in [
            ("a", "null", true),
            ("other.host:5984", PAGE, false),
            ("other.host", "http://one.example", true),
        ] {
            let answer = ask(client, "GET", "/", &[("Origin", origin), ("Host", host)]);
            let told = answer.header("access-control-allow-origin");
            assert_eq!(told, allowed.then_some(origin), "{host} {origin}");
        }
    });
}

#[test]
fn browsers_are_told_what_they_may_do_with_an_answer() {
    with_server(|client| {
        let policy = "content-security-policy";
        let interface = ask(client, "GET", "/_utils/", &[]);
        assert!(interface.header(policy).expect("a policy").contains("default-src 'self'"));
        configure(client, "csp/utils_enable", "false");
        configure(client, "csp/header_value", "default-src 'none'");
        let interface = ask(client, "GET", "/_utils/", &[]);
        assert_eq!(interface.header(policy), Some("default-src 'none'"));
        let file = Request::new("PUT", "/csp/doc/page").header("Content-Type", "text/html");
        let file = Request { body: Some(b"<script></script>".to_vec()), ..file };
        for request in [Request::new("PUT", "/csp"), file] {
            assert_eq!(client.send(&request).expect("an answer").status, 201);
        }
        let read = |client: &mut Client, path| client.send(&Request::new("GET", path)).unwrap();
        assert_eq!(read(client, "/csp/doc/page").header(policy), Some("sandbox"));
        assert_eq!(read(client, "/csp/doc").header(policy), None);
        configure(client, "csp/attachments_enable", "false");
        assert_eq!(read(client, "/csp/doc/page").header(policy), None);
    });
}

#[test]
fn frames_are_for_those_who_are_named() {
    with_server(|client| {
        let told = |client: &mut Client, path: &str| {
            let answer = ask(client, "GET", path, &[("Host", "here:1")]);
            answer.header("x-frame-options").map(str::to_owned)
        };
        assert_eq!(told(client, "/"), None);
        configure(client, "chttpd/enable_xframe_options", "true");
        assert_eq!(told(client, "/missing").as_deref(), Some("DENY"));
        configure(client, "x_frame_options/hosts", "http://there:1, http://here:1");
        assert_eq!(told(client, "/").as_deref(), Some("ALLOW-FROM http://here:1"));
        configure(client, "x_frame_options/same_origin", "true");
        assert_eq!(told(client, "/").as_deref(), Some("SAMEORIGIN"));
    });
}
