//! The orders against what CouchDB and ICU have.

use std::cmp::Ordering;

use super::*;

fn check_order(ordered: &[&str], compare: fn(&[u8], &[u8]) -> Ordering) {
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(compare(a.as_bytes(), b.as_bytes()), i.cmp(&j), "{a} with {b}");
        }
    }
}

#[test]
fn views_order_as_couchdb_documents() {
    let ordered = [
        "null",
        "false",
        "true",
        "1",
        "2",
        "3.0",
        "4",
        r#""a""#,
        r#""A""#,
        r#""aa""#,
        r#""b""#,
        r#""B""#,
        r#""ba""#,
        r#""bb""#,
        r#"["a"]"#,
        r#"["b"]"#,
        r#"["b","c"]"#,
        r#"["b","c","a"]"#,
        r#"["b","d"]"#,
        r#"["b","d","e"]"#,
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":1}"#,
        r#"{"b":2}"#,
        r#"{"b":2,"a":1}"#,
        r#"{"b":2,"c":2}"#,
    ];
    check_order(&ordered, compare);
}

#[test]
fn containers_order_by_what_is_in_them() {
    let ordered = [
        "[]",
        "[null]",
        "[null,null]",
        "[1]",
        "[[]]",
        "[[],1]",
        "[[1]]",
        "[{}]",
        "{}",
        r#"{"":null}"#,
        r#"{"a":[]}"#,
        r#"{"a":[1,2]}"#,
        r#"{"a":[1,3],"b":0}"#,
        r#"{"a":{}}"#,
        r#"{"b":null}"#,
    ];
    check_order(&ordered, compare);
}

#[test]
fn strings_order_as_icu_has_it() {
    let ordered = [
        r#""""#,
        r#""_""#,
        r#""-""#,
        r#"",""#,
        r#"";""#,
        r#"":""#,
        r#""!""#,
        r#""?""#,
        r#"".""#,
        r#""'""#,
        r#""(""#,
        r#"")""#,
        r#""[""#,
        r#""]""#,
        r#""{""#,
        r#""}""#,
        r#""@""#,
        r#""*""#,
        r#""/""#,
        r#""&""#,
        r##""#""##,
        r#""%""#,
        r#""`""#,
        r#""^""#,
        r#""+""#,
        r#""<""#,
        r#""=""#,
        r#"">""#,
        r#""|""#,
        r#""~""#,
        r#""$""#,
        r#""0""#,
        r#""1""#,
        r#""9""#,
        r#""a""#,
        r#""A""#,
        r#""ä""#,
        r#""Ä""#,
        r#""b""#,
        r#""B""#,
        r#""c""#,
        r#""z""#,
        r#""Z""#,
        r#""α""#,
        r#""я""#,
        r#""中""#,
        "\"\u{ffff}\"",
    ];
    check_order(&ordered, compare);
    assert_eq!(compare("\"\u{e9}\"".as_bytes(), "\"e\u{301}\"".as_bytes()), Ordering::Equal);
    assert_eq!(compare(br#""a\"b""#, br#""a\"c""#), Ordering::Less);
}

#[test]
fn numbers_order_exactly() {
    let ordered = [
        "-1e300",
        "-100000000000000000000000",
        "-9223372036854775809",
        "-9223372036854775808",
        "-1.5",
        "-1",
        "-0.5",
        "0",
        "1e-300",
        "0.5",
        "1",
        "1.0000001",
        "2",
        "9007199254740992",
        "9007199254740993",
        "9007199254740994.0",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551617",
        "99999999999999991611391",
        "1.0e23",
        "100000000000000000000000",
        "1e300",
    ];
    check_order(&ordered, compare);
    for (a, b) in [
        ("1", "1.0"),
        ("0", "-0.0"),
        ("100", "1e2"),
        ("18446744073709551616", "1.8446744073709551616e19"),
    ] {
        assert_eq!(compare(a.as_bytes(), b.as_bytes()), Ordering::Equal, "{a} with {b}");
    }
}

#[test]
fn terms_order_as_erlang_has_them() {
    let ordered = [
        "-1",
        "1",
        "1.5",
        "false",
        "null",
        "true",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":1,"b":1}"#,
        r#"{"b":0}"#,
        "[]",
        "[1]",
        "[[]]",
        r#"["a"]"#,
        r#""""#,
        r#""A""#,
        r#""Z""#,
        r#""a""#,
        r#""ä""#,
    ];
    check_order(&ordered, compare_terms);
}

#[test]
fn same_is_stricter_than_equal() {
    let same = |a: &str, b: &str| same(a.as_bytes(), b.as_bytes());
    for (a, b) in [
        ("1", "1"),
        ("1.0", "1.00"),
        ("1e2", "100.0"),
        ("-0", "0"),
        (r#""a""#, r#""a""#),
        (r#"[1,{"a":2.50}]"#, r#"[1,{"a":2.5}]"#),
        ("[]", "[]"),
    ] {
        assert!(same(a, b), "{a} and {b}");
    }
    for (a, b) in [
        ("1", "1.0"),
        ("[1]", "[1.0]"),
        ("[1]", "[1,1]"),
        ("null", "false"),
        (r#""a""#, r#""A""#),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        ("[]", "{}"),
        ("\"\u{e9}\"", "\"e\u{301}\""),
    ] {
        assert!(!same(a, b), "{a} and {b}");
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = |end: &str| format!("{}{end}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(compare(deep("1").as_bytes(), deep("2").as_bytes()), Ordering::Less);
    assert_eq!(compare(deep("1").as_bytes(), deep("1.0").as_bytes()), Ordering::Equal);
}

#[test]
fn broken_text_does_no_harm() {
    for a in ["", "[", "[1", r#"{"a"#, r#"{"a":"#, "\"", "\"\\", "]", "nul", "1.x", "-"] {
        for b in ["", "[1]", r#"{"a":1}"#, "\"a", "x", "1"] {
            let _ = (compare(a.as_bytes(), b.as_bytes()), same(b.as_bytes(), a.as_bytes()));
        }
    }
}
