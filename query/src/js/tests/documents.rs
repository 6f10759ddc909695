//! What goes through a map unchanged, and what can't.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::js::text::mend;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..=(1_i64 << 53)).prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| number.is_finite().then(|| json!(number))),
        any::<String>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            // Names that look like array indexes go to the front, as in any JavaScript.
            proptest::collection::vec(("[a-zé_]{1,4}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Equal but for how numbers are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((an, a), (bn, b))| an == bn && same(a, b))
        }
        _ => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn documents_pass_a_map_unchanged(values in proptest::collection::vec(value(), 1..8)) {
        let mut views = views_of(&["function(doc){emit(doc.v, [doc.v])}"]);
        let docs: Vec<String> = values.iter().map(|v| json!({ "v": v }).to_string()).collect();
        let mut back = Vec::new();
        views.map(docs.iter().map(|doc| doc.as_bytes()), |rows| {
            for (key, value) in rows.views().flatten() {
                back.push((
                    serde_json::from_slice::<Value>(&key).unwrap(),
                    serde_json::from_slice::<Value>(&value).unwrap(),
                ));
            }
        }).unwrap();
        prop_assert_eq!(back.len(), values.len());
        for (sent, (key, value)) in values.iter().zip(&back) {
            prop_assert!(same(sent, key), "{} became {}", sent, key);
            prop_assert!(same(sent, &value[0]));
        }
    }
}

#[test]
fn big_integers_lose_digits_as_in_any_javascript() {
    let mut views = views_of(&["function(doc){emit(doc.n)}"]);
    let mut text = String::new();
    views
        .map([br#"{"n":12345678901234567890}"#.as_slice()], |rows| text = rows.json().to_owned())
        .unwrap();
    assert_eq!(text, "[[[12345678901234567000,null]]]");
}

#[test]
fn documents_nest_as_deep_as_they_may() {
    let deep = format!("{{\"v\":{}1{}}}", "[".repeat(990), "]".repeat(990));
    let mut views = views_of(&["function(doc){emit(doc.v)}"]);
    let mut length = 0;
    views.map([deep.as_bytes()], |rows| length = rows.json().len()).unwrap();
    assert_eq!(length, "[[[,null]]]".len() + 990 * 2 + 1);
}

#[test]
fn halves_of_surrogate_pairs_become_the_replacement_character() {
    let source = r#"function(doc){emit("\ud800x",{"\udc00":"\ud83d\ude00"})}"#;
    assert_eq!(map(source, &json!({})), json!([["\u{fffd}x", {"\u{fffd}": "😀"}]]));
    for (json, mended) in [
        (r#""\\ud800""#, r#""\\ud800""#),
        (r#""\\\ud800""#, "\"\\\\\u{fffd}\""),
        (r#""\ud800\ud800""#, "\"\u{fffd}\u{fffd}\""),
        (r#""\u001f\n\udfff"#, "\"\\u001f\\n\u{fffd}"),
        (r#""\ud7ff""#, r#""\ud7ff""#),
    ] {
        assert_eq!(mend(json), mended);
    }
}

#[test]
fn members_named_like_what_objects_inherit_are_members() {
    let doc = json!({"constructor": 1, "toString": 2, "hasOwnProperty": 3, "length": 4});
    assert_eq!(map("function(doc){emit(doc)}", &doc)[0][0], doc);
    let mut design = design_of(json!({
        "_id": "_design/f",
        "updates": {"u": "function(doc){doc.constructor=5; doc.toString=6; return [doc,'']}"},
    }));
    let updated = design.update("u", Some(b"{}"), br#"{"method":"PUT"}"#).unwrap();
    assert_eq!(updated.doc.as_deref(), Some(r#"{"constructor":5,"toString":6}"#));
}
