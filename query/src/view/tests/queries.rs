//! Ranges, keys and groups against a list of all rows.

use proptest::prelude::*;

use super::*;

/// Emits each key of a document with its value.
const MAP: &str = "function(doc) { doc.rows.forEach(function(r) { emit(r[0], r[1]); }); }";

fn kit() -> Kit {
    Kit::new(&json!({"views": {
        "v": {"map": MAP, "reduce": "_sum"},
        "c": {"map": MAP, "reduce": "_count"},
        "js": {"map": MAP, "reduce": "function(k, v, r) { return sum(v); }"},
        "first": {"map": MAP, "reduce": "_first"},
    }}))
}

fn key() -> impl Strategy<Value = String> {
    let simple = prop_oneof![
        Just("null".to_owned()),
        (-2i32..4).prop_map(|n| n.to_string()),
        Just("1.5".to_owned()),
        "[aAbé]{0,2}".prop_map(|text| format!("\"{text}\"")),
    ];
    let array = prop::collection::vec(simple.clone(), 0..4);
    prop_oneof![3 => simple, 3 => array.prop_map(|items| format!("[{}]", items.join(",")))]
}

fn docs() -> impl Strategy<Value = Vec<Vec<(String, i32)>>> {
    prop::collection::vec(prop::collection::vec((key(), 0i32..9), 0..4), 1..70)
}

fn range() -> impl Strategy<Value = RowRange> {
    let end = || (prop::option::of(key()), prop::option::of(0usize..70));
    (end(), end(), any::<bool>(), any::<bool>()).prop_map(
        |(start, end, exclusive_end, descending)| {
            let id = |n: usize| format!("d{n:02}");
            RowRange {
                behind: None,
                raw: false,
                start_id: start.1.filter(|_| start.0.is_some()).map(id),
                start: start.0.map(Bytes::from),
                end_id: end.1.filter(|_| end.0.is_some()).map(id),
                end: end.0.map(Bytes::from),
                exclusive_end,
                descending,
                partition: None,
            }
        },
    )
}

/// The rows of a range in the words of CouchDB's documentation.
fn wanted(all: &[Found], range: &RowRange) -> Vec<Found> {
    let place = |row: &Found, key: &Bytes, id: &Option<String>| {
        compare(row.0.as_bytes(), key)
            .then_with(|| id.as_ref().map_or(Ordering::Equal, |id| row.1.cmp(id)))
    };
    let (before, after) = match range.descending {
        false => (Ordering::Less, Ordering::Greater),
        true => (Ordering::Greater, Ordering::Less),
    };
    let started = |row: &Found| {
        range.start.as_ref().is_none_or(|key| place(row, key, &range.start_id) != before)
    };
    let not_over = |row: &Found| {
        range.end.as_ref().is_none_or(|key| {
            let place = place(row, key, &range.end_id);
            place != after && !(range.exclusive_end && place == Ordering::Equal)
        })
    };
    let mut rows: Vec<Found> =
        all.iter().filter(|row| started(row) && not_over(row)).cloned().collect();
    if range.descending {
        // Rows of one document with equal keys stay in their order.
        let same = |a: &Found, b: &Found| {
            a.1 == b.1 && compare(a.0.as_bytes(), b.0.as_bytes()) == Ordering::Equal
        };
        rows = rows.chunk_by(same).rev().flatten().cloned().collect();
    }
    rows
}

/// A row's group: the key that it is shown with.
fn group(row: &Found, grouping: Grouping) -> String {
    let key: Value = serde_json::from_str(&row.0).unwrap();
    match (grouping, &key) {
        (Grouping::Whole, _) => "null".into(),
        (Grouping::Level(level), Value::Array(items)) => {
            Value::from(items.iter().take(level).cloned().collect::<Vec<_>>()).to_string()
        }
        _ => row.0.clone(),
    }
}

fn groups_of(rows: &[Found], grouping: Grouping) -> Vec<(String, i64, usize, String)> {
    let same = |a: &Found, b: &Found| {
        let (a, b) = (group(a, grouping), group(b, grouping));
        compare(a.as_bytes(), b.as_bytes()) == Ordering::Equal
    };
    let reduce = |rows: &[Found]| {
        let sum = rows.iter().map(|row| row.2.parse::<i64>().unwrap()).sum();
        let first = rows.iter().min_by(|a, b| order(a, b)).unwrap();
        (group(&rows[0], grouping), sum, rows.len(), first.2.clone())
    };
    rows.chunk_by(same).map(reduce).collect()
}

fn filled(docs: &[Vec<(String, i32)>]) -> (Kit, Vec<Found>) {
    let kit = kit();
    let mut all = Vec::new();
    let mut bodies = Vec::new();
    for (n, rows) in docs.iter().enumerate() {
        let id = format!("d{n:02}");
        let row = |(key, value): &(String, i32)| format!("[{key},{value}]");
        let text =
            format!(r#"{{"rows":[{}]}}"#, rows.iter().map(row).collect::<Vec<_>>().join(","));
        all.extend(rows.iter().map(|(key, value)| (key.clone(), id.clone(), value.to_string())));
        bodies.push((id, serde_json::from_str(&text).unwrap()));
    }
    kit.put_all(bodies.into_iter());
    kit.build(0).unwrap();
    all.sort_by(order);
    (kit, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn rows_and_groups_of_ranges(
        docs in docs(),
        ranges in prop::collection::vec(range(), 12),
        keys in prop::collection::vec(key(), 0..12),
    ) {
        let (kit, all) = filled(&docs);
        for range in &ranges {
            let rows = wanted(&all, range);
            prop_assert_eq!(kit.rows("v", range), rows.clone(), "{:?}", range);
            if let Some(first) = rows.first() {
                let whole = RowRange { descending: range.descending, ..RowRange::default() };
                let before = wanted(&all, &whole).iter().position(|row| row.1 == first.1 && row.0 == first.0);
                let offset = Rows::offset(&kit.index("v"), range).unwrap();
                prop_assert_eq!(offset as usize, before.unwrap());
            }
            // Whoever goes on behind any row sees the rest, and nothing twice.
            let index = kit.index("v");
            let walk: Vec<_> = Rows::of_range(&index, range).map(Result::unwrap).collect();
            for (at, row) in walk.iter().enumerate() {
                let range = RowRange { behind: Some(Behind::row(row)), ..range.clone() };
                let rest: Vec<_> = Rows::of_range(&index, &range).map(Result::unwrap).collect();
                prop_assert_eq!(&rest[..], &walk[at + 1..], "{:?}", range);
            }
            for grouping in [Grouping::Exact, Grouping::Level(1)] {
                let groups = |range: &RowRange| {
                    let groups = Groups::of_range(&index, &Reduce::Sum, range, grouping).unwrap();
                    groups.map(Result::unwrap).collect::<Vec<_>>()
                };
                let walk = groups(range);
                for (at, group) in walk.iter().enumerate() {
                    let behind = Some(Behind::Group(group.order.clone()));
                    let rest = groups(&RowRange { behind, ..range.clone() });
                    prop_assert_eq!(&rest[..], &walk[at + 1..]);
                }
            }
            for grouping in [Grouping::Whole, Grouping::Exact, Grouping::Level(1), Grouping::Level(2)] {
                let expected = groups_of(&rows, grouping);
                let part = |n: usize| expected.iter().map(move |group| {
                    let value = [group.1.to_string(), group.2.to_string(), group.3.clone()];
                    (group.0.clone(), value[n].clone())
                });
                for (view, n) in [("v", 0), ("c", 1), ("js", 0), ("first", 2)] {
                    let wanted: Vec<_> = part(n).collect();
                    prop_assert_eq!(kit.groups(view, range, grouping), wanted, "{} {:?}", view, range);
                }
            }
        }
        for descending in [false, true] {
            let range = RowRange { descending, ..RowRange::default() };
            let of_key = |key: &String| {
                let end = Some(Bytes::from(key.clone()));
                wanted(&all, &RowRange { start: end.clone(), end, ..range.clone() })
            };
            let expected: Vec<Found> = keys.iter().flat_map(of_key).collect();
            let asked: Vec<Bytes> = keys.iter().cloned().map(Bytes::from).collect();
            let asked = Keys::from(asked);
            let rows = Rows::of_keys(&kit.index("v"), &range, asked.clone());
            let rows: Vec<Found> = rows.map(|row| found(&row.unwrap())).collect();
            prop_assert_eq!(rows, expected);
            let expected: Vec<(String, String)> = keys.iter().filter_map(|key| {
                let sum = of_key(key).into_iter().map(|row| row.2.parse::<i64>().unwrap());
                let sum: Vec<i64> = sum.collect();
                (!sum.is_empty()).then(|| (key.clone(), sum.iter().sum::<i64>().to_string()))
            }).collect();
            let groups = Groups::of_keys(&kit.index("v"), &Reduce::Sum, &range, asked).unwrap();
            prop_assert_eq!(kit.finish(&Reduce::Sum, groups), expected);
        }
    }
}

#[test]
fn many_rows_are_read_across_pages() {
    let kit = kit();
    let rows = |n: usize| json!({"rows": [[[n % 10, n % 100, n], 1], [n % 7, 2], ["x", 3]]});
    kit.put_all((0..5000).map(|n| (format!("d{n:04}"), rows(n))));
    kit.build(2).unwrap();
    assert_eq!(kit.all("v").len(), 15_000);
    let groups = kit.groups("v", &RowRange::default(), Grouping::Level(1));
    assert_eq!(groups.len(), 7 + 1 + 10);
    assert_eq!(groups[7], ("\"x\"".to_owned(), "15000".to_owned()));
    assert_eq!(groups[8], ("[0]".to_owned(), "500".to_owned()));
    let down = RowRange { descending: true, ..RowRange::default() };
    let mut reversed = kit.groups("js", &down, Grouping::Level(2));
    reversed.reverse();
    assert_eq!(reversed, kit.groups("v", &RowRange::default(), Grouping::Level(2)));
    let keys: Vec<Bytes> =
        (0..5000).step_by(3).map(|n| json!([n % 10, n % 100, n]).to_string().into()).collect();
    let index = kit.index("v");
    assert_eq!(
        Rows::of_keys(&index, &RowRange::default(), keys.clone().into()).count(),
        keys.len()
    );
    let mut sorted = keys.clone();
    sorted.sort_by(|a, b| compare(a, b));
    let found: Vec<Bytes> = Rows::of_keys(&index, &RowRange::default(), sorted.clone().into())
        .map(|row| row.unwrap().key)
        .collect();
    assert_eq!(found, sorted);
    assert_eq!(
        Groups::external(&index).unwrap() as usize,
        kit.all("v").iter().map(|row| row.0.len() + row.2.len()).sum::<usize>()
    );
}
