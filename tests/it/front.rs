//! The HTTP front as browsers and operators meet it: pages of other servers, frames and policies,
//! the access log.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use settee_tests::ask::{as_nobody, configure, wait_for};
use settee_tests::client::{Client, Request};
use settee_tests::server::Server;

use crate::{program, with_server};

const PAGE: &str = "http://example.com";

/// A server that was told more before it started.
pub fn configured(data: &Path, ini: &str) -> Server {
    fs::write(data.join("local.ini"), ini).expect("a file");
    Server::start_with(&program(), data, &[("SETTEE_LOG", "")]).expect("a server")
}

#[test]
fn pages_of_known_servers_may_ask_before_they_log_in() {
    with_server(|_, client| {
        let question = [("Origin", PAGE), ("Access-Control-Request-Method", "PUT")];
        let off = as_nobody(client, "OPTIONS", "/", &question);
        assert_eq!((off.status, off.header("access-control-allow-origin")), (405, None));
        configure(client, "chttpd/enable_cors", "true");
        configure(client, "chttpd/require_valid_user", "true");
        configure(client, "cors/origins", "http://example.com, app://obsidian.md");
        configure(client, "cors/credentials", "true");
        for path in ["/", "/missing", "/missing/doc", "/_users/_changes?a=b", "/_session", "/_x"] {
            let told = as_nobody(client, "OPTIONS", path, &question);
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
            let refused = as_nobody(client, "OPTIONS", "/missing", headers);
            assert_eq!(refused.status, 401, "{headers:?}");
            assert_eq!(refused.header("access-control-allow-methods"), None, "{headers:?}");
        }
        assert_eq!(as_nobody(client, "OPTIONS", "/%zz", &question).status, 400);
    });
}

#[test]
fn pages_of_known_servers_may_read_every_answer() {
    with_server(|_, client| {
        configure(client, "httpd/enable_cors", "true");
        configure(client, "cors/origins", PAGE);
        let feed = "/_users/_all_docs";
        for (path, status) in [("/", 200), ("/missing", 404), ("/_all_dbs", 401), (feed, 401)] {
            let answer = as_nobody(client, "GET", path, &[("Origin", PAGE)]);
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
            let names = answer.header("access-control-expose-headers").expect("names");
            let expected = "content-type, cache-control, accept-ranges, etag, server, \
                            x-couch-request-id, x-couch-update-newrev, x-couchdb-body-time";
            assert_eq!(names, expected, "{path}");
            let strange = as_nobody(client, "GET", path, &[("Origin", "https://example.com")]);
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
            let answer = as_nobody(client, "GET", "/", &[("Origin", origin), ("Host", host)]);
            let told = answer.header("access-control-allow-origin");
            assert_eq!(told, allowed.then_some(origin), "{host} {origin}");
        }
    });
}

#[test]
fn browsers_are_told_what_they_may_do_with_an_answer() {
    with_server(|_, client| {
        let policy = "content-security-policy";
        let interface = as_nobody(client, "GET", "/_utils/", &[]);
        assert!(interface.header(policy).expect("a policy").contains("default-src 'self'"));
        configure(client, "csp/utils_enable", "false");
        configure(client, "csp/header_value", "default-src 'none'");
        let interface = as_nobody(client, "GET", "/_utils/", &[]);
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
    with_server(|_, client| {
        let told = |client: &mut Client, path: &str| {
            let answer = as_nobody(client, "GET", path, &[("Host", "here:1")]);
            answer.header("x-frame-options").map(str::to_owned)
        };
        assert_eq!(told(client, "/"), None);
        let set = Request::new("PUT", "/_node/_local/_config/chttpd/enable_xframe_options");
        let set = client.send(&set.json("\"true\"")).expect("an answer");
        assert_eq!(set.header("x-frame-options"), Some("DENY"), "it holds at once");
        assert_eq!(told(client, "/missing").as_deref(), Some("DENY"));
        configure(client, "x_frame_options/hosts", "http://there:1, http://here:1");
        assert_eq!(told(client, "/").as_deref(), Some("ALLOW-FROM http://here:1"));
        configure(client, "x_frame_options/same_origin", "true");
        assert_eq!(told(client, "/").as_deref(), Some("SAMEORIGIN"));
    });
}

/// The lines of the log that speak of a path.
fn lines(log: &Path, path: &str) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.contains(path)).map(str::to_owned).collect()
}

#[test]
fn each_request_is_a_line_of_the_log_while_its_level_shows_it() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let log = data.path().join("logs/couch.log");
    let ini = format!("[log]\nwriter = file\nfile = {}\n", log.display());
    let server = configured(data.path(), &ini);
    let mut client = server.client();
    let answer = client.send(&Request::new("GET", "/one%0a?q=1").header("Host", "here:1")).unwrap();
    let id = answer.header("x-couch-request-id").expect("an id");
    let line = wait_for(|| lines(&log, "/one").pop());
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "[notice]", "{line}");
    assert!(words[1].ends_with('Z') && words[2].contains('@'), "{line}");
    let status = answer.status.to_string();
    let asked = ["here:1", "127.0.0.1", "admin", "GET", "/one%0a?q=1", &status, "ok"];
    assert_eq!(words[4], id, "{line}");
    assert_eq!(words[5..12], asked, "{line}");
    assert!(words[12].parse::<u64>().is_ok() && words.len() == 13, "{line}");
    as_nobody(&mut client, "HEAD", "/_users/_changes?feed=normal&mark=1", &[("Host", "here:1")]);
    let line = wait_for(|| lines(&log, "mark=1").pop());
    assert!(line.contains(" here:1 127.0.0.1 undefined HEAD /_users/_changes"), "{line}");
    let level = |client: &mut Client, level: &str, path: &str| {
        configure(client, "log/level", level);
        as_nobody(client, "GET", path, &[]);
    };
    level(&mut client, "warning", "/_up?hidden=0");
    // It takes a moment until it holds.
    let hidden = |number: u32| format!("/_up?hidden={number}");
    let quiet = (1..1000).find(|&number| {
        as_nobody(&mut client, "GET", &hidden(number), &[]);
        std::thread::sleep(std::time::Duration::from_millis(100));
        lines(&log, &hidden(number)).is_empty()
    });
    assert!(quiet.is_some(), "it never became quiet");
    level(&mut client, "notice", "/_up?shown=0");
    wait_for(|| {
        as_nobody(&mut client, "GET", "/_up?shown=1", &[]);
        lines(&log, "shown=1").pop()
    });
    assert!(lines(&log, &hidden(quiet.unwrap())).is_empty());
}

#[test]
fn the_log_can_be_of_objects() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let log = data.path().join("couch.log");
    let ini = format!("[log]\nwriter = file\nfile = {}\nformat = json\n", log.display());
    let server = configured(data.path(), &ini);
    let mut client = server.client();
    as_nobody(&mut client, "GET", "/_session?mark=2", &[("X-Forwarded-For", "1.2.3.4")]);
    let line = wait_for(|| lines(&log, "mark=2").pop());
    let told: Value = serde_json::from_str(&line).expect("an object");
    let expected = json!(["notice", "1.2.3.4", "undefined", "GET", "/_session?mark=2", 200, "ok"]);
    let names = ["level", "peer", "user", "method", "path", "status", "ended"];
    assert_eq!(Value::from_iter(names.map(|name| told[name].clone())), expected);
}
