//! How indexes begin anew and end, and what is found on the disk then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::io::Storage;

fn filled(engine: &Engine) -> (Arc<Shard>, Arc<Index>) {
    let shard = shard(engine, 5);
    let index = index(engine, &shard);
    let rows = [("a".to_owned(), "1".to_owned())];
    let to = position(&shard, 3);
    assert!(index.apply(&[doc_rows("x", &rows)], Position::default(), to).unwrap());
    index.checkpoint().unwrap();
    (shard, index)
}

fn files(disk: &SimStorage) -> Vec<String> {
    let folder = format!("indexes/{}", shard_id());
    disk.list(&folder).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_dropped_shard_takes_its_indexes_along() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let (shard, index) = filled(&engine);
    assert_eq!(engine.indexes(&shard_id()).unwrap(), [SIGNATURE]);
    assert_eq!(files(&disk), [SIGNATURE.file_name()]);
    let snapshot = index.snapshot();
    engine.drop_shard(&shard_id()).unwrap();
    assert_eq!(files(&disk), [""; 0]);
    assert!(engine.indexes(&shard_id()).unwrap().is_empty());
    let from = snapshot.position();
    assert!(matches!(index.apply(&[], from, from), Err(Error::IndexDropped { .. })));
    assert!(matches!(index.checkpoint(), Err(Error::IndexDropped { .. })));
    let again = engine.index(&shard, SIGNATURE, &reducers);
    assert!(matches!(again.map(drop), Err(Error::ShardMissing { .. })));
    assert_eq!(found(&snapshot).len(), 1, "who reads it goes on");
}

#[test]
fn an_index_is_dropped_and_made_again() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let (shard, old) = filled(&engine);
    engine.drop_index(&shard_id(), SIGNATURE).unwrap();
    assert_eq!(files(&disk), [""; 0]);
    assert!(old.checkpoint().is_err());
    assert_eq!(index(&engine, &shard).snapshot().position(), Position::default());
    engine.drop_index(&shard_id(), SIGNATURE).unwrap();
    engine.drop_index(&shard_id(), Signature([9; 16])).unwrap();
}

#[test]
fn who_drops_an_index_that_was_made_again_leaves_the_new_one() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let (shard, old) = filled(&engine);
    assert!(engine.drop_this_index(&old).unwrap());
    let dropped = old.apply(&[], Position::default(), Position::default());
    assert!(matches!(dropped, Err(Error::IndexDropped { .. })));
    let new = index(&engine, &shard);
    assert!(!engine.drop_this_index(&old).unwrap());
    assert!(Arc::ptr_eq(&index(&engine, &shard), &new));
    let damage = |file: &str| Error::corrupt(file, 0, "by a test");
    let path = format!("indexes/{}/{}", shard_id(), SIGNATURE.file_name());
    assert!(new.is_damage(&damage(&path)) && !new.is_damage(&damage("indexes/other")));
}

#[test]
fn what_cannot_be_used_is_begun_anew() {
    for damage in 0..3 {
        let disk = SimStorage::new();
        let engine = open(&disk);
        let (shard, index) = filled(&engine);
        drop((shard, index));
        engine.close().unwrap();
        drop(engine);
        let path = format!("indexes/{}/{}", shard_id(), SIGNATURE.file_name());
        match damage {
            0 => disk.open(&path).unwrap().write_at(&[1; 9000], 0).unwrap(),
            1 => disk.open(&path).unwrap().truncate(8200).unwrap(),
            _ => {}
        }
        let engine = open(&disk);
        if damage == 2 {
            engine.drop_shard(&shard_id()).unwrap();
            // As if the disk had kept the file.
            disk.create(&path).unwrap().write_at(b"x", 0).unwrap();
            engine.create_shard(&shard_id()).unwrap();
        }
        let shard = engine.shard(&shard_id()).unwrap();
        let index = super::index(&engine, &shard);
        let snapshot = index.snapshot();
        assert_eq!((snapshot.position(), snapshot.count()), (Position::default(), 0));
        let to = position(&shard, shard.snapshot().update_seq());
        assert!(index.apply(&[doc_rows("y", &[])], Position::default(), to).unwrap());
        index.checkpoint().unwrap();
    }
}

#[test]
fn an_index_that_is_ahead_of_its_shard_begins_anew() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = shard(&engine, 2);
    let index = index(&engine, &shard);
    let to = position(&shard, 7);
    assert!(index.apply(&[], Position::default(), to).unwrap());
    assert!(!index.apply(&[], Position::default(), to).unwrap(), "somebody was faster");
    index.checkpoint().unwrap();
    drop((shard, index));
    engine.close().unwrap();
    let engine = open(&disk);
    let shard = engine.shard(&shard_id()).unwrap();
    assert_eq!(super::index(&engine, &shard).snapshot().position(), Position::default());
}

#[test]
fn idle_ones_are_closed_and_found_again() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let (shard, index) = filled(&engine);
    let files = disk.open_files();
    engine.look_after();
    drop(index);
    disk.advance(std::time::Duration::from_secs(61));
    engine.look_after();
    assert!(disk.open_files() < files);
    assert_eq!(super::index(&engine, &shard).snapshot().count(), 1);
}

#[test]
fn a_full_disk_costs_nothing_that_was_saved() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let (shard, index) = filled(&engine);
    let (from, to) = (position(&shard, 3), position(&shard, 4));
    let rows: Vec<_> = (0..200).map(|n| (format!("{n:050}"), "v".repeat(50))).collect();
    index.apply(&[doc_rows("z", &rows)], from, to).unwrap();
    disk.set_capacity(Some(disk.used()));
    assert!(matches!(index.checkpoint(), Err(Error::DiskFull { .. })));
    assert_eq!(index.snapshot().count(), 201);
    disk.set_capacity(None);
    index.checkpoint().unwrap();
    index.compact().unwrap();
    assert_eq!(index.snapshot().count(), 201);
    assert_eq!(index.snapshot().position(), to);
}

/// Counts how often it is asked, and fails.
struct Broken(Arc<AtomicUsize>);

impl Reducer for Broken {
    fn leaf(&self, _: Entries<'_>) -> Result<Bytes, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Error::Reduce { what: "no".into() })
    }

    fn combine(&self, _: &[Bytes]) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }
}

#[test]
fn what_cannot_be_saved_is_tried_less_and_less_often() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = shard(&engine, 5);
    let tried = Arc::new(AtomicUsize::new(0));
    let broken = |_: &[u8]| Ok(Arc::new(Broken(tried.clone())) as Arc<dyn Reducer>);
    let index = engine.index(&shard, SIGNATURE, &broken).unwrap();
    let rows = [("a".to_owned(), "1".to_owned())];
    let to = position(&shard, 3);
    assert!(index.apply(&[doc_rows("x", &rows)], Position::default(), to).unwrap());
    let look_for = |seconds: u64| {
        let before = tried.load(Ordering::Relaxed);
        for _ in 0..2 * seconds {
            disk.advance(Duration::from_millis(500));
            engine.look_after();
        }
        tried.load(Ordering::Relaxed) - before
    };
    disk.advance(Duration::from_secs(3600));
    assert!((3..=6).contains(&look_for(30)));
    assert!((4..=6).contains(&look_for(300)));
    // Who asks for it is not kept from it.
    let before = tried.load(Ordering::Relaxed);
    assert!(index.checkpoint().is_err());
    assert_eq!(tried.load(Ordering::Relaxed), before + 1);
}
