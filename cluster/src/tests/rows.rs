//! Rows by id, against a plain ordered map.

use std::collections::BTreeMap;

use settee_model::rev::Rev;

use super::{Node, edit, id, put, put_all, removal};
use crate::rows::{AllDocsQuery, Key, Namespace, Row, RowsHead, Select};
use crate::{CreateOptions, Db};

async fn ask(db: &Db, query: AllDocsQuery) -> (RowsHead, Vec<Row>) {
    let mut rows = db.all_docs(query).await.unwrap();
    let head = rows.head().clone();
    let mut all = Vec::new();
    while let Some(batch) = rows.next_batch().await.unwrap() {
        assert!(!batch.is_empty());
        all.extend(batch);
    }
    (head, all)
}

fn id_of(row: &Row) -> String {
    match row {
        Row::Doc(row) => row.id.to_string(),
        Row::Missing(Key::Id(id)) => format!("!{id}"),
        Row::Missing(Key::Other(text)) => format!("!{}", String::from_utf8_lossy(text)),
    }
}

fn ids(rows: &[Row]) -> Vec<String> {
    rows.iter().map(id_of).collect()
}

/// What a single ordered map would answer.
fn expected(model: &BTreeMap<String, Rev>, query: &AllDocsQuery) -> (u64, Vec<String>) {
    let Select::Range { start, end, inclusive_end } = &query.select else { panic!() };
    let mut keys: Vec<&String> = model.keys().collect();
    if query.descending {
        keys.reverse();
    }
    let before = |a: &str, b: &str| if query.descending { a > b } else { a < b };
    let not_begun = |key: &str| start.as_ref().is_some_and(|start| before(key, start));
    let ended = |key: &str| match end {
        Some(end) if *inclusive_end => before(end, key),
        Some(end) => !before(key, end),
        None => false,
    };
    let offset = keys.iter().filter(|key| not_begun(key)).count() as u64 + query.skip;
    let rows = keys.into_iter().filter(|key| !not_begun(key) && !ended(key));
    let rows = rows.skip(query.skip as usize).take(query.limit.unwrap_or(u64::MAX) as usize);
    (offset.min(model.len() as u64), rows.cloned().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_shards_answer_as_one_ordered_map() {
    let node = Node::new().await;
    for q in [1, 2, 8] {
        let db = node.db(&format!("db{q}"), q).await;
        let mut model = BTreeMap::new();
        let names: Vec<String> = (0..700).map(|n| format!("{:04}", n * 7919 % 10_000)).collect();
        let edits = names.iter().map(|name| edit(name, r#"{"x":1}"#, None)).collect();
        for (name, rev) in names.iter().zip(put_all(&db, edits).await) {
            model.insert(name.clone(), rev.unwrap());
        }
        for name in names.iter().step_by(9) {
            put(&db, removal(name, &model.remove(name).unwrap())).await.unwrap();
        }
        let mut seed = u64::from(q);
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..120 {
            let key = |random: &mut dyn FnMut(u64) -> u64| {
                (random(3) > 0).then(|| format!("{:04}", random(10_000)))
            };
            let select = Select::Range {
                start: key(&mut random),
                end: key(&mut random),
                inclusive_end: random(2) == 0,
            };
            let query = AllDocsQuery {
                select,
                descending: random(2) == 0,
                skip: random(3) * random(100),
                limit: (random(2) == 0).then(|| random(300)),
                include_docs: random(2) == 0,
                ..AllDocsQuery::default()
            };
            let (offset, rows) = expected(&model, &query);
            let (head, found) = ask(&db, query.clone()).await;
            assert_eq!(ids(&found), rows, "{query:?}");
            assert_eq!(head.total_rows, Some(model.len() as u64));
            assert_eq!(head.offset, Some(offset), "{query:?}");
            for row in found {
                let Row::Doc(row) = row else { panic!() };
                assert_eq!(row.rev, model[row.id.as_str()]);
                let body = row.doc.map(|doc| doc.record.body);
                assert_eq!(body.is_some(), query.include_docs);
                assert!(body.is_none_or(|body| body == r#"{"x":1}"#));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_answered_in_their_order() {
    let node = Node::new().await;
    let db = node.db("db", 8).await;
    let edits = (0..600).map(|n| edit(&format!("k{n}"), "{}", None)).collect();
    let revs = put_all(&db, edits).await;
    put(&db, removal("k5", revs[5].as_ref().unwrap())).await.unwrap();
    put(&db, edit("_local/l", "{}", None)).await.unwrap();
    put(&db, edit("_design/d", "{}", None)).await.unwrap();
    let keys =
        |names: &[&str]| -> Vec<Key> { names.iter().map(|name| Key::Id(id(name))).collect() };
    let mut asked = keys(&["k9", "none", "k5", "_local/l", "k9"]);
    asked.insert(1, Key::Other(bytes::Bytes::from_static(b"5")));
    let query =
        AllDocsQuery { select: Select::Keys(asked), include_docs: true, ..Default::default() };
    let (head, rows) = ask(&db, query.clone()).await;
    assert_eq!(ids(&rows), ["k9", "!5", "!none", "k5", "_local/l", "k9"]);
    assert_eq!((head.total_rows, head.offset, head.update_seq), (Some(600), None, None));
    let Row::Doc(deleted) = &rows[3] else { panic!() };
    assert!(deleted.deleted && deleted.doc.is_none());
    let query = AllDocsQuery { descending: true, skip: 1, limit: Some(2), ..query };
    assert_eq!(ids(&ask(&db, query).await.1), ["_local/l", "k5"]);

    let all: Vec<String> = (0..600).rev().map(|n| format!("k{n}")).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let select = Select::Keys(keys(&names));
    let query = AllDocsQuery { select, update_seq: true, ..AllDocsQuery::default() };
    let (head, rows) = ask(&db, query).await;
    assert_eq!(ids(&rows), all);
    assert_eq!(head.update_seq, Some(None));

    let select = Select::Keys(keys(&["_design/d", "k1", "_local/l"]));
    let query = AllDocsQuery { select, namespace: Namespace::Design, ..Default::default() };
    let (head, rows) = ask(&db, query.clone()).await;
    assert_eq!((head.total_rows, ids(&rows)), (Some(1), vec!["_design/d".to_owned()]));
    let query = AllDocsQuery { namespace: Namespace::Local, ..query };
    let (head, rows) = ask(&db, query).await;
    assert_eq!((head.total_rows, ids(&rows)), (None, vec!["_local/l".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_and_partitions_have_their_own_rows() {
    let node = Node::new().await;
    let db =
        node.create("db", CreateOptions { q: Some(4), partitioned: true, ..Default::default() });
    let db = db.await;
    for name in
        ["p:1", "p:2", "p:3", "pp:1", "q:1", "_design/x", "_design/y", "_local/a", "_local/b"]
    {
        put(&db, edit(name, r#"{"a":1}"#, None)).await.unwrap();
    }
    let of = |namespace| AllDocsQuery { namespace, ..AllDocsQuery::default() };
    let (head, rows) = ask(&db, of(Namespace::Design)).await;
    assert_eq!(ids(&rows), ["_design/x", "_design/y"]);
    assert_eq!((head.total_rows, head.offset), (Some(2), Some(0)));
    let query = AllDocsQuery { descending: true, include_docs: true, ..of(Namespace::Local) };
    let (head, rows) = ask(&db, query).await;
    assert_eq!(ids(&rows), ["_local/b", "_local/a"]);
    assert_eq!((head.total_rows, head.offset), (None, None));
    let Row::Doc(row) = &rows[0] else { panic!() };
    assert_eq!(row.rev.to_string(), "0-1");
    assert_eq!(row.doc.as_ref().unwrap().record.body, r#"{"a":1}"#);

    let p = AllDocsQuery { partition: Some("p".into()), ..AllDocsQuery::default() };
    assert_eq!(ids(&ask(&db, p.clone()).await.1), ["p:1", "p:2", "p:3"]);
    let select =
        Select::Range { start: Some("p:2".into()), end: Some("x".into()), inclusive_end: true };
    let query = AllDocsQuery { select, ..p.clone() };
    assert_eq!(ids(&ask(&db, query).await.1), ["p:2", "p:3"]);
    let query = AllDocsQuery { descending: true, limit: Some(1), ..p };
    assert_eq!(ids(&ask(&db, query).await.1), ["p:3"]);
    let info = db.partition_info("p").await.unwrap();
    assert_eq!((info.doc_count, info.doc_del_count), (3, 0));
    assert!(info.sizes.external > 0);
    assert_eq!(db.partition_info("none").await.unwrap().doc_count, 0);
}
