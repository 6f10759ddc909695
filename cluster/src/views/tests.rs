//! Indexes of one copy through their lives: what is built when, and what answers meanwhile.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use settee_engine::index::Position;
use settee_engine::io::SimStorage;
use settee_engine::shard::{Batch, Outcome, Write};
use settee_engine::{Engine, Options, Shard, ShardId};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevPath};
use settee_query::view::{Grouping, RowRange};

use super::{DesignDoc, IndexAsk, Known, Update, Views};
use crate::functions::FunctionSettings;
use crate::local::LocalCopy;
use crate::shard::view::ViewScan;
use crate::{Error, Host};

/// A copy of a shard with some documents.
struct Kit {
    copy: LocalCopy,
    shard: Arc<Shard>,
}

fn kit(documents: usize) -> Kit {
    let options = Options { writers: 1, workers: 0, reserve_bytes: 0, ..Options::default() };
    let engine = Engine::open(Arc::new(SimStorage::new()), options).unwrap();
    let id = ShardId::parse("00000000-ffffffff/db.1").unwrap();
    let shard = engine.create_shard(&id).unwrap();
    let copy = LocalCopy::new(Host::new(engine), id, Duration::from_secs(20));
    let kit = Kit { copy, shard };
    kit.write(0..documents);
    kit
}

impl Kit {
    fn write(&self, numbers: std::ops::Range<usize>) {
        let write = |number| {
            let (id, revs) = (DocId::trusted(&format!("d{number:05}")), RevPath::default());
            let body = Bytes::from(json!({ "n": number }).to_string());
            Write::Interactive(DocEdit { id, revs, deleted: false, body, atts: Vec::new() })
        };
        self.shard.write(Batch::of(numbers.map(write).collect())).unwrap();
    }

    /// Writes one document, or deletes it.
    fn write_one(&self, id: &str, rev: Option<&Rev>, body: &Value) -> Rev {
        let revs = rev.map_or_else(RevPath::default, |rev| RevPath::single(rev.clone()));
        let (body, deleted) = (Bytes::from(body.to_string()), rev.is_some());
        let edit = DocEdit { id: DocId::trusted(id), revs, deleted, body, atts: Vec::new() };
        match self.shard.write(Batch::of(vec![Write::Interactive(edit)])).unwrap().pop() {
            Some(Outcome::Written(rev)) => rev,
            other => panic!("{other:?}"),
        }
    }

    fn views(&self) -> &Arc<Views> {
        self.copy.views()
    }

    fn known(&self, views: &Value) -> Arc<Known> {
        self.views().known("db.1", &ddoc(views)).unwrap()
    }

    async fn count(&self, scan: ViewScan) -> Result<usize, Error> {
        Ok(self.copy.view(scan, 1000).await?.next().await?.rows.len())
    }
}

fn ddoc(views: &Value) -> Arc<DesignDoc> {
    named("_design/d", views)
}

fn named(id: &str, views: &Value) -> Arc<DesignDoc> {
    let body = json!({ "views": views }).to_string();
    Arc::new(DesignDoc::new(id, body.into(), false))
}

fn scan(views: &Value, reduce: Option<Grouping>, update: Update) -> ViewScan {
    ViewScan {
        ddoc: ddoc(views),
        view: "v".into(),
        reduce,
        range: RowRange::default(),
        keys: None,
        keys_done: 0,
        include_docs: false,
        conflicts: false,
        update,
        at_least: None,
        index: None,
    }
}

const MAP: &str = "function(doc) { emit(doc.n, 1) }";

#[tokio::test(flavor = "multi_thread")]
async fn an_index_carries_other_reduces_only_for_who_wants_them() {
    let kit = kit(400);
    let plain = json!({"v": {"map": MAP}});
    assert_eq!(kit.count(scan(&plain, None, Update::True)).await, Ok(400));
    let summed = json!({"v": {"map": MAP, "reduce": "_sum"}});
    assert_eq!(kit.count(scan(&summed, None, Update::False)).await, Ok(400));
    kit.copy.indexes(IndexAsk::State(ddoc(&summed))).await.unwrap();
    let known = kit.known(&summed);
    let as_they_are = kit.views().as_they_are(&kit.shard, &known).await.unwrap();
    assert!(as_they_are[0].snapshot().plan().is_empty(), "nobody asked for the sum");
    let whole = scan(&summed, Some(Grouping::Whole), Update::False);
    assert_eq!(kit.count(whole).await, Ok(1));
    assert!(!as_they_are[0].snapshot().plan().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_being_built_is_not_cleaned_up() {
    let kit = kit(10);
    let views = json!({"v": {"map": MAP}});
    let known = kit.known(&views);
    let index = kit.views().as_they_are(&kit.shard, &known).await.unwrap().remove(0);
    let flight = kit.views().join(&kit.shard, &known, super::Goal::Rows);
    kit.copy.indexes(IndexAsk::Keep(Vec::new())).await.unwrap();
    assert!(index.checkpoint().is_ok());
    drop(flight);
    kit.copy.indexes(IndexAsk::Keep(Vec::new())).await.unwrap();
    let dropped = index.apply(&[], Position::default(), Position::default());
    assert!(matches!(dropped, Err(settee_engine::Error::IndexDropped { .. })));
    // A query does not take that for the end of the database.
    assert_eq!(kit.count(scan(&views, None, Update::True)).await, Ok(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_before_serves_only_if_its_rows_are_in_the_same_order() {
    let kit = kit(3);
    let old = json!({"v": {"map": "function(doc) { emit(doc.n, 1); emit(doc.n, 2) }"}});
    assert_eq!(kit.count(scan(&old, None, Update::True)).await, Ok(6));
    let raw = json!({"v": {"map": MAP, "options": {"collation": "raw"}}});
    assert_eq!(kit.count(scan(&raw, None, Update::False)).await, Ok(0), "of its own index");
    let new = json!({"v": {"map": MAP}});
    assert_eq!(kit.count(scan(&new, None, Update::False)).await, Ok(6), "of the old one");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_is_given_more_of_the_same_index() {
    let kit = kit(3);
    let old = json!({"v": {"map": "function(doc) { emit(doc.n, 1); emit(doc.n, 2) }"}});
    let new = json!({"v": {"map": MAP}});
    let of = |views| Some(kit.known(views).definition().maps[0].signature);
    assert_eq!(kit.count(scan(&old, None, Update::True)).await, Ok(6));
    let (before, now) = (of(&old), of(&new));
    let asked = |index| ViewScan { index, ..scan(&new, None, Update::False) };
    let head = kit.copy.view(asked(None), 1).await.unwrap().head;
    assert_eq!(head.index, before);
    assert_eq!(kit.count(asked(before)).await, Ok(6));
    assert_eq!(kit.count(asked(now)).await, Ok(0));
    assert_eq!(kit.count(scan(&new, None, Update::True)).await, Ok(3));
    assert_eq!(kit.count(asked(before)).await, Err(Error::Overloaded));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_an_update_later_one_waits_for_it() {
    let kit = kit(3);
    let views = json!({"v": {"map": "function(doc) { var t = Date.now(); while (Date.now() < t + 100); emit(1) }"}});
    for _ in 0..20 {
        kit.count(scan(&views, None, Update::Lazy)).await.unwrap();
    }
    let known = kit.known(&views);
    assert!(kit.views().waiting(&kit.shard, &known) <= 1);
    let built = async {
        while kit.views().current(&kit.shard, &known).is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), built).await.unwrap();
}

/// Whether the index of a view's map carries a reduce whose source has this in it.
async fn carries(kit: &Kit, views: &Value, part: &str) -> bool {
    let indexes = kit.views().as_they_are(&kit.shard, &kit.known(views)).await.unwrap();
    String::from_utf8_lossy(indexes[0].snapshot().plan()).contains(part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reduce_that_never_ends_spoils_nothing_of_others() {
    let kit = kit(400);
    let mut settings = FunctionSettings::default();
    settings.limits.time = Duration::from_millis(200);
    kit.views().set(settings);
    let endless = "function(k, v) { if (v.indexOf(-1) >= 0) for (;;); return v.length }";
    let map = "function(doc) { emit(doc.n, doc.n) }";
    let endless = json!({"v": {"map": map, "reduce": endless}});
    let summed = json!({"v": {"map": map, "reduce": "_sum"}});
    let whole = |views: &Value| scan(views, Some(Grouping::Whole), Update::True);
    let other = ViewScan { ddoc: named("_design/e", &summed), ..whole(&summed) };
    assert_eq!(kit.count(whole(&endless)).await, Ok(1));
    let rev = kit.write_one("bad", None, &json!({"n": -1}));
    for _ in 0..3 {
        assert!(kit.count(whole(&endless)).await.is_err());
        assert_eq!(kit.count(other.clone()).await, Ok(1), "the sum of the same rows");
        let index = kit.views().as_they_are(&kit.shard, &kit.known(&endless)).await.unwrap();
        index[0].checkpoint().unwrap();
    }
    assert!(!carries(&kit, &endless, "for (;;)").await, "it is tried anew by who wants it");
    kit.write_one("bad", Some(&rev), &json!({}));
    assert_eq!(kit.count(whole(&endless)).await, Ok(1));
    assert_eq!(kit.count(other).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_forgets_reduces_that_nobody_names_any_more() {
    let kit = kit(400);
    let edited = |edit: usize| {
        let reduce = format!("function(k, v) {{ return 'edit {edit}' }}");
        json!({"v": {"map": MAP, "reduce": reduce}})
    };
    let other = json!({"v": {"map": MAP, "reduce": "_count"}});
    let whole = |views: &Value| scan(views, Some(Grouping::Whole), Update::True);
    assert_eq!(
        kit.count(ViewScan { ddoc: named("_design/e", &other), ..whole(&other) }).await,
        Ok(1)
    );
    for edit in 0..5 {
        assert_eq!(kit.count(whole(&edited(edit))).await, Ok(1));
    }
    assert!(carries(&kit, &edited(4), "edit 4").await);
    assert!(carries(&kit, &edited(4), "_count").await, "somebody else names it");
    for edit in 0..3 {
        let old = format!("edit {edit}");
        assert!(!carries(&kit, &edited(4), &old).await, "{old}");
    }
}
