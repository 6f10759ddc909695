//! The leader's queue of transactions: what comes while an entry is under way goes into the next
//! one together, so that many writers share a flush and a round trip. Never decides about them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::txn::{Command, Outcome, Txn};
use super::{Error, Raft};

/// Transactions in one entry.
const BATCH_MAX: usize = 64;
/// Bytes of transactions after which no further one is added to an entry.
const BYTES_MAX: usize = 256 << 10;

/// A transaction that somebody waits for.
pub(super) struct Proposal {
    pub(super) txn: Txn,
    pub(super) answer: oneshot::Sender<Result<Outcome, Error>>,
}

/// Writes entries until the queue's other end is gone; none is waited for longer than `patience`.
pub(super) async fn propose(raft: Raft, mut queue: mpsc::Receiver<Proposal>, patience: Duration) {
    while let Some(first) = queue.recv().await {
        let batch = batch(first, &mut queue);
        if batch.is_empty() {
            continue;
        }
        let (txns, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|proposal| (proposal.txn, proposal.answer)).unzip();
        let written = timeout(patience, raft.client_write(Command(txns))).await;
        let mut outcomes = match written {
            Ok(Ok(response)) => response.data.into_iter(),
            // Raft took the entry and lost the lead, or stopped: others may have the entry.
            Ok(Err(error)) => {
                tracing::debug!(%error, "the outcome of an entry is not known");
                Vec::new().into_iter()
            }
            Err(_) => Vec::new().into_iter(),
        };
        for answer in answers {
            // Who gave up waiting has been told so.
            let _ = answer.send(outcomes.next().ok_or(Error::Timeout));
        }
    }
}

/// The first and what waits behind it; without those that nobody waits for any longer.
fn batch(first: Proposal, queue: &mut mpsc::Receiver<Proposal>) -> Vec<Proposal> {
    let (mut batch, mut size, mut next) = (Vec::new(), 0, Some(first));
    while let Some(proposal) = next {
        if !proposal.answer.is_closed() {
            size += proposal.txn.size();
            batch.push(proposal);
        }
        let full = batch.len() >= BATCH_MAX || size >= BYTES_MAX;
        next = if full { None } else { queue.try_recv().ok() };
    }
    batch
}
