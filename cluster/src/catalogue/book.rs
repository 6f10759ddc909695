//! The book of what the cluster agreed on, as this node writes in it: each change is one transaction
//! of the metadata store, tried again when somebody else was faster. Also who waits until the node
//! shows what it has written. Decides nothing about shards.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use settee_model::docid::DbName;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::common::{CommonSettings, SETTINGS, setting_key, settings_of};
use super::member::{Member, member_key};
use super::meta::{DbMeta, database_key};
use super::placement::{Candidate, place};
use crate::Error;
use crate::raft::{self, Compare, MetaStore, NodeId, Stored, Txn, Write};

/// How long a change may take, whatever happens; then it is not known whether it happened.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take in one go: a leader that was cut off just now cannot keep it up.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a refusal waits for somebody to confirm it.
const LOOK: Duration = Duration::from_secs(1);
/// The newest `created` of databases that were removed.
const REMOVED: &str = "removed";
/// The identity of the cluster.
const UUID: &str = "uuid";

/// See the module.
pub(crate) struct Book {
    store: RwLock<MetaStore>,
    /// The revision that this node shows.
    shown: watch::Sender<u64>,
}

/// How a database is to be laid out.
pub(crate) struct Layout<'a> {
    pub(crate) q: u32,
    pub(crate) n: u32,
    pub(crate) partitioned: bool,
    pub(crate) security: Option<&'a Bytes>,
    pub(crate) placement: Option<&'a str>,
    pub(crate) candidates: Vec<Candidate>,
    /// The wall clock, in seconds since 1970.
    pub(crate) now: u64,
}

impl From<raft::Error> for Error {
    fn from(error: raft::Error) -> Error {
        match error {
            raft::Error::NoLeader => Error::NoMajority,
            raft::Error::Conflict { .. } | raft::Error::Busy => Error::Overloaded,
            raft::Error::Timeout => Error::Timeout,
            raft::Error::Invalid(reason) => Error::BadRequest(reason.into()),
            raft::Error::Stopped => Error::Closing,
            raft::Error::Failed => Error::Storage(error.to_string()),
        }
    }
}

/// What it means if nothing was heard of a change.
#[derive(Clone, Copy)]
enum Alike {
    /// It is done if all looks so: whoever did it, nothing else was wanted.
    Done,
    /// Only one can be told that it was them, and it must not happen twice. So nobody knows, unless
    /// nothing has changed since.
    Unknown,
}

impl Book {
    pub(crate) fn new(store: MetaStore) -> Book {
        let (shown, _) = watch::channel(store.revision());
        Book { store: RwLock::new(store), shown }
    }

    pub(crate) fn store(&self) -> MetaStore {
        self.store.read().clone()
    }

    /// From now on it writes in another store, which this node shows nothing of yet.
    pub(crate) fn replace(&self, store: MetaStore) {
        *self.store.write() = store;
        self.shown.send_replace(0);
    }

    /// This node shows everything up to a revision.
    pub(crate) fn show(&self, revision: u64) {
        self.shown.send_replace(revision);
    }

    /// Waits for a while until this node shows a revision.
    pub(crate) async fn show_soon(&self, revision: u64, patience: Duration) -> Result<(), Error> {
        self.shows(revision, Instant::now() + patience).await
    }

    /// Waits until this node shows a revision.
    async fn shows(&self, revision: u64, deadline: Instant) -> Result<(), Error> {
        let mut shown = self.shown.subscribe();
        let reached = timeout_at(deadline, shown.wait_for(|shown| *shown >= revision)).await;
        reached.map(drop).map_err(|_| Error::Timeout)
    }

    /// The identity of the cluster, once it has one.
    pub(crate) fn uuid(&self) -> Option<String> {
        let stored = self.store.read().get(UUID)?;
        std::str::from_utf8(&stored.value).ok().map(str::to_owned)
    }

    /// Makes a database known. [`Error::DatabaseExists`], [`Error::BadPlacement`].
    pub(crate) async fn create(&self, name: &DbName, layout: Layout<'_>) -> Result<DbMeta, Error> {
        let key = database_key(name);
        let made = self.transact(Alike::Unknown, |store| {
            if store.get(&key).is_some() {
                return Err(Error::DatabaseExists);
            }
            let removed = store.get(REMOVED);
            let created = layout.now.max(number(removed.as_ref()) + 1);
            let turn = turn(name, created);
            let Layout { q, n, placement, .. } = layout;
            let owners = place(q, n, placement, &layout.candidates, turn)?;
            let mut meta = DbMeta::new(name.clone(), created, layout.partitioned, owners);
            meta.security = layout.security.cloned();
            let txn = Txn::new()
                .expect(REMOVED, modified(removed.as_ref()))
                .expect_absent(&*key)
                .put(&*key, meta.encode());
            Ok((txn, meta))
        });
        made.await
    }

    /// Forgets a database, for ever. [`Error::DatabaseMissing`].
    pub(crate) async fn delete(&self, name: &DbName) -> Result<DbMeta, Error> {
        let key = database_key(name);
        let gone = self.transact(Alike::Unknown, |store| {
            let (meta, stored) = read(store, &key)?;
            let removed = store.get(REMOVED);
            let newest = number(removed.as_ref()).max(meta.created);
            let txn = Txn::new()
                .expect(&*key, stored.modified)
                .expect(REMOVED, modified(removed.as_ref()))
                .delete(&*key)
                .put(REMOVED, newest.to_string());
            Ok((txn, meta))
        });
        gone.await
    }

    /// Changes what is known of a database, the one that was created then.
    /// [`Error::DatabaseMissing`].
    pub(crate) async fn change(
        &self,
        name: &DbName,
        created: u64,
        change: impl Fn(&mut DbMeta),
    ) -> Result<(), Error> {
        let key = database_key(name);
        let changed = self.transact(Alike::Done, |store| {
            let (mut meta, stored) = read(store, &key)?;
            if meta.created != created {
                return Err(Error::DatabaseMissing);
            }
            change(&mut meta);
            let value = meta.encode();
            if value == stored.value {
                return Ok((Txn::new(), ()));
            }
            Ok((Txn::new().expect(&*key, stored.modified).put(&*key, value), ()))
        });
        changed.await
    }

    /// Writes what is to be known of a node, and the cluster's identity if it has none yet.
    pub(crate) async fn enrol(&self, id: NodeId, member: &Member) -> Result<(), Error> {
        let (key, value) = (member_key(id), member.encode());
        let enrolled = |store: &MetaStore| {
            let mut txn = Txn::new();
            let known = store.get(&key);
            if known.as_ref().is_none_or(|known| known.value != value) {
                txn = txn.expect(&*key, modified(known.as_ref())).put(&*key, value.clone());
            }
            if store.get(UUID).is_none() {
                txn = txn.expect_absent(UUID).put(UUID, member.uuid.clone());
            }
            Ok((txn, ()))
        };
        self.agree(Alike::Done, enrolled, Instant::now() + PATIENCE).await.map(drop)
    }

    /// Sets settings on all nodes to what `plan` makes of those that are known, if these are still so
    /// when it happens. [`Error::BadRequest`] for a section that cannot be.
    pub(crate) async fn share(
        &self,
        plan: impl Fn(&CommonSettings) -> CommonSettings,
    ) -> Result<(), Error> {
        let shared = |store: &MetaStore| {
            let mut txn = Txn::new();
            let known = settings_of(&store.range(SETTINGS).1);
            let news =
                plan(&known).into_iter().filter(|(name, value)| known.get(name) != Some(value));
            for ((section, key), value) in news {
                let key = setting_key(&section, &key);
                let key = key.ok_or_else(|| Error::BadRequest("a section has no slash".into()))?;
                txn = txn.expect(&*key, modified(store.get(&key).as_ref())).put(&*key, value);
            }
            Ok((txn, ()))
        };
        self.transact(Alike::Done, shared).await
    }

    /// Strikes a node out.
    pub(crate) async fn strike(&self, id: NodeId) -> Result<(), Error> {
        let key = member_key(id);
        let struck = |store: &MetaStore| {
            let txn = Txn::new();
            Ok((if store.get(&key).is_some() { txn.delete(&*key) } else { txn }, ()))
        };
        self.agree(Alike::Done, struck, Instant::now() + PATIENCE).await.map(drop)
    }

    /// Agrees on what `plan` makes of the store, and returns when this node shows it.
    async fn transact<T>(
        &self,
        alike: Alike,
        plan: impl Fn(&MetaStore) -> Result<(Txn, T), Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        let (revision, value) = self.agree(alike, plan, deadline).await?;
        self.shows(revision, deadline).await?;
        Ok(value)
    }

    /// Does what `plan` makes of the store as it is, and plans anew if somebody else changed it
    /// meanwhile. This node's copy has the outcome when it returns.
    async fn agree<T>(
        &self,
        alike: Alike,
        plan: impl Fn(&MetaStore) -> Result<(Txn, T), Error>,
        deadline: Instant,
    ) -> Result<(u64, T), Error> {
        let (mut fresh, mut unsure) = (false, false);
        loop {
            let store = self.store();
            let planned = plan(&store);
            // This node's copy may be behind: what is in the way gone, what is missing there, and
            // what looks done undone. So who has nothing to write looks again once it is not.
            if !fresh && planned.as_ref().map_or(true, |(txn, _)| txn.writes.is_empty()) {
                let patience = if planned.is_ok() { ATTEMPT } else { LOOK };
                match store.barrier(rest(deadline).min(patience)).await {
                    Ok(()) => {
                        fresh = true;
                        continue;
                    }
                    // Without a leader a refusal is believed all the same, but never a success.
                    Err(error) if planned.is_ok() => return Err(error.into()),
                    Err(_) => {}
                }
            }
            let (txn, value) = planned?;
            if txn.writes.is_empty() {
                return Ok((store.revision(), value));
            }
            let error = match store.txn(txn.clone(), rest(deadline).min(ATTEMPT)).await {
                Ok(revision) => {
                    store.reached(revision, rest(deadline)).await?;
                    return Ok((revision, value));
                }
                Err(error) => error,
            };
            let again = matches!(error, raft::Error::Conflict { .. } | raft::Error::Timeout);
            if !again || Instant::now() >= deadline {
                return Err(error.into());
            }
            store.barrier(rest(deadline)).await?;
            fresh = true;
            // An attempt that was not heard of may happen as long as it stands in nobody's way.
            unsure |= error == raft::Error::Timeout;
            match alike {
                _ if !unsure => {}
                Alike::Done if looks_done(&store, &txn) => return Ok((store.revision(), value)),
                // Done twice it would undo what somebody else did in between.
                Alike::Unknown if !holds(&store, &txn) => return Err(Error::Timeout),
                Alike::Done | Alike::Unknown => {}
            }
        }
    }
}

fn rest(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn read(store: &MetaStore, key: &str) -> Result<(DbMeta, Stored), Error> {
    let stored = store.get(key).ok_or(Error::DatabaseMissing)?;
    let meta = DbMeta::decode(key, &stored.value);
    let damaged = || Error::Storage(format!("{key} is not what was written there"));
    Ok((meta.ok_or_else(damaged)?, stored))
}

fn modified(stored: Option<&Stored>) -> u64 {
    stored.map_or(0, |stored| stored.modified)
}

fn number(stored: Option<&Stored>) -> u64 {
    let text = stored.and_then(|stored| std::str::from_utf8(&stored.value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether what a transaction expects of a store is so: then it has not happened.
fn holds(store: &MetaStore, txn: &Txn) -> bool {
    let holds = |compare: &Compare| modified(store.get(&compare.key).as_ref()) == compare.modified;
    txn.compares.iter().all(holds)
}

/// Whether a store looks as it does after a transaction.
fn looks_done(store: &MetaStore, txn: &Txn) -> bool {
    txn.writes.iter().all(|write| match write {
        Write::Put(key, value) => store.get(key).is_some_and(|stored| stored.value == *value),
        Write::Delete(key) => store.get(key).is_none(),
    })
}

/// Which node comes first for a database.
fn turn(name: &DbName, created: u64) -> usize {
    let mut hasher = DefaultHasher::new();
    (name, created).hash(&mut hasher);
    usize::try_from(hasher.finish() & 0xffff).unwrap_or(0)
}
