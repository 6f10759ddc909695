//! Raft's view of the state machine: entries go to the applied copy and to the disk, snapshots are
//! the applied copy as bytes. A snapshot is made durable before Raft learns of it, because the log
//! is trimmed after it. What a transaction changes is decided in `state`.

use std::sync::Arc;

use bytes::Bytes;
use openraft::storage::RaftStateMachine;
use openraft::{OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageIOError};
use parking_lot::Mutex;

use super::applied::{Applied, Image};
use super::disk::{Disk, off};
use super::txn::Outcome;
use super::{Entry, LogId, Membership, NodeId, OpenError, Peer, StorageError, Types};

/// First bytes of a snapshot: its format.
const SNAPSHOT: u8 = 1;

/// See the module.
#[derive(Clone)]
pub(super) struct Machine {
    disk: Disk,
    applied: Arc<Applied>,
    /// Held while memory is ahead of the disk; by threads that may block.
    turn: Arc<Mutex<()>>,
    /// The newest snapshot. It is not kept on disk: what is applied is there, and another can be
    /// made from it.
    snapshot: Arc<Mutex<Option<Snapshot<Types>>>>,
}

impl Machine {
    pub(super) fn new(disk: Disk, applied: Arc<Applied>) -> Machine {
        Machine { disk, applied, turn: Arc::default(), snapshot: Arc::default() }
    }
}

fn writing(error: OpenError) -> StorageError {
    StorageIOError::write_state_machine(&error).into()
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let header = self.applied.header();
        Ok((header.last, header.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Outcome>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (applied, disk, turn) = (self.applied.clone(), self.disk.clone(), self.turn.clone());
        let entries: Vec<_> = entries.into_iter().collect();
        let apply = move || {
            let _turn = turn.lock();
            let (outcomes, delta) = applied.apply(entries);
            disk.write(&delta)?;
            Ok(outcomes)
        };
        off(apply).await.map_err(writing)
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Bytes>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, Peer>,
        snapshot: Box<Bytes>,
    ) -> Result<(), StorageError> {
        let (applied, disk, turn) = (self.applied.clone(), self.disk.clone(), self.turn.clone());
        let bytes = (*snapshot).clone();
        let install = move || {
            let _turn = turn.lock();
            let image = decode(&bytes)?;
            disk.replace(&image)?;
            applied.replace(image);
            Ok(())
        };
        off(install).await.map_err(writing)?;
        *self.snapshot.lock() = Some(Snapshot { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(self.snapshot.lock().clone())
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let (applied, disk, turn) = (self.applied.clone(), self.disk.clone(), self.turn.clone());
        let build = move || {
            // With the turn, whatever is in the image was written; the flush makes it durable.
            let image = {
                let _turn = turn.lock();
                applied.copy()
            };
            disk.flush()?;
            let bytes = encode(&image)?;
            Ok((image.header, bytes))
        };
        let (header, bytes) = off(build).await.map_err(writing)?;
        let index = header.last.map_or(0, |last| last.index);
        let meta = SnapshotMeta {
            snapshot_id: format!("{index}-{}", header.revision),
            last_log_id: header.last,
            last_membership: header.membership,
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(bytes) };
        *self.snapshot.lock() = Some(snapshot.clone());
        Ok(snapshot)
    }
}

fn encode(image: &Image) -> Result<Bytes, OpenError> {
    Ok(postcard::to_extend(image, vec![SNAPSHOT])?.into())
}

fn decode(bytes: &Bytes) -> Result<Image, OpenError> {
    match bytes.split_first() {
        Some((&SNAPSHOT, image)) => Ok(postcard::from_bytes(image)?),
        Some((&other, _)) => Err(OpenError::Version(other.into())),
        None => Err(OpenError::Damaged(postcard::Error::DeserializeUnexpectedEnd)),
    }
}
