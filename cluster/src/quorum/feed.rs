//! Changes of many shards become one feed: every change leaves with the positions of all shards
//! after it, packed into one opaque sequence.

use settee_model::range::HashRange;
use settee_model::seq::{Position, Seq};

use crate::changes::Change;
use crate::shard::changes::{ShardChange, ShardStep};

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
    /// The copy that gave the position.
    pub(crate) copy: u64,
    /// Everything up to here was given or filtered out.
    pub(crate) at: u64,
    /// Changes after that; `None` before the shard was asked.
    pub(crate) pending: Option<u64>,
}

impl Feed {
    pub(crate) fn new(shards: Vec<ShardFeed>, limit: Option<u64>, interval: Option<u64>) -> Feed {
        Feed { shards, limit, interval: interval.filter(|interval| *interval > 0), given: 0 }
    }

    /// Where it stands in a shard.
    pub(crate) fn at(&self, shard: usize) -> u64 {
        self.shards.get(shard).map_or(0, |shard| shard.at)
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
        let position =
            |shard: &ShardFeed| Position { range: shard.range, copy: shard.copy, seq: shard.at };
        Seq { positions: self.shards.iter().map(position).collect() }.to_string()
    }

    /// Takes what a shard found; gives what of it goes to the client. Where the limit cuts a step
    /// short, the position stays before what was cut off.
    pub(crate) fn take(&mut self, number: usize, step: ShardStep) -> Vec<Change> {
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
                (shard.at, shard.pending) = (at, Some(pending));
            }
            change.seq = self.due().then(|| self.seq());
            self.given += 1;
            changes.push(change);
        }
        if let Some(shard) = self.shards.get_mut(number) {
            (shard.at, shard.pending) = (step.at, Some(step.pending));
        }
        changes
    }

    fn due(&self) -> bool {
        let left = self.limit.unwrap_or(NO_LIMIT).saturating_sub(self.given);
        self.interval.is_none_or(|interval| left.is_multiple_of(interval))
    }
}
