//! One piece of work from its beginning to its end: a copy pulls from another one, or compares
//! itself with it. Never decides when: `plan` does.

use super::ask::{Source, Target};
use super::compare::pull_locals;
use super::plan::Kind;
use super::session::{Report, Session, Stop};
use crate::Error;

/// How often all begins anew because the copy purges meanwhile.
const TRIES: usize = 20;

/// Does a piece of work. What was done before a failure stays done.
pub(super) async fn work(kind: Kind, target: &Target, source: &Source) -> Result<Report, Error> {
    let mut report = Report::default();
    for _ in 0..TRIES {
        let mut session = Session::open(target, source).await?;
        let done = through(kind, &mut session).await;
        report.add(&session.report);
        match done {
            Ok(()) => {
                pull_locals(target, source, &mut report).await?;
                return Ok(report);
            }
            Err(Stop::Purged) => {}
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
    Err(Error::Overloaded)
}

async fn through(kind: Kind, session: &mut Session<'_>) -> Result<(), Stop> {
    session.pull().await?;
    match kind {
        Kind::Pull => Ok(()),
        Kind::Compare => {
            let left_out = session.report.left_out;
            session.compare().await?;
            if session.report.left_out == left_out {
                session.is_whole().await?;
            }
            Ok(())
        }
    }
}

impl Report {
    fn add(&mut self, other: &Report) {
        self.looked_at += other.looked_at;
        self.written += other.written;
        self.left_out += other.left_out;
    }
}
