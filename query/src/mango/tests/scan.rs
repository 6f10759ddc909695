//! Any plan gives what a look at all documents gives, in order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use settee_model::collate::compare;
use settee_model::json::Raw;

use super::super::*;

fn value() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(false),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(2),
        json!(""),
        json!("a"),
        json!("A"),
        json!("ab"),
        json!("é"),
        json!("b"),
        json!([]),
        json!([1]),
        json!(["a", 2]),
        json!({}),
        json!({"x": 1}),
    ])
}

fn id() -> impl Strategy<Value = Value> {
    "[a-e]{1,2}".prop_map(Value::from)
}

fn field() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "b", "c", "d.e"])
}

fn document() -> impl Strategy<Value = Value> {
    vec(proptest::option::weighted(0.8, value()), 4).prop_map(|values| {
        let mut document = Map::new();
        for (name, value) in ["a", "b", "c", "d"].into_iter().zip(values) {
            let Some(value) = value else { continue };
            document.insert(name.into(), if name == "d" { json!({"e": value}) } else { value });
        }
        Value::Object(document)
    })
}

fn condition(value: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let compared = (select(vec!["$eq", "$lt", "$lte", "$gt", "$gte", "$ne"]), value.clone())
        .prop_map(|(operator, value)| json!({operator: value}));
    let listed = (select(vec!["$in", "$in", "$nin", "$all"]), vec(value, 0..4))
        .prop_map(|(operator, values)| json!({operator: values}));
    let others = select(vec![
        json!({"$exists": true}),
        json!({"$exists": false}),
        json!({"$type": "string"}),
        json!({"$beginsWith": "a"}),
        json!({"$beginsWith": "é"}),
        json!({"$elemMatch": {"$gt": 0}}),
        json!({"$not": {"$gt": 1}}),
    ]);
    prop_oneof![4 => compared, 3 => listed, 1 => others]
}

fn selector() -> impl Strategy<Value = Value> {
    let on_field = (field(), condition(value().boxed()))
        .prop_map(|(field, condition)| json!({field: condition}));
    let on_id = condition(id().boxed()).prop_map(|condition| json!({"_id": condition}));
    let leaf = prop_oneof![5 => on_field, 1 => on_id];
    leaf.prop_recursive(3, 12, 3, |inner| {
        (select(vec!["$and", "$and", "$or", "$or", "$nor"]), vec(inner, 1..4))
            .prop_map(|(operator, parts)| json!({operator: parts}))
    })
}

const IDS: &[&str] =
    &["a", "B", "b", "ab", "aB", "é", "~", "_x", "-", "Z", "z", "e\u{301}", "\u{ffff}", "😀", "日"];

fn odd_selector() -> impl Strategy<Value = Value> {
    let any_id = prop_oneof![4 => select(IDS).prop_map(Value::from), 1 => value()].boxed();
    let prefix = select(IDS).prop_map(|prefix| json!({"$beginsWith": prefix}));
    let on_id = prop_oneof![4 => condition(any_id), 1 => prefix.clone()]
        .prop_map(|condition| json!({"_id": condition}));
    let on_field =
        (select(vec!["a", "b"]), prop_oneof![4 => condition(value().boxed()), 1 => prefix])
            .prop_map(|(field, condition)| json!({field: condition}));
    prop_oneof![on_field, on_id].prop_recursive(3, 12, 3, |inner| {
        (select(vec!["$and", "$or", "$or", "$nor"]), vec(inner, 0..4))
            .prop_map(|(operator, parts)| json!({operator: parts}))
    })
}

fn fields() -> impl Strategy<Value = Vec<&'static str>> {
    let columns = vec![vec!["a"], vec!["b"], vec!["a", "b"], vec!["b", "a", "c"], vec!["d.e", "a"]];
    select(columns)
}

fn catalog(indexes: &[Vec<&'static str>]) -> Catalog {
    let views = indexes.iter().enumerate().map(|(at, fields)| {
        let fields: Map<_, _> = fields.iter().map(|name| ((*name).into(), json!("asc"))).collect();
        (format!("v{at}"), json!({"map": {"fields": fields}, "options": {}}))
    });
    let views: Map<_, _> = views.collect();
    let ddoc = json!({"language": "query", "views": views}).to_string();
    Catalog::new([("_design/x", ddoc.as_bytes())], false)
}

/// Rows of an index in its order: keys and positions of documents.
fn rows(source: &Source, documents: &[(String, Vec<u8>)]) -> Vec<(Vec<u8>, usize)> {
    let row = |(at, (id, document)): (usize, &(String, Vec<u8>))| match source {
        Source::AllDocs => Some(([b"[", id_key(id).as_slice(), b"]"].concat(), at)),
        Source::Index(index) => Some((index.key(id, document)?, at)),
    };
    let mut rows: Vec<_> = documents.iter().enumerate().filter_map(row).collect();
    let order = source.order();
    rows.sort_by(|a, b| compare_keys(&a.0, &b.0, order).then(a.1.cmp(&b.1)));
    rows
}

fn compare_keys(a: &[u8], b: &[u8], order: Order) -> std::cmp::Ordering {
    let pairs = Raw(a).elements().unwrap().zip(Raw(b).elements().unwrap());
    pairs.fold(std::cmp::Ordering::Equal, |so_far, (a, b)| so_far.then_with(|| order(&a, &b)))
}

/// Documents in the order of their ids, as stored.
fn stored(documents: Vec<(Value, Value)>) -> Vec<(String, Vec<u8>)> {
    let mut stored: Vec<(String, Vec<u8>)> = documents
        .into_iter()
        .map(|(id, document)| {
            let mut all = Map::from_iter([("_id".to_owned(), id.clone())]);
            all.extend(document.as_object().unwrap().clone());
            (id.as_str().unwrap().to_owned(), Value::Object(all).to_string().into_bytes())
        })
        .collect();
    stored.sort();
    stored.dedup_by(|a, b| a.0 == b.0);
    stored
}

fn check_spans(spans: &[Span], order: Order) {
    for span in spans {
        assert!(span.low.cmp(&span.high, order).is_lt(), "{spans:?}");
    }
    for pair in spans.windows(2) {
        assert!(pair[0].high.cmp(&pair[1].low, order).is_le(), "{spans:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn plans_find_what_is_there(
        documents in vec((id(), document()), 0..25),
        indexes in vec(fields(), 0..4),
        selector in selector(),
        sort in proptest::option::weighted(0.4, (fields(), any::<bool>())),
    ) {
        let documents = stored(documents);
        let catalog = catalog(&indexes);
        let mut body = json!({"selector": selector});
        if let Some((fields, descending)) = &sort {
            let direction = if *descending { "desc" } else { "asc" };
            body["sort"] = fields.iter().map(|field| json!({*field: direction})).collect();
        }
        let find = Find::parse(body.to_string().as_bytes(), None, 25).unwrap();
        let Ok(plan) = Plan::new(&find, &catalog) else {
            prop_assert!(sort.is_some());
            return Ok(());
        };
        let rows = rows(&plan.source, &documents);
        let matches = |at: usize| find.selector.matches(&documents[at].1);
        let expected: Vec<usize> =
            rows.iter().map(|(_, at)| *at).filter(|at| matches(*at)).collect();
        let order = plan.source.order();
        let found: Vec<usize> = match &plan.scan {
            Scan::Nothing => Vec::new(),
            Scan::Spans(spans) => {
                check_spans(spans, order);
                let inside = |key: &[u8]| spans.iter().any(|span| span.holds(key, order));
                let inside = rows.iter().filter(|(key, _)| inside(key)).map(|(_, at)| *at);
                inside.filter(|at| matches(*at)).collect()
            }
        };
        prop_assert_eq!(&found, &expected);
        if sort.is_none() {
            // No document that matches lacks a row.
            let all = (0..documents.len()).filter(|at| matches(*at)).count();
            prop_assert_eq!(found.len(), all);
        }
        if let Some((fields, _)) = &sort {
            let value = |at: usize, field: &str| {
                let path = settee_model::selector::FieldPath::parse(field).unwrap();
                path.find(Raw(&documents[at].1)).unwrap().to_vec()
            };
            for pair in found.windows(2) {
                let ordering = fields.iter().fold(std::cmp::Ordering::Equal, |so_far, field| {
                    so_far.then_with(|| compare(&value(pair[0], field), &value(pair[1], field)))
                });
                prop_assert!(ordering.is_le());
            }
        }
    }

    /// Also where CouchDB's range leaves out what matches, as with ids that are collated.
    #[test]
    fn shorter_ways_change_no_answer(
        documents in vec((select(IDS).prop_map(Value::from), document()), 0..25),
        columns in select(vec![vec![], vec!["_id"], vec!["a", "_id"], vec!["_id", "b"], vec!["a", "b"]]),
        selector in odd_selector(),
    ) {
        let documents = stored(documents);
        let catalog = if columns.is_empty() { Catalog::default() } else { catalog(&[columns]) };
        let body = json!({"selector": selector}).to_string();
        let find = Find::parse(body.as_bytes(), None, 25).unwrap();
        let plan = Plan::new(&find, &catalog).unwrap();
        let Scan::Spans(spans) = &plan.scan else { return Ok(()) };
        let order = plan.source.order();
        check_spans(spans, order);
        let ranges = super::super::range::Ranges::of(find.selector.normal_form());
        let outline = plan.source.outline(&find, &ranges).unwrap().span();
        for (key, at) in rows(&plan.source, &documents) {
            let inside = spans.iter().any(|span| span.holds(&key, order));
            let there = outline.holds(&key, order);
            prop_assert!(there || !inside);
            if there && find.selector.matches(&documents[at].1) {
                prop_assert!(inside, "{:?} {:?}", key, spans);
            }
        }
    }

    #[test]
    fn few_ids_are_looked_up(
        wanted in vec("[a-e]{1,2}", 0..5),
        documents in vec((id(), document()), 0..25),
    ) {
        let documents = stored(documents);
        let body = json!({"selector": {"_id": {"$in": wanted}}});
        let find = Find::parse(body.to_string().as_bytes(), None, 25).unwrap();
        let plan = Plan::new(&find, &Catalog::default()).unwrap();
        let Scan::Spans(spans) = &plan.scan else { panic!("{plan:?}") };
        let ranges = id_ranges(spans, None);
        let found = documents.iter().filter(|(id, _)| {
            ranges.iter().any(|range| std::ops::RangeBounds::contains(range, id))
        });
        prop_assert!(found.clone().all(|(id, _)| wanted.contains(id)));
        let all = documents.iter().filter(|(id, _)| wanted.contains(id)).count();
        prop_assert_eq!(found.count(), all);
    }
}

#[test]
fn lists_and_alternatives_become_look_ups() {
    let spans = |columns: &[&'static str], selector: Value| {
        let catalog = catalog(&[columns.to_vec()]);
        let body = json!({"selector": selector, "use_index": "x"}).to_string();
        let find = Find::parse(body.as_bytes(), None, 25).unwrap();
        let explained = explain(&find, &catalog, "db").unwrap();
        explained.get("ranges").cloned().unwrap_or_default().to_string()
    };
    let both = |low: &str, high: &str| format!(r#"{{"start_key":{low},"end_key":{high}}}"#);
    let arrays = both("[[]]", "[{}]");
    let point = |value: &str| both(&format!("[{value}]"), &format!("[{value},\"<MAX>\"]"));
    assert_eq!(
        spans(&["a"], json!({"a": {"$in": [3, "x", 1, 3.0]}})),
        format!("[{},{},{},{arrays}]", point("1"), point("3"), point("\"x\""))
    );
    assert_eq!(
        spans(&["a"], json!({"$or": [{"a": 5}, {"a": {"$gt": 1, "$lt": 3}}]})),
        format!("[{},{}]", both("[1]", "[3,\"<MAX>\"]"), point("5"))
    );
    assert_eq!(
        spans(&["a", "b"], json!({"$or": [{"a": 1}, {"a": 2}], "b": {"$gte": 7}})),
        format!("[{},{}]", both("[1,7]", "[1,\"<MAX>\"]"), both("[2,7]", "[2,\"<MAX>\"]"))
    );
    assert_eq!(spans(&["a"], json!({"a": {"$in": []}})), "[]");
    assert_eq!(spans(&["a"], json!({"$or": [{"a": 1}, {"b": 1}], "a": {"$gt": 0}})), "null");
    assert_eq!(spans(&["a"], json!({"a": {"$gt": 1}})), "null");
}
