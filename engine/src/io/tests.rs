//! What every storage does, and what the simulated one forgets.

use super::*;

/// The contract of the trait, on any storage that is empty.
fn keeps_the_contract(storage: &dyn Storage) {
    let missing =
        |result: Result<Arc<dyn File>, Error>| matches!(result, Err(Error::Missing { .. }));
    assert!(missing(storage.open("a/b/file")));
    assert_eq!(storage.list("a").unwrap(), []);
    assert!(matches!(storage.remove("a/b/file"), Err(Error::Missing { .. })));

    let file = storage.create("a/b/file").unwrap();
    assert_eq!(file.path(), "a/b/file");
    assert!(file.is_empty().unwrap());
    file.write_at(b"hello", 3).unwrap();
    assert_eq!(file.len().unwrap(), 8);
    let mut buf = [9; 16];
    assert_eq!(file.read_at(&mut buf, 1).unwrap(), 7);
    assert_eq!(&buf[..8], b"\0\0hello\x09");
    assert_eq!(file.read_at(&mut buf, 8).unwrap(), 0);
    let mut now = [9; 4];
    assert!(!file.read_now(&mut [0; 9], 0), "there are only eight bytes");
    assert!(!file.read_now(&mut now, 4) || now == *b"ello");
    assert_eq!(file.read_at(&mut buf, 1000).unwrap(), 0);
    file.truncate(5).unwrap();
    file.truncate(10).unwrap();
    file.sync().unwrap();
    let again = storage.open("a/b/file").unwrap();
    assert_eq!(again.read_at(&mut buf, 0).unwrap(), 10);
    assert_eq!(&buf[..10], b"\0\0\0he\0\0\0\0\0");

    storage.create("a/z").unwrap().write_at(b"z", 0).unwrap();
    storage.rename("a/b/file", "a/c/d/file").unwrap();
    storage.sync_dir("a/b").unwrap();
    storage.sync_dir("a/c/d").unwrap();
    assert!(missing(storage.open("a/b/file")));
    storage.rename("a/c/d/file", "a/z").unwrap();
    assert_eq!(storage.open("a/z").unwrap().len().unwrap(), 10);
    // A handle outlives the name.
    storage.remove("a/z").unwrap();
    assert_eq!(again.len().unwrap(), 10);
    storage.create("a/y/f").unwrap().write_at(b"first", 0).unwrap();
    assert!(storage.create("a/y/f").unwrap().is_empty().unwrap());
    storage.create("a/x").unwrap();
    let names: Vec<_> = storage.list("a").unwrap();
    assert!(names.contains(&Entry { name: "x".into(), is_dir: false }));
    assert!(names.contains(&Entry { name: "y".into(), is_dir: true }));
    assert!(names.is_sorted());
    assert_ne!(storage.random(), storage.random());
}

#[test]
fn real_files_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    keeps_the_contract(&RealStorage::open(dir.path().join("new/data")).unwrap());
}

#[test]
fn simulated_files_keep_the_contract() {
    keeps_the_contract(&SimStorage::new());
}

fn contents(disk: &SimStorage, path: &str) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut buf = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut buf, 0).unwrap();
    buf
}

/// A durable file "f" with "old" in it.
fn disk() -> (SimStorage, Arc<dyn File>) {
    let disk = SimStorage::new();
    let file = disk.create("f").unwrap();
    file.write_at(b"old", 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    (disk, file)
}

#[test]
fn a_power_cut_takes_what_was_not_synced() {
    let (disk, file) = disk();
    file.write_at(b"newer", 0).unwrap();
    disk.create("g").unwrap();
    disk.rename("f", "h").unwrap();
    assert_eq!(contents(&disk, "h"), b"newer");
    disk.crash(Crash::LoseAll);
    assert_eq!(contents(&disk, "f"), b"old");
    assert_eq!(disk.list("").unwrap().len(), 1);
    assert!(file.write_at(b"x", 0).is_err(), "a handle from before the crash");
}

#[test]
fn a_killed_process_takes_nothing() {
    let (disk, file) = disk();
    file.write_at(b"new", 0).unwrap();
    disk.crash(Crash::KeepAll);
    assert_eq!(contents(&disk, "f"), b"new");
    disk.crash(Crash::LoseAll);
    assert_eq!(contents(&disk, "f"), b"old");
}

#[test]
fn a_torn_write_keeps_whole_sectors() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let (disk, file) = disk();
        file.write_at(&[1; 1536], 512).unwrap();
        disk.crash(Crash::Tear { sector: 512, seed });
        let now = contents(&disk, "f");
        assert_eq!(&now[..3], b"old");
        let sectors: Vec<u8> = (1..4)
            .map(|i| {
                let sector: Vec<u8> = now.iter().skip(i * 512).take(512).copied().collect();
                assert!(sector.windows(2).all(|pair| pair[0] == pair[1]));
                sector.first().map_or(9, |byte| *byte)
            })
            .collect();
        seen.insert(sectors);
    }
    assert!(seen.contains(&vec![1, 1, 1]) && seen.contains(&vec![9, 9, 9]));
    assert!(seen.contains(&vec![0, 1, 9]) && seen.contains(&vec![1, 0, 0]), "{seen:?}");
}

#[test]
fn a_failed_sync_never_makes_its_writes_durable() {
    let (disk, file) = disk();
    file.write_at(b"new", 0).unwrap();
    disk.fail_at(disk.operations(), Fault::Fail);
    assert!(matches!(file.sync(), Err(Error::Io { .. })));
    assert_eq!(contents(&disk, "f"), b"new");
    file.sync().unwrap();
    disk.crash(Crash::LoseAll);
    assert_eq!(contents(&disk, "f"), b"old");
}

#[test]
fn a_full_disk_refuses_growth_only() {
    let (disk, file) = disk();
    disk.set_capacity(Some(4));
    assert!(matches!(file.write_at(b"longer", 0), Err(Error::DiskFull { .. })));
    file.write_at(b"new", 0).unwrap();
    file.write_at(b"4", 3).unwrap();
    disk.set_capacity(None);
    file.write_at(b"longer", 0).unwrap();
}
