//! Indexes made, listed and deleted, against recorded answers of CouchDB.

use serde_json::{Value, json};

use super::super::*;

fn lines() -> impl Iterator<Item = Value> {
    include_str!("index.jsonl").lines().map(|line| serde_json::from_str(line).unwrap())
}

fn bytes(body: &Value) -> Option<Vec<u8>> {
    (!body.is_null()).then(|| body.to_string().into_bytes())
}

fn after(change: Change, before: &Value) -> Value {
    match change {
        Change::None => before.clone(),
        Change::Write(body) => serde_json::from_slice(&body).unwrap(),
        Change::Delete => Value::Null,
    }
}

fn failure(error: &MangoError) -> Value {
    json!({"error": error.error, "reason": error.reason})
}

#[test]
fn indexes_are_made_as_there() {
    let mut count = 0;
    for line in lines().filter(|line| line.get("request").is_some()) {
        let body = line["request"].to_string();
        let before = bytes(&line["before"]);
        let made = NewIndex::parse(body.as_bytes()).and_then(|index| {
            let change = index.put_into(before.as_deref())?;
            Ok((index.response(&change), after(change, &line["before"])))
        });
        match made {
            Ok((response, after)) => {
                assert_eq!(response.to_string(), line["response"].to_string(), "{line}");
                assert_eq!(after.to_string(), line["after"].to_string(), "{line}");
            }
            Err(error) => {
                assert_eq!(failure(&error), line["response"], "{line}");
                assert_eq!(json!(error.status), line["status"], "{line}");
            }
        }
        count += 1;
    }
    assert!(count > 80);
}

#[test]
fn indexes_are_listed_as_there() {
    let mut catalog = Catalog::default();
    for line in lines() {
        if let Some(list) = line.get("list") {
            let ddocs: Vec<(&String, Vec<u8>)> = line["ddocs"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(id, body)| (id, bytes(body).unwrap()))
                .collect();
            let ddocs = ddocs.iter().map(|(id, body)| (id.as_str(), body.as_slice()));
            catalog = Catalog::new(ddocs, line["partitioned"] == true);
            assert_eq!(catalog.list(None, None).unwrap().to_string(), list.to_string());
        }
        if let Some(params) = line.get("params") {
            let param = |name: &str| params.get(name).and_then(Value::as_str);
            let answer = catalog.list(param("limit"), param("skip"));
            let answer = answer.unwrap_or_else(|error| failure(&error));
            assert_eq!(answer, line["response"], "{params}");
        }
    }
}

#[test]
fn indexes_are_deleted_as_there() {
    for line in lines().filter(|line| line.get("delete").is_some()) {
        let [ddoc, name] = [0, 1].map(|at| line["delete"][at].as_str().unwrap());
        let id = design_id(ddoc);
        let before = bytes(&line["before"]);
        let body = before.as_deref().map(|body| (id.as_str(), body));
        let catalog = Catalog::new(body, false);
        let result = match (catalog.find(ddoc, "json", name), &before) {
            (Some(index), Some(before)) => {
                after(take_from(before, [index.name()]).unwrap(), &line["before"])
            }
            _ => {
                assert_eq!(line["status"], 404, "{line}");
                continue;
            }
        };
        assert_eq!(line["status"], 200, "{line}");
        assert_eq!(result.to_string(), line["after"].to_string(), "{line}");
    }
}

#[test]
fn views_that_are_no_indexes_are_left_out() {
    let ddoc = json!({"language": "query", "views": {
        "fine": {"map": {"fields": {"a": "asc"}}, "options": {}},
        "no options": {"map": {"fields": {"a": "asc"}}},
        "array": {"map": {"fields": ["a"]}, "options": {}},
        "text": {"map": "function() {}", "options": {}},
        "odd": {"map": {"fields": {"a": 5}, "x": 1}, "options": {"sort": 1}},
        "old": {"map": {"fields": {"a": "asc"}, "selector": {"b": 1}}, "options": {}},
        "old and all": {"map": {"fields": {"a": "asc"}, "selector": {}}, "options": {}},
    }});
    let indexes = Index::of_ddoc("_design/x", ddoc.to_string().as_bytes(), false);
    let names: Vec<(&str, bool)> =
        indexes.iter().map(|index| (index.name(), index.is_partial())).collect();
    assert_eq!(names, [("fine", false), ("odd", false), ("old", true), ("old and all", false)]);
    let shown = json!({"fields": [{"a": 5}], "x": 1});
    assert_eq!(indexes[1].to_json()["def"], shown);
    let other = json!({"language": "javascript", "views": ddoc["views"]}).to_string();
    assert!(Index::of_ddoc("_design/x", other.as_bytes(), false).is_empty());
}

#[test]
fn documents_without_a_field_have_no_row() {
    let index = |def: Value| {
        let ddoc = json!({"language": "query", "views": {"x": {"map": def, "options": {}}}});
        Index::of_ddoc("_design/x", ddoc.to_string().as_bytes(), false).remove(0)
    };
    let key = |index: &Index, id: &str, document: &str| {
        index.key(id, document.as_bytes()).map(|key| String::from_utf8(key).unwrap())
    };
    let two = index(json!({"fields": {"b.c": "asc", "a": "asc"}}));
    let document = r#"{"_id":"x","a":1.50,"b":{"c":[null,"é"]}}"#;
    assert_eq!(key(&two, "x", document).as_deref(), Some(r#"[[null,"é"],1.50]"#));
    assert_eq!(key(&two, "_design/x", document), None);
    assert_eq!(key(&two, "x", r#"{"_id":"x","a":1,"b":{}}"#), None);
    assert_eq!(key(&two, "x", r#"{"_id":"x","a":1,"b":"c"}"#), None);
    let null = r#"{"_id":"x","a":null,"b":{"c":0}}"#;
    assert_eq!(key(&two, "x", null).as_deref(), Some("[0,null]"));
    let none = index(json!({"fields": {}}));
    assert_eq!(key(&none, "x", document).as_deref(), Some("[]"));
    let bad = index(json!({"fields": {"a..b": "asc"}}));
    assert_eq!(key(&bad, "x", document), None);
    let id = index(json!({"fields": {"_id": "asc"}}));
    assert_eq!(key(&id, "x", document).as_deref(), Some(r#"["x"]"#));
    let part = index(json!({"fields": {"a": "asc"}, "partial_filter_selector": {"a": {"$gt": 1}}}));
    assert_eq!(key(&part, "x", document).as_deref(), Some("[1.50]"));
    assert_eq!(key(&part, "x", r#"{"_id":"x","a":1}"#), None);
}

#[test]
fn many_are_deleted_at_once() {
    let ids = |body: &str| parse_bulk_delete(body.as_bytes());
    let two = vec!["_design/a".to_owned(), "_design/b".to_owned()];
    assert_eq!(ids(r#"{"docids":["a","_design/b"]}"#), Ok((two, 2)));
    let reason = |body: &str| ids(body).unwrap_err().reason;
    assert_eq!(
        reason(r#"{"docids":5}"#),
        "Bulk Delete requires an array of non-null docids. Docids: 5"
    );
    assert_eq!(reason(r#"{"docids":[5]}"#), "Invalid index name: 5");
    assert_eq!(reason("{}"), "Missing required key: docids");
    let results =
        [("_design/a".to_owned(), None), ("_design/b".to_owned(), Some("not_found".into()))];
    let expected = json!({
        "success": [{"id": "_design/a", "ok": true}],
        "fail": [{"id": "_design/b", "error": "not_found"}],
    });
    assert_eq!(bulk_delete_response(&results), expected);
}
