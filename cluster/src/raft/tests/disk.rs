//! Storage: Raft's own suite, refusals, and a directory copied at the moment of an answer.

use std::path::Path;
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::testing::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::net::{Group, put};
use crate::raft::applied::Applied;
use crate::raft::disk::{Disk, Slot};
use crate::raft::log::Log;
use crate::raft::machine::Machine;
use crate::raft::txn::Command;
use crate::raft::{Memory, OpenError, Place, StorageError, Types, Write};

struct Builder(fn(&TempDir) -> Place);

impl StoreBuilder<Types, Log, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&self.0(&dir), "u").unwrap();
        let applied = Arc::new(Applied::new(disk.image().unwrap()));
        Ok((dir, Log(disk.clone()), Machine::new(disk, applied)))
    }
}

#[test]
fn storage_passes_the_suite_of_raft() {
    Suite::test_all(Builder(|dir| Place::Directory(dir.path().to_owned()))).unwrap();
    Suite::test_all(Builder(|_| Place::Memory(Memory::default()))).unwrap();
}

#[test]
fn other_nodes_and_other_formats_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(&Place::Directory(dir.path().to_owned()), "mine").unwrap();
    drop(disk);
    let other = Disk::open(&Place::Directory(dir.path().to_owned()), "yours").err().unwrap();
    assert!(matches!(other, OpenError::OtherNode(uuid) if uuid == "mine"));
    let disk = Disk::open(&Place::Directory(dir.path().to_owned()), "mine").unwrap();
    disk.put(Slot::Format, &2u32).unwrap();
    drop(disk);
    let newer = Disk::open(&Place::Directory(dir.path().to_owned()), "mine").err().unwrap();
    assert!(matches!(newer, OpenError::Version(2)));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// What sled still has in its own buffers is not in the copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_in_the_files() {
    let mut group = Group::of(1).await;
    for round in 1..=5 {
        put(group.store(0), "k", &round.to_string()).await;
        copy(&group.path(0), &group.path(round));
    }
    group.stop(0).await;
    for round in 1..=5 {
        let (uuid, wanted) = (group.options(0).uuid, round.to_string());
        let disk = Disk::open(&Place::Directory(group.path(round)), &uuid).unwrap();
        let log = disk.entries(.., false).unwrap();
        let EntryPayload::Normal(Command(txns)) = &log.last().unwrap().payload else {
            panic!("the last entry is no transaction");
        };
        assert_eq!(txns[0].writes, [Write::Put("k".into(), wanted.into())]);
    }
}
