//! What reduces give, as CouchDB 3.5.0 answered where nothing else is said.

use serde_json::Value;

use super::*;

fn reducing(source: &str) -> Reducing {
    Reducing::new(Reduce::parse(source).unwrap(), &Setup::default())
}

/// Reduces values with keys 1, 2, …: in one go, and cut into parts of each size; these must agree.
fn answer(source: &str, values: &[&str]) -> Answer {
    let reducing = reducing(source);
    let keys: Vec<String> = (1..=values.len()).map(|n| n.to_string()).collect();
    let orders: Vec<Vec<u8>> = (1..=values.len()).map(|n| vec![34, n as u8, b'a', 0]).collect();
    let input = |at: usize| Input {
        order: &orders[at],
        sort: 2,
        key: keys[at].as_bytes(),
        value: values[at].as_bytes(),
    };
    let rows: Vec<Input<'_>> = (0..values.len()).map(input).collect();
    let whole = reducing.rows(&rows).unwrap().encode();
    for size in 1..values.len() {
        let parts = rows.chunks(size).map(|part| reducing.rows(part).unwrap().encode());
        let parts: Vec<Bytes> = parts.collect();
        let combined = reducing.combine(&parts).unwrap();
        let (a, b) = (reducing.finish(&combined), reducing.finish(&whole));
        if matches!(a, Answer::Value(_)) && !format!("{b:?}").contains("caused_by") {
            assert_eq!(a, b, "{source} of {values:?} in parts of {size}");
        }
    }
    reducing.finish(&whole)
}

fn value(source: &str, values: &[&str]) -> String {
    match answer(source, values) {
        Answer::Value(value) => String::from_utf8(value.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sums() {
    assert_eq!(value("_sum", &["1", "2", "3"]), "6");
    assert_eq!(value("_sum", &["8.5", "8.5"]), "17.0");
    assert_eq!(value("_sum", &["[1,2]", "[0.5,1,3]", "7"]), "[8.5,3,3]");
    assert_eq!(value("_sum", &["7", "[1,2]"]), "[8,2]");
    let objects = [r#"{"b":1,"a":{"x":1}}"#, r#"{"a":{"x":2},"c":3}"#];
    assert_eq!(value("_sum", &objects), r#"{"a":{"x":3},"b":1,"c":3}"#);
    assert_eq!(value("_sum", &["100000000000000000000", "1e+21", "0.1"]), "1.1e+21");
    assert_eq!(value("_sumx", &["9007199254740993", "9007199254740993"]), "18014398509481986");
}

#[test]
fn what_cannot_be_added_says_so() {
    let caused_by = |values: &[&str]| {
        let value: Value = serde_json::from_str(&value("_sum", values)).unwrap();
        assert_eq!(value["error"], "builtin_reduce_error");
        assert!(value["reason"].as_str().unwrap().starts_with("The _sum function requires"));
        value["caused_by"].to_string()
    };
    assert_eq!(caused_by(&["\"x\"", "0.5"]), "\"x\"");
    assert_eq!(caused_by(&["null"]), "null");
    assert_eq!(caused_by(&[r#"[1,"b"]"#, r#"[1,"b"]"#]), r#"["b"]"#);
    assert_eq!(caused_by(&[r#"{"a":1}"#, "1"]), r#"{"a":1}"#);
    let reducing = reducing("_sum");
    let bad = value("_sum", &["\"x\""]);
    let parts = [Partial::Value("4".into()).encode(), Partial::Value(bad.clone().into()).encode()];
    let sum = reducing.combine(&parts).unwrap();
    assert_eq!(reducing.finish(&sum), Answer::Value(bad.into()), "an error is everybody's");
}

#[test]
fn a_sum_must_shrink() {
    let large =
        format!("{{{}}}", (0..900).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","));
    let sum = |count| match sum::values(vec![large.as_bytes(); count].into_iter(), true) {
        Partial::Value(value) => String::from_utf8(value.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(sum(1).contains("Reduce output must shrink more rapidly"));
    assert!(sum(3).contains("\"899\":3"));
}

#[test]
fn counts() {
    assert_eq!(value("_count", &["1", "\"x\"", "null"]), "3");
}

#[test]
fn stats() {
    let stats = |values: &[&str]| value("_stats", values);
    assert_eq!(
        stats(&["100000000000000000000", "1e+21", "0.1", "0.2", "1e-7"]),
        r#"{"sum":1.1e+21,"count":5,"min":1e-7,"max":1e+21,"sumsqr":1.01e+42}"#
    );
    assert_eq!(
        stats(&["[1,2]", "[3,4]"]),
        r#"[{"sum":4,"count":2,"min":1,"max":3,"sumsqr":10},{"sum":6,"count":2,"min":2,"max":4,"sumsqr":20}]"#
    );
    let made = r#"{"sum":1,"count":1,"min":1,"max":1,"sumsqr":1}"#;
    assert_eq!(stats(&[made, "3"]), r#"{"sum":4,"count":2,"min":1,"max":3,"sumsqr":10}"#);
    let failure = |values: &[&str]| match answer("_stats", values) {
        Answer::Failure { error, reason } => format!("{error}: {reason}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(&["\"x\""]), "invalid_value: non-numeric _stats input: <<120>>");
    assert_eq!(failure(&["null"]), "invalid_value: non-numeric _stats input: null");
    let text = r#"{"sum":"a","count":1,"min":1,"max":1,"sumsqr":1}"#;
    assert_eq!(
        failure(&[text]),
        "invalid_value: non-numeric _stats input received for sum: <<97>>"
    );
    assert!(failure(&["[1,2]", "3"]).contains("The _stats function requires"));
    assert!(failure(&["[1,2]", "[1]"]).contains("The _stats function requires"));
}

#[test]
fn ends_and_ranks() {
    assert_eq!(value("_first", &["\"a\"", "2"]), "\"a\"");
    assert_eq!(value("_last", &["\"a\"", "2"]), "2");
    let values = ["\"n\"", "2", "[7]", "\"a\"", "2", "null"];
    assert_eq!(value("_top_2", &values), r#"[[7],"n"]"#);
    assert_eq!(value("_bottom_4", &values), r#"[null,2,"a","n"]"#);
    for bad in ["_top_0", "_top_", "_bottom_x", "_foo"] {
        assert_eq!(Reduce::parse(bad), None, "{bad}");
    }
}

#[test]
fn distinct_keys_are_estimated() {
    let values = vec!["0"; 200];
    assert_eq!(value("_approx_count_distinct", &values[..3]), "3");
    let many = value("_approx_count_distinct", &values);
    let many: i32 = many.parse().unwrap();
    assert!((many - 200).abs() < 8, "{many}");
}

#[test]
fn functions_reduce_and_rereduce() {
    let source = "function(keys, values, rereduce) { if (rereduce) return sum(values); return keys.length; }";
    assert_eq!(value(source, &["1", "1", "5", "5"]), "4");
    let last =
        "function(keys, values, rereduce) { return values[rereduce ? values.length - 1 : 0]; }";
    assert_eq!(value(last, &["9", "8"]), "8", "rows come last first");
    let ids = "function(keys, values, rereduce) { return rereduce ? values[0] : keys[0].length; }";
    assert_eq!(value(ids, &["9", "8"]), "2");
    assert_eq!(value("function() { throw new Error('x'); }", &["9"]), "null");
    let growing = "function(k, v) { return new Array(3000).join('xx'); }";
    let Answer::RowError { error, reason } = answer(growing, &["1", "2"]) else {
        panic!("no error")
    };
    assert_eq!(error, "reduce_overflow_error");
    assert!(reason.starts_with("Reduce output must shrink more rapidly: input size:"), "{reason}");
    let Answer::Failure { error, .. } = answer("no function", &["1", "2"]) else {
        panic!("no error")
    };
    assert_eq!(error, "compilation_error");
    let endless = Setup {
        limits: Limits { time: std::time::Duration::from_millis(50), ..Limits::default() },
        ..Setup::default()
    };
    let endless = Reducing::new(Reduce::Script("function() { for (;;); }".into()), &endless);
    let row = Input { order: b"a\0", sort: 1, key: b"1", value: b"1" };
    assert!(matches!(endless.rows(&[row]), Err(Error::Reduce { .. })));
}
