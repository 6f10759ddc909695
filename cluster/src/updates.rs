//! `_db_updates`: which databases were made, changed or removed, as documents of the database
//! `_global_changes`, where there is one. Gathered for a moment, so that a busy database costs a
//! write now and then and not one for each of its own. Never makes that database; who reads it is
//! HTTP's business.

use std::collections::HashSet;
use std::mem;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_model::doc::DocEdit;
use settee_model::docid::{DbName, DocId};
use settee_model::rev::RevPath;
use tokio::sync::mpsc;

use crate::docs::{EditMode, OpenOptions, UpdateOptions};
use crate::node::Node;
use crate::{Db, Error};

/// The database that keeps the events.
pub(crate) const DATABASE: &str = "_global_changes";
/// How long events are gathered: `[global_changes] max_event_delay` and `max_write_delay`.
const GATHER: Duration = Duration::from_millis(500);
/// Events that are written at once.
const BATCH: usize = 500;

/// What happened to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// It was made.
    Created,
    /// A commit.
    Updated,
    /// It was removed.
    Deleted,
}

/// Events that wait to be written.
pub(crate) struct Updates {
    wanted: AtomicBool,
    pending: Mutex<HashSet<(Event, DbName)>>,
    bell: mpsc::Sender<()>,
}

impl Event {
    /// As CouchDB names documents of events.
    fn doc_id(self, name: &DbName) -> DocId {
        let event = match self {
            Event::Created => "created",
            Event::Updated => "updated",
            Event::Deleted => "deleted",
        };
        DocId::trusted(&format!("{event}:{name}"))
    }
}

impl Updates {
    pub(crate) fn new() -> (Updates, mpsc::Receiver<()>) {
        let (bell, rung) = mpsc::channel(1);
        let (wanted, pending) = (AtomicBool::new(false), Mutex::default());
        (Updates { wanted, pending, bell }, rung)
    }

    /// Whether there is a database for the events.
    pub(crate) fn set_wanted(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Release);
        if !wanted {
            self.pending.lock().clear();
        }
    }

    /// Takes an event. Never waits.
    pub(crate) fn add(&self, event: Event, name: &DbName) {
        if !self.wanted.load(Ordering::Acquire) || name.as_str() == DATABASE {
            return;
        }
        self.pending.lock().insert((event, name.clone()));
        // A bell that is still ringing will do.
        let _ = self.bell.try_send(());
    }
}

/// Writes events for as long as the node lives.
pub(crate) async fn write(node: Weak<Node>, mut rung: mpsc::Receiver<()>) {
    while rung.recv().await.is_some() {
        tokio::time::sleep(GATHER).await;
        let Some(node) = node.upgrade() else { return };
        let events = mem::take(&mut *node.updates().pending.lock());
        let ids: Vec<DocId> = events.iter().map(|(event, name)| event.doc_id(name)).collect();
        for batch in ids.chunks(BATCH) {
            match write_batch(&node, batch).await {
                Ok(()) | Err(Error::DatabaseMissing) => {}
                Err(error) => tracing::warn!(%error, "database updates were not recorded"),
            }
        }
    }
}

async fn write_batch(node: &std::sync::Arc<Node>, ids: &[DocId]) -> Result<(), Error> {
    let name = DbName::trusted(DATABASE);
    let db = Db::new(node.clone(), node.database(&name)?);
    let mut edits = Vec::with_capacity(ids.len());
    for id in ids {
        let options = OpenOptions { deleted: true, ..OpenOptions::default() };
        let revs = match db.open_doc(id, options).await {
            Ok(opened) => opened.doc.revs,
            Err(Error::NotFound { .. }) => RevPath::default(),
            Err(error) => return Err(error),
        };
        let body = Bytes::from_static(b"{}");
        edits.push(DocEdit { id: id.clone(), revs, deleted: false, body, atts: Vec::new() });
    }
    // A conflict means that somebody else has just recorded the same.
    db.update(edits, EditMode::Interactive, UpdateOptions::default()).await.map(drop)
}
