//! Indexes that follow their shard: edits, deletions, purges, restarts, errors, other maps and reduces.

use std::collections::BTreeMap;

use settee_engine::shard::PurgeRequest;

use super::*;

fn ddoc() -> Value {
    json!({"views": {
        "tags": {"map": "function(doc) { doc.tags.forEach(function(t) { emit(t, doc.n); }); }", "reduce": "_sum"},
        "n": {"map": "function(doc) { if (doc.n % 2) emit([doc.n % 5, doc.n], null); }", "reduce": "_count"},
        "n-too": {"map": "function(doc) { if (doc.n % 2) emit([doc.n % 5, doc.n], null); }"},
    }})
}

fn doc(n: usize) -> Value {
    let tags: Vec<&str> = ["a", "B", "é", "a", "z z"][..n % 6].to_vec();
    json!({"n": n, "tags": tags})
}

/// What the two maps emit for these documents.
fn expected(docs: &BTreeMap<String, usize>) -> (Vec<Found>, Vec<Found>) {
    let (mut tags, mut numbers) = (Vec::new(), Vec::new());
    for (id, n) in docs {
        for tag in doc(*n)["tags"].as_array().unwrap() {
            tags.push((tag.to_string(), id.clone(), n.to_string()));
        }
        if n % 2 == 1 {
            numbers.push((format!("[{},{n}]", n % 5), id.clone(), "null".to_owned()));
        }
    }
    tags.sort_by(order);
    numbers.sort_by(order);
    (tags, numbers)
}

fn check(kit: &Kit, docs: &BTreeMap<String, usize>) {
    let (tags, numbers) = expected(docs);
    assert_eq!(kit.all("tags"), tags);
    assert_eq!(kit.all("n"), numbers);
    assert_eq!(kit.all("n-too"), numbers);
    let sum: usize = tags.iter().map(|row| row.2.parse::<usize>().unwrap()).sum();
    let whole = kit.groups("tags", &RowRange::default(), Grouping::Whole);
    let some = (!tags.is_empty()).then(|| ("null".to_owned(), sum.to_string()));
    assert_eq!(whole, Vec::from_iter(some));
}

#[test]
fn an_index_follows_its_shard() {
    for threads in [0, 1, 3] {
        let kit = Kit::new(&ddoc());
        assert_eq!(kit.build(threads).unwrap(), 0);
        check(&kit, &BTreeMap::new());
        let mut docs: BTreeMap<String, usize> = (0..1500).map(|n| (format!("doc{n}"), n)).collect();
        kit.put_all(docs.iter().map(|(id, n)| (id.clone(), doc(*n))));
        assert_eq!(kit.build(threads).unwrap(), 1500);
        check(&kit, &docs);
        let mut revs = BTreeMap::new();
        for n in 0..40 {
            let id = format!("new{n}");
            revs.insert(id.clone(), kit.put(&id, None, Some(&doc(n))));
            docs.insert(id, n);
        }
        assert_eq!(kit.build(threads).unwrap(), 40);
        check(&kit, &docs);
        for (at, (id, rev)) in revs.iter().enumerate() {
            if at % 2 == 0 {
                kit.put(id, Some(rev), None);
                docs.remove(id);
            } else {
                kit.put(id, Some(rev), Some(&doc(at + 7)));
                docs.insert(id.clone(), at + 7);
            }
        }
        assert_eq!(kit.build(threads).unwrap(), 40);
        check(&kit, &docs);
        assert_eq!(kit.build(threads).unwrap(), 0);
    }
}

#[test]
fn purged_documents_are_taken_out() {
    let kit = Kit::new(&ddoc());
    let revs: Vec<Rev> = (0..4).map(|n| kit.put(&format!("d{n}"), None, Some(&doc(n)))).collect();
    kit.build(0).unwrap();
    let purge = |uuid: &str, id: &str, rev: &Rev| {
        let (uuid, id) = (uuid.as_bytes().into(), DocId::trusted(id));
        let request = PurgeRequest { uuid, id, revs: vec![rev.clone()] };
        kit.shard.write(Batch::of(vec![Write::Purge(request)])).unwrap();
    };
    purge("1", "d3", &revs[3]);
    purge("2", "d1", &revs[1]);
    kit.put("d1", None, Some(&doc(9)));
    kit.build(0).unwrap();
    check(&kit, &[("d0", 0), ("d1", 9), ("d2", 2)].map(|(id, n)| (id.to_owned(), n)).into());
}

#[test]
fn what_was_built_is_there_after_a_restart() {
    let disk = SimStorage::new();
    let engine_before = engine(&disk);
    engine_before.create_shard(&shard_id()).unwrap();
    let kit = Kit::over(engine_before, &ddoc());
    let docs: BTreeMap<String, usize> = (0..300).map(|n| (format!("doc{n}"), n)).collect();
    kit.put_all(docs.iter().map(|(id, n)| (id.clone(), doc(*n))));
    kit.build(2).unwrap();
    drop(kit);
    // As after a kill: nothing was told to end.
    disk.crash(settee_engine::io::Crash::LoseAll);
    let kit = Kit::over(engine(&disk), &ddoc());
    assert_eq!(kit.build(2).unwrap(), 0, "nothing is made again");
    check(&kit, &docs);
    let changed = json!({"views": {
        "tags": ddoc()["views"]["tags"], "n": ddoc()["views"]["n"], "n-too": ddoc()["views"]["n"],
        "other": {"map": "function(doc) { emit(doc._id, null); }"},
    }});
    let kit = Kit::over(kit.engine, &changed);
    kit.put("late", None, Some(&doc(3)));
    assert_eq!(kit.build(2).unwrap(), 301, "the new one alone, then all of them one change");
    assert_eq!(kit.all("other").len(), 301);
    let mut docs = docs;
    docs.insert("late".into(), 3);
    check(&kit, &docs);
}

#[test]
fn a_reduce_that_is_added_needs_no_map() {
    let kit = Kit::new(&ddoc());
    kit.put_all((0..200).map(|n| (format!("doc{n}"), doc(n))));
    kit.build(0).unwrap();
    let sum = kit.groups("tags", &RowRange::default(), Grouping::Exact);
    let map = ddoc()["views"]["tags"]["map"].clone();
    let kit = Kit::over(
        kit.engine,
        &json!({"views": {"tags": {"map": map, "reduce": "_sum"}, "c": {"map": map, "reduce": "_count"}}}),
    );
    assert_eq!(kit.groups("tags", &RowRange::default(), Grouping::Exact), sum);
    let counts = kit.groups("c", &RowRange::default(), Grouping::Whole);
    assert_eq!(counts, [("null".to_owned(), kit.all("c").len().to_string())]);
    assert_eq!(kit.build(0).unwrap(), 0);
    kit.put("more", None, Some(&doc(5)));
    kit.build(0).unwrap();
    let counts = kit.groups("c", &RowRange::default(), Grouping::Whole);
    assert_eq!(counts[0].1, kit.all("c").len().to_string());
}

#[test]
fn a_map_that_fails_keeps_what_came_before() {
    let map =
        "function(doc) { if (doc.n == 1000) for (;;); if (doc.n == 7) throw 'no'; emit(doc.n); }";
    let mut kit = Kit::new(&json!({"views": {"v": {"map": map}}}));
    kit.setup.limits.time = Duration::from_secs(1);
    kit.programs = Programs::new(kit.definition.clone(), kit.setup.clone());
    for n in 0..4 {
        kit.put_all((n * 300..n * 300 + 300).map(|n| (format!("doc{n:04}"), json!({"n": n}))));
    }
    let error = kit.build(2).unwrap_err();
    assert!(matches!(error, BuildError::Script(crate::js::Error::Timeout)), "{error:?}");
    let rows = kit.all("v").len();
    assert!((767..1000).contains(&rows), "{rows}");
    assert_eq!(kit.index("v").position().update_seq, rows as u64 + 1);
    assert!(kit.log.lock().unwrap().iter().any(|line| line.contains("no")));
    assert!(kit.build(2).is_err());
}

struct Impatient;

impl Pace for Impatient {
    fn go_on(&self) -> bool {
        false
    }
}

#[test]
fn a_build_can_be_ended() {
    let kit = Kit::new(&ddoc());
    kit.put_all((0..500).map(|n| (format!("doc{n}"), doc(n))));
    for threads in [0, 2] {
        let (programs, shard, targets) = (&kit.programs, &*kit.shard, &kit.targets()[..]);
        let (pace, progress) = (&Impatient, &Progress::default());
        let build = Build { programs, shard, targets, threads, pace, progress };
        assert!(matches!(build.run(), Err(BuildError::Stopped)));
    }
    kit.build(2).unwrap();
    assert_eq!(
        kit.all("tags").len(),
        expected(&(0..500).map(|n| (n.to_string(), n)).collect()).0.len()
    );
}

#[test]
fn options_decide_what_a_map_sees() {
    let map = "function(doc) { emit(doc._id, doc); }";
    let kit = Kit::new(&json!({"views": {"v": {"map": map}}}));
    let rev = kit.put("a", None, Some(&json!({"x": 1})));
    kit.put("_design/x", None, Some(&json!({"y": 1})));
    kit.build(0).unwrap();
    let plain = format!(r#"{{"_id":"a","_rev":"{rev}","x":1}}"#);
    assert_eq!(kit.all("v"), [("\"a\"".to_owned(), "a".to_owned(), plain.clone())]);
    let options = json!({"include_design": true, "local_seq": true});
    let kit = Kit::over(kit.engine, &json!({"options": options, "views": {"v": {"map": map}}}));
    kit.build(0).unwrap();
    let rows = kit.all("v");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].2, plain.replace('}', r#","_local_seq":1}"#));
}

#[test]
fn mango_indexes_need_no_script() {
    let fields = json!({"fields": {"a": "asc", "b.c": "asc"}, "partial_filter_selector": {}});
    let view = json!({"map": fields, "reduce": "_count", "options": {"def": {}}});
    let kit = Kit::new(&json!({"language": "query", "views": {"i": view}}));
    kit.put("x", None, Some(&json!({"a": 2, "b": {"c": "z"}})));
    kit.put("y", None, Some(&json!({"a": 1, "b": {"c": null}})));
    kit.put("z", None, Some(&json!({"a": 1})));
    kit.build(0).unwrap();
    let row = |key: &str, id: &str| (key.to_owned(), id.to_owned(), "null".to_owned());
    assert_eq!(kit.all("i"), [row("[1,null]", "y"), row(r#"[2,"z"]"#, "x")]);
    assert_eq!(kit.groups("i", &RowRange::default(), Grouping::Whole)[0].1, "2");
}

#[test]
fn partitions_stand_apart() {
    let view = json!({"map": "function(doc) { emit(doc.n, 1); }", "reduce": "_sum"});
    let kit = Kit::new(&json!({"options": {"partitioned": true}, "views": {"v": view}}));
    let others = [("p2:1", 0), ("o:1", 5), ("p\0q:1", 1), ("p\0:1", 1), ("p\u{1}:1", 1)];
    for (id, n) in [("p:1", 2), ("p:2", 1), ("p:3", 2)].into_iter().chain(others) {
        kit.put(id, None, Some(&json!({"n": n})));
    }
    kit.build(0).unwrap();
    let range = RowRange { partition: Some("p".into()), ..RowRange::default() };
    let ids: Vec<String> = kit.rows("v", &range).into_iter().map(|row| row.1).collect();
    assert_eq!(ids, ["p:2", "p:1", "p:3"]);
    let from = RowRange { start: Some("2".into()), ..range.clone() };
    assert_eq!(kit.rows("v", &from).len(), 2);
    let groups = kit.groups("v", &range, Grouping::Exact);
    assert_eq!(groups, [("1".to_owned(), "1".to_owned()), ("2".to_owned(), "2".to_owned())]);
    let zero = RowRange { partition: Some("p\0".into()), ..RowRange::default() };
    assert_eq!(kit.rows("v", &zero).len(), 1);
    assert_eq!(kit.groups("v", &zero, Grouping::Exact).len(), 1);
}
