//! A flipped bit anywhere in what matters is found, and nothing is found where nothing is wrong.

use settee_model::doc::DocEdit;
use settee_model::rev::RevPath;

use super::*;
use crate::io::{Crash, SimStorage};
use crate::shard::tests::kit::*;

fn look(disk: &SimStorage) -> Report {
    check(disk, &options().log, &mut |_| {}).unwrap()
}

/// A disk with a shard that has something in each tree, in its file, in the log, or in both.
fn worked_on(close: bool) -> SimStorage {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    for n in 0..20 {
        let bytes = vec![n; if n % 2 == 0 { 10 } else { 300 }];
        let atts = match n % 3 {
            0 => vec![brought("att", &bytes)],
            _ => vec![upload(&shard, "att", &bytes)],
        };
        let made = edit(&format!("doc-{n}"), RevPath::default(), "{\"some\":\"text\"}");
        put(&shard, DocEdit { atts, ..made });
    }
    let rev = shard.snapshot().head(&doc_id("doc-3")).unwrap().unwrap().winner;
    write(&shard, purge("uuid", "doc-3", &[rev]));
    write(&shard, local("_local/x", None, Some("{}")));
    shard.compact_now().unwrap();
    if close {
        engine.close().unwrap();
    } else {
        let atts = vec![brought("att", b"only in the log")];
        put(&shard, DocEdit { atts, ..edit("later", RevPath::default(), "{}") });
        disk.crash(Crash::LoseAll);
    }
    disk
}

#[test]
fn a_sound_directory_is_clean() {
    for close in [false, true] {
        let report = look(&worked_on(close));
        assert!(report.is_clean(), "{:#?}", report.damages);
        assert_eq!((report.shards, report.docs), (1, 19));
    }
    assert!(look(&SimStorage::new()).is_clean());
}

#[test]
fn flipped_bits_are_found_wherever_they_are() {
    let disk = worked_on(true);
    let path = shard_id().file();
    let len = disk.open(&path).unwrap().len().unwrap();
    let mut unnoticed = Vec::new();
    for offset in 0..len {
        let disk = disk.fork();
        disk.flip_bit(&path, offset);
        disk.crash(Crash::LoseAll);
        let report = look(&disk);
        if report.is_clean() {
            unnoticed.push(offset);
        } else {
            let first = &report.damages[0];
            assert_eq!((&*first.file, &first.shard), (&*path, &Some(shard_id())));
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?} of {len}");
}

#[test]
fn a_lost_file_and_a_stray_one_are_found() {
    let disk = worked_on(false);
    let path = shard_id().file();
    // The creation of the shard is no longer in the log.
    let engine = open(&disk);
    engine.shard(&shard_id()).unwrap().checkpoint().unwrap();
    engine.trim().unwrap();
    put(&engine.shard(&shard_id()).unwrap(), edit("last", RevPath::default(), "{}"));
    disk.crash(Crash::LoseAll);
    assert!(look(&disk).is_clean());
    disk.remove(&path).unwrap();
    disk.create("shards/00000000-ffffffff/notes.txt").unwrap();
    let found: Vec<_> = look(&disk).damages.iter().map(|damage| damage.to_string()).collect();
    assert_eq!(
        found,
        [
            "shards/00000000-ffffffff/notes.txt at 0: file: not a shard's file",
            "shards/00000000-ffffffff/db.1.shard at 0: file: the file is missing",
        ]
    );
}

/// A disk with an index of some rows in its file.
fn indexed() -> (SimStorage, String) {
    use crate::index::{DocRows, Position, Row, Signature};
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = engine.create_shard(&shard_id()).unwrap();
    let signature = Signature([7; 16]);
    let plain = |_: &[u8]| Ok(Arc::new(crate::tree::NoReduction) as Arc<dyn crate::tree::Reducer>);
    let index = engine.index(&shard, signature, &plain).unwrap();
    let rows = |n: usize| {
        let id = format!("doc-{n}");
        DocRows::of(
            doc_id(&id),
            &mut [Row { sort: b"k!", value: b"v" }, Row { sort: b"l!", value: b"w" }],
        )
    };
    let docs: Vec<DocRows> = (0..50).map(rows).collect();
    let to = Position { epoch: shard.snapshot().epoch(), update_seq: 0, purge_seq: 0 };
    assert!(index.apply(&docs, Position::default(), to).unwrap());
    index.checkpoint().unwrap();
    drop((index, shard));
    engine.close().unwrap();
    (disk, format!("indexes/{}/{}", shard_id(), signature.file_name()))
}

#[test]
fn indexes_are_read_too() {
    let (disk, path) = indexed();
    let report = look(&disk);
    assert!(report.is_clean(), "{:#?}", report.damages);
    assert_eq!(report.indexes, 1);
    let len = disk.open(&path).unwrap().len().unwrap();
    let damaged = |offset: u64| {
        let disk = disk.fork();
        disk.flip_bit(&path, offset);
        disk.crash(Crash::LoseAll);
        !look(&disk).is_clean()
    };
    // Both headers, and what they lead to; the gap between them is nobody's.
    let noticed = (0..len).filter(|offset| damaged(*offset)).count();
    assert!(noticed > 200, "{noticed} of {len}");
    assert!((len - 64..len).all(damaged), "the newest pages are at the end");
}
