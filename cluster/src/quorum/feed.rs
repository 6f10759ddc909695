//! Changes of many shards become one feed: every change leaves with the positions of all shards
//! after it, packed into one opaque sequence. Whose step comes next is decided in `coord::changes`.

use settee_model::range::HashRange;
use settee_model::seq::{Position, Seq};

use crate::changes::Change;
use crate::raft::NodeId;
use crate::shard::changes::{ShardChange, ShardStep};
use crate::shard::point::Point;

/// What CouchDB counts down from where no limit is set; `seq_interval` shows it.
const NO_LIMIT: u64 = 1_000_000_000_000_000;

/// Where a feed stands.
pub(crate) struct Feed {
    shards: Vec<ShardFeed>,
    limit: Option<u64>,
    interval: Option<u64>,
    given: u64,
}

/// Where a feed stands in one shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardFeed {
    pub(crate) range: HashRange,
    /// The node of the copy that gave the point.
    pub(crate) node: NodeId,
    /// Everything up to here was given or filtered out.
    pub(crate) at: Point,
    /// Changes after that; `None` before the shard was asked.
    pub(crate) pending: Option<u64>,
}

impl Feed {
    pub(crate) fn new(shards: Vec<ShardFeed>, limit: Option<u64>, interval: Option<u64>) -> Feed {
        Feed { shards, limit, interval: interval.filter(|interval| *interval > 0), given: 0 }
    }

    /// Where it stands in a shard.
    pub(crate) fn at(&self, shard: usize) -> Point {
        self.shards.get(shard).map(|shard| shard.at).unwrap_or_default()
    }

    /// Whether a shard has said something since the feed began.
    pub(crate) fn heard(&self, shard: usize) -> bool {
        self.shards.get(shard).is_some_and(|shard| shard.pending.is_some())
    }

    /// A shard has nothing after the feed's position.
    pub(crate) fn settle(&mut self, shard: usize) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.pending = Some(0);
        }
    }

    /// How many more changes may be given.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.given))
    }

    /// Whether the limit is reached.
    pub(crate) fn full(&self) -> bool {
        self.remaining() == Some(0)
    }

    /// Shards that have not said yet how much is pending.
    pub(crate) fn silent(&self) -> Vec<usize> {
        let numbered = self.shards.iter().enumerate();
        numbered.filter(|(_, shard)| shard.pending.is_none()).map(|(number, _)| number).collect()
    }

    /// Changes after the feed's position, as far as shards have said.
    pub(crate) fn pending(&self) -> u64 {
        self.shards.iter().filter_map(|shard| shard.pending).sum()
    }

    /// The position as clients see it.
    pub(crate) fn seq(&self) -> String {
        let position = |&ShardFeed { range, node, at: Point { life, seq }, .. }: &ShardFeed| {
            Position { range, node, life, seq }
        };
        Seq { positions: self.shards.iter().map(position).collect() }.to_string()
    }

    /// Takes what the copy on a node found in a shard; gives what of it goes to the client. Where the
    /// limit cuts a step short, the position stays before what was cut off.
    pub(crate) fn take(&mut self, number: usize, node: NodeId, step: ShardStep) -> Vec<Change> {
        let mut changes = Vec::with_capacity(step.rows.len());
        for ShardChange { mut change, at, pending } in step.rows {
            if self.full() {
                // The first cut-off row says how much there is from it on, if no row did before.
                if let Some(shard) = self.shards.get_mut(number) {
                    shard.pending.get_or_insert(pending + 1);
                }
                return changes;
            }
            if let Some(shard) = self.shards.get_mut(number) {
                let at = Point { life: step.life, seq: at };
                (shard.node, shard.at, shard.pending) = (node, at, Some(pending));
            }
            change.seq = self.due().then(|| self.seq());
            self.given += 1;
            changes.push(change);
        }
        if let Some(shard) = self.shards.get_mut(number) {
            let at = Point { life: step.life, seq: step.at };
            (shard.node, shard.at, shard.pending) = (node, at, Some(step.pending));
        }
        changes
    }

    fn due(&self) -> bool {
        let left = self.limit.unwrap_or(NO_LIMIT).saturating_sub(self.given);
        self.interval.is_none_or(|interval| left.is_multiple_of(interval))
    }
}

#[cfg(test)]
mod tests {
    use settee_model::docid::DocId;

    use super::*;

    fn feed(limit: Option<u64>, shards: usize) -> Feed {
        let range = |n: u32| HashRange { start: n * 10, end: n * 10 + 9 };
        let shard = |n| ShardFeed { range: range(n), node: 1, at: Point::default(), pending: None };
        Feed::new((0..shards as u32).map(shard).collect(), limit, None)
    }

    /// A step that found the changes `first..=last` of `total`.
    fn step(first: u64, last: u64, total: u64) -> ShardStep {
        let row = |at: u64| {
            let id = DocId::trusted(&at.to_string());
            let (seq, doc) = (None, None);
            let change =
                Change { id, seq, revs: Vec::new(), deleted: false, doc, conflicts: Vec::new() };
            ShardChange { change, at, pending: total - at }
        };
        let rows = (first..=last).map(row).collect();
        let (life, pending, done) = (7, total - last, last == total);
        ShardStep { rows, life, at: last, pending, done, fault: None }
    }

    fn positions(seq: &str) -> Vec<u64> {
        let seq: Seq = seq.parse().unwrap();
        seq.positions.iter().map(|position| position.seq).collect()
    }

    #[test]
    fn every_change_carries_all_positions() {
        let mut feed = feed(None, 2);
        let first = feed.take(1, 1, step(1, 2, 5));
        let second = feed.take(0, 1, step(1, 1, 1));
        let seqs = first.iter().chain(&second).map(|change| change.seq.as_deref().unwrap());
        let seqs: Vec<_> = seqs.map(positions).collect();
        assert_eq!(seqs, [[0, 1], [0, 2], [1, 2]]);
        assert_eq!((feed.pending(), positions(&feed.seq())), (3, vec![1, 2]));
    }

    #[test]
    fn the_limit_keeps_the_position_before_what_it_cuts_off() {
        let mut feed = feed(Some(3), 2);
        assert_eq!(feed.take(0, 1, step(1, 5, 9)).len(), 3);
        assert!(feed.full());
        assert_eq!(feed.silent(), [1]);
        assert!(feed.take(1, 1, step(1, 4, 4)).is_empty());
        assert_eq!((feed.pending(), positions(&feed.seq())), (6 + 4, vec![3, 0]));
    }

    #[test]
    fn what_did_not_pass_moves_the_position_too() {
        let mut feed = feed(Some(3), 1);
        let nothing = ShardStep { at: 40, pending: 2, ..ShardStep::default() };
        assert!(feed.take(0, 1, nothing).is_empty());
        assert_eq!((feed.pending(), positions(&feed.seq())), (2, vec![40]));
        assert_eq!(feed.remaining(), Some(3));
    }
}
