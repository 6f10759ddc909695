//! How far a copy has come with another one: kept as a property of the copy that pulls, written
//! together with what was pulled. Pure. The bytes: docs/format.md section 4.

use bytes::Bytes;
use settee_engine::{ShardId, Snapshot};

use super::ask::Head;
use crate::raft::NodeId;
use crate::shard::Fault;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// The life of the source that the numbers speak of.
    pub(super) epoch: u64,
    /// All changes of the source up to this sequence were looked at.
    pub(super) seq: u64,
    /// All purges of the source up to this number were carried out here.
    pub(super) purges: u64,
    /// All purges of this copy up to this number were carried out at the source.
    pub(super) told: u64,
    /// All changes of the source up to this sequence are here, and none of them was left out because
    /// it could not be read.
    pub(super) complete: u64,
}

const VERSION: u8 = 2;
const PREFIX: &str = "sync/";

impl Checkpoint {
    /// The name of the property for a source.
    pub(super) fn name(node: NodeId, shard: &ShardId) -> Bytes {
        format!("{PREFIX}{node:016x}/{shard}").into()
    }

    pub(super) fn encode(&self) -> Bytes {
        let Checkpoint { epoch, seq, purges, told, complete } = *self;
        let numbers = [epoch, seq, purges, told, complete].into_iter().flat_map(u64::to_be_bytes);
        [VERSION].into_iter().chain(numbers).collect::<Vec<u8>>().into()
    }

    /// Reads a property. What cannot be read is as good as none: it only costs a pull of all.
    pub(super) fn decode(value: &[u8]) -> Option<Checkpoint> {
        let (&VERSION, mut rest) = value.split_first()? else { return None };
        let mut number = || {
            let (number, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_be_bytes(*number))
        };
        let checkpoint = Checkpoint {
            epoch: number()?,
            seq: number()?,
            purges: number()?,
            told: number()?,
            complete: number()?,
        };
        rest.is_empty().then_some(checkpoint)
    }

    /// The checkpoint that a copy keeps under a name.
    pub(super) fn of(snapshot: &Snapshot, name: &[u8]) -> Result<Option<Checkpoint>, Fault> {
        Ok(snapshot.property(name)?.and_then(|value| Checkpoint::decode(&value)))
    }

    /// Where to go on with a source that is so far now. From the beginning if it is not the shard
    /// that the checkpoint speaks of, or an older state of it.
    pub(super) fn resume(stored: Option<Checkpoint>, head: &Head) -> Checkpoint {
        let fits = |stored: &Checkpoint| {
            stored.epoch == head.end.life
                && stored.seq <= head.end.seq
                && stored.purges <= head.purge_seq
        };
        let begin = Checkpoint { epoch: head.end.life, ..Checkpoint::default() };
        stored.filter(fits).unwrap_or(begin)
    }

    /// Whether it was with this life of a source before.
    fn knows(&self) -> bool {
        self.seq > 0 || self.purges > 0 || self.told > 0
    }

    /// Whether one of both copies has forgotten purges that the other one never heard of, although
    /// they knew each other: then what one lacks may be what it has purged, and nobody can tell.
    /// Pulling by sequence stays right, for it never looks back; comparing everything would not.
    pub(super) fn has_gap(&self, source: &Head, target: &Head) -> bool {
        let gap = |heard: u64, head: &Head| head.oldest_purge > heard + 1;
        self.knows() && (gap(self.purges, source) || gap(self.told, target))
    }
}

/// The last purge of a copy that all its peers have heard of, given what it told them.
pub(super) fn heard_by_all(told: impl IntoIterator<Item = Option<Checkpoint>>) -> u64 {
    told.into_iter().map(|known| known.map_or(0, |known| known.told)).min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::point::Point;

    fn head(epoch: u64, update_seq: u64, purge_seq: u64) -> Head {
        let end = Point { life: epoch, seq: update_seq };
        Head { end, purge_seq, oldest_purge: 1.min(purge_seq), pulled: None }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let checkpoint = Checkpoint { epoch: u64::MAX, seq: 7, purges: 0, told: 300, complete: 6 };
        let bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes), Some(checkpoint));
        for length in 0..bytes.len() {
            assert_eq!(Checkpoint::decode(&bytes[..length]), None);
        }
        assert_eq!(Checkpoint::decode(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Checkpoint::decode(&[&[9], &bytes[1..]].concat()), None);
    }

    #[test]
    fn a_source_that_is_not_the_same_is_read_from_the_beginning() {
        let stored = Checkpoint { epoch: 5, seq: 10, purges: 2, told: 4, complete: 10 };
        let anew = |epoch| Checkpoint { epoch, ..Checkpoint::default() };
        assert_eq!(Checkpoint::resume(Some(stored), &head(5, 10, 2)), stored);
        assert_eq!(Checkpoint::resume(Some(stored), &head(5, 99, 9)), stored);
        assert_eq!(Checkpoint::resume(Some(stored), &head(6, 99, 9)), anew(6));
        assert_eq!(Checkpoint::resume(Some(stored), &head(5, 9, 2)), anew(5));
        assert_eq!(Checkpoint::resume(Some(stored), &head(5, 10, 1)), anew(5));
        assert_eq!(Checkpoint::resume(None, &head(5, 10, 1)), anew(5));
    }

    #[test]
    fn forgotten_purges_are_a_gap_only_among_copies_that_knew_each_other() {
        let stored = Checkpoint { epoch: 5, seq: 10, purges: 2, told: 4, complete: 10 };
        let oldest = |oldest_purge| Head { oldest_purge, ..head(5, 10, 9) };
        assert!(!stored.has_gap(&oldest(3), &oldest(5)));
        assert!(stored.has_gap(&oldest(4), &oldest(5)));
        assert!(stored.has_gap(&oldest(3), &oldest(6)));
        assert!(!Checkpoint { epoch: 5, ..Checkpoint::default() }.has_gap(&oldest(4), &oldest(6)));
    }

    #[test]
    fn purges_are_needed_until_the_last_peer_has_heard_of_them() {
        let told = |told| Some(Checkpoint { told, ..Checkpoint::default() });
        assert_eq!(heard_by_all([told(4), told(3)]), 3);
        assert_eq!(heard_by_all([told(4), None]), 0);
        assert_eq!(heard_by_all([]), u64::MAX);
    }
}
