//! Reads that several copies must agree on, and what happens when they do not.

use parking_lot::Mutex;
use settee_engine::shard::{Batch, Write};
use settee_model::rev::{RevId, RevPath};

use super::super::docs;
use super::*;
use crate::copy::Home;
use crate::docs::{BulkGet, Facts, IdRevs, OpenedDoc, RevResult, RevStatus};
use crate::tests::{edit, removal};

/// A revision that only some nodes have.
pub(super) async fn give(nodes: &Nodes, to: &[usize], edit: DocEdit) {
    for at in to {
        let batch = Batch::of(vec![Write::Replicated(edit.clone())]);
        nodes.copy(*at).write(batch).await.unwrap();
    }
}

pub(super) fn revision(doc: &str, ids: &[&str], deleted: bool) -> DocEdit {
    let ids: Vec<RevId> = ids.iter().map(|id| RevId::parse(id)).collect();
    let revs = RevPath { start: ids.len() as u64, ids };
    DocEdit { revs, deleted, ..edit(doc, "{}", None) }
}

async fn open(database: &Database, doc: &str, r: Option<u32>) -> Result<OpenedDoc, Error> {
    let options = OpenOptions { r, facts: true, ..OpenOptions::default() };
    docs::open(database, &id(doc), options).await
}

async fn opened(database: &Database, doc: &str, r: u32) -> String {
    open(database, doc, Some(r)).await.unwrap().doc.rev().unwrap().to_string()
}

#[tokio::test]
async fn a_majority_tells_the_newest_and_the_stale_copy_hears_of_it() {
    let nodes = Nodes::three().await;
    let told = Arc::<Mutex<Vec<Home>>>::default();
    let hear = told.clone();
    let database = nodes.database(0);
    let database = database.healed_by(Arc::new(move |copy| hear.lock().push(copy.home())));
    give(&nodes, &[0, 1, 2], revision("doc", &["aa"], false)).await;
    assert_eq!(opened(&database, "doc", 3).await, "1-aa");
    assert!(told.lock().is_empty(), "all agree");
    give(&nodes, &[1, 2], revision("doc", &["bb", "aa"], false)).await;
    assert_eq!(opened(&database, "doc", 1).await, "1-aa", "the nearest alone");
    assert_eq!(opened(&database, "doc", 2).await, "2-bb");
    assert_eq!(*told.lock(), [nodes.copy(0).home()]);
    let revs = docs::open_revs(&database, &id("doc"), Revs::All, false).await.unwrap();
    assert!(matches!(&revs[..], [RevResult::Found(doc)] if doc.revs.ids.len() == 2), "{revs:?}");
    // What is deleted elsewhere is not shown, though it has a live leaf here.
    give(&nodes, &[1, 2], revision("doc", &["cc", "bb", "aa"], true)).await;
    assert_eq!(open(&database, "doc", None).await.err(), Some(Error::NotFound { deleted: true }));
    // What is not here at all is elsewhere.
    give(&nodes, &[1, 2], revision("new", &["aa"], false)).await;
    assert_eq!(opened(&database, "new", 2).await, "1-aa");
    let asked = OpenOptions { rev: Some("1-aa".parse().unwrap()), ..OpenOptions::default() };
    assert!(docs::open(&database, &id("new"), asked).await.is_ok());
    let some = Revs::Some(vec!["1-aa".parse().unwrap(), "1-bb".parse().unwrap()]);
    let revs = docs::open_revs(&database, &id("new"), some, false).await.unwrap();
    assert!(matches!(&revs[..], [RevResult::Found(_), RevResult::Missing(_)]), "{revs:?}");
    assert_eq!(open(&database, "none", None).await.err(), Some(Error::NotFound { deleted: false }));
}

#[tokio::test]
async fn many_documents_are_told_as_a_majority_has_them() {
    let nodes = Nodes::three().await;
    let told = Arc::<Mutex<Vec<Home>>>::default();
    let hear = told.clone();
    let database = nodes.database(0);
    let database = database.healed_by(Arc::new(move |copy| hear.lock().push(copy.home())));
    give(&nodes, &[0, 1, 2], revision("same", &["aa"], false)).await;
    give(&nodes, &[0, 1, 2], revision("newer", &["aa"], false)).await;
    give(&nodes, &[1, 2], revision("newer", &["bb", "aa"], false)).await;
    give(&nodes, &[1, 2], revision("elsewhere", &["aa"], false)).await;
    let line = |doc: &str, rev: Option<&str>| BulkGet {
        id: id(doc),
        revs: rev.map_or(Revs::All, |rev| Revs::Some(vec![rev.parse().unwrap()])),
    };
    let asked = [
        ("same", None),
        ("elsewhere", Some("1-aa")),
        ("newer", None),
        ("elsewhere", None),
        ("none", Some("1-aa")),
        ("newer", Some("2-bb")),
        ("same", Some("1-aa")),
    ];
    let lines = asked.iter().map(|(doc, rev)| line(doc, *rev)).collect();
    let found = docs::open_many(&database, lines, false).await.unwrap();
    let shown = |results: &Result<Vec<RevResult>, Error>| match &results.as_ref().unwrap()[..] {
        [RevResult::Found(doc)] => format!("{} {}", doc.id, doc.rev().unwrap()),
        [RevResult::Missing(rev)] => format!("no {rev}"),
        other => panic!("{other:?}"),
    };
    let wanted = [
        "same 1-aa",
        "elsewhere 1-aa",
        "newer 2-bb",
        "elsewhere 1-aa",
        "no 1-aa",
        "newer 2-bb",
        "same 1-aa",
    ];
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), wanted);
    assert!(told.lock().iter().all(|home| *home == nodes.copy(0).home()), "{:?}", told.lock());
    assert!(!told.lock().is_empty());
}

#[tokio::test]
async fn branches_of_different_copies_are_conflicts() {
    let nodes = Nodes::three().await;
    give(&nodes, &[0, 1, 2], revision("doc", &["aa"], false)).await;
    give(&nodes, &[0], revision("doc", &["bb", "aa"], false)).await;
    give(&nodes, &[1], revision("doc", &["cc", "aa"], false)).await;
    give(&nodes, &[2], revision("doc", &["dd", "aa"], true)).await;
    let database = nodes.database(0);
    let found = open(&database, "doc", Some(3)).await.unwrap();
    assert_eq!(found.doc.rev().unwrap().to_string(), "2-cc");
    let Facts { conflicts, deleted_conflicts, revs_info, .. } = found.facts.unwrap();
    let shown = |revs: &[Rev]| revs.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&conflicts), ["2-bb"]);
    assert_eq!(shown(&deleted_conflicts), ["2-dd"]);
    assert_eq!(revs_info.len(), 2);
    let revs = docs::open_revs(&database, &id("doc"), Revs::All, false).await.unwrap();
    assert_eq!(revs.len(), 2, "of a majority");
}

#[tokio::test]
async fn what_stands_beside_a_document_is_told_by_a_copy_that_has_it() {
    let nodes = Nodes::three().await;
    let database = nodes.database(0);
    give(&nodes, &[1], revision("other", &["aa"], false)).await;
    give(&nodes, &[1, 2], revision("doc", &["aa"], false)).await;
    give(&nodes, &[1, 2], revision("doc", &["bb", "aa"], false)).await;
    let facts = open(&database, "doc", Some(2)).await.unwrap().facts.unwrap();
    assert_eq!(facts.local_seq, 3);
    let is_there = |(_, status): &(Rev, RevStatus)| *status == RevStatus::Available;
    assert!(facts.revs_info.len() == 2 && facts.revs_info.iter().all(is_there));
}

#[tokio::test]
async fn the_newest_local_document_of_a_majority_is_told() {
    let nodes = Nodes::three().await;
    let database = nodes.database(0);
    let local = |n: u32| edit("_local/l", &format!("{{\"n\":{n}}}"), None);
    for at in [1, 2] {
        put(&nodes.database(at), local(1), 3).await.unwrap();
    }
    let newer = settee_engine::shard::LocalEdit {
        id: id("_local/l"),
        rev: Some(5),
        body: Some(bytes::Bytes::from_static(b"{\"n\":9}")),
    };
    nodes.copy(1).write(Batch::of(vec![Write::Local(newer)])).await.unwrap();
    let found = open(&database, "_local/l", Some(3)).await.unwrap();
    assert_eq!(found.doc.rev().unwrap().to_string(), "0-6");
    assert_eq!(found.doc.record.body, "{\"n\":9}");
}

#[tokio::test]
async fn those_that_are_there_answer() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(0);
    let (rev, _) = put(&database, edit("doc", "{}", None), 3).await.unwrap();
    // Without a copy of one's own the others answer.
    nodes.copy(0).remove().await.unwrap();
    assert_eq!(opened(&database, "doc", 3).await, rev.to_string());
    let info = super::super::info::info(&database).await.unwrap();
    assert_eq!(info.doc_count, 1);
    nodes.all[1].kill();
    assert_eq!(opened(&database, "doc", 3).await, rev.to_string());
    nodes.all[2].kill();
    let lost = open(&database, "doc", None).await.err();
    assert!(matches!(lost, Some(Error::DatabaseMissing | Error::Unreachable(_))), "{lost:?}");
    // One that is there says what it has.
    let alone = nodes.database(1);
    assert_eq!(opened(&alone, "doc", 3).await, rev.to_string());
    let (gone, _) = put(&alone, removal("doc", &rev), 1).await.unwrap();
    assert_eq!(gone.pos, 2);
}

#[tokio::test]
async fn how_widely_revisions_are_known_is_told_by_a_majority() {
    let nodes = Nodes::three().await;
    give(&nodes, &[0], revision("near", &["bb", "aa"], false)).await;
    give(&nodes, &[1, 2], revision("far", &["aa"], false)).await;
    give(&nodes, &[0, 1], revision("most", &["bb", "aa"], false)).await;
    let revs: Vec<Rev> = ["2-bb", "1-aa"].iter().map(|rev| rev.parse().unwrap()).collect();
    let asked =
        ["near", "none", "far", "most"].map(|doc| IdRevs { id: id(doc), revs: revs.clone() });
    let known = docs::revs_known(&nodes.database(0), asked.to_vec()).await.unwrap();
    let shown = |revs: &[Rev]| revs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let shown: Vec<_> =
        known.iter().map(|known| (shown(&known.to_most), shown(&known.to_some))).collect();
    let wanted = [("", "2-bb 1-aa"), ("", ""), ("", "1-aa"), ("2-bb 1-aa", "2-bb 1-aa")];
    assert_eq!(shown, wanted.map(|(most, some)| (most.to_owned(), some.to_owned())));
}
