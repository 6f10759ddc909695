//! The vectors were answered by Apache CouchDB 3.4.2: what was sent, and the revision it gave.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::json::{Limits, normalise};

fn hash(deleted: bool, old: Option<&str>, body: &str, atts: &[AttDigest<'_>]) -> String {
    let stored = normalise(body.as_bytes(), &Limits::default()).expect("valid JSON");
    let old: Option<Rev> = old.map(|old| old.parse().expect("revision"));
    new_rev_id(deleted, old.as_ref(), &stored, atts).to_string()
}

fn md5(hex: &str) -> [u8; 16] {
    RevId::parse(hex).as_bytes().try_into().expect("sixteen bytes")
}

#[test]
fn revisions_are_couchdbs() {
    let vectors = include_str!("vectors.jsonl");
    assert!(vectors.lines().count() > 250);
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line).expect("a vector");
        let text = |name: &str| vector[name].as_str();
        let atts: Vec<AttDigest<'_>> = vector["atts"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|att| [0, 1, 2].map(|at| att[at].as_str().expect("text")))
            .map(|[name, content_type, digest]| (name, content_type, md5(digest)))
            .collect();
        let body = text("body").expect("a body");
        let deleted = vector["deleted"] == true;
        let (_, wanted) = text("rev").and_then(|rev| rev.split_once('-')).expect("a revision");
        assert_eq!(hash(deleted, text("old"), body, &atts), wanted, "{line}");
    }
}

#[test]
fn long_lists_of_bytes_are_not_packed() {
    let body =
        |count: usize, last: &str| format!("{{\"a\":[{}{last}]}}", vec!["7"; count].join(","));
    for (count, last, wanted) in [
        (65_535, "", "bf98225f9f08c00f81b52454ba4be93b"),
        (65_536, "", "e7d96525b57d2ca82cd923d4c969897f"),
        (65_536, ",300", "c49c429f6368cfe97824d6e8d89e58b9"),
    ] {
        assert_eq!(hash(false, None, &body(count, last), &[]), wanted, "{count}{last}");
    }
}

#[test]
fn order_and_state_count() {
    let plain = hash(false, None, "{}", &[]);
    assert_eq!(plain, "967a00dff5e02add41819138abb3284d");
    assert_ne!(hash(true, None, "{}", &[]), plain);
    assert_ne!(hash(false, Some("1-a"), "{}", &[]), plain);
    let (a, b) = (("a", "x/y", [1; 16]), ("b", "x/y", [2; 16]));
    assert_ne!(hash(false, None, "{}", &[a, b]), hash(false, None, "{}", &[b, a]));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(body in r#"[\[\]{}":,0-9eE+. \\a-]{0,40}"#) {
        let _ = new_rev_id(false, None, body.as_bytes(), &[]);
    }

    #[test]
    fn ways_of_writing_a_document_don_t_count(
        names in prop::collection::vec(any::<String>(), 0..5),
        value in any::<String>(),
    ) {
        let value: Value = names.iter().map(|name| (name.clone(), Value::from(value.as_str()))).collect();
        let pretty = serde_json::to_string_pretty(&value).expect("text");
        let escaped: String = value.to_string().chars().map(|char| match char {
            '\u{80}'..='\u{ffff}' => format!("\\u{:04x}", char as u32),
            _ => char.to_string(),
        }).collect();
        prop_assert_eq!(hash(false, None, &pretty, &[]), hash(false, None, &escaped, &[]));
    }
}
