//! Finds by digests where another copy has something else, whatever checkpoints say, and pulls that.
//! Equal copies cost one question for each 200,000 documents. Where to look next is decided in `narrow`.

use settee_engine::shard::{LocalReplica, Outcome, Write};

use super::answer::{differing, digest_along};
use super::ask::{Family, Source, Span, Target};
use super::narrow::{Narrowing, PARTS};
use super::pace::Pace;
use super::session::{Report, Session, Stop};
use crate::Error;

impl Session<'_> {
    /// Pulls the documents that end otherwise at the source.
    pub(super) async fn compare(&mut self) -> Result<(), Stop> {
        if self.gap {
            // What is missing here may have been purged, and nobody knows any more.
            return Ok(());
        }
        let mut narrowing = Narrowing::new();
        while let Some(span) = narrowing.next() {
            let pace = Pace::begin();
            look(self.target, self.source, Family::Docs, &mut narrowing, span).await?;
            while let Some(span) = narrowing.found() {
                self.pull_span(span).await?;
            }
            pace.rest().await;
        }
        Ok(())
    }

    async fn pull_span(&mut self, mut span: Span) -> Result<(), Stop> {
        loop {
            let leaves = self.source.within(span.clone()).await?;
            let last = leaves.docs.last().map(|doc| doc.id.clone()).filter(|_| leaves.more);
            let docs = leaves.docs;
            let wanted = self.target.read(move |snapshot| differing(snapshot, &docs)).await?;
            self.bring(wanted, false).await?;
            match last {
                Some(last) => span.after = Some(last),
                None => return Ok(()),
            }
        }
    }
}

/// Compares the parts of one span.
async fn look(
    target: &Target,
    source: &Source,
    family: Family,
    narrowing: &mut Narrowing,
    span: Span,
) -> Result<(), Error> {
    let parts = source.digest(family, span.clone(), PARTS).await?;
    let (theirs, within) = (parts.clone(), span.clone());
    let ours = target.read(move |snapshot| digest_along(snapshot, family, &within, &theirs));
    narrowing.compare(&span, &parts, &ours.await?);
    Ok(())
}

/// Pulls the `_local/` documents that are newer at the source. They have no sequence and no history,
/// so they are always compared; and a deleted one leaves no trace, so it comes back from a copy that
/// was away when it was deleted.
pub(super) async fn pull_locals(
    target: &Target,
    source: &Source,
    report: &mut Report,
) -> Result<(), Error> {
    let mut narrowing = Narrowing::new();
    while let Some(span) = narrowing.next() {
        look(target, source, Family::Locals, &mut narrowing, span).await?;
        while let Some(mut span) = narrowing.found() {
            loop {
                let locals = source.locals(span.clone()).await?;
                let last = locals.docs.last().map(|(id, _)| id.clone()).filter(|_| locals.more);
                let write = |(id, doc)| Write::LocalReplica(LocalReplica { id, doc });
                let writes = locals.docs.into_iter().map(write).collect();
                let outcomes = target.write(writes, None).await?;
                let written = |outcome: &&Outcome| matches!(outcome, Outcome::Written(_));
                report.written += outcomes.iter().filter(written).count() as u64;
                match last {
                    Some(last) => span.after = Some(last),
                    None => break,
                }
            }
        }
    }
    Ok(())
}
