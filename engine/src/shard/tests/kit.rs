//! What the tests of shards have in common: an engine over a simulated disk, and short ways to write
//! and read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use settee_model::doc::{
    AttBytes, AttContent, AttEdit, AttSource, Chunk, DocEdit, Encoding, Hold, Uploaded,
};
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevId, RevPath};

use crate::io::SimStorage;
use crate::shard::{Batch, LocalEdit, Outcome, PurgeRequest, Shard, ShardId, Write, name_chunk};
use crate::{Engine, Options};

pub(crate) fn options() -> Options {
    Options {
        cache_bytes: 1 << 20,
        writers: 1,
        workers: 0,
        checkpoint_idle: Duration::from_secs(3600),
        reserve_bytes: 0,
        log: crate::log::Options { segment_bytes: 500, ..Default::default() },
        compaction: crate::compact::Policy { bytes_per_second: 0, ..Default::default() },
        ..Options::default()
    }
}

pub(crate) fn open(storage: &SimStorage) -> Engine {
    Engine::open(Arc::new(storage.clone()), options()).unwrap()
}

pub(crate) fn shard_id() -> ShardId {
    ShardId::parse("00000000-ffffffff/db.1").unwrap()
}

pub(crate) fn doc_id(text: &str) -> DocId {
    DocId::trusted(text)
}

pub(crate) fn path(rev: &Rev) -> RevPath {
    RevPath::single(rev.clone())
}

/// A path of revisions with made-up ids, newest first: `[(3, 'c'), …]` is `"cba"` with start 3.
pub(crate) fn made_up(start: u64, ids: &str) -> RevPath {
    RevPath { start, ids: ids.bytes().map(|byte| RevId::from_md5([byte; 16])).collect() }
}

pub(crate) fn edit(id: &str, revs: RevPath, body: &str) -> DocEdit {
    let body = Bytes::copy_from_slice(body.as_bytes());
    DocEdit { id: doc_id(id), revs, deleted: false, body, atts: Vec::new() }
}

pub(crate) fn deletion(id: &str, rev: &Rev) -> DocEdit {
    DocEdit { deleted: true, ..edit(id, path(rev), "{}") }
}

pub(crate) fn local(id: &str, rev: Option<u64>, body: Option<&'static str>) -> Write {
    let body = body.map(|body| Bytes::from_static(body.as_bytes()));
    Write::Local(LocalEdit { id: doc_id(id), rev, body })
}

pub(crate) fn purge(uuid: &str, id: &str, revs: &[Rev]) -> Write {
    let uuid = uuid.as_bytes().into();
    Write::Purge(PurgeRequest { uuid, id: doc_id(id), revs: revs.to_vec() })
}

/// Writes one thing and gives what became of it.
pub(crate) fn write(shard: &Arc<Shard>, write: Write) -> Outcome {
    shard.write(Batch::of(vec![write])).unwrap().pop().unwrap()
}

/// Writes one thing that must be let in.
pub(crate) fn put(shard: &Arc<Shard>, edit: DocEdit) -> Rev {
    match write(shard, Write::Interactive(edit)) {
        Outcome::Written(rev) => rev,
        other => panic!("{other:?}"),
    }
}

/// Uploads an attachment and makes an edit's part of it.
pub(crate) fn upload(shard: &Arc<Shard>, name: &str, bytes: &[u8]) -> AttEdit {
    try_upload(shard, name, bytes).unwrap()
}

pub(crate) fn try_upload(
    shard: &Arc<Shard>,
    name: &str,
    bytes: &[u8],
) -> Result<AttEdit, crate::Error> {
    let mut writer = shard.chunk_writer();
    writer.write(bytes)?;
    let (chunks, hold) = writer.finish()?;
    Ok(attachment(name, content(bytes, chunks), hold))
}

/// Bytes that lie in those chunks.
pub(crate) fn content(bytes: &[u8], chunks: Vec<Chunk>) -> AttContent {
    let length = bytes.len() as u64;
    let encoding = Encoding::Identity;
    AttContent { encoding, length, stored_length: length, md5: [0; 16], chunks }
}

pub(crate) fn attachment(name: &str, content: AttContent, hold: Hold) -> AttEdit {
    uploaded(name, content, AttBytes::Held(hold))
}

fn uploaded(name: &str, content: AttContent, bytes: AttBytes) -> AttEdit {
    let source = AttSource::Uploaded(Uploaded { content, bytes });
    let content_type = "application/octet-stream".to_owned();
    AttEdit { name: name.into(), content_type, revpos: None, source }
}

/// An attachment that comes with its edit.
pub(crate) fn brought(name: &str, bytes: &[u8]) -> AttEdit {
    let content = content(bytes, vec![name_chunk(bytes).unwrap()]);
    uploaded(name, content, AttBytes::Carried(Bytes::copy_from_slice(bytes)))
}

/// All bytes of a document's attachment.
pub(crate) fn download(shard: &Arc<Shard>, id: &str, name: &str) -> Vec<u8> {
    let snapshot = shard.snapshot();
    let head = snapshot.head(&doc_id(id)).unwrap().unwrap();
    let record = snapshot.record(head.body.unwrap()).unwrap();
    let att = record.atts.iter().find(|att| att.name == name).unwrap();
    att.content.chunks.iter().flat_map(|chunk| snapshot.chunk(chunk).unwrap()).collect()
}

/// The winner's body of a document.
pub(crate) fn body(shard: &Arc<Shard>, id: &str) -> String {
    let snapshot = shard.snapshot();
    let head = snapshot.head(&doc_id(id)).unwrap().unwrap();
    let record = snapshot.record(head.body.unwrap()).unwrap();
    String::from_utf8(record.body.to_vec()).unwrap()
}

/// A body of that many digits, of which LZ4 makes no less than half (Marsaglia's xorshift).
pub(crate) fn noise(seed: u64, len: usize) -> String {
    let mut state = seed;
    let mut digit = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from_digit((state >> 60) as u32, 16).unwrap()
    };
    let text: String = (0..len).map(|_| digit()).collect();
    format!("{{\"text\":\"{text}\"}}")
}
