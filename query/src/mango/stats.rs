//! What an answer cost, and what the client should know about it. Never measures time itself.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::choose::shown;
use super::find::{Find, UseIndex};
use super::plan::Source;

/// Counts of what was looked at. Add up those of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Rows of the index.
    pub keys: u64,
    /// Documents that were read where the rows are.
    pub docs: u64,
    /// Documents that several copies were asked for.
    pub quorum_docs: u64,
    /// Documents in the answer.
    pub results: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Stats) {
        self.keys += other.keys;
        self.docs += other.docs;
        self.quorum_docs += other.quorum_docs;
        self.results += other.results;
    }
}

impl Stats {
    /// The member `execution_stats` of an answer, JSON text.
    pub(super) fn to_json(self, milliseconds: f64) -> String {
        let Stats { keys, docs, quorum_docs, results } = self;
        let time = serde_json::Value::from(milliseconds);
        format!(
            "{{\"total_keys_examined\":{keys},\"total_docs_examined\":{docs},\
             \"total_quorum_docs_examined\":{quorum_docs},\"results_returned\":{results},\
             \"execution_time_ms\":{time}}}"
        )
    }
}

/// Documents that may be looked at for each one found, before the client is told of it
/// (`mango/index_scan_warning_threshold`; 0: never).
pub const SCAN_WARNING_THRESHOLD: u64 = 10;

/// What the client should know: lines, of which there may be none.
pub(super) fn warning(
    find: &Find,
    source: &Source,
    stats: &Stats,
    threshold: u64,
) -> Option<String> {
    let mut lines = Vec::new();
    lines.extend(other_index(find, source));
    if matches!(source, Source::AllDocs) {
        let line = "No matching index found, create an index to optimize query time.";
        lines.push(line.to_owned());
    }
    let scanned = stats.docs + stats.quorum_docs;
    if threshold > 0 && scanned > threshold.saturating_mul(stats.results.max(1)) {
        let line = "The number of documents examined is high in proportion to the number of \
            results returned. Consider adding a more specific index to improve this.";
        lines.push(line.to_owned());
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The index is not the one that the client named.
fn other_index(find: &Find, source: &Source) -> Option<String> {
    let used = match source {
        Source::AllDocs => false,
        Source::Index(index) => find.use_index.means(index.ddoc(), index.name()),
    };
    let why = match find.use_index {
        _ if used => return None,
        UseIndex::Any => return None,
        UseIndex::In(_) => "it does not contain a valid index for this query.",
        UseIndex::Named(..) => "it is not a valid index for this query.",
    };
    Some(format!("{} was not used because {why}", shown(&find.use_index)))
}
