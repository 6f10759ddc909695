//! Clients of a node: they write, read, delete, attach, make conflicts, purge and follow changes, each
//! as its stream of numbers says, until the load ends or their node does.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use settee_cluster::changes::{ChangesQuery, Since, Style};
use settee_cluster::docs::{EditMode, IdRevs, OpenOptions, UpdateOptions};
use settee_cluster::{Cluster, Db, Error};
use settee_model::doc::DocEdit;
use settee_model::docid::{DbName, DocId};
use settee_model::rev::{Rev, RevId, RevPath};
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::check::local_rev;
use crate::guest::Guest;
use crate::history::History;
use crate::node::{Node, Running};

/// The database that stays.
pub const STAYS: &str = "stays";
/// Clients of each node that write documents.
const WRITERS: u64 = 3;
/// Documents that all clients write.
const SHARED: u64 = 4;
/// Documents of each client of a node.
const OWN: u64 = 4;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all clients share.
#[derive(Default)]
pub struct Load {
    pub history: History,
    pub guest: Guest,
    /// Nobody asks anything any more; feeds are followed to the end.
    pub over: AtomicBool,
}

/// One client.
pub struct Client {
    pub load: Arc<Load>,
    pub name: String,
    pub cluster: Cluster,
    pub chance: Chance,
    made: u64,
}

/// Starts the clients of a node that has just started.
pub fn start(load: &Arc<Load>, node: &Arc<Node>, running: &Running) {
    let client = |number: u64| Client {
        load: load.clone(),
        name: format!("n{}c{number}", node.number),
        cluster: running.cluster.clone(),
        chance: node.chance(100 + number),
        made: 0,
    };
    for number in 0..WRITERS {
        tokio::spawn(client(number).write());
    }
    if node.number == 0 {
        tokio::spawn(client(WRITERS + 2).begin());
        tokio::spawn(client(WRITERS + 3).let_go());
    }
    tokio::spawn(client(WRITERS).administer());
    tokio::spawn(client(WRITERS + 1).follow());
}

pub fn edit(id: DocId, revs: RevPath, deleted: bool, body: String) -> DocEdit {
    DocEdit { id, revs, deleted, body: Bytes::from(body), atts: Vec::new() }
}

impl Client {
    pub fn over(&self) -> bool {
        self.load.over.load(Ordering::Relaxed)
    }

    pub async fn rest(&mut self, least: u64, most: u64) {
        sleep(Duration::from_millis(self.chance.between(least, most))).await;
    }

    /// Asks, and gives up after a while.
    pub async fn ask<R>(&self, work: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
        let answer = timeout(PATIENCE, work).await.unwrap_or(Err(Error::Timeout));
        self.load.history.with(|kept| match &answer {
            Ok(_) | Err(Error::Conflict | Error::NotFound { .. } | Error::DatabaseExists) => {
                kept.answered += 1;
            }
            Err(_) => kept.failed += 1,
        });
        answer
    }

    pub fn db(&self) -> Result<Db, Error> {
        self.cluster.db(&DbName::trusted(STAYS))
    }

    async fn write(mut self) {
        while !self.over() {
            self.rest(5, 150).await;
            let Ok(db) = self.db() else { continue };
            match self.chance.below(20) {
                0 => self.purge(&db).await,
                1..=2 => self.conflict(&db).await,
                3..=5 => self.read(&db).await,
                6..=7 => self.attach(&db).await,
                8 => self.stub(&db).await,
                9 => self.local(&db).await,
                _ => self.edit(&db).await,
            }
        }
    }

    pub fn some_doc(&mut self) -> DocId {
        let text = match self.chance.one_in(3) {
            true => format!("shared{}", self.chance.below(SHARED)),
            false => format!("{}d{}", self.name, self.chance.below(OWN)),
        };
        DocId::trusted(&text)
    }

    fn latest(&self, id: &DocId) -> Option<Rev> {
        self.load.history.with(|kept| kept.latest.get(id).cloned())
    }

    pub fn body(&mut self) -> String {
        self.made += 1;
        let filler = "x".repeat(self.chance.below(2000) as usize);
        format!(r#"{{"by":"{}","n":{},"filler":"{filler}"}}"#, self.name, self.made)
    }

    async fn edit(&mut self, db: &Db) {
        let id = self.some_doc();
        let parent = self.latest(&id);
        let deleted = parent.is_some() && self.chance.one_in(8);
        let body = if deleted { "{}".into() } else { self.body() };
        let revs = parent.clone().map(RevPath::single).unwrap_or_default();
        let known = parent.is_some();
        let edit = edit(id.clone(), revs, deleted, body);
        if self.put(db, edit, EditMode::Interactive).await == Err(Error::Conflict) || !known {
            self.read_doc(db, id).await;
        }
    }

    /// Writes a branch of its own making, as a replicator does: at the root, or onto what is there, of
    /// which it tells more or less; sometimes twice, with more and with less.
    async fn conflict(&mut self, db: &Db) {
        let id = self.some_doc();
        let parents = match self.chance.below(3) {
            0 => RevPath::default(),
            _ => self.read_doc(db, id.clone()).await.unwrap_or_default(),
        };
        let mut digest = [0; 16];
        digest.fill_with(|| self.chance.next() as u8);
        let ids = std::iter::once(RevId::from_md5(digest)).chain(parents.ids);
        let whole = RevPath { start: parents.start + 1, ids: ids.collect() };
        let mut part = whole.clone();
        part.ids.truncate(self.chance.between(1, 3) as usize);
        let body = self.body();
        let told = match self.chance.below(4) {
            0 => vec![whole],
            1 => vec![part],
            2 => vec![whole, part],
            _ => vec![part, whole],
        };
        for revs in told {
            let edit = edit(id.clone(), revs, false, body.clone());
            // What became of it is noted.
            let _ = self.put(db, edit, EditMode::Replicated).await;
        }
    }

    pub async fn put(&mut self, db: &Db, edit: DocEdit, mode: EditMode) -> Result<Rev, Error> {
        let (history, name, id) = (&self.load.history, &self.name, edit.id.clone());
        history.note(|| format!("{name} writes {id} {mode:?} onto {:?}", edit.revs.tip()));
        let purges = history.with(|kept| kept.purges_of(&id));
        let update = db.update(vec![edit], mode, UpdateOptions::default());
        let answer = self.ask(async { Ok(update.await?.remove(0)) }).await;
        let (result, accepted) = match answer {
            Ok(answer) => (answer.result, answer.accepted),
            Err(error) => (Err(error), false),
        };
        history.note(|| format!("{name} wrote {id}: {result:?}, 202: {accepted}"));
        if let Ok(rev) = &result {
            history.with(|kept| {
                // A purge that was asked for meanwhile may have removed it with what followed it.
                if !accepted && kept.purges_of(&id) == purges {
                    kept.writes.push((id.clone(), rev.clone()));
                }
                kept.latest.insert(id, rev.clone());
            });
        }
        result
    }

    async fn read(&mut self, db: &Db) {
        let id = self.some_doc();
        let _ = self.read_doc(db, id).await;
    }

    /// What the winner of a document is, with its history.
    pub async fn read_doc(&mut self, db: &Db, id: DocId) -> Option<RevPath> {
        let options = OpenOptions { history: true, ..OpenOptions::default() };
        let found = self.ask(db.open_doc(&id, options)).await;
        let (history, name) = (&self.load.history, &self.name);
        let path = found.as_ref().ok().map(|found| found.doc.revs.clone());
        let found = found.map(|found| found.doc.rev());
        history.note(|| format!("{name} read {id}: {found:?}"));
        history.with(|kept| match found {
            Ok(Some(rev)) => drop(kept.latest.insert(id, rev)),
            Err(Error::NotFound { .. }) => drop(kept.latest.remove(&id)),
            _ => {}
        });
        path
    }

    /// Writes a `_local/` document of its own.
    async fn local(&mut self, db: &Db) {
        let id = DocId::trusted(&format!("_local/{}", self.name));
        let known = self.load.history.with(|kept| kept.locals.get(&id).copied().unwrap_or(0));
        let revs = if known > 0 { RevPath::single(local_rev(known)) } else { RevPath::default() };
        let edit = edit(id.clone(), revs, false, self.body());
        let update = db.update(vec![edit], EditMode::Interactive, UpdateOptions::default());
        let answer = self.ask(async { Ok(update.await?.remove(0)) }).await;
        let (history, name) = (&self.load.history, &self.name);
        history.note(|| format!("{name} wrote {id}: {answer:?}"));
        if let Ok(answer) = answer
            && answer.result.is_ok()
            && !answer.accepted
        {
            history.with(|kept| kept.locals.insert(id, known + 1));
        }
    }

    /// Writes a document of its own, once, and purges it; or purges what others write, too.
    async fn purge(&mut self, db: &Db) {
        let (id, rev) = match self.chance.one_in(2) {
            true => {
                let id = DocId::trusted(&format!("{}purged{}", self.name, self.chance.next()));
                let edit = edit(id.clone(), RevPath::default(), false, self.body());
                let Ok(rev) = self.put(db, edit, EditMode::Interactive).await else { return };
                (id, rev)
            }
            false => {
                let id = self.some_doc();
                let Some(rev) = self.latest(&id) else { return };
                (id, rev)
            }
        };
        let once = id.as_str().contains("purged");
        let request = IdRevs { id: id.clone(), revs: vec![rev.clone()] };
        let (history, name) = (&self.load.history, &self.name);
        history.note(|| format!("{name} purges {id}: {rev}"));
        // From here on nobody may count on it, nor on what it followed.
        history.with(|kept| kept.begin_purge(&id));
        let asked =
            async { Ok(db.purge(vec![request], UpdateOptions::default()).await?.remove(0)) };
        let answer = self.ask(asked).await;
        history.note(|| format!("{name} purged {id}: {answer:?}"));
        if let Ok(answer) = answer
            && answer.result.is_ok()
            && once
        {
            history.with(|kept| kept.purged.entry(id).or_default().push(rev));
        }
    }

    /// Follows the changes of the database that stays, from where it was before its node fell.
    async fn follow(mut self) {
        loop {
            if let Ok(db) = self.db() {
                let error = self.follow_db(&db).await.err();
                self.load.history.note(|| format!("{} lost its feed: {error:?}", self.name));
            }
            self.rest(100, 500).await;
        }
    }

    async fn follow_db(&mut self, db: &Db) -> Result<(), Error> {
        let seq = self
            .load
            .history
            .with(|kept| kept.feeds.entry(self.name.clone()).or_default().seq.clone());
        let since = seq.map_or(Since::Start, Since::Seq);
        let query = ChangesQuery { since, style: Style::AllDocs, ..ChangesQuery::default() };
        let mut changes = db.changes(query).await?;
        loop {
            let batch = changes.next_batch().await?;
            let seq = changes.last_seq();
            self.load.history.with(|kept| {
                let feed = kept.feeds.entry(self.name.clone()).or_default();
                feed.seq = Some(seq);
                for change in batch.changes {
                    let mut revs = change.revs;
                    revs.sort();
                    feed.last.insert(change.id, revs);
                }
            });
            if batch.done {
                changes.wait().await?;
            }
        }
    }
}
