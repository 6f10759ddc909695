//! What clients asked and were told, in one order; every entry goes into a digest that two runs of a
//! seed must share.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

/// See the module. Locked for a moment only, and never across an await.
#[derive(Default)]
pub struct History(Mutex<Kept>);

#[derive(Default)]
pub struct Kept {
    trace: DefaultHasher,
    entries: u64,
    /// The last entries in words, for who looks for what went wrong.
    pub words: Vec<String>,
    /// Writes that were acknowledged with 201.
    pub writes: Vec<(DocId, Rev)>,
    /// The newest revision that a client knows of each document.
    pub latest: BTreeMap<DocId, Rev>,
    /// Revisions of documents that were written once, whose purges were acknowledged.
    pub purged: BTreeMap<DocId, Vec<Rev>>,
    /// Purges that were asked for of documents, as far as there were any.
    pub purges: BTreeMap<DocId, u64>,
    /// The files of revisions.
    pub files: BTreeMap<(DocId, Rev), Bytes>,
    /// N of the revision `0-N` with which `_local/` documents were acknowledged last.
    pub locals: BTreeMap<DocId, u64>,
    /// What was done with names of databases.
    pub names: BTreeMap<String, Vec<NameOp>>,
    /// By follower: where it is, and what it was told last of each document.
    pub feeds: BTreeMap<String, Followed>,
    /// What should not have been seen.
    pub wrong: Vec<String>,
    /// Requests that were answered well, and those that were not.
    pub answered: u64,
    pub failed: u64,
}

/// What a follower of a feed knows.
#[derive(Clone, Default)]
pub struct Followed {
    pub seq: Option<String>,
    pub last: BTreeMap<DocId, Vec<Rev>>,
}

/// Something that was done with the name of a database.
#[derive(Clone, Debug)]
pub struct NameOp {
    pub kind: NameKind,
    pub begun: u64,
    /// When it was answered; never, if nobody knows whether it happened.
    pub ended: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// It was made.
    Created,
    /// It was there.
    Present,
    /// It was removed.
    Deleted,
    /// It was not there.
    Absent,
    /// Nothing that tells anything.
    Nothing,
    /// It may be made, and then taken back.
    CreatedPerhaps,
    /// It may be removed.
    DeletedPerhaps,
}

impl History {
    /// Looks at what is kept, or changes it.
    pub fn with<R>(&self, look: impl FnOnce(&mut Kept) -> R) -> R {
        look(&mut self.0.lock())
    }

    /// Keeps an entry; its number, which grows.
    pub fn note(&self, words: impl FnOnce() -> String) -> u64 {
        let mut kept = self.0.lock();
        let now = turmoil::sim_elapsed().unwrap_or_default();
        kept.note(now, words())
    }
}

impl Kept {
    pub fn note(&mut self, now: Duration, words: String) -> u64 {
        (now, &words).hash(&mut self.trace);
        let line = format!("{:>9.3} {words}", now.as_secs_f64());
        if std::env::var_os("LIVE").is_some() {
            eprintln!("{line}");
        }
        self.words.push(line);
        self.entries += 1;
        self.entries
    }

    /// How many purges of a document were asked for.
    pub fn purges_of(&self, id: &DocId) -> u64 {
        self.purges.get(id).copied().unwrap_or(0)
    }

    /// A purge of a document is asked for.
    pub fn begin_purge(&mut self, id: &DocId) {
        *self.purges.entry(id.clone()).or_default() += 1;
        self.writes.retain(|(written, _)| written != id);
    }

    /// What two runs of one seed have in common.
    pub fn digest(&self) -> u64 {
        self.trace.finish()
    }
}
