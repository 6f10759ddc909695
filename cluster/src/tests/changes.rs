//! Feeds: nothing is missed, whatever happens while they are followed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Node, edit, id, put, put_all, removal};
use crate::changes::{
    Candidate, Change, Changes, ChangesQuery, DocFilter, Filter, Judge, Judging, Since, Style,
    Verdicts,
};
use crate::{Db, Error};

async fn drain(feed: &mut Changes) -> Vec<Change> {
    let mut all = Vec::new();
    loop {
        let batch = feed.next_batch().await.unwrap();
        all.extend(batch.changes);
        if batch.done {
            return all;
        }
    }
}

async fn ask(db: &Db, query: ChangesQuery) -> (Vec<Change>, Changes) {
    let mut feed = db.changes(query).await.unwrap();
    (drain(&mut feed).await, feed)
}

fn ids(changes: &[Change]) -> HashSet<String> {
    changes.iter().map(|change| change.id.to_string()).collect()
}

fn names(range: std::ops::Range<u32>) -> HashSet<String> {
    range.map(|n| format!("doc{n}")).collect()
}

async fn fill(db: &Db, range: std::ops::Range<u32>) {
    put_all(db, range.map(|n| edit(&format!("doc{n}"), "{}", None)).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sequence_is_a_place_to_go_on_from() {
    let node = Node::new().await;
    for q in [1, 2, 8] {
        let db = node.db(&format!("db{q}"), q).await;
        fill(&db, 0..50).await;
        let (all, feed) = ask(&db, ChangesQuery::default()).await;
        assert_eq!((ids(&all), feed.pending()), (names(0..50), 0));
        assert_eq!(feed.last_seq(), all.last().unwrap().seq.clone().unwrap());
        assert_eq!(feed.last_seq(), db.info().await.unwrap().update_seq);
        for place in [0, 1, 13, 48, 49] {
            let since = Since::Seq(all[place].seq.clone().unwrap());
            let (rest, feed) = ask(&db, ChangesQuery { since, ..Default::default() }).await;
            let expected: HashSet<String> = ids(&all[place + 1..]);
            assert_eq!((ids(&rest), feed.pending()), (expected, 0));
        }
        let query = ChangesQuery { limit: Some(7), ..ChangesQuery::default() };
        let mut since = Since::Start;
        let mut seen = HashSet::new();
        for _ in 0..8 {
            let (some, feed) = ask(&db, ChangesQuery { since, ..query.clone() }).await;
            seen.extend(ids(&some));
            assert_eq!(feed.pending() as usize, 50 - seen.len());
            since = Since::Seq(feed.last_seq());
        }
        assert_eq!(seen, names(0..50));
        let (none, feed) = ask(&db, ChangesQuery { limit: Some(0), ..Default::default() }).await;
        assert_eq!((none.len(), feed.pending()), (0, 50));
        let (none, _) = ask(&db, ChangesQuery { since: Since::Now, ..Default::default() }).await;
        assert!(none.is_empty());
    }
    let db = node.db("other", 2).await;
    let bad = ChangesQuery { since: Since::Seq("5-xyz".into()), ..ChangesQuery::default() };
    assert!(matches!(db.changes(bad).await, Err(Error::BadSequence)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descending_feeds_go_back_from_the_end() {
    let node = Node::new().await;
    let db = node.db("db", 1).await;
    fill(&db, 0..5).await;
    let query = ChangesQuery { descending: true, ..ChangesQuery::default() };
    let (all, feed) = ask(&db, query.clone()).await;
    let order: Vec<String> = all.iter().map(|change| change.id.to_string()).collect();
    assert_eq!(order, ["doc4", "doc3", "doc2", "doc1", "doc0"]);
    assert_eq!(feed.pending(), 0);
    let (two, feed) = ask(&db, ChangesQuery { limit: Some(2), ..query }).await;
    assert_eq!((two.len(), feed.pending()), (2, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_of_an_earlier_database_begin_anew() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    fill(&db, 0..20).await;
    let seq = db.info().await.unwrap().update_seq;
    let mut feed = db.changes(ChangesQuery::default()).await.unwrap();
    drain(&mut feed).await;
    node.cluster.delete_db(db.name()).await.unwrap();
    assert_eq!(feed.wait().await, Err(Error::DatabaseMissing));
    let db = node.db("db", 2).await;
    fill(&db, 0..3).await;
    let (all, _) = ask(&db, ChangesQuery { since: Since::Seq(seq), ..Default::default() }).await;
    assert_eq!(ids(&all), names(0..3));
}

struct HasX;

impl DocFilter for HasX {
    fn passes(&self, leaf: &Candidate) -> Result<bool, Error> {
        Ok(leaf.doc.record.body.windows(3).any(|three| three == b"\"x\""))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_choose_and_count_as_couchdb_does() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    fill(&db, 0..10).await;
    let x = put(&db, edit("x1", r#"{"x":1}"#, None)).await.unwrap();
    put(&db, edit("_design/d", r#"{"y":1}"#, None)).await.unwrap();
    let of = |filter| ChangesQuery { filter, ..ChangesQuery::default() };

    let wanted = ["doc3", "doc7", "none"].map(id);
    let by_ids = of(Filter::DocIds(Arc::new(wanted.into_iter().collect())));
    let (some, feed) = ask(&db, by_ids).await;
    assert_eq!(ids(&some), HashSet::from(["doc3".to_owned(), "doc7".to_owned()]));
    // What was never looked at counts as pending, as there.
    assert_eq!(feed.pending(), 10);
    assert_eq!(feed.last_seq(), db.info().await.unwrap().update_seq);

    let (design, feed) = ask(&db, of(Filter::Design)).await;
    assert_eq!((ids(&design), feed.pending()), (HashSet::from(["_design/d".to_owned()]), 11));

    let query = ChangesQuery { include_docs: true, ..of(Filter::Docs(Arc::new(HasX))) };
    let (some, feed) = ask(&db, query.clone()).await;
    assert_eq!((some.len(), feed.pending()), (1, 0));
    assert_eq!(some[0].revs, std::slice::from_ref(&x));
    assert_eq!(some[0].doc.as_ref().unwrap().record.body, r#"{"x":1}"#);
    put(&db, removal("x1", &x)).await.unwrap();
    assert!(ask(&db, query).await.0.is_empty());

    let many = (0..150).map(|n| id(&format!("doc{n}"))).collect();
    let (some, feed) = ask(&db, of(Filter::DocIds(Arc::new(many)))).await;
    assert_eq!((some.len(), feed.pending()), (10, 0));
}

/// Lets all pass, up to a document that it cannot judge.
struct FailsAt(&'static str);

impl Judge for FailsAt {
    fn judge(&self, leaves: Vec<Candidate>) -> Judging {
        let good = leaves.iter().take_while(|leaf| leaf.doc.id.as_str() != self.0).count();
        let fault = (good < leaves.len()).then(|| Error::BadRequest("no".to_owned()));
        Box::pin(async move { Verdicts { passes: vec![true; good], fault } })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_judged_concerns_who_comes_to_it() {
    let node = Node::new().await;
    let db = node.db("db", 1).await;
    for n in 0..6 {
        put(&db, edit(&format!("doc{n}"), "{}", None)).await.unwrap();
    }
    let filter = Filter::Judged(Arc::new(FailsAt("doc4")));
    let query = ChangesQuery { filter, ..ChangesQuery::default() };
    let limited = ChangesQuery { limit: Some(4), ..query.clone() };
    let (some, feed) = ask(&db, limited).await;
    assert_eq!((ids(&some), feed.pending()), (names(0..4), 2));

    let mut feed = db.changes(query).await.unwrap();
    let batch = feed.next_batch().await.unwrap();
    assert_eq!((ids(&batch.changes), batch.done), (names(0..4), false));
    assert_eq!(feed.next_batch().await.unwrap_err(), Error::BadRequest("no".to_owned()));
    // Who begins there is told at once.
    let since = Since::Seq(feed.last_seq());
    let filter = Filter::Judged(Arc::new(FailsAt("doc4")));
    let mut feed = db.changes(ChangesQuery { since, filter, ..Default::default() }).await.unwrap();
    assert_eq!(feed.next_batch().await.unwrap_err(), Error::BadRequest("no".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn styles_name_the_winner_or_all_leaves() {
    use crate::docs::{EditMode, UpdateOptions};
    use settee_model::rev::{RevId, RevPath};
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    for name in ["aa", "bb"] {
        let mut edit = edit("m", "{}", None);
        edit.revs = RevPath { start: 1, ids: vec![RevId::parse(name)] };
        db.update(vec![edit], EditMode::Replicated, UpdateOptions::default()).await.unwrap();
    }
    let query = ChangesQuery { include_docs: true, conflicts: true, ..ChangesQuery::default() };
    let (main, _) = ask(&db, query.clone()).await;
    assert_eq!((main.len(), main[0].revs.len()), (1, 1));
    assert_eq!(main[0].revs[0].to_string(), "1-bb");
    let (all, _) = ask(&db, ChangesQuery { style: Style::AllDocs, ..query }).await;
    let revs: Vec<String> = all[0].revs.iter().map(ToString::to_string).collect();
    assert_eq!(revs, ["1-bb", "1-aa"]);
    assert_eq!(all[0].conflicts.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intervals_leave_sequences_out() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    fill(&db, 0..9).await;
    let query = ChangesQuery { seq_interval: Some(3), limit: Some(9), ..Default::default() };
    let (all, _) = ask(&db, query).await;
    let given: Vec<bool> = all.iter().map(|change| change.seq.is_some()).collect();
    assert_eq!(given, [true, false, false].repeat(3));
}

/// Follows a database, with some patience, until it has seen what the writers wrote.
async fn follow(db: Db, since: Since, wanted: usize) -> BTreeMap<String, Vec<String>> {
    let mut feed = db.changes(ChangesQuery { since, ..ChangesQuery::default() }).await.unwrap();
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        for change in drain(&mut feed).await {
            let revs = change.revs.iter().map(ToString::to_string);
            seen.entry(change.id.to_string()).or_default().extend(revs);
        }
        if seen.len() >= wanted {
            return seen;
        }
        tokio::time::timeout(Duration::from_secs(20), feed.wait()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn followers_miss_nothing_while_others_write() {
    let node = Node::new().await;
    for q in [1, 2, 8] {
        let db = node.db(&format!("db{q}"), q).await;
        let followers: Vec<_> =
            (0..4).map(|_| tokio::spawn(follow(db.clone(), Since::Start, 400))).collect();
        let writer = |writer: u32| {
            let db = db.clone();
            async move {
                for n in 0..100 {
                    put(&db, edit(&format!("{writer}-{n}"), "{}", None)).await.unwrap();
                }
            }
        };
        let writers: Vec<_> = (0..4).map(|number| tokio::spawn(writer(number))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        for follower in followers {
            assert_eq!(follower.await.unwrap().len(), 400);
        }
    }
}
