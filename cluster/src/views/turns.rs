//! Who may bring an index up to date now, as two who did so would do the same work: in the order in
//! which they asked, so that builds ahead keep no query waiting for longer than one of them. Never
//! opens an index.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use settee_engine::ShardId;
use settee_engine::index::Signature;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// An index, open or not.
type Name = (ShardId, Signature);

/// See the module.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Name, Weak<Queue<()>>>>);

/// The right to bring indexes up to date, as long as it lives.
pub(super) struct Turn(
    #[expect(dead_code, reason = "held for what they do when dropped")] Vec<OwnedMutexGuard<()>>,
);

impl Turns {
    /// Waits until nobody else brings any of these indexes of a shard up to date.
    pub(super) async fn take(
        &self,
        shard: &ShardId,
        signatures: impl Iterator<Item = Signature>,
    ) -> Turn {
        let mut held = Vec::new();
        // Everybody takes them in this order: no two wait for each other.
        for signature in signatures.collect::<BTreeSet<_>>() {
            held.push(self.queue(shard, signature).lock_owned().await);
        }
        Turn(held)
    }

    fn queue(&self, shard: &ShardId, signature: Signature) -> Arc<Queue<()>> {
        let mut queues = self.0.lock();
        let name = (shard.clone(), signature);
        if let Some(queue) = queues.get(&name).and_then(Weak::upgrade) {
            return queue;
        }
        // Ends are seen here, not by themselves: as many stay as there were at once.
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(name, Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn shard() -> ShardId {
        ShardId::parse("00000000-ffffffff/a.1700000000").unwrap()
    }

    fn signatures(names: &[u8]) -> impl Iterator<Item = Signature> {
        names.iter().map(|name| Signature([*name; 16]))
    }

    async fn is_free(turns: &Turns, names: &[u8]) -> bool {
        let shard = shard();
        let turn = turns.take(&shard, signatures(names));
        timeout(Duration::from_millis(10), turn).await.is_ok()
    }

    #[tokio::test]
    async fn indexes_are_taken_together_and_others_stay_free() {
        let turns = Turns::default();
        let turn = turns.take(&shard(), signatures(&[2, 1, 2])).await;
        assert!(!is_free(&turns, &[1, 3]).await && !is_free(&turns, &[2]).await);
        assert!(is_free(&turns, &[3]).await);
        drop(turn);
        assert!(is_free(&turns, &[1, 2, 3]).await);
        assert!(turns.0.lock().len() <= 3);
    }

    #[tokio::test]
    async fn who_asks_again_and_again_goes_behind_who_waits() {
        let turns = Arc::new(Turns::default());
        let mut turn = turns.take(&shard(), signatures(&[1])).await;
        let waits = turns.clone();
        let waiting =
            tokio::spawn(async move { drop(waits.take(&shard(), signatures(&[1])).await) });
        tokio::task::yield_now().await;
        for _ in 0..2 {
            drop(turn);
            turn = turns.take(&shard(), signatures(&[1])).await;
        }
        assert!(waiting.is_finished());
        drop(turn);
    }
}
