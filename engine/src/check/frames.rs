//! What the log says about shards, for comparing it with their files: which records there are of
//! each, without gaps, and which shards begin or end there. Opens no file itself.

use std::collections::BTreeMap;

use crate::Error;
use crate::codec::Malformed;
use crate::codec::log::{FrameHead, Record, read_head};
use crate::log::Frame;
use crate::shard::ShardId;

/// See the module's description.
#[derive(Default)]
pub(super) struct Frames {
    shards: BTreeMap<ShardId, Seen>,
    errors: Vec<(ShardId, Error)>,
}

/// The newest life of a shard, as far as the log knows it.
struct Seen {
    epoch: u64,
    /// Whether its creation is in the log.
    created: bool,
    dropped: bool,
    /// Numbers of its first and last frame.
    first: u64,
    last: u64,
    /// Whether a file of it was found.
    found: std::cell::Cell<bool>,
}

impl Frames {
    pub(super) fn take(&mut self, frame: &Frame) {
        let Ok(id) = ShardId::parse(&frame.shard) else { return };
        match read(frame) {
            Ok((head, first)) => self.note(id, head, &first),
            Err(Malformed(what)) => self.errors.push((id, Error::corrupt("log", 0, what))),
        }
    }

    /// Takes the frames that are kept in a file of their own, unless the log still has them.
    pub(super) fn take_kept(&mut self, id: &ShardId, kept: &[Frame]) {
        if !self.shards.contains_key(id) {
            kept.iter().for_each(|frame| self.take(frame));
        }
    }

    fn note(&mut self, id: ShardId, head: FrameHead, record: &Option<Record>) {
        let created = matches!(record, Some(Record::Create));
        let dropped = matches!(record, Some(Record::Drop));
        let (epoch, number) = (head.epoch, head.number);
        match self.shards.get_mut(&id) {
            Some(seen) if seen.epoch == epoch => {
                // Of a damaged shard nobody knew the number.
                if number != seen.last + 1 && !dropped {
                    let gap = Error::corrupt("log", 0, "records of a shard are missing");
                    self.errors.push((id, gap));
                }
                seen.last = number;
                seen.dropped |= dropped;
            }
            _ => {
                let found = std::cell::Cell::new(false);
                let seen = Seen { epoch, created, dropped, first: number, last: number, found };
                self.shards.insert(id, seen);
            }
        }
    }

    pub(super) fn errors(&self) -> Vec<(&ShardId, Error)> {
        self.errors.iter().map(|(id, error)| (id, error.clone())).collect()
    }

    /// A shard's file is there, whatever is in it.
    pub(super) fn saw(&self, id: &ShardId) {
        self.shards.get(id).into_iter().for_each(|seen| seen.found.set(true));
    }

    /// What is wrong with a file whose newest header has that epoch and leads to that frame.
    pub(super) fn judge(
        &self,
        id: &ShardId,
        epoch: u64,
        applied: u64,
        torn: bool,
    ) -> Option<Error> {
        let damage = |what| Some(Error::corrupt(&id.file(), 0, what));
        let seen = self.shards.get(id);
        if seen.is_some_and(|seen| seen.epoch != epoch && !seen.created && !seen.dropped) {
            return damage("the log has records of another life of the shard");
        }
        let ours = seen.filter(|seen| seen.epoch == epoch);
        if ours.is_some_and(|seen| seen.first > applied + 1) {
            return damage("records after the newest header are missing from the log");
        }
        // A header that was being written may be torn, but then the log still has what it was for.
        if torn && ours.is_none_or(|seen| seen.last <= applied) {
            return damage("one of the two headers is damaged");
        }
        None
    }

    /// Shards that should have a file and have none.
    pub(super) fn without_file(&self) -> impl Iterator<Item = &ShardId> {
        let lost = |seen: &Seen| !seen.created && !seen.dropped && !seen.found.get();
        self.shards.iter().filter(move |(_, seen)| lost(seen)).map(|(id, _)| id)
    }
}

/// The head of a frame and its first record, all others read too.
fn read(frame: &Frame) -> Result<(FrameHead, Option<Record>), Malformed> {
    let (head, mut records) = read_head(&frame.payload)?;
    let first = records.next(&frame.payload)?;
    while records.next(&frame.payload)?.is_some() {}
    Ok((head, first))
}
