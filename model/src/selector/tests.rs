//! Selectors against recorded outcomes of CouchDB's, and corner by corner.

use serde_json::json;

use super::*;

fn selector(value: &Value) -> Selector {
    Selector::parse(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn matches(selected: Value, document: Value) -> bool {
    selector(&selected).matches(document.to_string().as_bytes())
}

#[test]
fn does_what_couchdb_did() {
    let recorded = include_str!("recorded.tsv");
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        let [text, document, normal, outcome] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let value: Value = serde_json::from_str(text).unwrap();
        let normal: Value = serde_json::from_str(normal).unwrap();
        match Selector::parse(&value) {
            Ok(selector) => {
                assert_eq!(selector.matches(document.as_bytes()).to_string(), outcome, "{line}");
                assert_eq!(selector.normal_form(), &normal, "{line}");
            }
            Err(error) => assert_eq!(format!("error {}: {error}", error.name()), outcome),
        }
    }
}

#[test]
fn matches_what_couchdb_found() {
    let mut documents: Vec<(&str, String)> = Vec::new();
    for line in include_str!("matches.jsonl").lines() {
        let parsed: Value = serde_json::from_str(line).unwrap();
        let Some(text) = parsed.get("selector") else {
            documents.push((line, parsed["_id"].as_str().unwrap().to_owned()));
            continue;
        };
        match Selector::parse(text) {
            Ok(selector) => {
                let found = documents.iter().filter(|(text, _)| selector.matches(text.as_bytes()));
                let found: Value = found.map(|(_, id)| Value::from(id.as_str())).collect();
                assert_eq!(found, parsed["ids"], "{text}");
            }
            Err(error) => {
                assert_eq!(parsed["error"], error.name(), "{text}");
                assert_eq!(parsed["reason"], error.to_string(), "{text}");
            }
        }
    }
}

#[test]
fn an_empty_selector_takes_everything() {
    assert!(matches(json!({}), json!({"a": 1})));
    assert!(matches(json!({"$and": []}), json!({})));
    assert!(matches(json!({"$or": []}), json!({})));
    assert!(!matches(json!({"a": {}}), json!({"a": 1})), "an empty object is a value like others");
    assert!(matches(json!({"a": {}}), json!({"a": {}})));
}

#[test]
fn strings_compare_as_in_views_but_ids_by_bytes() {
    assert!(matches(json!({"name": {"$lt": "B"}}), json!({"name": "a"})));
    assert!(matches(json!({"name": {"$gt": "a"}}), json!({"name": "B"})));
    assert!(!matches(json!({"_id": {"$gt": "a"}}), json!({"_id": "B"})));
    assert!(matches(json!({"_id": {"$gt": null}}), json!({"_id": "B"})));
}

#[test]
fn only_absence_from_an_object_is_absence() {
    let absent = json!({"a.b": {"$exists": false}});
    assert!(matches(absent.clone(), json!({"a": {}})));
    assert!(!matches(absent.clone(), json!({"a": {"b": null}})));
    assert!(!matches(absent, json!({"a": 1})), "the path leads astray");
    assert!(!matches(json!({"a": {"$ne": 1}}), json!({})));
}

#[test]
fn paths_lead_into_objects_and_arrays() {
    assert!(matches(json!({"a": {"b": 1}}), json!({"a": {"b": 1}})));
    assert!(matches(json!({"a.1.b": 1}), json!({"a": [0, {"b": 1}]})));
    assert!(matches(json!({"a\\.b": 1}), json!({"a.b": 1})));
    assert!(!matches(json!({"a.b": 1}), json!({"a.b": 1})));
    assert!(!matches(json!({"a.-1": 1}), json!({"a": [1]})));
    let error = Selector::parse(&json!({"a..b": 1})).unwrap_err();
    assert_eq!(
        (error.name(), error.to_string().as_str()),
        ("invalid_field_name", "Invalid field name: a..b")
    );
    assert!(Selector::parse(&json!({"a": {"b\\": 1}})).is_ok());
}

#[test]
fn mistakes_in_array_operators_count_only_when_met() {
    assert!(!matches(json!({"a": {"$elemMatch": {"b..c": 1}}}), json!({"a": [{}]})));
    let some = json!({"a": {"$elemMatch": {"$or": [{"$eq": 1}, {"$nor": [{"$eq": 2}]}]}}});
    assert!(matches(some.clone(), json!({"a": [1, 3]})));
    assert!(!matches(some, json!({"a": [3, 1]})), "CouchDB gives up at the first");
}

#[test]
fn patterns_are_found_in_time() {
    let evil = json!({"a": {"$regex": "^(a+)+$"}});
    assert!(!matches(evil, json!({"a": format!("{}!", "a".repeat(50_000))})));
    assert!(matches(json!({"a": {"$regex": "(?i)BÉ|[é]$"}}), json!({"a": "café"})));
    assert!(matches(json!({"a": {"$regex": "^c"}}), json!({"a": "caf\u{e9}"})));
    let large = Selector::parse(&json!({"a": {"$regex": "(a{1000}){1000}"}}));
    assert_eq!(large.unwrap_err().name(), "bad_arg");
}

#[test]
fn remainders_of_any_integer() {
    let odd = json!({"a": {"$mod": [2, 1]}});
    for (number, expected) in [
        ("3", true),
        ("4", false),
        ("3.0", false),
        ("123456789012345678901", true),
        ("\"3\"", false),
    ] {
        let document = format!("{{\"a\":{number}}}");
        assert_eq!(selector(&odd).matches(document.as_bytes()), expected, "{number}");
    }
    assert!(matches(json!({"a": {"$mod": [3, -1]}}), json!({"a": -4})));
    assert!(!matches(json!({"a": {"$mod": [0, 1]}}), json!({"a": 1})));
}

#[test]
fn no_object_is_no_selector() {
    let error = Selector::parse(&json!([1, "a"])).unwrap_err();
    let expected = "Selector must be a JSON object, not: [1,<<97>>]";
    assert_eq!((error.name(), error.to_string().as_str()), ("invalid_selector_json", expected));
}

#[test]
fn broken_documents_do_no_harm() {
    let all =
        json!({"a.b": 1, "c": {"$elemMatch": {"$gt": 1}}, "d": {"$keyMapMatch": {"$eq": "x"}}});
    for document in ["", "{", "{\"a", "{\"a\":{\"b\"", "[1", "{\"c\":[1,", "{\"d\":{\"x"] {
        let _ = selector(&all).matches(document.as_bytes());
    }
}
