//! The scanner beside a reader that everybody knows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn stored(input: &str) -> Result<String, JsonError> {
    let out = normalise(input.as_bytes(), &Limits::default())?;
    Ok(String::from_utf8(out).expect("stored form is UTF-8"))
}

#[test]
fn white_space_and_needless_escapes_go() {
    let becomes = |input: &str, output: &str| assert_eq!(stored(input), Ok(output.to_owned()));
    becomes(" { \"a\" :\t[ 1 , 2 ,\r\n{ } , [ ] ] } \n", r#"{"a":[1,2,{},[]]}"#);
    becomes(r#""\u0041\/\u00e9\ud83d\ude00\u007f""#, "\"A/é😀\u{7f}\"");
    becomes(r#""\u0022\u005c\u000a\u0000\u001f\b\f\n\r\t""#, r#""\"\\\n\u0000\u001F\b\f\n\r\t""#);
    becomes("[true,false,null]", "[true,false,null]");
    becomes(" 1", "1");
    becomes("\"x\"", "\"x\"");
}

#[test]
fn numbers_stay_as_written() {
    for number in ["0", "-0", "1.0", "1E5", "1e-400", "123456789012345678901234567890", "1.50"] {
        assert_eq!(stored(number), Ok(number.to_owned()));
    }
    assert_eq!(stored("[1e+,1.5E-]"), Ok("[1.0,1.5]".to_owned()));
}

#[test]
fn what_couchdb_refuses_is_refused() {
    for bad in [
        "",
        "  ",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[,]",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "]",
        "}",
        "{]",
        "[}",
        "tru",
        "nul",
        "True",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e400",
        "1.0e400",
        "NaN",
        "Infinity",
        "{} x",
        "{}{}",
        "\"a",
        "\"a\u{1}\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\u12\"",
        "\"\\ud800\\u0041\"",
        "{1:2}",
        "{a:1}",
        "'a'",
        "\u{feff}{}",
        "// c\n1",
        "[1]]",
    ] {
        assert_eq!(stored(bad), Err(JsonError), "{bad}");
    }
    for bad in
        [&b"\"\xff\""[..], b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"\xff{}", b"{\"\xe2\x82\":1}"]
    {
        assert_eq!(normalise(bad, &Limits::default()), Err(JsonError), "{bad:?}");
    }
}

#[test]
fn the_last_of_equal_names_stays_where_it_is() {
    let becomes = |input: &str, output: &str| assert_eq!(stored(input), Ok(output.to_owned()));
    becomes(r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2,"a":3}"#);
    becomes(r#"{"a":1,"a":2,"a":3}"#, r#"{"a":3}"#);
    becomes(r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#);
    becomes(
        r#"[{"a":{"x":1,"x":2},"b":1,"a":{"y":1,"y":[{"z":1,"z":2}]}}]"#,
        r#"[{"b":1,"a":{"y":[{"z":2}]}}]"#,
    );
    becomes(r#"{"a":{"a":1},"b":{"a":1}}"#, r#"{"a":{"a":1},"b":{"a":1}}"#);
    becomes(r#"{"":1,"":2}"#, r#"{"":2}"#);
}

#[test]
fn depth_and_digits_have_limits() {
    let limits = Limits { depth: 3, digits: 5, ..Limits::default() };
    assert!(normalise(b"[{\"a\":[]}]", &limits).is_ok());
    assert!(normalise(b"[{\"a\":[[]]}]", &limits).is_err());
    assert!(normalise(b"12345", &limits).is_ok());
    assert!(normalise(b"123456", &limits).is_err());
    let deep = "[".repeat(9_999) + "{}" + &"]".repeat(9_999);
    assert_eq!(stored(&deep), Ok(deep.clone()));
}

/// Members in order, the last of equal names only: what the scanner should leave.
fn expected(members: &[(String, u32)]) -> String {
    let last: BTreeMap<&str, usize> =
        members.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    let kept: Vec<String> = members
        .iter()
        .enumerate()
        .filter(|(at, (name, _))| last[name.as_str()] == *at)
        .map(|(_, (name, value))| format!("{}:{value}", Value::from(name.as_str())))
        .collect();
    format!("{{{}}}", kept.join(","))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn equal_names_are_found_in_objects_of_any_size(
        members in prop::collection::vec(("[ab]{0,2}[c-e]?", 0_u32..9), 0..60)
    ) {
        let written: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
        let input = format!("{{{}}}", written.join(" , "));
        prop_assert_eq!(stored(&input), Ok(expected(&members)));
    }

    #[test]
    fn values_are_those_that_serde_json_reads(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).expect("text");
        let stored = stored(&pretty).expect("valid");
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("valid");
        prop_assert_eq!(read(&stored), read(&pretty));
        prop_assert_eq!(super::normalise(stored.as_bytes(), &Limits::default()),
                        Ok(stored.clone().into_bytes()), "stored form is stable");
        prop_assert!(stored.len() <= pretty.len());
    }

    #[test]
    fn nothing_makes_it_panic(input in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = normalise(&input, &Limits::default());
    }

    #[test]
    fn refuses_at_least_what_serde_json_refuses(input in r#"[\[\]{}":,0-9eE+. \\a-]{0,30}"#) {
        if let Ok(stored) = stored(&input) {
            prop_assert!(serde_json::from_str::<Value>(&stored).is_ok(), "{} {}", input, stored);
        }
    }
}
