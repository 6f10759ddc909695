//! Scans over the mesh give what scans at home give, and no more than was asked for.

use std::collections::HashSet;
use std::ops::Bound;

use settee_engine::shard::{Batch, Write};
use settee_model::doc::{AttEdit, AttSource, DocEdit};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::changes::{Candidate, DocFilter, Filter, Style};
use crate::rows::Namespace;
use crate::shard::changes::ChangeScan;
use crate::shard::point::Point;
use crate::shard::rows::RowScan;
use crate::tests::{edit, id};

const DOCS: usize = 700;

pub(super) async fn fill(copy: &ShardCopy, body: &str) {
    copy.create().await.unwrap();
    let write = |number: usize| {
        Write::Interactive(edit(
            &format!("d{number:05}"),
            &format!(r#"{{"n":"{number}{body}"}}"#),
            None,
        ))
    };
    copy.write(Batch::of((0..DOCS).map(write).collect())).await.unwrap();
    super::calls::fill(copy).await;
}

pub(super) fn scan() -> RowScan {
    RowScan {
        namespace: Namespace::All,
        range: (Bound::Unbounded, Bound::Unbounded),
        descending: false,
        include_docs: true,
        conflicts: true,
    }
}

async fn rows(copy: &ShardCopy, scan: &RowScan, first: usize) -> Vec<String> {
    let mut stream = copy.rows(scan.clone(), first).await.unwrap();
    let mut all = vec![shown(stream.head)];
    loop {
        let batch = stream.next().await.unwrap();
        all.extend(batch.rows.iter().map(shown));
        if batch.ended {
            return all;
        }
    }
}

#[tokio::test]
async fn rows_are_the_same() {
    let far = Far::new();
    let (local, remote) = (far.local(), far.remote());
    fill(&local, "").await;
    let part = (Bound::Included(id("d00100")), Bound::Excluded(id("d00500")));
    let scans = [
        scan(),
        RowScan { descending: true, include_docs: false, ..scan() },
        RowScan { range: part.clone(), ..scan() },
        RowScan { range: part, descending: true, ..scan() },
        RowScan { namespace: Namespace::Local, ..scan() },
        RowScan { range: (Bound::Included(id("x")), Bound::Unbounded), ..scan() },
    ];
    for scan in scans {
        for first in [1, 64, 1000] {
            assert!(rows(&remote, &scan, first).await == rows(&local, &scan, first).await);
        }
    }
    assert_eq!(rows(&remote, &scan(), 5).await.len(), 1 + DOCS + 4);
}

struct Even;

impl DocFilter for Even {
    fn passes(&self, leaf: &Candidate) -> Result<bool, Error> {
        assert_eq!(leaf.doc.revs.ids.len(), 1);
        Ok(leaf.doc.id.as_str().ends_with(['0', '2', 'c']))
    }
}

async fn changes(copy: &ShardCopy, scan: &ChangeScan, most: usize) -> (Vec<String>, u64, u64) {
    let mut stream = copy.changes(scan.clone(), most);
    let mut all = Vec::new();
    loop {
        stream.go_on(most);
        let step = stream.result().await.unwrap().unwrap();
        all.extend(step.rows.iter().map(|row| format!("{:?} {}", row.change, row.at)));
        if step.done {
            return (all, step.at, step.pending);
        }
    }
}

#[tokio::test]
async fn changes_are_the_same() {
    let far = Far::new();
    let (local, remote) = (far.local(), far.remote());
    fill(&local, "").await;
    let end = local.end().await.unwrap();
    let all = ChangeScan {
        since: Point::default(),
        descending: false,
        style: Style::AllDocs,
        filter: Filter::All,
        include_docs: true,
        conflicts: true,
    };
    let ids: HashSet<_> = ["c", "d00007", "none"].map(id).into();
    let scans = [
        all.clone(),
        ChangeScan {
            since: Point { seq: 690, ..end },
            style: Style::MainOnly,
            include_docs: false,
            ..all.clone()
        },
        ChangeScan { since: Point { seq: 5000, ..end }, ..all.clone() },
        ChangeScan { descending: true, ..all.clone() },
        ChangeScan { filter: Filter::Design, ..all.clone() },
        ChangeScan { filter: Filter::DocIds(Arc::new(ids)), ..all.clone() },
        ChangeScan { filter: Filter::Docs(Arc::new(Even)), ..all },
    ];
    for (number, scan) in scans.iter().enumerate() {
        for most in [10, 300] {
            let (here, there) =
                (changes(&local, scan, most).await, changes(&remote, scan, most).await);
            assert!(here == there, "{number} {most}");
        }
    }
    assert!(!remote.ends_at(Point { seq: 5000, ..end }));
}

#[tokio::test]
async fn a_batch_is_sent_for_each_credit_and_none_without() {
    let far = Far::new();
    fill(&far.local(), &"x".repeat(4000)).await;
    let peer = far.peer();
    let (credits, asks) = mpsc::channel(4);
    let scan = Some(wire::RowScan::new(SHARD.into(), &scan()));
    credits.send(wire::RowsAsk { scan, first: 10 }).await.unwrap();
    let ask =
        async |line: super::super::peer::Line| line.shards().rows(ReceiverStream::new(asks)).await;
    let (mut answers, _thread) = peer.stream(ask).await.unwrap();
    let first = answers.message().await.unwrap().unwrap();
    assert_eq!(first.rows.len(), 10);
    let quiet = Duration::from_millis(100);
    for _ in 0..3 {
        assert!(timeout(quiet, answers.message()).await.is_err(), "sent without a credit");
        credits.send(wire::RowsAsk { scan: None, first: 0 }).await.unwrap();
        let batch = answers.message().await.unwrap().unwrap();
        let size: usize = batch.rows.iter().map(|row| row.doc.as_ref().unwrap().body.len()).sum();
        assert!(size > 100_000 && size < 300_000, "{size}");
    }
}

#[tokio::test]
async fn slow_readers_of_an_attachment_keep_nobody_back() {
    let far = Far::new();
    let (local, peer) = (far.local(), far.peer());
    local.create().await.unwrap();
    let plain = crate::attachment::UploadOptions {
        encoding: settee_model::doc::Encoding::Identity,
        compress: None,
    };
    let mut upload = begin(&local, plain);
    // All pieces differ, so each is a chunk of its own.
    for number in 0..32_u8 {
        upload.write(Bytes::from(vec![number; 1 << 18])).await.unwrap();
    }
    let finished = upload.finish().await.unwrap();
    let content = Some((&finished.uploaded.content).into());
    let att = AttEdit {
        name: "bytes".into(),
        content_type: "a/b".into(),
        revpos: None,
        source: AttSource::Uploaded(finished.uploaded),
    };
    let edit = DocEdit { atts: vec![att], ..edit("doc", "{}", None) };
    local.write(Batch::of(vec![Write::Interactive(edit)])).await.unwrap();
    let ask =
        wire::AttachmentAsk { shard: SHARD.into(), content, end: None, start: 0, decode: false };
    let mut slow = Vec::new();
    for _ in 0..100 {
        let ask = ask.clone();
        let ask = async |line: super::super::peer::Line| line.shards().read_attachment(ask).await;
        let (mut pieces, thread) = peer.stream(ask).await.unwrap();
        let first = pieces.message().await.unwrap().unwrap();
        assert_eq!(first.bytes, vec![0; 1 << 18]);
        slow.push((pieces, first, thread));
    }
    // Other calls go on while the streams stand still, and the rest comes when it is taken.
    sleep(Duration::from_millis(50)).await;
    let other = remote(peer.clone());
    let asked = timeout(Duration::from_secs(1), other.state()).await.unwrap();
    assert_eq!(asked.unwrap(), local.state().await.unwrap());
    let (mut pieces, first, _thread) = slow.pop().unwrap();
    let mut length = first.bytes.len();
    while let Some(piece) = pieces.message().await.unwrap() {
        length += piece.bytes.len();
    }
    assert_eq!(length, 32 << 18);
}

#[tokio::test]
async fn a_call_that_is_given_up_sends_no_more() {
    let far = Far::new();
    fill(&far.local(), "").await;
    let (asks, sent) = mpsc::channel(2);
    let scan = Some(wire::RowScan::new(SHARD.into(), &scan()));
    asks.send(wire::RowsAsk { scan, first: 1 }).await.unwrap();
    let peer = far.peer();
    let ask = async |line: peer::Line| line.shards().rows(ReceiverStream::new(sent)).await;
    let (mut answers, _thread) = peer.stream(ask).await.unwrap();
    assert!(answers.message().await.unwrap().is_some());
    let gone = asks.closed();
    drop(answers);
    timeout(PATIENCE, gone).await.unwrap();
}
