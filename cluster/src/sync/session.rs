//! [`Session`]: one copy is brought to what another one has. First both carry out each other's
//! purges, then the changes since the checkpoint are pulled, batch by batch. What was pulled and how
//! far that is become durable together, so a crash makes nothing be missed.
//!
//! Why what was purged does not come back: a batch is written only if this copy has not purged since
//! the source confirmed that it carried out all purges of this copy, which was before the batch was
//! read there. If the source has a revision although it carried out its purge, then somebody wrote
//! it again after that.

use std::collections::VecDeque;

use bytes::Bytes;
use settee_engine::Snapshot;
use settee_engine::shard::{Batch, Outcome, PURGES_DONE, PurgeInfo, Write};
use settee_model::docid::DocId;
use settee_model::edit::EditError;
use settee_model::rev::Rev;

use super::answer::{self, head};
use super::ask::{Found, Head, Source, Target};
use super::checkpoint::{Checkpoint, heard_by_all};
use super::fetch;
use super::pace::Pace;
use crate::Error;
use crate::shard::Fault;
use crate::shard::point::{Mark, Marks, Point};

/// Revisions that are asked for at once.
const AT_ONCE: usize = 200;
/// Bytes of attachments that revisions bring along, from which on they are written: more of them may
/// wait for nobody.
const ATTACHED: usize = 4 << 20;
/// Purges that are told at once.
const PURGES_AT_ONCE: usize = 1000;
/// Changes that are looked at before the checkpoint is written although nothing was missing.
const UNSAVED: u64 = 10_000;

/// See the module.
pub(super) struct Session<'a> {
    pub(super) target: &'a Target,
    pub(super) source: &'a Source,
    name: Bytes,
    at: Checkpoint,
    /// Nothing was left out so far.
    whole: bool,
    saved: Option<Checkpoint>,
    /// Both have forgotten purges that the other one never heard of.
    pub(super) gap: bool,
    pub(super) report: Report,
}

/// What a session has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Documents whose changes were looked at.
    pub(crate) looked_at: u64,
    /// Revisions and `_local/` documents that were written.
    pub(crate) written: u64,
    /// Revisions that could not be read at the source, or not be written here.
    pub(crate) left_out: u64,
}

/// Why a session ends before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// This copy has purged something: all begins anew.
    Purged,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

impl<'a> Session<'a> {
    /// Finds out where both are.
    pub(super) async fn open(target: &'a Target, source: &'a Source) -> Result<Self, Error> {
        let theirs = source.head(target.node).await?;
        let name = Checkpoint::name(source.node, target.copy.id());
        let property = name.clone();
        let (ours, saved) = target
            .read(move |snapshot| {
                Ok((head(snapshot, &property)?, Checkpoint::of(snapshot, &property)?))
            })
            .await?;
        let gap = saved
            .is_some_and(|saved| saved.epoch == theirs.end.life && saved.has_gap(&theirs, &ours));
        if gap {
            tracing::warn!(
                shard = %target.copy.id(), node = source.node,
                "a copy was away for so long that purges it did not hear of were forgotten"
            );
        }
        let (at, report) = (Checkpoint::resume(saved, &theirs), Report::default());
        let mut session =
            Session { target, source, name, at, whole: at.complete == at.seq, saved, gap, report };
        session.mark(&theirs, &ours).await?;
        session.exchange_purges(&theirs).await?;
        Ok(session)
    }

    /// Remembers how far the source has come with this copy, for readers who stand there; forgets
    /// what was known of an earlier life of the source.
    async fn mark(&self, theirs: &Head, ours: &Head) -> Result<(), Error> {
        let mut writes = Vec::new();
        if let Some(saved) = self.saved.filter(|saved| saved.epoch != theirs.end.life) {
            writes.push(Write::Property { name: Marks::name(saved.epoch), value: None });
        }
        if let Some(pulled) = theirs.pulled.filter(|pulled| is_of(*pulled, ours)) {
            let name = Marks::name(theirs.end.life);
            let property = name.clone();
            let mut marks =
                self.target.read(move |snapshot| Marks::of(snapshot, &property)).await?;
            if marks.add(Mark { theirs: theirs.end.seq, ours: pulled.seq }) {
                writes.push(Write::Property { name, value: Some(marks.encode()) });
            }
        }
        self.target.write(writes, None).await.map(drop)
    }

    /// Carries out the purges of each copy on the other one.
    async fn exchange_purges(&mut self, theirs: &Head) -> Result<(), Error> {
        let before = self.at;
        while self.at.purges < theirs.purge_seq {
            let purges = self.source.purges(self.at.purges).await?;
            let last = purges.last().map_or(theirs.purge_seq, |last| last.purge_seq);
            self.at.purges = last.max(self.at.purges + 1);
            let mut writes = carry_out(purges);
            writes.push(self.checkpoint());
            self.target.write(writes, None).await?;
            self.saved = Some(self.at);
        }
        let ours = self.target.read(|snapshot| Ok(snapshot.purge_seq())).await?;
        while self.at.told < ours {
            let told = self.at.told;
            let purges = self.target.read(move |snapshot| purges_of(snapshot, told)).await?;
            self.at.told = purges.last().map_or(ours, |last| last.purge_seq);
            self.source.write(self.target.batch(carry_out(purges), None)).await?;
        }
        if (before.told, before.purges) != (self.at.told, self.at.purges) {
            self.save().await?;
            self.target.keep_purges().await?;
        }
        Ok(())
    }

    /// Pulls what changed since the checkpoint.
    pub(super) async fn pull(&mut self) -> Result<(), Stop> {
        loop {
            let pace = Pace::begin();
            let leaves = self.source.since(self.at.seq).await?;
            if leaves.more && leaves.through <= self.at.seq {
                return Err(Error::Storage("a copy told of changes out of order".into()).into());
            }
            let last = !leaves.more;
            self.report.looked_at += leaves.docs.len() as u64;
            self.at.seq = leaves.through.max(self.at.seq);
            let docs = leaves.docs;
            let missing =
                self.target.read(move |snapshot| answer::missing(snapshot, &docs)).await?;
            if !missing.is_empty() {
                self.bring(missing, true).await?;
                pace.rest().await;
            } else if self.at.seq.saturating_sub(self.saved.map_or(0, |saved| saved.seq)) >= UNSAVED
            {
                self.save().await?;
            }
            if last {
                return Ok(self.save().await?);
            }
        }
    }

    /// Brings revisions here; with the last of them the checkpoint, if it is to be written.
    pub(super) async fn bring(
        &mut self,
        wanted: Vec<(DocId, Rev)>,
        checkpoint: bool,
    ) -> Result<(), Stop> {
        let mut wanted = VecDeque::from(wanted);
        while !wanted.is_empty() {
            let asked: Vec<_> = wanted.iter().take(AT_ONCE).cloned().collect();
            let found = self.source.docs(asked).await?;
            wanted.drain(..found.len().min(wanted.len()));
            let mut writes = Vec::with_capacity(found.len() + 1);
            let mut brought = 0;
            for doc in found {
                if brought >= ATTACHED {
                    self.write(std::mem::take(&mut writes)).await?;
                    brought = 0;
                }
                let doc = match doc {
                    Found::Doc(doc) => doc,
                    Found::Gone => continue,
                    Found::Damaged => {
                        self.leave_out();
                        continue;
                    }
                };
                let id = doc.id.clone();
                match fetch::edit(self.target, self.source, *doc).await {
                    Ok(edit) => {
                        brought += edit.carried();
                        writes.push(Write::Replicated(edit));
                    }
                    Err(error) if is_damage(&error) && !self.target.is_suspect() => {
                        tracing::error!(%id, %error, "an attachment cannot be read elsewhere");
                        self.leave_out();
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let ends = checkpoint && wanted.is_empty();
            if ends {
                writes.push(self.checkpoint());
            }
            self.write(writes).await?;
            if ends {
                self.saved = Some(self.at);
            }
        }
        Ok(())
    }

    /// What cannot be had from the source is looked for again, there and elsewhere.
    fn leave_out(&mut self) {
        self.report.left_out += 1;
        self.whole = false;
    }

    async fn write(&mut self, writes: Vec<Write>) -> Result<(), Stop> {
        let outcomes = self.target.write(writes, Some(self.at.told)).await?;
        self.report.written += self.judge(&outcomes)?;
        Ok(())
    }

    /// How many revisions were new.
    fn judge(&mut self, outcomes: &[Outcome]) -> Result<u64, Stop> {
        let mut written = 0;
        for outcome in outcomes {
            match outcome {
                Outcome::Written(_) => written += 1,
                Outcome::Failed(EditError::Conflict) => return Err(Stop::Purged),
                Outcome::Failed(error) => {
                    tracing::error!(%error, "another copy's revision is refused");
                    self.leave_out();
                }
                _ => {}
            }
        }
        Ok(written)
    }

    /// A comparison has found nothing that is still left out.
    pub(super) async fn is_whole(&mut self) -> Result<(), Error> {
        self.whole = true;
        self.save().await
    }

    async fn save(&mut self) -> Result<(), Error> {
        let checkpoint = self.checkpoint();
        if self.saved != Some(self.at) {
            self.target.write(vec![checkpoint], None).await?;
            self.saved = Some(self.at);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Write {
        if self.whole {
            self.at.complete = self.at.seq;
        }
        Write::Property { name: self.name.clone(), value: Some(self.at.encode()) }
    }
}

/// Whether the bytes are to blame, so that asking again is of no use.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Storage(_) | Error::AttachmentMismatch | Error::BadEncoding)
}

/// Whether a point is one of this copy, and not of a future that was taken back.
fn is_of(point: Point, copy: &Head) -> bool {
    point.life == copy.end.life && point.seq <= copy.end.seq
}

fn carry_out(purges: Vec<PurgeInfo>) -> Vec<Write> {
    purges.into_iter().map(|purge| Write::Purge(purge.request)).collect()
}

fn purges_of(snapshot: &Snapshot, since: u64) -> Result<Vec<PurgeInfo>, Fault> {
    Ok(snapshot.purges(since).take(PURGES_AT_ONCE).collect::<Result<_, _>>()?)
}

impl Target {
    pub(super) fn batch(&self, writes: Vec<Write>, purges_known: Option<u64>) -> Batch {
        Batch {
            writes,
            revs_limit: self.revs_limit,
            purge_infos_limit: self.purge_infos_limit,
            partition_limit: None,
            purges_known,
        }
    }

    pub(super) async fn write(
        &self,
        writes: Vec<Write>,
        purges_known: Option<u64>,
    ) -> Result<Vec<Outcome>, Error> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        self.note(self.copy.write(self.batch(writes, purges_known)).await)
    }

    /// Asks the own copy, on a thread that may block.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        ask: impl Fn(&Snapshot) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Error> {
        self.note(self.copy.read(usize::MAX, ask).await)
    }

    /// Sees to it that purges are remembered until all peers have heard of them.
    pub(super) async fn keep_purges(&self) -> Result<(), Error> {
        let names: Vec<Bytes> =
            self.peers.iter().map(|peer| Checkpoint::name(*peer, self.copy.id())).collect();
        let outdated = self.read(move |snapshot| {
            if snapshot.purge_seq() == 0 {
                return Ok(None);
            }
            let mut told = Vec::with_capacity(names.len());
            for name in &names {
                let value = snapshot.property(name)?;
                told.push(value.and_then(|value| Checkpoint::decode(&value)));
            }
            let done = Bytes::copy_from_slice(&heard_by_all(told).to_be_bytes());
            let known = snapshot.property(PURGES_DONE)?;
            Ok((known.as_ref() != Some(&done)).then_some(done))
        });
        if let Some(done) = outdated.await? {
            let name = Bytes::from_static(PURGES_DONE);
            self.write(vec![Write::Property { name, value: Some(done) }], None).await?;
        }
        Ok(())
    }
}
