//! Clients that make and remove databases, and write into them which they are.

use settee_cluster::docs::{EditMode, UpdateOptions};
use settee_cluster::{CreateOptions, Error};
use settee_model::docid::{DbName, DocId};
use settee_model::rev::RevPath;
use std::time::Duration;
use tokio::time::Instant;

use crate::clients::{Client, STAYS, edit};
use crate::history::{NameKind, NameOp};

/// Names of databases that come and go.
const NAMES: u64 = 3;
/// A node that cannot ask the leader for a second, less a pause, says what it believes itself.
const LOOK: Duration = Duration::from_millis(500);

impl Client {
    /// Makes the database that stays, unless it is there.
    pub async fn begin(mut self) {
        while self.db().is_err() {
            if self.cluster.members().all_nodes.len() < 3 {
                self.rest(50, 50).await;
                continue;
            }
            let made = self.cluster.create_db(&DbName::trusted(STAYS), self.layout()).await;
            self.load.history.note(|| format!("{STAYS}: {made:?}"));
            self.rest(200, 200).await;
        }
    }

    fn layout(&self) -> CreateOptions {
        CreateOptions { placement: self.load.guest.placement(), ..CreateOptions::default() }
    }

    /// Makes and removes databases, and writes into them.
    pub async fn administer(mut self) {
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
        let answer = self.ask(self.cluster.create_db(name, self.layout())).await;
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
}
