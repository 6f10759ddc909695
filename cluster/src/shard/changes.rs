//! Changes of a shard, step by step: which documents changed after a position, filtered, and with
//! their content if asked for. Filters that are functions are not asked here: see `sift`.

use std::collections::HashSet;
use std::vec;

use settee_engine::Snapshot;
use settee_engine::shard::{Change as Entry, ChangeCursor, ChangeLeaf, Which};
use settee_engine::tree::Direction;
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;
use settee_model::rev::RevPath;

use super::point::Point;
use super::rows::design_range;
use super::{Fault, open};
use crate::Error;
use crate::changes::{Candidate, Change, Filter, Style};

/// Bytes of documents after which a step ends.
const STEP_BYTES: usize = 256 * 1024;
/// Changes given after which a step ends.
const STEP_ROWS: usize = 256;
/// Changes looked at after which a step ends, so that whoever waits can do something else.
const STEP_SEEN: usize = 4096;
/// Up to so many ids CouchDB looks up each instead of walking all changes (and then counts as
/// pending what it never looked at).
const LOOKUP_IDS: usize = 100;

/// Which changes of a shard to give, and what of each.
#[derive(Clone)]
pub(crate) struct ChangeScan {
    /// Where the reader stands, in the order of any copy; of no meaning if descending.
    pub(crate) since: Point,
    pub(crate) descending: bool,
    pub(crate) style: Style,
    pub(crate) filter: Filter,
    pub(crate) include_docs: bool,
    pub(crate) conflicts: bool,
}

/// What a step brought.
#[derive(Debug, Default)]
pub(crate) struct ShardStep {
    pub(crate) rows: Vec<ShardChange>,
    /// The life of the copy that counts.
    pub(crate) life: u64,
    /// Position after all that was looked at.
    pub(crate) at: u64,
    /// Changes not looked at yet.
    pub(crate) pending: u64,
    /// There is nothing more in this snapshot.
    pub(crate) done: bool,
    /// Why the change behind `at` cannot be told. Nobody who has enough before it needs to know.
    pub(crate) fault: Option<Error>,
}

/// A change, and where the shard stands after it.
#[derive(Debug)]
pub(crate) struct ShardChange {
    pub(crate) change: Change,
    pub(crate) at: u64,
    pub(crate) pending: u64,
}

/// A scan under way.
pub(crate) struct ChangeScanner {
    snapshot: Snapshot,
    scan: ChangeScan,
    source: Source,
    /// Everything up to here was looked at; not down to here, if descending.
    at: u64,
    pending: u64,
}

// A scanner lives in one place, on the heap; what its parts weigh does not matter.
#[allow(clippy::large_enum_variant)]
enum Source {
    /// All changes, in order.
    Walk(ChangeCursor),
    /// Those of documents that were looked up.
    Found(vec::IntoIter<Entry>),
}

impl ChangeScanner {
    pub(crate) fn new(snapshot: Snapshot, scan: ChangeScan) -> Result<ChangeScanner, Fault> {
        let since = if scan.descending { 0 } else { scan.since.on(&snapshot)? };
        let pending = snapshot.count_changes_since(since)?;
        let source = match &scan.filter {
            Filter::DocIds(ids) if pays_to_look_up(ids, pending) => {
                Source::Found(look_up(&snapshot, ids, since, scan.descending)?)
            }
            Filter::Design => Source::Found(design(&snapshot, since, scan.descending)?),
            _ if scan.descending => Source::Walk(snapshot.changes(0, Direction::Backward)),
            _ => Source::Walk(snapshot.changes(since, Direction::Forward)),
        };
        let at = if scan.descending { snapshot.update_seq() } else { since };
        Ok(ChangeScanner { snapshot, scan, source, at, pending })
    }

    /// Goes on until `most` changes are found, or a step is full, or the end is reached.
    pub(crate) fn step(&mut self, most: usize) -> Result<ShardStep, Fault> {
        let mut step = ShardStep { life: self.snapshot.epoch(), ..ShardStep::default() };
        let mut bytes = 0;
        for _ in 0..STEP_SEEN {
            if step.rows.len() >= most.min(STEP_ROWS) || bytes >= STEP_BYTES {
                break;
            }
            let Some(entry) = self.source.next()? else {
                step.done = true;
                self.end();
                break;
            };
            (self.at, self.pending) = (entry.seq, self.pending.saturating_sub(1));
            if let Some(change) = self.change(entry)? {
                bytes += change.doc.as_ref().map_or(0, |doc| doc.record.body.len());
                step.rows.push(ShardChange { change, at: self.at, pending: self.pending });
            }
        }
        (step.at, step.pending) = (self.at, self.pending);
        Ok(step)
    }

    /// What was not looked at will not pass either: the position moves on to the snapshot's end.
    fn end(&mut self) {
        if !self.scan.descending {
            self.at = self.snapshot.update_seq().max(self.at);
        }
        let as_couchdb = match &self.scan.filter {
            Filter::DocIds(ids) => ids.len() <= LOOKUP_IDS,
            Filter::Design => true,
            Filter::All | Filter::Docs(_) | Filter::Judged(_) => false,
        };
        if !as_couchdb {
            self.pending = 0;
        }
    }

    fn change(&self, entry: Entry) -> Result<Option<Change>, Fault> {
        let winner = entry.leaves.first();
        let named = match self.scan.style {
            Style::MainOnly => entry.leaves.get(..1).unwrap_or_default(),
            Style::AllDocs => entry.leaves.as_slice(),
        };
        let mut conflicts = Vec::new();
        if self.scan.conflicts {
            let losers = entry.leaves.iter().skip(1).filter(|leaf| !leaf.deleted);
            conflicts = losers.map(|leaf| leaf.rev.clone()).collect();
        }
        let mut doc = None;
        let revs = match &self.scan.filter {
            Filter::DocIds(ids) if !ids.contains(&entry.id) => return Ok(None),
            Filter::Docs(filter) => {
                let mut passed = Vec::new();
                for (place, leaf) in named.iter().enumerate() {
                    // Of one leaf among all nobody asks what it conflicts with.
                    let conflicts = match self.scan.style {
                        Style::MainOnly => conflicts.clone(),
                        Style::AllDocs => Vec::new(),
                    };
                    let opened = Candidate { doc: self.open(&entry.id, leaf)?, conflicts };
                    if filter.passes(&opened)? {
                        passed.push(leaf.rev.clone());
                    }
                    if place == 0 {
                        doc = Some(opened.doc);
                    }
                }
                passed
            }
            _ => named.iter().map(|leaf| leaf.rev.clone()).collect(),
        };
        if revs.is_empty() {
            return Ok(None);
        }
        doc = match (self.scan.include_docs, doc, winner) {
            (true, None, Some(winner)) => Some(self.open(&entry.id, winner)?),
            (true, doc, _) => doc,
            (false, ..) => None,
        };
        let deleted = winner.is_some_and(|leaf| leaf.deleted);
        Ok(Some(Change { id: entry.id, seq: None, revs, deleted, doc, conflicts }))
    }

    fn open(&self, id: &DocId, leaf: &ChangeLeaf) -> Result<StoredDoc, Fault> {
        let tip = RevPath::single(leaf.rev.clone());
        open::stored(&self.snapshot, id, tip, leaf.deleted, leaf.body)
    }
}

impl Source {
    fn next(&mut self) -> Result<Option<Entry>, Fault> {
        match self {
            Source::Walk(cursor) => Ok(cursor.next().transpose()?),
            Source::Found(found) => Ok(found.next()),
        }
    }
}

/// A look-up costs about as much as walking over some dozens of changes.
fn pays_to_look_up(ids: &HashSet<DocId>, pending: u64) -> bool {
    ids.len() <= LOOKUP_IDS || ids.len() as u64 * 32 < pending
}

fn look_up(
    snapshot: &Snapshot,
    ids: &HashSet<DocId>,
    since: u64,
    descending: bool,
) -> Result<vec::IntoIter<Entry>, Fault> {
    let ids: Vec<DocId> = ids.iter().filter(|id| !id.is_local()).cloned().collect();
    let found = snapshot.docs_of(&ids)?.into_iter().flatten().map(entry).collect();
    Ok(in_order(found, since, descending))
}

fn design(
    snapshot: &Snapshot,
    since: u64,
    descending: bool,
) -> Result<vec::IntoIter<Entry>, Fault> {
    let docs = snapshot.docs(&design_range(), Direction::Forward, Which::All);
    let found = docs.map(|doc| Ok(entry(doc?.info()?))).collect::<Result<Vec<_>, Fault>>()?;
    Ok(in_order(found, since, descending))
}

fn entry(info: DocInfo) -> Entry {
    let leaves = info.tree.leaves();
    let leaf = |leaf: &settee_model::revtree::Leaf<'_, settee_model::docinfo::RevInfo>| {
        ChangeLeaf { rev: leaf.rev(), deleted: leaf.value.deleted, body: leaf.value.body }
    };
    let leaves = leaves.iter().map(leaf).collect();
    Entry { seq: info.seq, id: info.id, leaves }
}

fn in_order(mut found: Vec<Entry>, since: u64, descending: bool) -> vec::IntoIter<Entry> {
    found.retain(|entry| entry.seq > since);
    found.sort_unstable_by_key(|entry| entry.seq);
    if descending {
        found.reverse();
    }
    found.into_iter()
}
