//! What one copy of a shard asks another one so that both become equal: questions and answers as
//! values, and [`Source`], which asks them within a deadline. Every answer is bounded. Finds no
//! answers itself: `answer` does.

use std::future::Future;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use settee_engine::shard::{Batch, IdRange, LocalDoc, Outcome, PurgeInfo};
use settee_model::doc::{AttContent, StoredDoc};
use settee_model::docid::DocId;
use settee_model::rev::Rev;
use tokio::time::timeout;

use crate::Error;
use crate::attachment::AttStream;
use crate::copy::ShardCopy;
use crate::docs::IdRevs;
use crate::local::LocalCopy;
use crate::raft::NodeId;
use crate::shard::point::Point;

/// A question to a copy.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// How far it is; with the node that asks.
    Head(NodeId),
    /// The documents that changed after a sequence, in the order of their changes.
    Since(u64),
    /// The documents of a span.
    Within(Span),
    /// These documents, in this order; without revisions where there is none.
    Ends(Vec<DocId>),
    /// The purges after a number, oldest first.
    Purges(u64),
    /// Revisions with history and body.
    Docs(Vec<(DocId, Rev)>),
    /// Digests of about so many parts of a span.
    Digest(Family, Span, u32),
    /// The `_local/` documents of a span.
    Locals(Span),
}

/// What a copy says.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Head(Head),
    Leaves(Leaves),
    Purges(Vec<PurgeInfo>),
    /// One for each of the first so many revisions that were asked for. At least one.
    Docs(Vec<Found>),
    Digest(Vec<Part>),
    Locals(Locals),
}

/// What a copy has of a revision.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Doc(Box<StoredDoc>),
    /// It is not there any more: what came instead has a later sequence.
    Gone,
    /// It cannot be read there.
    Damaged,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) end: Point,
    pub(crate) purge_seq: u64,
    /// Number of the oldest purge that is remembered; 0 if there is none.
    pub(crate) oldest_purge: u64,
    /// How far it has come with the copy of who asks.
    pub(crate) pulled: Option<Point>,
}

/// Documents with the ends of their branches, tombstones included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves {
    pub(crate) docs: Vec<IdRevs>,
    /// There is no other change up to this sequence.
    pub(crate) through: u64,
    /// The answer was cut here.
    pub(crate) more: bool,
}

/// `_local/` documents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locals {
    pub(crate) docs: Vec<(DocId, LocalDoc)>,
    /// The answer was cut here.
    pub(crate) more: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Documents that replicate, design documents among them.
    Docs,
    /// `_local/` documents.
    Locals,
}

/// The ids after one and up to another one, in the order of their bytes; without an end where there
/// is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) after: Option<DocId>,
    pub(crate) through: Option<DocId>,
}

/// A part of a span, from the end of the part before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its last id; `None` in the last part, which goes to the end of the span.
    pub(crate) through: Option<DocId>,
    pub(crate) count: u64,
    /// Of ids and contents of the part.
    pub(crate) digest: [u8; 32],
}

impl Span {
    pub(crate) fn range(&self) -> IdRange {
        let low = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let high = self.through.clone().map_or(Bound::Unbounded, Bound::Included);
        (low, high)
    }
}

/// A copy that is pulled from.
#[derive(Clone)]
pub(crate) struct Source {
    /// The node that has it.
    pub(crate) node: NodeId,
    pub(crate) copy: ShardCopy,
    /// Whether it has all that it should, and is not being filled itself.
    pub(crate) full: bool,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

/// The copy on this node that is brought up to date.
#[derive(Clone)]
pub(crate) struct Target {
    /// This node.
    pub(crate) node: NodeId,
    pub(crate) copy: LocalCopy,
    /// The nodes that have the other copies.
    pub(crate) peers: Vec<NodeId>,
    /// Generations that are remembered of each branch.
    pub(crate) revs_limit: u32,
    /// Purges that are remembered.
    pub(crate) purge_infos_limit: u32,
    /// Something of it could not be read or written.
    suspect: Arc<AtomicBool>,
}

impl Target {
    pub(crate) fn new(
        node: NodeId,
        copy: LocalCopy,
        peers: Vec<NodeId>,
        revs_limit: u32,
        purge_infos_limit: u32,
    ) -> Target {
        Target { node, copy, peers, revs_limit, purge_infos_limit, suspect: Arc::default() }
    }

    /// Whether a failure was the own copy's.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Remembers that a failure was the own copy's.
    pub(super) fn note<R>(&self, result: Result<R, Error>) -> Result<R, Error> {
        if matches!(result, Err(Error::Storage(_))) {
            self.suspect.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// Asks, and takes the one kind of answer that fits.
macro_rules! ask {
    ($source:ident, $question:expr => $kind:ident) => {
        match $source.in_time($source.copy.sync($question)).await? {
            Answer::$kind(answer) => Ok(answer),
            other => Err(unfit(&other)),
        }
    };
}

/// A copy that does not answer what it was asked.
pub(crate) fn unfit(answer: &Answer) -> Error {
    tracing::error!(?answer, "a copy answered something else than it was asked");
    Error::Storage("a copy answered something else than it was asked".into())
}

impl Source {
    /// Where it is, asked by a node.
    pub(crate) async fn head(&self, asking: NodeId) -> Result<Head, Error> {
        ask!(self, Ask::Head(asking) => Head)
    }

    pub(crate) async fn since(&self, seq: u64) -> Result<Leaves, Error> {
        ask!(self, Ask::Since(seq) => Leaves)
    }

    pub(crate) async fn within(&self, span: Span) -> Result<Leaves, Error> {
        ask!(self, Ask::Within(span) => Leaves)
    }

    pub(crate) async fn purges(&self, since: u64) -> Result<Vec<PurgeInfo>, Error> {
        ask!(self, Ask::Purges(since) => Purges)
    }

    pub(crate) async fn docs(&self, asked: Vec<(DocId, Rev)>) -> Result<Vec<Found>, Error> {
        let most = asked.len();
        let docs = ask!(self, Ask::Docs(asked) => Docs)?;
        if docs.is_empty() || docs.len() > most {
            return Err(Error::Storage("a copy answered with a wrong number of revisions".into()));
        }
        Ok(docs)
    }

    pub(crate) async fn digest(
        &self,
        family: Family,
        span: Span,
        parts: u32,
    ) -> Result<Vec<Part>, Error> {
        ask!(self, Ask::Digest(family, span, parts) => Digest)
    }

    pub(crate) async fn locals(&self, span: Span) -> Result<Locals, Error> {
        ask!(self, Ask::Locals(span) => Locals)
    }

    /// Hands writes to the copy.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Vec<Outcome>, Error> {
        self.in_time(self.copy.write(batch)).await
    }

    /// The stored bytes of an attachment.
    pub(crate) fn attachment(&self, content: &AttContent) -> AttStream {
        AttStream::new(Ok(self.copy.clone()), content, None, false)
    }

    /// Gives up waiting for what takes too long.
    pub(crate) async fn in_time<R>(
        &self,
        work: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        timeout(self.patience, work).await.unwrap_or(Err(Error::Timeout))
    }
}
