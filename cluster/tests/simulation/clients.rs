//! Clients of a node: they write, read, delete, make conflicts, purge, make and remove databases and
//! follow changes, each as its stream of numbers says, until the load ends or their node does.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use settee_cluster::changes::{ChangesQuery, Since, Style};
use settee_cluster::docs::{EditMode, IdRevs, OpenOptions, UpdateOptions};
use settee_cluster::{Cluster, CreateOptions, Db, Error};
use settee_model::doc::DocEdit;
use settee_model::docid::{DbName, DocId};
use settee_model::rev::{Rev, RevId, RevPath};
use tokio::time::{Instant, sleep, timeout};

use crate::chance::Chance;
use crate::history::{History, NameKind, NameOp};
use crate::node::{Node, Running};

/// The database that stays.
pub const STAYS: &str = "stays";
/// Clients of each node that write documents.
const WRITERS: u64 = 3;
/// Documents that all clients write.
const SHARED: u64 = 4;
/// Documents of each client of a node.
const OWN: u64 = 4;
/// Names of databases that come and go.
const NAMES: u64 = 3;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node that cannot ask the leader for so long says what it believes itself.
const LOOK: Duration = Duration::from_secs(1);

/// What all clients share.
#[derive(Default)]
pub struct Load {
    pub history: History,
    /// Nobody asks anything any more; feeds are followed to the end.
    pub over: AtomicBool,
}

/// One client.
struct Client {
    load: Arc<Load>,
    name: String,
    cluster: Cluster,
    chance: Chance,
    made: u64,
    purges: bool,
}

/// Starts the clients of a node that has just started.
pub fn start(load: &Arc<Load>, node: &Arc<Node>, running: &Running) {
    let client = |number: u64| Client {
        load: load.clone(),
        name: format!("n{}c{number}", node.number),
        cluster: running.cluster.clone(),
        chance: node.chance(100 + number),
        made: 0,
        purges: std::env::var_os("PURGES").is_some(),
    };
    for number in 0..WRITERS {
        tokio::spawn(client(number).write());
    }
    if node.number == 0 {
        tokio::spawn(client(WRITERS + 2).begin());
    }
    tokio::spawn(client(WRITERS).administer());
    tokio::spawn(client(WRITERS + 1).follow());
}

fn edit(id: DocId, revs: RevPath, deleted: bool, body: String) -> DocEdit {
    DocEdit { id, revs, deleted, body: Bytes::from(body), atts: Vec::new() }
}

impl Client {
    fn over(&self) -> bool {
        self.load.over.load(Ordering::Relaxed)
    }

    async fn rest(&mut self, least: u64, most: u64) {
        sleep(Duration::from_millis(self.chance.between(least, most))).await;
    }

    /// Asks, and gives up after a while.
    async fn ask<R>(&self, work: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
        let answer = timeout(PATIENCE, work).await.unwrap_or(Err(Error::Timeout));
        self.load.history.with(|kept| match &answer {
            Ok(_) | Err(Error::Conflict | Error::NotFound { .. } | Error::DatabaseExists) => {
                kept.answered += 1;
            }
            Err(_) => kept.failed += 1,
        });
        answer
    }

    fn db(&self) -> Result<Db, Error> {
        self.cluster.db(&DbName::trusted(STAYS))
    }

    async fn write(mut self) {
        while !self.over() {
            self.rest(5, 150).await;
            let Ok(db) = self.db() else { continue };
            match self.chance.below(20) {
                0 if self.purges => self.purge(&db).await,
                1..=2 => self.conflict(&db).await,
                3..=5 => self.read(&db).await,
                _ => self.edit(&db).await,
            }
        }
    }

    /// Makes the database that stays, unless it is there.
    async fn begin(mut self) {
        while self.db().is_err() {
            if self.cluster.members().all_nodes.len() < 3 {
                self.rest(50, 50).await;
                continue;
            }
            let made =
                self.cluster.create_db(&DbName::trusted(STAYS), CreateOptions::default()).await;
            self.load.history.note(|| format!("{STAYS}: {made:?}"));
            self.rest(200, 200).await;
        }
    }

    fn some_doc(&mut self) -> DocId {
        let text = match self.chance.one_in(3) {
            true => format!("shared{}", self.chance.below(SHARED)),
            false => format!("{}d{}", self.name, self.chance.below(OWN)),
        };
        DocId::trusted(&text)
    }

    fn latest(&self, id: &DocId) -> Option<Rev> {
        self.load.history.with(|kept| kept.latest.get(id).cloned())
    }

    fn body(&mut self) -> String {
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

    /// Writes a branch of its own making, as a replicator does.
    async fn conflict(&mut self, db: &Db) {
        let id = self.some_doc();
        let mut digest = [0; 16];
        digest.fill_with(|| self.chance.next() as u8);
        // All of its history comes with it, as from a replicator: a copy that misses some of it has
        // another tree until digests are compared.
        let (start, ids) = (1, vec![RevId::from_md5(digest)]);
        let edit = edit(id, RevPath { start, ids }, false, self.body());
        // What became of it is noted.
        let _ = self.put(db, edit, EditMode::Replicated).await;
    }

    async fn put(&mut self, db: &Db, edit: DocEdit, mode: EditMode) -> Result<Rev, Error> {
        let (history, name, id) = (&self.load.history, &self.name, edit.id.clone());
        history.note(|| format!("{name} writes {id} {mode:?} onto {:?}", edit.revs.tip()));
        let update = db.update(vec![edit], mode, UpdateOptions::default());
        let answer = self.ask(async { Ok(update.await?.remove(0)) }).await;
        let (result, accepted) = match answer {
            Ok(answer) => (answer.result, answer.accepted),
            Err(error) => (Err(error), false),
        };
        history.note(|| format!("{name} wrote {id}: {result:?}, 202: {accepted}"));
        if let Ok(rev) = &result {
            history.with(|kept| {
                if !accepted {
                    kept.writes.push((id.clone(), rev.clone()));
                }
                kept.latest.insert(id, rev.clone());
            });
        }
        result
    }

    async fn read(&mut self, db: &Db) {
        let id = self.some_doc();
        self.read_doc(db, id).await;
    }

    async fn read_doc(&mut self, db: &Db, id: DocId) {
        let found = self.ask(db.open_doc(&id, OpenOptions::default())).await;
        let (history, name) = (&self.load.history, &self.name);
        let found = found.map(|found| found.doc.rev());
        history.note(|| format!("{name} read {id}: {found:?}"));
        history.with(|kept| match found {
            Ok(Some(rev)) => drop(kept.latest.insert(id, rev)),
            Err(Error::NotFound { .. }) => drop(kept.latest.remove(&id)),
            _ => {}
        });
    }

    /// Writes a document of its own, once, and purges it.
    async fn purge(&mut self, db: &Db) {
        let id = DocId::trusted(&format!("{}purged{}", self.name, self.chance.next()));
        let body = self.body();
        let edit = edit(id.clone(), RevPath::default(), false, body);
        let Ok(rev) = self.put(db, edit, EditMode::Interactive).await else { return };
        let request = IdRevs { id: id.clone(), revs: vec![rev.clone()] };
        let (history, name) = (&self.load.history, &self.name);
        // From here on nobody may count on it.
        history.with(|kept| kept.writes.retain(|(written, _)| *written != id));
        let asked =
            async { Ok(db.purge(vec![request], UpdateOptions::default()).await?.remove(0)) };
        let answer = self.ask(asked).await;
        history.note(|| format!("{name} purged {id}: {answer:?}"));
        if let Ok(answer) = answer
            && answer.result.is_ok()
        {
            history.with(|kept| kept.purged.entry(id).or_default().push(rev));
        }
    }

    /// Makes and removes databases, and writes into them.
    async fn administer(mut self) {
        while !self.over() {
            self.rest(100, 1500).await;
            let text = format!("comes-and-goes{}", self.chance.below(NAMES));
            let name = DbName::trusted(&text);
            match self.chance.below(5) {
                0..=1 => self.create(&text, &name).await,
                2 => self.delete(&text, &name).await,
                _ => self.mark(&name).await,
            }
        }
    }

    async fn create(&mut self, text: &str, name: &DbName) {
        let asked = Instant::now();
        let named = self.begin_with(text, NameKind::CreatedPerhaps, "creates");
        let answer = self.ask(self.cluster.create_db(name, CreateOptions::default())).await;
        let ended = self.load.history.note(|| format!("{} created {text}: {answer:?}", self.name));
        let kind = match answer {
            Ok(_) => NameKind::Created,
            Err(Error::DatabaseExists) if asked.elapsed() >= LOOK => NameKind::Nothing,
            Err(Error::DatabaseExists) => NameKind::Present,
            Err(_) => return,
        };
        self.end_with(text, named, kind, ended);
    }

    async fn delete(&mut self, text: &str, name: &DbName) {
        let asked = Instant::now();
        let named = self.begin_with(text, NameKind::DeletedPerhaps, "deletes");
        let answer = self.ask(self.cluster.delete_db(name)).await;
        let ended = self.load.history.note(|| format!("{} deleted {text}: {answer:?}", self.name));
        let kind = match answer {
            Ok(_) => NameKind::Deleted,
            Err(Error::DatabaseMissing) if asked.elapsed() >= LOOK => NameKind::Nothing,
            Err(Error::DatabaseMissing) => NameKind::Absent,
            Err(_) => return,
        };
        self.end_with(text, named, kind, ended);
    }

    /// From now on it may happen, whatever becomes of this node; the number of the entry.
    fn begin_with(&self, text: &str, kind: NameKind, does: &str) -> usize {
        let begun = self.load.history.note(|| format!("{} {does} {text}", self.name));
        self.load.history.with(|kept| {
            let ops = kept.names.entry(text.to_owned()).or_default();
            ops.push(NameOp { kind, begun, ended: None });
            ops.len() - 1
        })
    }

    fn end_with(&self, text: &str, named: usize, kind: NameKind, ended: u64) {
        self.load.history.with(|kept| {
            let ops = kept.names.get_mut(text).unwrap();
            ops[named] = NameOp { kind, ended: Some(ended), ..ops[named].clone() };
        });
    }

    /// Writes which database this is into it, so that another of its name can be told from it.
    async fn mark(&mut self, name: &DbName) {
        let Ok(db) = self.cluster.db(name) else { return };
        let created = db.meta().created;
        let id = DocId::trusted(&format!("of-{created}-{}", self.chance.next()));
        let edit = edit(id, RevPath::default(), false, "{}".into());
        let update = db.update(vec![edit], EditMode::Interactive, UpdateOptions::default());
        let _ = self.ask(update).await;
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
