//! Scans, feeds and attachments of which the copy dies in the middle.

use bytes::Bytes;
use settee_engine::shard::{Batch, Write};
use settee_model::doc::{AttEdit, AttSource, Encoding};
use tokio::sync::watch;

use super::*;
use crate::attachment::{AttStream, EditUploads, UploadOptions};
use crate::changes::{Changes, ChangesQuery};
use crate::rows::{AllDocsQuery, Row, Rows};
use crate::tests::edit;

pub(super) const DOCS: usize = 1500;

pub(super) fn name(number: usize) -> String {
    format!("doc{number:05}")
}

async fn filled() -> Nodes {
    let body = format!("{{\"b\":\"{}\"}}", "x".repeat(1500));
    filled_with(|_| body.clone()).await
}

/// The same documents at all nodes, in another order of changes at each.
pub(super) async fn filled_with(body: impl Fn(usize) -> String) -> Nodes {
    let nodes = Nodes::three().await;
    for at in 0..3 {
        let mut numbers: Vec<usize> = (0..DOCS).collect();
        numbers.rotate_left(at * DOCS / 3);
        for some in numbers.chunks(300) {
            let write =
                |number: &usize| Write::Interactive(edit(&name(*number), &body(*number), None));
            let batch = Batch::of(some.iter().map(write).collect());
            nodes.copy(at).write(batch).await.unwrap();
        }
    }
    nodes
}

#[tokio::test]
async fn a_scan_goes_on_with_another_copy_and_repeats_nothing() {
    for descending in [false, true] {
        let mut nodes = filled().await;
        let database = Arc::new(nodes.database(3));
        let query = AllDocsQuery { descending, include_docs: true, ..AllDocsQuery::default() };
        let mut rows = Rows::start(database, query).await.unwrap();
        assert_eq!(rows.head().total_rows, Some(DOCS as u64));
        let mut seen = Vec::new();
        let mut batches = 0;
        while let Some(batch) = rows.next_batch().await.unwrap() {
            seen.extend(batch.into_iter().map(|row| match row {
                Row::Doc(row) => row.id.to_string(),
                Row::Missing(key) => panic!("{key:?}"),
            }));
            batches += 1;
            match batches {
                2 => nodes.all[0].kill(),
                4 => nodes.all[1].kill(),
                _ => {}
            }
        }
        assert!(batches > 5, "it was over too soon");
        let mut wanted: Vec<String> = (0..DOCS).map(name).collect();
        if descending {
            wanted.reverse();
        }
        assert_eq!(seen, wanted);
    }
}

#[tokio::test]
async fn a_feed_goes_on_with_another_copy_and_loses_nothing() {
    let mut nodes = filled().await;
    let database = Arc::new(nodes.database(3));
    let (_commit, commits) = watch::channel(0);
    let query = ChangesQuery { include_docs: true, ..ChangesQuery::default() };
    let mut feed = Changes::start(database.clone(), commits.clone(), query).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut batches = 0;
    loop {
        let batch = feed.next_batch().await.unwrap();
        seen.extend(batch.changes.into_iter().map(|change| change.id.to_string()));
        if batch.done {
            break;
        }
        batches += 1;
        if batches == 2 {
            nodes.all[0].kill();
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..DOCS).map(name).collect::<Vec<_>>());
    // Where it ended is a place of the copy that was followed last, and is found again there.
    let since = crate::changes::Since::Seq(feed.last_seq());
    let query = ChangesQuery { since: since.clone(), ..ChangesQuery::default() };
    let mut again = Changes::start(database, commits.clone(), query).await.unwrap();
    assert!(again.next_batch().await.unwrap().changes.is_empty());
    // A change on another node wakes it, though nobody tells.
    nodes
        .copy(1)
        .write(Batch::of(vec![Write::Interactive(edit("late", "{}", None))]))
        .await
        .unwrap();
    let late = loop {
        again.wait().await.unwrap();
        if let Some(change) = again.next_batch().await.unwrap().changes.pop() {
            break change.id.to_string();
        }
    };
    assert_eq!(late, "late");
    // Somebody who cannot ask that copy begins at the start rather than miss something.
    nodes.all[1].kill();
    let third = Arc::new(nodes.database(2));
    let query = ChangesQuery { since, ..ChangesQuery::default() };
    while third.copies(0).unwrap()[1].end().await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    let mut third = Changes::start(third, commits, query).await.unwrap();
    let mut count = 0;
    loop {
        let batch = third.next_batch().await.unwrap();
        count += batch.changes.len();
        if batch.done {
            break;
        }
    }
    assert_eq!(count, DOCS);
}

#[tokio::test]
async fn an_attachment_goes_on_from_another_copy() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(3);
    let bytes: Vec<u8> =
        (0..6_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 20) as u8).collect();
    let plain = UploadOptions { encoding: Encoding::Identity, compress: None };
    let mut upload = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(plain);
    upload.write(Bytes::from(bytes.clone())).await.unwrap();
    let uploaded = upload.finish().await.unwrap().uploaded;
    let content = uploaded.content.clone();
    let att = AttEdit {
        name: "a".into(),
        content_type: "a/b".into(),
        revpos: None,
        source: AttSource::Uploaded(uploaded),
    };
    put(&database, DocEdit { atts: vec![att], ..edit("doc", "{}", None) }, 3).await.unwrap();
    let copies = database.readers(0).map(|copies| copies.into_iter().cloned().collect());
    let mut stream = AttStream::of_any(copies, &content, Some(1000..5_900_000), false);
    let mut read = Vec::new();
    let mut pieces = 0;
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
        pieces += 1;
        if pieces == 2 {
            nodes.all[0].kill();
        }
    }
    assert!(read == bytes[1000..5_900_000], "{}", read.len());
}
