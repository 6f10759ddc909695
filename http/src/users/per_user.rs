//! Databases of users' own: `[couch_peruser]`. As users' documents come and go, the node that leads
//! makes `userdb-{hex}`, lets its user in, and puts them out again or removes it. Where it was is kept
//! beside the documents, so that whoever leads next goes on from there; doing it twice does no harm.
//! Never reads or writes a document in one of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use settee_cluster::changes::{Change, ChangesQuery, Since};
use settee_cluster::docs::{EditMode, OpenOptions, UpdateOptions};
use settee_cluster::{CreateOptions, Db, Error};
use settee_model::config::Config;
use settee_model::doc::DocEdit;
use settee_model::docid::{DbName, DocId};
use settee_model::json;
use settee_model::rev::RevPath;

use crate::auth::ID_PREFIX;
use crate::auth::prf::hex;
use crate::context::App;
use crate::settings::Settings;
use crate::users::is_of_logins;

/// How often it is looked whether there is something to do, and rest after a failure.
const REST: Duration = Duration::from_secs(1);
/// Where it is kept how far this has come.
pub const CHECKPOINT: &str = "_local/couch_peruser";

/// How databases of users' own are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerUser {
    /// `database_prefix`: what their names begin with.
    prefix: String,
    /// `delete_dbs`: whether they are removed with their users.
    delete: bool,
    /// `q`: their shards.
    q: u32,
    /// `n`: copies of each; as for other databases otherwise.
    n: Option<u32>,
}

impl PerUser {
    /// Reads what is configured; `None` if there are to be none.
    #[must_use]
    pub fn from_config(config: &Config) -> Option<Self> {
        let section = "couch_peruser";
        if !config.boolean(section, "enable", false) {
            return None;
        }
        let prefix = config.get(section, "database_prefix").unwrap_or("userdb-");
        if prefix.starts_with('_') || DbName::parse(prefix).is_err() {
            tracing::error!(prefix, "[couch_peruser] database_prefix: no database is called so");
            return None;
        }
        Some(PerUser {
            prefix: prefix.to_owned(),
            delete: config.boolean(section, "delete_dbs", false),
            q: config.parsed(section, "q", 1).max(1),
            n: config.get(section, "n").and_then(|n| n.parse().ok()).filter(|n| *n > 0),
        })
    }

    /// The name of a user's database; none if it would be too long for one.
    fn name(&self, user: &str) -> Option<DbName> {
        let name = DbName::parse(&format!("{}{}", self.prefix, hex(user.as_bytes()))).ok()?;
        name.check_length().is_ok().then_some(name)
    }
}

/// Does it for as long as the server runs.
pub async fn watch(app: Arc<App>) {
    loop {
        let settings = app.settings();
        if let Some(rule) = settings.per_user.as_ref().filter(|_| app.cluster.leads())
            && let Ok(db) = app.cluster.db(&DbName::trusted(&settings.auth.users_db))
            && let Err(error) = (Worker { app: &app, db: &db, rule }).run().await
        {
            tracing::warn!(%error, "databases of users have to wait");
        }
        tokio::time::sleep(REST).await;
    }
}

struct Worker<'a> {
    app: &'a App,
    /// Of users.
    db: &'a Db,
    rule: &'a PerUser,
}

impl Worker<'_> {
    /// Until something else is configured, or another node leads.
    async fn run(&self) -> Result<(), Error> {
        let query = ChangesQuery { since: self.since().await?, ..ChangesQuery::default() };
        let mut changes = match self.db.changes(query).await {
            Err(Error::BadSequence) => self.db.changes(ChangesQuery::default()).await?,
            others => others?,
        };
        while self.holds(&self.app.settings()) {
            let batch = changes.next_batch().await?;
            for change in &batch.changes {
                self.follow(change).await?;
            }
            if !batch.changes.is_empty() {
                self.keep(&changes.last_seq()).await?;
            }
            if batch.done {
                changes.wait_at_most(REST).await?;
            }
        }
        Ok(())
    }

    fn holds(&self, settings: &Settings) -> bool {
        settings.per_user.as_ref() == Some(self.rule)
            && is_of_logins(settings, self.db)
            && self.app.cluster.leads()
    }

    /// Where to go on. With another prefix all begins anew.
    async fn since(&self) -> Result<Since, Error> {
        let kept = self.db.open_doc(&DocId::trusted(CHECKPOINT), OpenOptions::default()).await;
        let kept = match kept {
            Ok(opened) => json::value(&opened.doc.record.body).unwrap_or_default(),
            Err(Error::NotFound { .. }) => return Ok(Since::Start),
            Err(error) => return Err(error),
        };
        let text = |name: &str| kept.get(name).and_then(Value::as_str);
        Ok(match text("seq").filter(|_| text("prefix") == Some(&self.rule.prefix)) {
            Some(seq) => Since::Seq(seq.to_owned()),
            None => Since::Start,
        })
    }

    async fn keep(&self, seq: &str) -> Result<(), Error> {
        let edit = DocEdit {
            id: DocId::trusted(CHECKPOINT),
            revs: RevPath::default(),
            deleted: false,
            body: json!({"prefix": self.rule.prefix, "seq": seq}).to_string().into(),
            atts: Vec::new(),
        };
        let options = UpdateOptions::default();
        let results = self.db.update(vec![edit], EditMode::Interactive, options).await?;
        results.into_iter().try_for_each(|result| result.result.map(drop))
    }

    async fn follow(&self, change: &Change) -> Result<(), Error> {
        let user = change.id.as_str().strip_prefix(ID_PREFIX).filter(|user| !user.is_empty());
        let Some(user) = user else { return Ok(()) };
        let Some(name) = self.rule.name(user) else {
            tracing::warn!(user, "too long a name for a database of their own");
            return Ok(());
        };
        if !change.deleted {
            // If somebody made or deleted it meanwhile, another try finds it as it is.
            return self.let_in(user, &name).await;
        }
        match self.put_out(user, &name).await {
            Err(Error::DatabaseMissing) => Ok(()),
            done => done,
        }
    }

    async fn let_in(&self, user: &str, name: &DbName) -> Result<(), Error> {
        match self.app.cluster.db(name) {
            Ok(db) => match with(&self.security(&db), user) {
                Some(security) => db.set_security(security).await,
                None => Ok(()),
            },
            Err(Error::DatabaseMissing) => {
                // It is never anybody's but theirs.
                let usual = self.app.settings().default_security.clone();
                let security = with(&read(&usual), user);
                let (q, n) = (Some(self.rule.q), self.rule.n);
                let options = CreateOptions { q, n, security, ..CreateOptions::default() };
                self.app.cluster.create_db(name, options).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    async fn put_out(&self, user: &str, name: &DbName) -> Result<(), Error> {
        let db = self.app.cluster.db(name)?;
        // Whatever is called so and is not theirs stays as it is.
        let Some(security) = without(&self.security(&db), user) else { return Ok(()) };
        if self.rule.delete {
            return self.app.cluster.delete_db(name).await.map(drop);
        }
        db.set_security(security).await
    }

    fn security(&self, db: &Db) -> Value {
        let meta = db.meta();
        read(meta.security.as_ref().unwrap_or(&self.app.settings().default_security))
    }
}

fn read(security: &[u8]) -> Value {
    json::value(security).unwrap_or_default()
}

/// A security object with a user among the admins and the members; `None` if they are both.
fn with(security: &Value, user: &str) -> Option<Bytes> {
    changed(security, |names| {
        let missing = !names.iter().any(|name| name == user);
        if missing {
            names.insert(0, user.into());
        }
        missing
    })
}

/// The same without them; `None` if they are neither.
fn without(security: &Value, user: &str) -> Option<Bytes> {
    changed(security, |names| {
        let before = names.len();
        names.retain(|name| name != user);
        names.len() < before
    })
}

fn changed(security: &Value, change: impl Fn(&mut Vec<Value>) -> bool) -> Option<Bytes> {
    let mut object = security.as_object().cloned().unwrap_or_default();
    let mut any = false;
    for people in ["admins", "members"] {
        let people = object.entry(people).or_insert_with(|| json!({}));
        let names = people.as_object_mut()?.entry("names").or_insert_with(|| json!([]));
        any |= change(names.as_array_mut()?);
    }
    any.then(|| Value::Object(object).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pairs: &[(&str, &str)]) -> Option<PerUser> {
        let mut config = Config::default();
        pairs.iter().for_each(|(key, value)| config.set("couch_peruser", key, value));
        PerUser::from_config(&config)
    }

    #[test]
    fn names_of_databases() {
        assert_eq!(rule(&[]), None);
        for bad in ["_users", "_", "User", "1", "a b"] {
            assert_eq!(rule(&[("enable", "true"), ("database_prefix", bad)]), None, "{bad}");
        }
        let usual = rule(&[("enable", "true")]).unwrap();
        let name = |user: &str| usual.name(user).map(|name| name.as_str().to_owned());
        assert_eq!(name("ann").as_deref(), Some("userdb-616e6e"));
        assert_eq!(name("é").as_deref(), Some("userdb-c3a9"));
        // Each has one of their own.
        assert_ne!(name("\u{1}\u{2}"), name("\u{12}"));
        assert_eq!(name(&"x".repeat(1000)), None);
        let other = rule(&[("enable", "true"), ("database_prefix", "of/"), ("q", "0"), ("n", "2")]);
        let other = other.unwrap();
        assert_eq!(other.name("a").unwrap().as_str(), "of/61");
        assert_eq!((other.q, other.n, other.delete), (1, Some(2), false));
    }

    #[test]
    fn users_come_and_go() {
        let usual = json!({"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}});
        let there = with(&usual, "ann").unwrap();
        assert_eq!(
            there,
            r#"{"members":{"roles":["_admin"],"names":["ann"]},"admins":{"roles":["_admin"],"names":["ann"]}}"#
        );
        let there = json::value(&there).unwrap();
        assert_eq!(with(&there, "ann"), None);
        assert_eq!(without(&there, "bob"), None);
        let gone = json::value(&without(&there, "ann").unwrap()).unwrap();
        assert_eq!(gone["admins"], json!({"roles": ["_admin"], "names": []}));
        assert_eq!(without(&gone, "ann"), None);
        let alone = json::value(&with(&json!({}), "ann").unwrap()).unwrap();
        assert_eq!(alone["members"], json!({"names": ["ann"]}));
        assert_eq!(with(&json!({"admins": 1}), "ann"), None);
    }
}
