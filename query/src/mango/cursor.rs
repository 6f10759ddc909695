//! The part of an answer that is made where the shards' rows come together: leaves out, counts to
//! the limit, remembers where it ended. Rows come in the plan's order. Never matches documents
//! (see `sieve`).

use super::bookmark::Bookmark;
use super::error::MangoError;
use super::find::Find;
use super::plan::{Plan, Scan, Source};
use super::stats::{Stats, warning};

/// An answer on its way.
#[derive(Debug)]
pub struct Cursor {
    skip: u64,
    limit: u64,
    given: Option<String>,
    from: Option<Bookmark>,
    last: Option<Bookmark>,
    stats: Stats,
    silent: bool,
    /// Who asks for costs gets them as CouchDB counts them, which stops only at the first match
    /// that it has no place for.
    overrun: bool,
}

/// What an answer ends with.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Where it ended; `None` if it was never begun.
    pub bookmark: Option<String>,
    /// What it cost.
    pub cost: Stats,
    /// The same, if the client asked for it.
    pub stats: Option<Stats>,
    /// What the client should know.
    pub warning: Option<String>,
}

impl Cursor {
    /// Begins an answer.
    ///
    /// # Errors
    /// `invalid_bookmark` if the question has one that nobody gave out.
    pub fn new(find: &Find, plan: &Plan) -> Result<Cursor, MangoError> {
        let silent = plan.scan == Scan::Nothing;
        // CouchDB doesn't look at it if it doesn't look at anything.
        let from = match &find.bookmark {
            Some(text) if !silent => Some(Bookmark::parse(text)?),
            _ => None,
        };
        Ok(Cursor {
            skip: find.skip,
            limit: find.limit,
            given: find.bookmark.clone(),
            from,
            last: None,
            stats: Stats::default(),
            silent,
            overrun: find.execution_stats,
        })
    }

    /// The row after which to begin, in the plan's direction.
    #[must_use]
    pub fn start_after(&self) -> Option<&Bookmark> {
        self.from.as_ref()
    }

    /// Whether nothing is looked at, as nothing can match.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Whether the answer is complete, whatever rows are left. To be asked before each row.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.silent || (self.limit == 0 && !self.overrun)
    }

    /// Counts what shards looked at.
    pub fn count(&mut self, stats: Stats) {
        self.stats += stats;
    }

    /// Takes the row of a document that matches, and says whether it is shown. Not to be called
    /// once the answer [is done](Cursor::is_done).
    pub fn take(&mut self, key: &[u8], id: &str) -> bool {
        if self.limit == 0 {
            self.overrun = false;
            return false;
        }
        let shown = self.skip == 0;
        if shown {
            self.limit -= 1;
            self.stats.results += 1;
        } else {
            self.skip -= 1;
        }
        let last = self.last.get_or_insert_with(|| Bookmark { key: Vec::new(), id: String::new() });
        last.key.clear();
        last.key.extend_from_slice(key);
        last.id.clear();
        last.id.push_str(id);
        shown
    }

    /// Ends the answer; `threshold` is that of the configuration for warnings about scans.
    #[must_use]
    pub fn finish(self, find: &Find, source: &Source, threshold: u64) -> Summary {
        if self.silent {
            let cost = Stats::default();
            return Summary { bookmark: None, cost, stats: None, warning: None };
        }
        let given = || self.given.unwrap_or_else(|| "nil".to_owned());
        Summary {
            bookmark: Some(self.last.map_or_else(given, |last| last.to_text())),
            warning: warning(find, source, &self.stats, threshold),
            cost: self.stats,
            stats: find.execution_stats.then_some(self.stats),
        }
    }
}
