//! What a request costs is in proportion to what was sent: whatever grows with its square lets one
//! client stop a server, as CVE-2014-2668 did.

use std::fs;

use settee_tests::client::{Client, Request};
use settee_tests::server::Server;

use super::costs::fill;
use super::put;
use crate::with_server;

/// Processor time that a process took, in hundredths of a second.
fn time(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("its numbers");
    let numbers = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    numbers.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// A request that grows.
type Growing = (&'static str, fn(usize) -> Request);

fn join(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn post(path: &str, body: String) -> Request {
    Request::new("POST", path).json(&body)
}

/// Requests whose cost could be the square of their length; how long each is stands in its size.
const GROWING: [Growing; 14] = [
    ("names", |n| {
        post(
            "/large/_bulk_docs",
            format!(r#"{{"docs":[{{{}}}]}}"#, join(n, |at| format!(r#""k{at}":1"#))),
        )
    }),
    ("equal names", |n| {
        post("/large/_bulk_docs", format!(r#"{{"docs":[{{{}}}]}}"#, join(n, |_| r#""k":1"#.into())))
    }),
    ("names that look alike", |n| {
        post(
            "/large/_bulk_docs",
            format!(
                r#"{{"docs":[{{{}}}]}}"#,
                join(n, |at| format!(r#""{}{at}":1"#, "k".repeat(40)))
            ),
        )
    }),
    ("digits", |n| {
        post(
            "/large/_bulk_docs",
            format!(r#"{{"docs":[{{"a":[{}]}}]}}"#, join(n / 16, |_| "9".repeat(100))),
        )
    }),
    ("escapes", |n| {
        post("/large/_bulk_docs", format!(r#"{{"docs":[{{"a":"{}"}}]}}"#, "\\u00e9\\n".repeat(n)))
    }),
    ("arrays", |n| {
        post(
            "/large/_bulk_docs",
            format!(r#"{{"docs":[{{"a":[{}]}}]}}"#, join(n, |_| "[[]]".into())),
        )
    }),
    ("revisions to find", |n| {
        post(
            "/db/_revs_diff",
            format!(r#"{{"doc":[{}]}}"#, join(n, |at| format!(r#""1-{at:032x}""#))),
        )
    }),
    ("documents to find", |n| {
        post("/db/_revs_diff", format!("{{{}}}", join(n / 40, |at| format!(r#""d{at}":["1-a"]"#))))
    }),
    ("keys", |n| {
        post(
            "/db/_all_docs",
            format!(r#"{{"keys":[{}]}}"#, join(n / 40, |at| format!(r#""d{at}""#))),
        )
    }),
    ("one key again", |n| {
        post("/db/_all_docs", format!(r#"{{"keys":[{}]}}"#, join(n / 40, |_| r#""doc""#.into())))
    }),
    ("documents to get", |n| {
        post(
            "/db/_bulk_get",
            format!(r#"{{"docs":[{}]}}"#, join(n / 40, |_| r#"{"id":"doc"}"#.into())),
        )
    }),
    ("conditions", |n| {
        post(
            "/db/_find",
            format!(
                r#"{{"selector":{{"$or":[{}]}}}}"#,
                join(n / 40, |at| format!(r#"{{"a":{at}}}"#))
            ),
        )
    }),
    ("fields", |n| {
        post(
            "/db/_find",
            format!(
                r#"{{"selector":{{}},"fields":[{}]}}"#,
                join(n / 40, |at| format!(r#""f{at}""#))
            ),
        )
    }),
    ("ancestors", |n| {
        let ids = join(n / 4, |at| format!(r#""{at:032x}""#));
        post(
            "/large/_bulk_docs",
            format!(
                r#"{{"new_edits":false,"docs":[{{"_id":"a{n}","_revisions":{{"start":{},"ids":[{ids}]}}}}]}}"#,
                n / 4
            ),
        )
    }),
];

#[test]
fn what_a_request_costs_is_in_proportion_to_it() {
    with_server(|server, client| {
        fill(client);
        put(client, "/large?q=1", "");
        let cost = |client: &mut Client, what: &str, request: Request| {
            let before = time(server);
            let answer = client.send(&request).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(answer.status < 500, "{what}: {}", answer.text());
            time(server) - before
        };
        for (what, make) in GROWING {
            const SMALL: usize = 8_000;
            let small = cost(client, what, make(SMALL));
            let large = cost(client, what, make(10 * SMALL));
            // What else the server does meanwhile, and a tenth of a second that is nothing.
            let most = 10 * 4 * small.max(5) + 50;
            assert!(large < most, "{what}: {small} and {large} hundredths of a second");
        }
    });
}
