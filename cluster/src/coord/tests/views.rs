//! Views of which the copy dies in the middle, at a coordinator that has none of its own.

use bytes::Bytes;
use settee_engine::shard::{Batch, Write};
use settee_query::view::{Grouping, RowRange};

use super::*;
use crate::DesignDoc;
use crate::tests::edit;
use crate::views::{LineDoc, LineValue, ViewLine, ViewQuery, ViewRows};

const DOCS: usize = 1500;

const DDOC: &str = r#"{"views":{"v":{"map":"function(doc) { emit(doc.n % 7, doc.text); emit(doc.n % 7, 'again'); }","reduce":"function(keys, values, rereduce) { return rereduce ? sum(values) : values.length; }"}}}"#;

/// The same documents at all nodes, in another order of changes at each.
async fn filled() -> Nodes {
    let nodes = Nodes::three().await;
    for at in 0..3 {
        let mut numbers: Vec<usize> = (0..DOCS).collect();
        numbers.rotate_left(at * DOCS / 3);
        for some in numbers.chunks(300) {
            let write = |number: &usize| {
                let body = format!("{{\"n\":{number},\"text\":\"{}\"}}", "x".repeat(1000));
                Write::Interactive(edit(&format!("d{number:05}"), &body, None))
            };
            nodes.copy(at).write(Batch::of(some.iter().map(write).collect())).await.unwrap();
        }
    }
    nodes
}

fn query() -> ViewQuery {
    let ddoc = DesignDoc::new("_design/d", Bytes::from_static(DDOC.as_bytes()), false);
    crate::tests::views::query(&Arc::new(ddoc), "v")
}

async fn start(nodes: &Nodes, query: ViewQuery) -> ViewRows {
    let database = Arc::new(nodes.database(3));
    let known = nodes.all[2].host.views.known("db.1", &query.ddoc).unwrap();
    ViewRows::start(database, known, query).await.unwrap()
}

fn shown(line: ViewLine) -> (String, String, String) {
    let LineValue::Value(value) = line.value else { panic!("{line:?}") };
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&line.key), line.id.unwrap_or_default(), text(&value).chars().take(8).collect())
}

/// All rows, while the first node dies after some batches and the second one later.
async fn read_while_nodes_die(
    nodes: &mut Nodes,
    query: ViewQuery,
) -> Vec<(String, String, String)> {
    let mut rows = start(nodes, query).await;
    let (mut seen, mut batches) = (Vec::new(), 0);
    while let Some(batch) = rows.next_batch().await.unwrap() {
        seen.extend(batch.into_iter().map(shown));
        batches += 1;
        match batches {
            3 => nodes.all[0].kill(),
            6 => nodes.all[1].kill(),
            _ => {}
        }
    }
    assert!(batches > 6, "it was over too soon: {batches}");
    seen
}

fn wanted(key: usize) -> Vec<(String, String, String)> {
    let numbers = (0..DOCS).filter(|number| number % 7 == key);
    let rows = |number| {
        let row = |value: &str| (key.to_string(), format!("d{number:05}"), value.to_owned());
        [row("\"again\""), row("\"xxxxxxx")]
    };
    numbers.flat_map(rows).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_go_on_with_another_copy_and_none_comes_twice() {
    let mut nodes = filled().await;
    let seen = read_while_nodes_die(&mut nodes, query()).await;
    let all: Vec<_> = (0..7).flat_map(wanted).collect();
    assert!(seen == all, "{} of {}", seen.len(), all.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_from_the_end_keep_those_of_a_document_in_their_order() {
    let mut nodes = filled().await;
    let range = RowRange { descending: true, ..RowRange::default() };
    let seen = read_while_nodes_die(&mut nodes, ViewQuery { range, ..query() }).await;
    let all = (0..7).rev().flat_map(|key| {
        let rows = wanted(key);
        rows.chunks(2).rev().flatten().cloned().collect::<Vec<_>>()
    });
    let all: Vec<_> = all.collect();
    assert!(seen == all, "{} of {}", seen.len(), all.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_on_where_the_copy_died() {
    let mut nodes = filled().await;
    let order = [5, 2, 6, 0, 3, 1];
    let keys = Some(order.map(|key| Bytes::from(key.to_string())).to_vec());
    let seen = read_while_nodes_die(&mut nodes, ViewQuery { keys, ..query() }).await;
    let all: Vec<_> = order.into_iter().flat_map(wanted).collect();
    assert!(seen == all, "{} of {}", seen.len(), all.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_reduced_where_the_rows_are() {
    let mut nodes = filled().await;
    nodes.all[0].kill();
    for (reduce, expected) in [(Grouping::Whole, 1), (Grouping::Exact, 7), (Grouping::Level(1), 7)]
    {
        let mut rows = start(&nodes, ViewQuery { reduce: Some(reduce), ..query() }).await;
        let mut groups = Vec::new();
        while let Some(batch) = rows.next_batch().await.unwrap() {
            groups.extend(batch.into_iter().map(shown));
        }
        let sum: usize = groups.iter().map(|group| group.2.parse::<usize>().unwrap()).sum();
        assert_eq!((groups.len(), sum), (expected, 2 * DOCS));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_cannot_run_fails_the_query_and_no_copy_is_blamed() {
    let nodes = filled().await;
    let body = r#"{"views":{"v":{"map":"function(doc) { while (true) {} }"}}}"#;
    let ddoc = Arc::new(DesignDoc::new("_design/x", Bytes::from(body), false));
    let database = Arc::new(nodes.database(3));
    let limits = settee_query::js::Limits {
        time: Duration::from_millis(100),
        ..settee_query::js::Limits::default()
    };
    for node in &nodes.all {
        node.host.views.set(crate::FunctionSettings {
            limits: limits.clone(),
            ..crate::FunctionSettings::default()
        });
    }
    let known = nodes.all[0].host.views.known("db.1", &ddoc).unwrap();
    let failed = ViewRows::start(database, known, ViewQuery { ddoc, ..query() }).await;
    assert!(
        matches!(failed, Err(Error::Script(settee_query::js::Error::Timeout))),
        "{:?}",
        failed.err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_an_index_elsewhere_keeps_nobody_from_asking() {
    let nodes = filled().await;
    let slow = r#"{"views":{"v":{"map":"function(doc) { var t = Date.now(); while (Date.now() < t + 5); emit(doc.n); }"}}}"#;
    let ddoc = Arc::new(DesignDoc::new("_design/s", Bytes::from(slow), false));
    let database = Arc::new(nodes.narrow(3, 8));
    let known = nodes.all[2].host.views.known("db.1", &ddoc).unwrap();
    let mut waiting = Vec::new();
    for number in 1..=32 {
        let query = ViewQuery { ddoc: ddoc.clone(), limit: Some(number), ..query() };
        let (database, known) = (database.clone(), known.clone());
        waiting.push(tokio::spawn(async move {
            let mut rows = ViewRows::start(database, known, query).await?;
            Ok::<_, Error>(rows.next_batch().await?.unwrap_or_default().len() as u64)
        }));
        if number % 4 == 0 {
            sleep(Duration::from_millis(300)).await;
        }
    }
    let under_way = waiting.iter().filter(|rows| !rows.is_finished()).count();
    assert!(under_way > 24, "{under_way}");
    for (number, rows) in (1..).zip(waiting) {
        assert_eq!(rows.await.unwrap(), Ok(number));
    }
    let other = nodes.all[1].host.views.known("db.1", &ddoc).unwrap();
    let shard = nodes.all[1].host.engine.shard(&shard()).unwrap();
    assert!(nodes.all[1].host.views.open(&shard, &other).is_none(), "one copy is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_a_row_names_is_found_though_the_nearest_copy_lacks_it() {
    let nodes = Nodes::three().await;
    let write = |id: &str, body: &str| Batch::of(vec![Write::Interactive(edit(id, body, None))]);
    for at in 0..3 {
        nodes.copy(at).write(write("names", r#"{"of":"late"}"#)).await.unwrap();
    }
    for at in 1..3 {
        nodes.copy(at).write(write("late", r#"{"n":1}"#)).await.unwrap();
    }
    let map = r#"{"views":{"v":{"map":"function(doc) { if (doc.of) emit(1, {_id: doc.of}); }"}}}"#;
    let ddoc = Arc::new(DesignDoc::new("_design/l", Bytes::from(map), false));
    let mut rows = start(&nodes, ViewQuery { ddoc, include_docs: true, ..query() }).await;
    let line = rows.next_batch().await.unwrap().unwrap().remove(0);
    let Some(LineDoc::Linked(doc)) = line.doc else { panic!("{line:?}") };
    assert_eq!(doc.id.as_str(), "late");
}
