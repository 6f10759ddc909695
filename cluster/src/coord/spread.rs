//! One batch of writes to all copies of a range. Where an edit of a client is among them, the first
//! live copy in owner order decides (but see `doubt`), and all others carry its decision out while it
//! still syncs; everything else every copy carries out by itself. When the client can be told is decided in
//! `quorum::acks`.

use std::collections::VecDeque;

use settee_engine::shard::{Batch, Decision, Outcome, Write};
use settee_model::doc::{AttBytes, AttSource};
use tokio::sync::oneshot;

use super::doubt::{Doubt, doubt};
use crate::Error;
use crate::attachment::is_held;
use crate::copy::{Home, ShardCopy};
use crate::database::Lacking;
use crate::durable::Durable;
use crate::join::Running;
use crate::quorum::acks::{Acked, Acks};
use crate::steps::uninterrupted_after;

/// The copies of a range.
#[derive(Clone, Copy)]
pub(super) struct Copies<'a> {
    /// In the order in which they may decide.
    pub(super) all: &'a [ShardCopy],
    /// So many of them, from the first on, know all that they should, and may decide.
    pub(super) full: usize,
}

/// Sends a batch to copies until enough of them have it; one verdict for each write.
pub(super) async fn send(
    copies: Copies<'_>,
    batch: Batch,
    wanted: usize,
    lacking: &Lacking,
) -> Result<Vec<Acked>, Error> {
    if batch.writes.is_empty() {
        return Ok(Vec::new());
    }
    if let [only] = copies.all {
        let mut acks = Acks::new(batch.writes.len(), wanted);
        acks.reply(only.write(batch).await.map(placed));
        return acks.verdict();
    }
    // What one copy has shall come to the others, though the client may be gone or was answered.
    let (all, full, lacking) = (copies.all.to_vec(), copies.full, lacking.clone());
    let work = |tell: oneshot::Sender<_>| async move {
        let copies = Copies { all: &all, full };
        let interactive = |write: &Write| matches!(write, Write::Interactive(_));
        let mut replies = Replies::new(lacking);
        let verdict = if batch.writes.iter().any(interactive) {
            edit(copies, &batch, wanted, &mut replies).await
        } else {
            let writes = Share::all(&batch);
            all.iter().for_each(|copy| replies.ask(copy, &batch, &writes));
            replies.gather(Acks::new(batch.writes.len(), wanted)).await
        };
        // Nobody may be there any more to be told.
        let _ = tell.send(verdict);
        // `batch` holds what was uploaded for it until everybody has taken it over.
        replies.finish().await;
    };
    uninterrupted_after(work).await?
}

fn placed(outcomes: Vec<Outcome>) -> Vec<(usize, Outcome)> {
    outcomes.into_iter().enumerate().collect()
}

/// How many decisions of a batch are looked at for refusals to doubt.
const DOUBTS: usize = 4;

/// Lets one copy decide; what it refuses because it was away another one decides.
async fn edit(
    copies: Copies<'_>,
    batch: &Batch,
    wanted: usize,
    replies: &mut Replies,
) -> Result<Vec<Acked>, Error> {
    let (by, mut acked) = lead(copies, batch, wanted, replies).await?;
    // Who decided, and which edits.
    let mut decided = VecDeque::from([(by, (0..batch.writes.len()).collect::<Vec<_>>())]);
    for _ in 0..DOUBTS {
        let Some((by, places)) = decided.pop_front() else { break };
        let doubts = replies.running.beside(doubt(copies.all, by, batch, &acked, &places)).await;
        for Doubt { places, knows } in doubts {
            if knows != by {
                copies.all.get(by).into_iter().for_each(|behind| (replies.lacking)(behind));
            }
            let mut order: Vec<usize> = (0..copies.all.len()).collect();
            order.swap(0, knows);
            let asked: Vec<_> =
                order.iter().filter_map(|at| copies.all.get(*at)).cloned().collect();
            let asked = Copies { all: &asked, full: copies.full };
            let again = places.iter().filter_map(|place| batch.writes.get(*place));
            let again = Batch { writes: again.cloned().collect(), ..*batch };
            replies.leave();
            let verdicts = match lead(asked, &again, wanted, replies).await {
                Ok((by, verdicts)) => {
                    decided.extend(order.get(by).map(|by| (*by, places.clone())));
                    verdicts
                }
                // Whether it is written nobody knows; that it is a conflict would say that it isn't.
                Err(error) => vec![(Err(error), false); places.len()],
            };
            for (place, verdict) in places.into_iter().zip(verdicts) {
                acked.get_mut(place).into_iter().for_each(|acked| *acked = verdict.clone());
            }
        }
    }
    Ok(acked)
}

/// Lets one copy decide and the others follow; which copy that was.
async fn lead(
    copies: Copies<'_>,
    batch: &Batch,
    wanted: usize,
    replies: &mut Replies,
) -> Result<(usize, Vec<Acked>), Error> {
    let Led { by, decision, durable, failed } = decide(copies, batch).await?;
    let Decision { outcomes, made } = decision;
    let share = Share::following(batch, &outcomes, made);
    let mut acks = Acks::decided(outcomes, wanted);
    for (number, copy) in copies.all.iter().enumerate() {
        match failed.iter().find(|(other, _)| *other == number) {
            _ if number == by || share.0.is_empty() => {}
            Some((_, error)) => {
                replies.missed(copy, error);
                acks.reply(Err(error.clone()));
            }
            None => replies.ask(copy, batch, &share),
        }
    }
    if let Some(copy) = copies.all.get(by) {
        replies.promise(copy, durable);
    }
    Ok((by, replies.gather(acks).await?))
}

/// A decision, and who made it.
struct Led {
    by: usize,
    decision: Decision,
    durable: Durable,
    /// Copies that were to decide and could not.
    failed: Vec<(usize, Error)>,
}

/// The decision of the first copy in owner order that can make it. Should one have decided and not
/// been heard, the next one makes the same revisions, for they are named by what is in them.
async fn decide(copies: Copies<'_>, batch: &Batch) -> Result<Led, Error> {
    let mut failed: Vec<(usize, Error)> = Vec::new();
    let (live, others): (Vec<_>, Vec<_>) =
        copies.all.iter().take(copies.full).enumerate().partition(|(_, copy)| copy.is_live());
    for (by, copy) in live.into_iter().chain(others) {
        let home = copy.home();
        if !batch.writes.iter().all(|write| has_uploads(write, &home)) {
            continue;
        }
        match copy.decide(batch).await {
            Ok((decision, durable)) => return Ok(Led { by, decision, durable, failed }),
            // It is at work, or the client's time is over: another one must not decide now.
            Err(error @ (Error::Overloaded | Error::Timeout)) => return Err(error),
            Err(error) => failed.push((by, error)),
        }
    }
    Err(failed.into_iter().next().map_or(Error::AttachmentMismatch, |(_, error)| error))
}

/// Whether the copy that is there has, or gets with it, the attachments that a write names.
fn has_uploads(write: &Write, home: &Home) -> bool {
    let Some(edit) = write.edit() else { return true };
    edit.atts.iter().all(|att| match &att.source {
        AttSource::Stub => true,
        AttSource::Uploaded(uploaded) => match &uploaded.bytes {
            AttBytes::Carried(_) => true,
            AttBytes::Held(hold) => is_held(hold, home),
        },
    })
}

/// Writes that a copy is to carry out, with their places in the batch.
struct Share(Vec<(usize, Write)>);

impl Share {
    fn all(batch: &Batch) -> Share {
        Share(batch.writes.iter().cloned().enumerate().collect())
    }

    /// What follows of a decision: nothing of what was refused.
    fn following(
        batch: &Batch,
        outcomes: &[Outcome],
        made: Vec<Option<settee_engine::shard::Made>>,
    ) -> Share {
        let decided = batch.writes.iter().zip(outcomes).zip(made).enumerate();
        let follow = decided.filter_map(|(place, ((write, outcome), made))| match (write, made) {
            _ if outcome.is_refusal() => None,
            (Write::Interactive(edit), Some(made)) => Some((place, made.following(edit.clone()))),
            (Write::Interactive(_), None) => None,
            (write, _) => Some((place, write.clone())),
        });
        Share(follow.collect())
    }
}

/// What a copy says of the batch.
enum Reply {
    Durable,
    Outcomes(Vec<(usize, Outcome)>),
}

/// The copies that were asked.
struct Replies {
    running: Running<'static, Result<Reply, Error>>,
    lacking: Lacking,
}

/// Whether a copy that failed so is to be told: one that cannot be reached asks by itself when it
/// can again.
fn is_to_hear(error: &Error) -> bool {
    !matches!(error, Error::Unreachable(_) | Error::DatabaseMissing)
}

impl Replies {
    fn new(lacking: Lacking) -> Replies {
        Replies { running: Running::new(), lacking }
    }

    /// A copy could not do its part.
    fn missed(&self, copy: &ShardCopy, error: &Error) {
        if is_to_hear(error) {
            (self.lacking)(copy);
        }
    }

    /// Waits for a decision to become durable.
    fn promise(&mut self, copy: &ShardCopy, durable: Durable) {
        let (copy, lacking) = (copy.clone(), self.lacking.clone());
        self.running.push(async move {
            let done = durable.wait().await.map(|()| Reply::Durable);
            if done.as_ref().is_err_and(is_to_hear) {
                lacking(&copy);
            }
            done
        });
    }

    /// Has a copy carry out its share, less what was not uploaded to it.
    fn ask(&mut self, copy: &ShardCopy, batch: &Batch, share: &Share) {
        let (copy, lacking) = (copy.clone(), self.lacking.clone());
        let home = copy.home();
        let able = share.0.iter().filter(|(_, write)| has_uploads(write, &home));
        let (places, writes): (Vec<usize>, Vec<Write>) = able.cloned().unzip();
        let whole = writes.len() == share.0.len();
        let batch = Batch { writes, ..*batch };
        self.running.push(async move {
            let outcomes = copy.write(batch).await;
            let lacks = match &outcomes {
                Ok(outcomes) => !whole || outcomes.iter().any(Outcome::is_refusal),
                Err(error) => {
                    tracing::debug!(?home, %error, "a copy did not take a write");
                    is_to_hear(error)
                }
            };
            if lacks {
                lacking(&copy);
            }
            let reply = |outcomes| Reply::Outcomes(places.into_iter().zip(outcomes).collect());
            outcomes.map(reply)
        });
    }

    /// Waits until the client can be told.
    async fn gather(&mut self, mut acks: Acks) -> Result<Vec<Acked>, Error> {
        while !acks.is_certain() {
            match self.running.next().await {
                Some(Ok(Reply::Durable)) => acks.durable(),
                Some(Ok(Reply::Outcomes(outcomes))) => acks.reply(Ok(outcomes)),
                Some(Err(error)) => acks.reply(Err(error)),
                // Everybody has said what there is to say.
                None => break,
            }
        }
        acks.verdict()
    }

    /// Lets those go on by themselves who have not replied yet.
    fn leave(&mut self) {
        let late = std::mem::replace(self, Replies::new(self.lacking.clone()));
        tokio::spawn(late.finish());
    }

    /// Waits for everybody else.
    async fn finish(mut self) {
        while self.running.next().await.is_some() {}
    }
}
