//! [`Follower`]: drives the coordinator's stream of changes into one client's answer, until the
//! feed's end, its limit, its timeout, or the client's going away. What a row looks like is the
//! business of whoever asks (`_changes`, `_db_updates`).

use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use settee_cluster::changes::{Change, Changes, ChangesBatch};
use settee_cluster::{Db, Error as ClusterError};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::feed::Feed;
use crate::handlers::play::play;
use crate::render::Script;
use crate::reply::{Reply, Sink};
use crate::stats::Present;

/// What a feed does while there is nothing to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Shows that it lives, this often, for ever.
    Heartbeat(Duration),
    /// Ends after this time.
    Timeout(Duration),
}

/// How long a feed is silent while changes are looked through, if nobody says: as in CouchDB.
const SILENCE: Duration = Duration::from_secs(5);

/// Bytes of rows that are held back while there are more to be had, so that a filter that fails among
/// the first of them is an answer of its own: as in CouchDB (`chunked_response_buffer`).
const HELD: u64 = 1490;

impl Waiting {
    /// How long a feed is silent while changes are looked through.
    #[must_use]
    pub fn silence(self) -> Duration {
        match self {
            Waiting::Heartbeat(pause) => pause,
            Waiting::Timeout(_) => SILENCE,
        }
    }
}

/// Writes changes as rows of a feed.
pub trait Rows: Send + 'static {
    /// Whether the feed shows a change at all.
    fn shows(&self, change: &Change) -> bool;

    /// Appends the row of a change.
    fn write(&self, script: &mut Script, change: &Change);
}

/// One feed on its way to one client.
pub struct Follower<R> {
    /// The database that is followed.
    pub db: Db,
    /// Its changes from where the client was.
    pub changes: Changes,
    /// How the feed is written.
    pub feed: Feed,
    /// What to do while there is nothing to give.
    pub waiting: Waiting,
    /// Writes the rows.
    pub rows: R,
    /// Most rows to show; `None` for no limit.
    pub limit: Option<u64>,
    /// Whether the end of the feed tells how many changes are left.
    pub tells_pending: bool,
}

impl<R: Rows> Follower<R> {
    /// The answer, which is written while it is sent.
    #[must_use]
    pub fn reply(self) -> Reply {
        let feed = self.feed;
        let reply = Reply::json_stream(StatusCode::OK, |sink| {
            let (script, spoke) = (Script::default(), Instant::now());
            let walk = Walk { of: self, sink, script, shown: 0, begun: false, spoke };
            walk.run()
        });
        match feed {
            Feed::EventSource => {
                reply.header(CONTENT_TYPE, "text/event-stream").header(CACHE_CONTROL, "no-cache")
            }
            _ => reply,
        }
    }
}

/// A follower on its way.
struct Walk<R> {
    of: Follower<R>,
    sink: Sink,
    script: Script,
    /// Rows written so far.
    shown: u64,
    /// Whether it was waited for changes before.
    begun: bool,
    /// When the client was last given anything.
    spoke: Instant,
}

impl<R: Rows> Walk<R> {
    async fn run(mut self) -> Result<(), Error> {
        let feed = self.of.feed;
        let _counted = (feed != Feed::Normal).then(Present::follower);
        self.script.push(feed.opening());
        loop {
            self.give_what_is_there().await?;
            let satisfied =
                feed == Feed::Normal || self.full() || (feed == Feed::Longpoll && self.shown > 0);
            if satisfied || !self.wait().await? {
                break;
            }
        }
        let last_seq = self.of.changes.last_seq();
        let pending = self.of.tells_pending.then(|| self.of.changes.pending());
        feed.closing(self.script.text(), &last_seq, pending);
        self.flush().await
    }

    fn full(&self) -> bool {
        self.full_of_rows() || self.of.changes.remaining() == Some(0)
    }

    async fn give_what_is_there(&mut self) -> Result<(), Error> {
        loop {
            let batch = self.next_batch().await?;
            for change in &batch.changes {
                if self.full_of_rows() {
                    return Ok(());
                }
                self.write(change);
            }
            if batch.done {
                return Ok(());
            }
            if self.script.length().is_none_or(|held| held >= HELD) {
                self.flush().await?;
            }
        }
    }

    /// What there is next; shows meanwhile that the feed lives, for a filter may let little pass and
    /// take its time.
    async fn next_batch(&mut self) -> Result<ChangesBatch, Error> {
        loop {
            let due = self.spoke + self.of.waiting.silence();
            if Instant::now() < due
                && let Ok(batch) = timeout_at(due, self.of.changes.next_batch()).await
            {
                return Ok(batch?);
            }
            self.beat().await?;
        }
    }

    async fn beat(&mut self) -> Result<(), Error> {
        self.script.push(self.of.feed.heartbeat());
        self.flush().await
    }

    /// The follower's own limit: the coordinator knows only its own.
    fn full_of_rows(&self) -> bool {
        self.of.limit.is_some_and(|limit| self.shown >= limit)
    }

    fn write(&mut self, change: &Change) {
        if !self.of.rows.shows(change) {
            return;
        }
        self.script.push(self.of.feed.before(self.shown == 0));
        self.of.rows.write(&mut self.script, change);
        self.of.feed.after(self.script.text(), change.seq.as_deref());
        self.shown += 1;
    }

    /// Waits for more, with heartbeats or up to the timeout; false when that has passed, or nothing more
    /// can come. Who was given nothing yet hears that the feed has begun.
    async fn wait(&mut self) -> Result<bool, Error> {
        if !std::mem::replace(&mut self.begun, true) && self.shown == 0 {
            self.script.push("\n");
        }
        self.flush().await?;
        let (Waiting::Heartbeat(pause) | Waiting::Timeout(pause)) = self.of.waiting;
        loop {
            match timeout_at(self.spoke + pause, self.of.changes.wait()).await {
                // A feed ends with its database.
                Ok(Err(ClusterError::DatabaseMissing)) => return Ok(false),
                Ok(changed) => return changed.map(|()| true).map_err(Error::from),
                Err(_) => {}
            }
            if matches!(self.of.waiting, Waiting::Timeout(_)) {
                return Ok(false);
            }
            self.beat().await?;
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if !self.script.is_empty() {
            play(&self.of.db, std::mem::take(&mut self.script), &mut self.sink).await?;
            self.spoke = Instant::now();
        }
        Ok(())
    }
}
