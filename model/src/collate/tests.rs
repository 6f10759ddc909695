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

/// Characters that stand elsewhere in the tables of today (CLDR 48) than in those of the recording
/// (ICU 72): numbers of some scripts, quotation marks, and ideographs that came late,
/// which ICU sorts by radical and we, as the standard has it, behind the others.
fn has_moved(character: char) -> bool {
    let number = character.is_numeric() && !character.is_ascii();
    number
        || matches!(character, '\u{201d}' | '\u{201e}' | '\u{fa0e}'..='\u{fa29}')
        || character >= '\u{20000}'
}

/// Keys of all types and many scripts with the ids of their documents, in the order in which a view of
/// CouchDB 3.5.0 had them.
#[test]
fn recorded_keys_are_in_their_order() {
    let recorded = include_str!("recorded.txt").lines().filter(|line| !line.contains(has_moved));
    let recorded: Vec<(&str, &str)> = recorded.filter_map(|line| line.split_once(' ')).collect();
    assert!(recorded.len() > 4400, "{}", recorded.len());
    for pair in recorded.windows(2) {
        let [(id_a, a), (id_b, b)] = pair else { continue };
        let ordering = compare(a.as_bytes(), b.as_bytes());
        assert!(ordering.then(id_a.cmp(id_b)).is_lt(), "{id_a} {a} before {id_b} {b}");
        assert_eq!(sort_key(a.as_bytes()).cmp(&sort_key(b.as_bytes())), ordering, "{a} {b}");
    }
}

mod sort_keys {
    //! Sort keys against the comparison of the values.

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = String> {
        let near = prop_oneof![
            Just(0.0),
            Just(f64::MIN_POSITIVE),
            Just(9_007_199_254_740_992.0),
            Just(1.0e22),
            Just(18_446_744_073_709_551_616.0),
        ];
        prop_oneof![
            (-9i64..9).prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            "-?[1-9][0-9]{17,40}",
            (-40i32..40).prop_map(|eighths| format!("{:?}", f64::from(eighths) / 8.0)),
            any::<f64>()
                .prop_filter("JSON has no others", |float| float.is_finite())
                .prop_map(|float| format!("{float:?}")),
            (near, -3i64..3).prop_map(|(float, off)| {
                format!("{:?}", f64::from_bits((float.to_bits() as i64 + off).unsigned_abs()))
            }),
        ]
    }

    fn string() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            "[a-cA-C]{0,4}",
            "[ -~]{0,6}",
            "[aàáâäeéèAÀÉ\u{301}\u{308}ßẞßſs]{0,4}",
            "[αβγΑДЖжא٠١ا中文字あアア가각ﬁﬀﬃ１Ⅳ½\u{0}\u{1}\u{ad}\u{200d}\u{fffe}\u{ffff}\u{1f600}]{0,4}",
            any::<String>(),
        ];
        text.prop_map(|text| {
            let mut json = Vec::new();
            crate::json::escape_into(&mut json, &text);
            String::from_utf8(json).unwrap()
        })
    }

    fn json() -> impl Strategy<Value = String> {
        let words = prop_oneof![Just("null"), Just("true"), Just("false")];
        let leaf = prop_oneof![words.prop_map(str::to_owned), number(), string()];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let array = prop::collection::vec(inner.clone(), 0..4);
            let members = prop::collection::vec((string(), inner), 0..3);
            prop_oneof![
                array.prop_map(|items| format!("[{}]", items.join(","))),
                members.prop_map(|members| {
                    let member = |(name, value)| format!("{name}:{value}");
                    format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn order_as_values_do(a in json(), b in json()) {
            let keys = (sort_key(a.as_bytes()), sort_key(b.as_bytes()));
            prop_assert_eq!(keys.0.cmp(&keys.1), compare(a.as_bytes(), b.as_bytes()));
            prop_assert_eq!(sort_key_length(&[&keys.0[..], b"id\0"].concat()), keys.0.len());
        }

        #[test]
        fn order_numbers_exactly(a in number(), b in number()) {
            let keys = (sort_key(a.as_bytes()), sort_key(b.as_bytes()));
            prop_assert_eq!(keys.0.cmp(&keys.1), compare(a.as_bytes(), b.as_bytes()));
        }

        #[test]
        fn order_strings_as_the_collation_does(a in string(), b in string()) {
            let keys = (sort_key(a.as_bytes()), sort_key(b.as_bytes()));
            prop_assert_eq!(keys.0.cmp(&keys.1), compare(a.as_bytes(), b.as_bytes()));
            prop_assert!(!keys.0[..keys.0.len() - 1].contains(&0));
        }

        #[test]
        fn groups_are_what_arrays_begin_with(items in prop::collection::vec(json(), 0..5), level in 1usize..5) {
            let array = |items: &[String]| sort_key(format!("[{}]", items.join(",")).as_bytes());
            let key = [array(&items), b"id\0".to_vec()].concat();
            let length = group_length(&key, level);
            let first = array(&items[..level.min(items.len())]);
            // The bracket at the end is part of it if there are fewer elements.
            let expected = if items.len() < level { first.len() } else { first.len() - 1 };
            prop_assert_eq!(length, expected);
            prop_assert_eq!(&key[..length], &first[..expected]);
        }
    }

    #[test]
    fn what_is_no_array_is_a_group_of_its_own() {
        for json in ["null", "-1.5", "\"abc\"", r#"{"a":[1,2]}"#] {
            let key = sort_key(json.as_bytes());
            assert_eq!(group_length(&key, 1), key.len(), "{json}");
        }
    }

    #[test]
    fn broken_keys_end_somewhere() {
        for bytes in [&[][..], &[64], &[64, 48, 5], &[0, 0], &[34], &[34, 192], &[80, 34, 128, 1]] {
            assert_eq!(sort_key_length(bytes), bytes.len());
        }
        for json in ["[", "[1", "\"", "x", "]", "{\"a"] {
            let _ = sort_key(json.as_bytes());
        }
    }
}

#[test]
fn raw_keys_are_ordered_as_erlang_orders_its_terms() {
    let ordered = [
        "-1.5",
        "0",
        "1",
        "1.5",
        "2",
        "10",
        "false",
        "null",
        "true",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":1}"#,
        r#"{"b":2}"#,
        r#"{"b":2,"a":1}"#,
        r#"{"b":2,"c":2}"#,
        "[]",
        "[1]",
        r#"["a"]"#,
        r#"["b"]"#,
        r#"["b","c"]"#,
        r#"["b","c","a"]"#,
        r#"["b","d"]"#,
        "\"\"",
        "\"\\u0000\"",
        "\"\\u0000a\"",
        "\"\\u0001\"",
        "\"A\"",
        "\"B\"",
        "\"a\"",
        "\"aa\"",
        "\"b\"",
        "\"ba\"",
        "\"é\"",
    ];
    let key = |json: &str| {
        let mut key = Vec::new();
        raw_sort_key_into(&mut key, json.as_bytes());
        assert_eq!(sort_key_length(&[&key[..], b"rest"].concat()), key.len(), "{json}");
        key
    };
    let keys: Vec<_> = ordered.map(key).to_vec();
    assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(group_length(&key("[1,2]"), 1), key("[1]").len() - 1);
}
