//! Conversations, and the judge: what two answers may differ in.

use super::judge::{Server, judge};
use super::*;
use crate::client::Response;
use crate::script;

#[test]
fn a_seed_makes_one_conversation_and_others_make_others() {
    for seed in 0..10 {
        assert_eq!(conversation(seed, "/db"), conversation(seed, "/db"));
        assert_ne!(conversation(seed, "/db"), conversation(seed + 1, "/db"));
    }
}

#[test]
fn conversations_ask_of_everything() {
    let all: Vec<Step> = (0..150).flat_map(|seed| conversation(seed, "/db")).collect();
    for (method, part) in [
        ("PUT", "new_edits=false"),
        ("DELETE", "rev="),
        ("COPY", "/db/"),
        ("POST", "_bulk_docs"),
        ("POST", "_bulk_get"),
        ("POST", "_revs_diff"),
        ("POST", "_missing_revs"),
        ("GET", "_changes?"),
        ("GET", "_all_docs?"),
        ("POST", "_find"),
        ("POST", "_index"),
        ("GET", "/_view/"),
        ("POST", "_purge"),
        ("PUT", "_security"),
        ("PUT", "_revs_limit"),
        ("GET", "open_revs="),
        ("PUT", "/_design/"),
        ("PUT", "/_local/"),
        ("PUT", "partitioned=true"),
        ("GET", "/_partition/"),
        ("GET", "a.txt"),
    ] {
        let asked =
            |step: &&Step| step.request.method == method && step.request.path.contains(part);
        assert!(all.iter().any(|step| asked(&step)), "no {method} {part}");
    }
    let headers =
        ["If-Match", "Accept", "Range", "Accept-Encoding", "If-None-Match", "Destination"];
    for name in headers {
        assert!(
            all.iter().any(|step| step.request.headers.iter().any(|(n, _)| n == name)),
            "no {name}"
        );
    }
}

#[test]
fn conversations_can_be_written_as_scripts() {
    for seed in 0..30 {
        let steps = framed(&conversation(seed, "/db"), "/db");
        let text = script::to_text(&steps);
        let again = script::parse(&text).expect("a script");
        assert_eq!(again.len(), steps.len(), "{text}");
        for (again, step) in again.iter().zip(&steps) {
            assert_eq!(again, step, "{text}");
        }
    }
}

#[test]
fn what_is_meant_stands_in_the_list() {
    let list = include_str!("../../../docs/compatibility.md");
    for row in known::rows() {
        assert!(list.contains(row), "{row}");
    }
}

/// A server that knows only how many documents it has; an unfaithful one forgets them when it
/// was asked to purge after a security object was set.
struct MadeUp {
    faithful: bool,
}

impl Server for MadeUp {
    fn answers(&self, steps: &[Step]) -> Vec<Response> {
        let (mut count, mut secured) = (0, false);
        let mut answers = Vec::new();
        for Step { request, .. } in steps {
            match (request.method.as_str(), request.path.as_str()) {
                ("PUT", "/db/_security") => secured = true,
                ("PUT", _) => count += 1,
                ("POST", "/db/_purge") if secured && !self.faithful => count = 0,
                _ => {}
            }
            let counts = request.path.contains("count=true");
            let body = if counts { format!("{{\"count\":{count}}}") } else { String::from("{}") };
            answers.push(Response { status: 200, body: body.into_bytes(), ..Response::default() });
        }
        answers
    }
}

#[test]
fn the_shortest_conversation_is_found() {
    let (ours, theirs) = (MadeUp { faithful: false }, MadeUp { faithful: true });
    let mut steps = Vec::new();
    for number in 0..20 {
        let body = format!("{{\"n\":{number},\"list\":[1,2]}}");
        steps.push(Request::new("PUT", &format!("/db/{number}")).json(&body));
        steps.push(Request::new("GET", "/db/_all_docs"));
    }
    steps.insert(7, Request::new("PUT", "/db/_security").json("{\"admins\":{}}"));
    steps.insert(21, Request::new("POST", "/db/_purge").json("{\"a\":[\"1-a\"]}"));
    steps.push(Request::new("GET", "/db?x=1&count=true&y=2").header("Accept", "*/*"));
    let steps: Vec<Step> =
        steps.into_iter().map(|request| Step { request, ..Step::default() }).collect();
    let verdict = judge(&ours, &theirs, &steps);
    let finding = verdict.findings.first().expect("a finding");
    assert_eq!(finding.at, steps.len() - 1);
    let shortest = shrink::shrink(&steps, |shorter| {
        let verdict = judge(&ours, &theirs, shorter);
        verdict.findings.iter().any(|one| one.at + 1 == shorter.len() && one.key == finding.key)
    });
    let said: Vec<(&str, &str)> = shortest
        .iter()
        .map(|step| (step.request.method.as_str(), step.request.path.as_str()))
        .collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.contains(&("PUT", "/db/_security")), "{said:?}");
    assert!(said.contains(&("POST", "/db/_purge")), "{said:?}");
    assert_eq!(said.last(), Some(&("GET", "/db?count=true")), "{said:?}");
    assert!(
        shortest.iter().all(|step| step.request.body.as_deref().unwrap_or(b"{}") == b"{}"),
        "{shortest:?}"
    );
}

#[test]
fn behind_a_write_that_differed_nothing_is_judged() {
    /// Refuses every write, with these words.
    struct Refusing(u16);
    impl Server for Refusing {
        fn answers(&self, steps: &[Step]) -> Vec<Response> {
            let status =
                |step: &Step| if step.request.method == "PUT" { self.0 } else { 200 + self.0 % 7 };
            steps
                .iter()
                .map(|step| Response { status: status(step), ..Response::default() })
                .collect()
        }
    }
    let step = |method| Step { request: Request::new(method, "/db/a"), ..Step::default() };
    let steps = [step("GET"), step("PUT"), step("GET")];
    let found = |ours, theirs| judge(&Refusing(ours), &Refusing(theirs), &steps).findings.len();
    assert_eq!(found(201, 400), 2);
    assert_eq!(found(401, 400), 3);
    assert_eq!(found(400, 400), 0);
}
