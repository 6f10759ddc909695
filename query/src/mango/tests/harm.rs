//! Whatever a stranger sends is answered, with an error if need be.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index as Place, select};
use serde_json::Value;
use settee_model::json::{Limits, normalise};

use super::super::*;

/// Requests that were recorded.
fn requests() -> Vec<String> {
    let files = [include_str!("errors.jsonl"), include_str!("index.jsonl")];
    let lines = files.into_iter().flat_map(str::lines);
    let requests = lines.filter_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line.get("request").map(Value::to_string)
    });
    requests.collect()
}

fn ask(body: &[u8]) {
    let ddoc = br#"{"language":"query","views":{"v":{"map":{"fields":{"a":"asc"}},"options":{}}}}"#;
    let catalog = Catalog::new([("_design/x", ddoc.as_slice())], false);
    if let Ok(find) = Find::parse(body, None, DEFAULT_LIMIT) {
        let _ = explain(&find, &catalog, "db");
        if let Ok(plan) = Plan::new(&find, &catalog) {
            let _ = Cursor::new(&find, &plan).map(|cursor| plan.spans_after(cursor.start_after()));
            let _ = Sieve::new(&Task::new(&find, &plan)).map(|sieve| sieve.document(&body));
        }
    }
    if let Ok(index) = NewIndex::parse(body) {
        let _ = (index.put_into(None), index.put_into(Some(ddoc)), index.put_into(Some(body)));
    }
    let _ = parse_bulk_delete(body);
    for index in Index::of_ddoc("_design/y", body, false) {
        let _ = (index.key("z", body), index.to_json());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_request_does_harm(
        request in select(requests()),
        changes in vec((any::<Place>(), select(b"\"{}[]:,$.0-aen_\\ ".to_vec())), 0..4),
    ) {
        let mut body = request.into_bytes();
        for (place, byte) in changes {
            let at = place.index(body.len());
            body[at] = byte;
        }
        // With JSON that the server takes, and with what it never lets through.
        if let Ok(stored) = normalise(&body, &Limits::default()) {
            ask(&stored);
        }
        ask(&body);
    }

    #[test]
    fn no_bookmark_does_harm(bytes in vec(any::<u8>(), 0..40), text in ".{0,40}") {
        use base64::Engine;
        let _ = Bookmark::parse(&text);
        let term = [&[131], bytes.as_slice()].concat();
        let _ = Bookmark::parse(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(term));
    }

    #[test]
    fn bookmarks_come_back(id in ".{0,20}", key in ".{0,60}", number in any::<i64>()) {
        let key = serde_json::json!([key, number, {"x": [key]}]).to_string().into_bytes();
        let bookmark = Bookmark { key, id };
        prop_assert_eq!(Bookmark::parse(&bookmark.to_text()), Ok(bookmark));
    }
}

#[test]
fn nesting_costs_no_stack() {
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(120), close.repeat(120));
        format!(r#"{{"selector":{open}{{"a":1}}{close},"fields":["a"],"sort":["a"]}}"#)
    };
    ask(deep(r#"{"$or":["#, "]}").as_bytes());
    ask(deep(r#"{"$and":["#, "]}").as_bytes());
    ask(deep(r#"{"$not":{"$nor":["#, "]}}").as_bytes());
    ask(deep(r#"{"a":"#, "}").as_bytes());
    ask(deep(r#"{"a":{"$elemMatch":"#, "}}").as_bytes());
}

#[test]
fn long_selectors_take_their_time_and_no_more() {
    let many = |one: &dyn Fn(usize) -> String| (0..20_000).map(one).collect::<Vec<_>>().join(",");
    let fields = many(&|n| format!(r#""f{n}":{n}"#));
    ask(format!(r#"{{"selector":{{{fields}}}}}"#).as_bytes());
    let bounds = many(&|n| format!(r#"{{"a":{{"$gt":{n}}}}}"#));
    let list = many(&|n| n.to_string());
    let both = format!(r#"{{"selector":{{"$and":[{{"a":{{"$in":[{list}]}}}},{bounds}]}}}}"#);
    ask(both.as_bytes());
    let either = format!(r#"{{"selector":{{"$or":[{bounds}]}}}}"#);
    ask(either.as_bytes());
}
