//! Documents: edits of every kind, revisions, purges, attachments.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::{AttEdit, AttSource, DocEdit, Encoding};
use settee_model::rev::{RevId, RevPath};

use super::{Node, edit, id, put, put_all, removal, rev};
use crate::attachment::UploadOptions;
use crate::docs::{
    BulkGet, EditMode, IdRevs, OpenOptions, RevResult, RevStatus, Revs, UpdateOptions,
};
use crate::{Db, Error};

async fn replicate(db: &Db, doc: &str, path: &[&str], start: u64, deleted: bool) {
    let ids = path.iter().map(|id| RevId::parse(id)).collect();
    let revs = RevPath { start, ids };
    let edit = DocEdit { revs, deleted, ..edit(doc, "{}", None) };
    let options = UpdateOptions::default();
    let results = db.update(vec![edit], EditMode::Replicated, options).await.unwrap();
    results.into_iter().for_each(|result| drop(result.result.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_follow_each_other_or_conflict() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    let first = put(&db, edit("a", r#"{"n":1}"#, None)).await.unwrap();
    assert_eq!(put(&db, edit("a", "{}", None)).await, Err(Error::Conflict));
    let second = put(&db, edit("a", r#"{"n":2}"#, Some(&first))).await.unwrap();
    assert_eq!(second.pos, 2);
    assert_eq!(put(&db, edit("a", "{}", Some(&first))).await, Err(Error::Conflict));
    let options = OpenOptions { rev: Some(first.clone()), ..OpenOptions::default() };
    let old = db.open_doc(&id("a"), options.clone()).await.unwrap();
    assert_eq!(old.doc.record.body, r#"{"n":1}"#);
    let latest = OpenOptions { latest: true, ..options };
    assert_eq!(db.open_doc(&id("a"), latest).await.unwrap().doc.rev(), Some(second.clone()));
    let third = put(&db, removal("a", &second)).await.unwrap();
    let gone = db.open_doc(&id("a"), OpenOptions::default()).await;
    assert_eq!(gone.map(drop), Err(Error::NotFound { deleted: true }));
    let deleted = OpenOptions { deleted: true, history: true, ..OpenOptions::default() };
    let tombstone = db.open_doc(&id("a"), deleted).await.unwrap().doc;
    assert!(tombstone.deleted);
    assert_eq!(tombstone.revs.ids, [third.id, second.id, first.id]);
    let never = db.open_doc(&id("never"), OpenOptions::default()).await;
    assert_eq!(never.map(drop), Err(Error::NotFound { deleted: false }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_ends_at_the_limit_from_the_moment_it_is_set() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    replicate(&db, "a", &["e", "d", "c", "b", "a"], 5, false).await;
    db.set_revs_limit(2).await.unwrap();
    let ids = ["e", "d"].map(RevId::parse);
    let whole = OpenOptions { history: true, facts: true, ..OpenOptions::default() };
    let opened = db.open_doc(&id("a"), whole).await.unwrap();
    assert_eq!(opened.doc.revs.ids, ids);
    // What is known of it is forgotten with the next edit or compaction only.
    assert_eq!(opened.facts.unwrap().revs_info.len(), 5);
    let line = BulkGet { id: id("a"), revs: Revs::All };
    let mut results = db.open_revs(&id("a"), Revs::All, false).await.unwrap();
    results.extend(db.open_many(vec![line], false).await.unwrap().remove(0).unwrap());
    assert_eq!(results.len(), 2);
    for result in results {
        let RevResult::Found(doc) = result else { panic!("{result:?}") };
        assert_eq!(doc.revs.ids, ids);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_come_in_the_order_of_the_edits() {
    let node = Node::new().await;
    for q in [1, 2, 8] {
        let db = node.db(&format!("db{q}"), q).await;
        let mut edits: Vec<DocEdit> =
            (0..200).map(|n| edit(&format!("doc{n}"), &format!("{{\"n\":{n}}}"), None)).collect();
        edits.insert(100, edit("doc7", "{}", None));
        edits.insert(50, edit("_local/x", "{}", None));
        edits.insert(51, edit("_local/y", "{}", Some(&rev("0-zz"))));
        let ids: Vec<_> = edits.iter().map(|edit| edit.id.clone()).collect();
        let results = put_all(&db, edits).await;
        for (doc, result) in ids.iter().zip(&results) {
            match doc.as_str() {
                "_local/x" => assert_eq!(result.as_ref().unwrap().to_string(), "0-1"),
                "_local/y" => assert_eq!(*result, Err(Error::BadLocalRev)),
                "doc7" => {}
                _ => {
                    let opened = db.open_doc(doc, OpenOptions::default()).await.unwrap();
                    assert_eq!(opened.doc.rev().as_ref(), result.as_ref().ok());
                }
            }
        }
        let of_doc7 = ids.iter().zip(results).filter(|(doc, _)| doc.as_str() == "doc7");
        let of_doc7: Vec<_> = of_doc7.map(|(_, result)| result.map(drop)).collect();
        assert_eq!(of_doc7, [Ok(()), Err(Error::Conflict)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_are_told_as_couchdb_tells_them() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    replicate(&db, "m", &["bb", "a0"], 2, false).await;
    replicate(&db, "m", &["zz"], 1, false).await;
    replicate(&db, "m", &["aa", "a1", "a0"], 3, true).await;
    replicate(&db, "m", &["cc", "a0"], 2, false).await;
    replicate(&db, "m", &["ab", "a1", "a0"], 3, false).await;
    let options = OpenOptions { facts: true, ..OpenOptions::default() };
    let opened = db.open_doc(&id("m"), options).await.unwrap();
    let facts = opened.facts.unwrap();
    assert_eq!(opened.doc.rev(), Some(rev("3-ab")));
    assert_eq!(facts.conflicts, [rev("2-cc"), rev("2-bb"), rev("1-zz")]);
    assert_eq!(facts.deleted_conflicts, [rev("3-aa")]);
    let statuses = [
        (rev("3-ab"), RevStatus::Available),
        (rev("2-a1"), RevStatus::Missing),
        (rev("1-a0"), RevStatus::Missing),
    ];
    assert_eq!(facts.revs_info, statuses);

    let all = db.open_revs(&id("m"), Revs::All, false).await.unwrap();
    assert_eq!(names(&all), ["1-zz", "2-bb", "2-cc", "3-aa", "3-ab"]);
    let asked = ["3-ab", "1-zz", "2-xx", "2-a1", "1-a0", "2-cc", "1-xx", "1-zz"];
    let asked = Revs::Some(asked.map(rev).to_vec());
    let some = db.open_revs(&id("m"), asked, false).await.unwrap();
    assert_eq!(names(&some), ["1-zz", "2-cc", "3-ab", "!1-a0", "!1-xx", "!2-a1", "!2-xx"]);
    let asked = Revs::Some(["1-a0", "1-zz", "2-xx"].map(rev).to_vec());
    let latest = db.open_revs(&id("m"), asked, true).await.unwrap();
    assert_eq!(names(&latest), ["1-zz", "2-bb", "2-cc", "3-aa", "3-ab", "!2-xx"]);

    let line = |revs| BulkGet { id: id("m"), revs };
    let lines = vec![
        line(Revs::All),
        BulkGet { id: id("none"), revs: Revs::All },
        line(Revs::Some(vec![rev("1-a0")])),
    ];
    let many = db.open_many(lines.clone(), false).await.unwrap();
    let many: Vec<_> = many.into_iter().map(|line| names(&line.unwrap())).collect();
    assert_eq!(many, [vec!["1-zz", "3-aa", "3-ab", "2-bb", "2-cc"], vec![], vec!["!1-a0"]]);
    let many = db.open_many(lines, true).await.unwrap();
    assert_eq!(names(many[2].as_ref().unwrap()), ["3-aa", "3-ab", "2-bb", "2-cc"]);
}

fn names(results: &[RevResult]) -> Vec<String> {
    let name = |result: &RevResult| match result {
        RevResult::Found(doc) => doc.rev().unwrap().to_string(),
        RevResult::Missing(rev) => format!("!{rev}"),
    };
    results.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicators_learn_what_is_missing_and_purges_remove() {
    let node = Node::new().await;
    let db = node.db("db", 8).await;
    let a = put(&db, edit("a", "{}", None)).await.unwrap();
    let b = put(&db, edit("b", "{}", None)).await.unwrap();
    let asked = |id_: &str, revs: &[&str]| IdRevs {
        id: id(id_),
        revs: revs.iter().map(|text| rev(text)).collect(),
    };
    let diff = db.revs_diff(vec![
        asked("n", &["1-a"]),
        IdRevs { id: id("a"), revs: vec![a.clone(), rev("4-x"), rev("1-y")] },
        IdRevs { id: id("b"), revs: vec![b.clone()] },
    ]);
    let diff = diff.await.unwrap();
    assert_eq!(diff[0].missing, [rev("1-a")]);
    assert_eq!(diff[1].missing, [rev("1-y"), rev("4-x")]);
    assert_eq!(diff[1].possible_ancestors, std::slice::from_ref(&a));
    assert!(diff[2].missing.is_empty() && diff[2].possible_ancestors.is_empty());

    let requests = vec![IdRevs { id: id("a"), revs: vec![a.clone()] }, asked("nope", &["1-abc"])];
    let purged = db.purge(requests, UpdateOptions::default()).await.unwrap();
    assert_eq!(purged[0].result, Ok(vec![a]));
    assert_eq!(purged[1].result, Ok(Vec::new()));
    let gone = db.open_doc(&id("a"), OpenOptions::default()).await;
    assert_eq!(gone.map(drop), Err(Error::NotFound { deleted: false }));
    let mut infos = db.purged_infos().await.unwrap();
    infos.sort_by_key(|info| info.id.clone());
    assert_eq!(infos.iter().map(|info| info.id.as_str()).collect::<Vec<_>>(), ["a", "nope"]);
    assert_eq!(db.info().await.unwrap().doc_count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_copies_than_wanted_make_an_accepted_write() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    let options = UpdateOptions { w: Some(3), ..UpdateOptions::default() };
    let edits = vec![edit("a", "{}", None)];
    let results = db.update(edits, EditMode::Interactive, options).await.unwrap();
    assert!(results[0].accepted && results[0].result.is_ok());
    let later = vec![edit("later", "{}", None)];
    db.update_later(later, EditMode::Interactive, UpdateOptions::default()).unwrap();
    drop(db);
    let node = node.restart().await;
    let db = node.cluster.db(&settee_model::docid::DbName::trusted("db")).unwrap();
    db.open_doc(&id("later"), OpenOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_edits_one_wins() {
    let node = Node::new().await;
    let db = Arc::new(node.db("db", 2).await);
    let first = put(&db, edit("race", "{}", None)).await.unwrap();
    let racer = |n: usize| {
        let (db, first) = (db.clone(), first.clone());
        tokio::spawn(async move {
            put(&db, edit("race", &format!("{{\"n\":{n}}}"), Some(&first))).await
        })
    };
    let racers: Vec<_> = (0..16).map(racer).collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error, Error::Conflict),
        }
    }
    assert_eq!(won, 1);
}

async fn upload(db: &Db, doc: &str, bytes: &[u8], options: UploadOptions) -> AttSource {
    let mut upload = db.uploads().of(&id(doc)).unwrap().begin(options);
    for piece in bytes.chunks(70_001) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    AttSource::Uploaded(upload.finish().await.unwrap().uploaded)
}

fn attached(doc: &str, atts: Vec<(&str, AttSource)>) -> DocEdit {
    let att = |(name, source): (&str, AttSource)| AttEdit {
        name: name.into(),
        content_type: "text/plain".into(),
        revpos: None,
        source,
    };
    DocEdit { atts: atts.into_iter().map(att).collect(), ..edit(doc, "{}", None) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_come_back_whole_in_ranges_and_decoded() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    let bytes: Vec<u8> = (0..400_000u32).flat_map(|n| (n / 5).to_le_bytes()).collect();
    let plain = UploadOptions { encoding: Encoding::Identity, compress: None };
    let gzip = UploadOptions { compress: Some(8), ..plain };
    let large = upload(&db, "doc", &bytes, plain).await;
    let packed = upload(&db, "doc", &bytes, gzip).await;
    let small = upload(&db, "doc", b"hello", plain).await;
    let empty = upload(&db, "doc", b"", plain).await;
    let atts = vec![("large", large), ("packed", packed), ("small", small), ("empty", empty)];
    put(&db, attached("doc", atts)).await.unwrap();

    let node = {
        drop(db);
        node.restart().await
    };
    let db = node.cluster.db(&settee_model::docid::DbName::trusted("db")).unwrap();
    let doc = db.open_doc(&id("doc"), OpenOptions::default()).await.unwrap().doc;
    let content =
        |name: &str| doc.record.atts.iter().find(|att| att.name == name).unwrap().content.clone();
    let packed = content("packed");
    assert_eq!((packed.encoding, packed.length), (Encoding::Gzip, bytes.len() as u64));
    assert!(packed.stored_length < packed.length / 2);
    assert_eq!(read(&db, &packed, None, true).await, bytes);
    assert_eq!(read(&db, &packed, None, false).await.len() as u64, packed.stored_length);
    for range in [0..10, 5..300_000, 262_000..262_300, 1_599_990..9_999_999, 7..7] {
        let end = (range.end as usize).min(bytes.len());
        let expected = &bytes[range.start as usize..end];
        assert_eq!(read(&db, &content("large"), Some(range.clone()), false).await, expected);
        assert_eq!(read(&db, &packed, Some(range), true).await, expected);
    }
    assert_eq!(read(&db, &content("small"), None, true).await, b"hello");
    assert_eq!(read(&db, &content("empty"), None, false).await, b"");
}

async fn read(
    db: &Db,
    content: &settee_model::doc::AttContent,
    range: Option<std::ops::Range<u64>>,
    decode: bool,
) -> Vec<u8> {
    let mut stream = db.read_attachment(&id("doc"), content, range, decode);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stubs_keep_attachments_and_strange_ones_are_refused() {
    let node = Node::new().await;
    let db = node.db("db", 2).await;
    let plain = UploadOptions { encoding: Encoding::Identity, compress: None };
    let source = upload(&db, "doc", b"bytes", plain).await;
    let first = put(&db, attached("doc", vec![("a", source)])).await.unwrap();
    let mut next = attached("doc", vec![("a", AttSource::Stub)]);
    next.revs = RevPath::single(first);
    let second = put(&db, next).await.unwrap();
    let doc = db.open_doc(&id("doc"), OpenOptions::default()).await.unwrap().doc;
    assert_eq!((doc.record.atts.len(), doc.record.atts[0].revpos), (1, 1));
    assert_eq!(read(&db, &doc.record.atts[0].content, None, false).await, b"bytes");
    let mut bad = attached("doc", vec![("b", AttSource::Stub)]);
    bad.revs = RevPath::single(second);
    let refused = Error::MissingStub { id: "doc".into(), name: "b".into() };
    assert_eq!(put(&db, bad).await, Err(refused));
}
