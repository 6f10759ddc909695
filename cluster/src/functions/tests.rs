//! The pool: engines are kept for their own design document only, and nobody waits for others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use settee_model::docid::{DbName, DocId};
use settee_query::js::{self, Limits};

use super::{FunctionSettings, Key, Kind, Pool};
use crate::Error;

fn key(database: &str, ddoc: &str) -> Key {
    Key {
        database: DbName::trusted(database),
        created: 1,
        ddoc: DocId::trusted(ddoc),
        rev: "1-x".parse().unwrap(),
    }
}

fn pool(engines: usize) -> Arc<Pool> {
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    Arc::new(Pool::new(FunctionSettings { limits, engines, ..FunctionSettings::default() }))
}

const SOURCE: &str = r#"{"_id":"_design/d","shows":{
    "count":"function(){ this.n = (this.n || 0) + 1; return '' + this.n }",
    "loop":"function(){ while (true); }"}}"#;

async fn show(pool: &Arc<Pool>, key: Key, name: &'static str) -> Result<String, Error> {
    let work = move |design: &mut js::Design| design.show(name, None, br#"{"path":[]}"#);
    pool.call(key, Kind::Call, || SOURCE.as_bytes().to_vec(), work).await
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_are_kept_and_never_shared() {
    let pool = pool(8);
    for expected in [r#"{"body":"1"}"#, r#"{"body":"2"}"#] {
        assert_eq!(show(&pool, key("a", "_design/d"), "count").await.unwrap(), expected);
    }
    for other in
        [key("b", "_design/d"), key("a", "_design/e"), Key { created: 2, ..key("a", "_design/d") }]
    {
        assert_eq!(show(&pool, other, "count").await.unwrap(), r#"{"body":"1"}"#);
    }
    assert_eq!(pool.counts(), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_than_are_allowed() {
    let pool = pool(3);
    for ddoc in ["_design/a", "_design/b", "_design/c", "_design/d", "_design/b"] {
        show(&pool, key("a", ddoc), "count").await.unwrap();
    }
    assert_eq!(pool.counts(), (3, 0));
    // The one that was used last is still there, the one that was used first is not.
    assert_eq!(show(&pool, key("a", "_design/b"), "count").await.unwrap(), r#"{"body":"3"}"#);
    assert_eq!(show(&pool, key("a", "_design/a"), "count").await.unwrap(), r#"{"body":"1"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_that_loops_stops_no_other() {
    let pool = pool(16);
    let loops: Vec<_> = (0..40)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let began = Instant::now();
                let end = show(&pool, key("bad", "_design/d"), "loop").await;
                (began.elapsed(), end)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(show(&pool, key("good", "_design/d"), "count").await.unwrap(), r#"{"body":"1"}"#);
    for ended in loops {
        let (took, end) = ended.await.unwrap();
        assert_eq!(end, Err(Error::Script(js::Error::Timeout)));
        assert!(took < Duration::from_millis(3000), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_make_other_engines() {
    let pool = pool(8);
    show(&pool, key("a", "_design/d"), "count").await.unwrap();
    pool.set(FunctionSettings::default());
    assert_eq!(pool.counts(), (0, 0));
    assert_eq!(show(&pool, key("a", "_design/d"), "count").await.unwrap(), r#"{"body":"1"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_panics_takes_no_place_for_ever() {
    // Writing down where it panicked may take a while.
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let settings = FunctionSettings { limits, ..FunctionSettings::default() };
    let pool = Arc::new(Pool::new(settings));
    let panics = |_: &mut js::Design| -> Result<(), js::Error> { panic!("by a test") };
    let lost =
        pool.call(key("a", "_design/d"), Kind::Call, || SOURCE.as_bytes().to_vec(), panics).await;
    assert_eq!(lost, Err(Error::Closing));
    assert_eq!(pool.counts(), (0, 0));
}
