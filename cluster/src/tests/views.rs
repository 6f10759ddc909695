//! Views of databases on one node: what is built when, what serves meanwhile, what is dropped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use settee_query::view::{Grouping, RowRange};

use super::{Node, edit, put, put_all};
use crate::views::{LineValue, Update, ViewQuery};
use crate::{Db, DesignDoc};

const DOCS: usize = 300;

async fn filled(node: &Node, q: u32) -> Db {
    let db = node.db("db", q).await;
    let doc = |n: usize| edit(&format!("d{n:03}"), &json!({"n": n, "k": n % 5}).to_string(), None);
    put_all(&db, (0..DOCS).map(doc).collect()).await;
    db
}

fn ddoc(views: &serde_json::Value) -> Arc<DesignDoc> {
    let body = json!({ "views": views }).to_string();
    Arc::new(DesignDoc::new("_design/d", Bytes::from(body), false))
}

/// All rows of a view, up to date.
pub(crate) fn query(ddoc: &Arc<DesignDoc>, view: &str) -> ViewQuery {
    ViewQuery {
        ddoc: ddoc.clone(),
        view: view.to_owned(),
        reduce: None,
        range: RowRange::default(),
        keys: None,
        skip: 0,
        limit: None,
        include_docs: false,
        conflicts: false,
        update: Update::True,
        update_seq: false,
        sorted: true,
    }
}

async fn read(db: &Db, query: ViewQuery) -> Vec<(String, String)> {
    let mut rows = db.view(query).await.unwrap();
    let mut all = Vec::new();
    while let Some(batch) = rows.next_batch().await.unwrap() {
        for line in batch {
            let LineValue::Value(value) = line.value else { panic!("{line:?}") };
            let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            all.push((text(line.key), text(value)));
        }
    }
    all
}

const OLD: &str = "function(doc) { if (doc.n >= 0) emit(doc.k, 'old'); }";
const NEW: &str = "function(doc) { if (doc.n >= 0) emit(doc.k, 'new'); }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_index_serves_until_the_new_one_is_ready() {
    let node = Node::new().await;
    let db = filled(&node, 2).await;
    let old = ddoc(&json!({"v": {"map": OLD}}));
    assert_eq!(read(&db, query(&old, "v")).await.len(), DOCS);
    let new = ddoc(&json!({"v": {"map": NEW}}));
    let stale = ViewQuery { update: Update::False, ..query(&new, "v") };
    let rows = read(&db, stale.clone()).await;
    assert_eq!((rows.len(), rows[0].1.as_str()), (DOCS, "\"old\""));
    let rows = read(&db, query(&new, "v")).await;
    assert_eq!((rows.len(), rows[0].1.as_str()), (DOCS, "\"new\""));
    put(&db, edit("late", r#"{"n":1,"k":1}"#, None)).await.unwrap();
    assert_eq!(read(&db, stale.clone()).await, rows, "nothing is built for who does not wait");
    let lazy = ViewQuery { update: Update::Lazy, ..stale.clone() };
    read(&db, lazy).await;
    for _ in 0..1000 {
        if read(&db, stale.clone()).await.len() == DOCS + 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was not built afterwards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexes_that_nobody_names_are_dropped_and_others_stay() {
    let node = Node::new().await;
    let db = filled(&node, 2).await;
    let (old, new) = (ddoc(&json!({"v": {"map": OLD}})), ddoc(&json!({"v": {"map": NEW}})));
    for ddoc in [&old, &new] {
        read(&db, query(ddoc, "v")).await;
    }
    put(&db, edit("_design/d", std::str::from_utf8(&new.body).unwrap(), None)).await.unwrap();
    let pending = async |ddoc| db.view_info(ddoc).await.unwrap().pending_total;
    assert_eq!(pending(&old).await, 1, "only the design document is new");
    db.clean_up_views().await.unwrap();
    assert_eq!(pending(&old).await, DOCS as u64 + 1);
    assert!(pending(&new).await <= 1);
    let info = db.view_info(&new).await.unwrap();
    assert!(info.update_seq >= DOCS as u64);
    assert!(info.sizes.external > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_wait_for_one_build() {
    let node = Node::new().await;
    let db = filled(&node, 1).await;
    let map = "function(doc) { log('mapped'); emit(doc.k, 1); }";
    let ddoc = ddoc(&json!({"v": {"map": map, "reduce": "_count"}}));
    let ask = |_| {
        let (db, query) = (db.clone(), query(&ddoc, "v"));
        let query = ViewQuery { reduce: Some(Grouping::Exact), ..query };
        tokio::spawn(async move { read(&db, query).await })
    };
    let asked: Vec<_> = (0..40).map(ask).collect();
    let expected: Vec<_> = (0..5).map(|key| (key.to_string(), (DOCS / 5).to_string())).collect();
    for asked in asked {
        assert_eq!(asked.await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_built_ahead() {
    let node = Node::new().await;
    let db = filled(&node, 2).await;
    let ddoc = ddoc(&json!({"v": {"map": OLD}}));
    put(&db, edit("_design/d", std::str::from_utf8(&ddoc.body).unwrap(), None)).await.unwrap();
    for _ in 0..1000 {
        if db.view_info(&ddoc).await.unwrap().pending_total == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody built it");
}
