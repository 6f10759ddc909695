//! A data directory that a disk has damaged, anywhere and in any way: it is opened or refused, and no
//! document is ever shown that was not written. With checksums put right behind the damage nothing is
//! promised but that it ends.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use settee_engine::io::{Crash, SimStorage, Storage};
use settee_engine::shard::{Batch, Write, name_chunk};
use settee_engine::{Engine, Options, Shard, ShardId, log};
use settee_model::doc::{AttBytes, AttContent, AttEdit, AttSource, DocEdit, Encoding, Uploaded};
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevPath};

const DOCS: usize = 12;
/// Bytes of a header slot of a shard's file, with its checksum at the end (docs/format.md section 2).
const SLOT: u64 = 4096;

/// The directory before anything happens to it: documents in a checkpoint, and edits of them in the log,
/// some with an attachment.
static SOUND: LazyLock<(SimStorage, Vec<String>)> = LazyLock::new(|| {
    let disk = SimStorage::new();
    let engine = open(&disk).expect("an empty directory");
    let shard = engine.create_shard(&shard_id()).expect("a shard");
    let revs: Vec<_> = (0..DOCS).map(|number| put(&shard, number, RevPath::default())).collect();
    drop(shard);
    engine.close().expect("a checkpoint");
    let engine = open(&disk).expect("a sound directory");
    let shard = engine.shard(&shard_id()).expect("the shard");
    for (number, rev) in revs.into_iter().enumerate().skip(DOCS / 2) {
        put(&shard, number, RevPath::single(rev));
    }
    drop((shard, engine));
    disk.crash(Crash::KeepAll);
    let mut files = Vec::new();
    find(&disk, "", &mut files);
    (disk, files)
});

fuzz_target!(|input: (bool, Vec<(u8, u32, u8)>)| {
    let (seal, damage) = input;
    let (sound, files) = &*SOUND;
    let disk = sound.fork();
    for (what, at, bits) in damage.iter().take(8) {
        let Some(path) = files.get(usize::from(what % 8) % files.len()) else { continue };
        harm(&disk, path, *at, *bits, what / 8);
        if seal {
            seal_slots(&disk, path);
        }
    }
    let Ok(engine) = open(&disk) else { return };
    look(&engine, seal);
    // What the log had goes to the file.
    if engine.close().is_ok()
        && let Ok(engine) = open(&disk)
    {
        look(&engine, seal);
    }
});

/// Reads all that can be read.
fn look(engine: &Engine, seal: bool) {
    let Ok(shard) = engine.shard(&shard_id()) else { return };
    let snapshot = shard.snapshot();
    for number in 0..DOCS {
        let Ok(Some(head)) = snapshot.head(&id(number)) else { continue };
        let Some(Ok(record)) = head.body.map(|body| snapshot.record(body)) else { continue };
        assert!(seal || record.body == body(number), "{number} shows what was not written");
        for chunk in record.atts.iter().flat_map(|att| &att.content.chunks) {
            let Ok(bytes) = snapshot.chunk(chunk) else { continue };
            assert!(
                seal || bytes == file(number, head.winner.pos),
                "{number} shows a file that was not written"
            );
        }
    }
}

/// Changes a byte, or cuts the file off.
fn harm(disk: &SimStorage, path: &str, at: u32, bits: u8, how: u8) {
    let Ok(file) = disk.open(path) else { return };
    let len = file.len().unwrap_or(0);
    if len == 0 {
        return;
    }
    let at = u64::from(at) % len;
    if how == 31 {
        file.truncate(at).expect("a length");
        return;
    }
    let mut byte = [0];
    file.read_at(&mut byte, at).expect("a byte");
    file.write_at(&[byte[0] ^ bits], at).expect("a byte");
}

/// Puts the checksums of header slots right.
fn seal_slots(disk: &SimStorage, path: &str) {
    let Ok(file) = disk.open(path) else { return };
    for slot in [0, SLOT] {
        let mut bytes = vec![0; SLOT as usize];
        if path.ends_with(".shard")
            && file.read_at(&mut bytes, slot).is_ok_and(|len| len == bytes.len())
        {
            let crc = crc32fast::hash(&bytes[..bytes.len() - 4]);
            file.write_at(&crc.to_le_bytes(), slot + SLOT - 4).expect("a checksum");
        }
    }
}

fn open(disk: &SimStorage) -> Result<Engine, settee_engine::Error> {
    // A segment's unused room is read with each start: little of it, so that most of the time goes elsewhere.
    let log = log::Options { segment_bytes: 16 << 10, ..log::Options::default() };
    let options =
        Options { threads: false, workers: 0, reserve_bytes: 0, log, ..Options::default() };
    Engine::open(Arc::new(disk.clone()), options)
}

fn shard_id() -> ShardId {
    ShardId::parse("00000000-ffffffff/db.1").expect("a name")
}

fn id(number: usize) -> DocId {
    DocId::trusted(&format!("doc-{number}"))
}

fn body(number: usize) -> Bytes {
    format!("{{\"number\":{number},\"text\":\"{}\"}}", "what is written here ".repeat(number))
        .into()
}

/// An attachment of a revision, which comes with its edit.
fn file(number: usize, generation: u64) -> Bytes {
    vec![number as u8 ^ (16 * generation as u8); 100 + number].into()
}

fn attached(bytes: Bytes) -> AttEdit {
    let length = bytes.len() as u64;
    let chunks = vec![name_chunk(&bytes).expect("a short chunk")];
    let encoding = Encoding::Identity;
    let content = AttContent { encoding, length, stored_length: length, md5: [0; 16], chunks };
    let source = AttSource::Uploaded(Uploaded { content, bytes: AttBytes::Carried(bytes) });
    AttEdit { name: "file".into(), content_type: "text/plain".into(), revpos: None, source }
}

fn put(shard: &Arc<Shard>, number: usize, revs: RevPath) -> Rev {
    let file = file(number, revs.start + 1);
    let atts = if number.is_multiple_of(3) { vec![attached(file)] } else { Vec::new() };
    let edit = DocEdit { id: id(number), revs, deleted: false, body: body(number), atts };
    shard.write(Batch::of(vec![Write::Interactive(edit)])).expect("a write");
    let head = shard.snapshot().head(&id(number)).expect("a read");
    head.expect("what was written").winner
}

fn find(disk: &SimStorage, dir: &str, files: &mut Vec<String>) {
    for entry in disk.list(dir).expect("a directory") {
        let path = if dir.is_empty() { entry.name } else { format!("{dir}/{}", entry.name) };
        if entry.is_dir { find(disk, &path, files) } else { files.push(path) }
    }
}
