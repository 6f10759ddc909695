//! Raft's log and vote over [`Disk`]. An entry counts as persisted after sled's flush, not before.
//! Never looks into an entry.

use std::fmt::Debug;
use std::ops::RangeBounds;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader, StorageIOError};

use super::disk::{Disk, Slot, off};
use super::{Entry, LogId, OpenError, StorageError, Types, Vote};

/// See the module.
#[derive(Clone)]
pub(super) struct Log(pub(super) Disk);

fn reading(error: OpenError) -> StorageError {
    StorageIOError::read_logs(&error).into()
}

fn writing(error: OpenError) -> StorageError {
    StorageIOError::write_logs(&error).into()
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let (disk, range) =
            (self.0.clone(), (range.start_bound().cloned(), range.end_bound().cloned()));
        off(move || disk.entries(range, false)).await.map_err(reading)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let disk = self.0.clone();
        off(move || disk.entries(start..end, true)).await.map_err(reading)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let disk = self.0.clone();
        let state = move || {
            let purged: Option<LogId> = disk.get(Slot::Purged)?;
            Ok(LogState { last_purged_log_id: purged, last_log_id: disk.last_entry()?.max(purged) })
        };
        off(state).await.map_err(reading)
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let (disk, vote) = (self.0.clone(), *vote);
        let saved = off(move || disk.put(Slot::Vote, &vote)).await;
        saved.map_err(|error| StorageIOError::write_vote(&error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let disk = self.0.clone();
        let read = off(move || disk.get(Slot::Vote)).await;
        read.map_err(|error| StorageIOError::read_vote(&error).into())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (disk, entries) = (self.0.clone(), entries.into_iter().collect::<Vec<_>>());
        off(move || disk.append(&entries)).await.map_err(writing)?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let disk = self.0.clone();
        off(move || disk.truncate(log_id.index)).await.map_err(writing)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let disk = self.0.clone();
        off(move || disk.purge(log_id)).await.map_err(writing)
    }
}
