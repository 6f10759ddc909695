//! What all handles of one node share: engine, metadata, the databases in use, and who is told of
//! commits. Decides nothing about requests.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use parking_lot::{Mutex, RwLock};
use settee_engine::{Engine, ShardId};
use settee_model::docid::DbName;
use tokio::sync::{MutexGuard, Semaphore, watch};

use crate::commits::Commits;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::local::LocalCopy;
use crate::meta::{MetaStore, Stage, database_of};
use crate::steps::blocking;
use crate::updates::{self, Event, Updates};
use crate::{DbMeta, Error, Settings, coord};

/// Databases that are kept ready for the next request although nobody uses them.
const KEPT_READY: usize = 1024;
/// Changes of metadata that may go on at once; those of one database take turns.
const TURNS: usize = 64;

/// Makes 32 random hexadecimal digits, another time others.
pub type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// See the module.
pub(crate) struct Node {
    engine: Engine,
    settings: Settings,
    uuid: String,
    new_id: NewId,
    store: MetaStore,
    all: RwLock<Arc<BTreeMap<DbName, Arc<DbMeta>>>>,
    used: Mutex<Used>,
    turns: Vec<tokio::sync::Mutex<()>>,
    removed: Mutex<Removed>,
    /// Told by the engine's threads, so they must not keep the engine alive.
    commits: Arc<Commits>,
    updates: Arc<Updates>,
    background: Arc<Semaphore>,
}

/// Databases that are in use or were so lately.
struct Used {
    databases: HashMap<DbName, Arc<Database>>,
    /// Size at which those that nobody uses are let go.
    sweep_at: usize,
}

/// When databases that are gone were created, so that a name never gets the same stamp twice.
struct Removed {
    /// The newest of all.
    newest: u64,
    /// The newest before the start.
    before: u64,
    /// Since then; only those whose second may still come.
    since: HashMap<DbName, u64>,
}

impl Node {
    pub(crate) async fn open(
        engine: Engine,
        settings: Settings,
        new_id: NewId,
    ) -> Result<Arc<Node>, Error> {
        let (store, stored) = MetaStore::open(&engine).await?;
        let uuid = match stored.uuid {
            Some(uuid) => uuid,
            None => {
                let uuid = new_id();
                store.put_uuid(&uuid).await?;
                uuid
            }
        };
        let (ready, unfinished): (Vec<_>, Vec<_>) =
            stored.databases.into_iter().partition(|(_, stage)| *stage == Stage::Ready);
        let all: BTreeMap<_, _> =
            ready.into_iter().map(|(meta, _)| (meta.name.clone(), Arc::new(meta))).collect();
        let (updates, doorbell) = Updates::new();
        updates.set_wanted(all.contains_key(&DbName::trusted(updates::DATABASE)));
        let (commits, updates) = (Arc::new(Commits::default()), Arc::new(updates));
        let node = Arc::new(Node {
            background: Arc::new(Semaphore::new(settings.background_edits)),
            engine,
            settings,
            uuid,
            new_id,
            store,
            all: RwLock::new(Arc::new(all)),
            used: Mutex::new(Used { databases: HashMap::new(), sweep_at: KEPT_READY }),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            removed: Mutex::new(Removed {
                newest: stored.removed,
                before: stored.removed,
                since: HashMap::new(),
            }),
            commits: commits.clone(),
            updates: updates.clone(),
        });
        for (meta, _) in unfinished {
            tracing::info!(database = %meta.name, "clearing away what a crash left of it");
            node.clear(&meta).await?;
        }
        node.engine.on_commit(Box::new(move |id, _| committed(&commits, &updates, id)));
        tokio::spawn(updates::write(Arc::downgrade(&node), doorbell));
        Ok(node)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn uuid(&self) -> &str {
        &self.uuid
    }

    pub(crate) fn new_id(&self) -> &NewId {
        &self.new_id
    }

    pub(crate) fn store(&self) -> &MetaStore {
        &self.store
    }

    /// Edits that may go on in the background.
    pub(crate) fn background(&self) -> &Arc<Semaphore> {
        &self.background
    }

    pub(crate) fn updates(&self) -> &Updates {
        &self.updates
    }

    pub(crate) fn all(&self) -> Arc<BTreeMap<DbName, Arc<DbMeta>>> {
        self.all.read().clone()
    }

    pub(crate) fn get(&self, name: &DbName) -> Option<Arc<DbMeta>> {
        self.all.read().get(name).cloned()
    }

    /// A database to work with.
    pub(crate) fn database(&self, name: &DbName) -> Result<Arc<Database>, Error> {
        if let Some(database) = self.used.lock().databases.get(name) {
            return Ok(database.clone());
        }
        // Metadata is looked up under the lock, so that a database that is withdrawn meanwhile is
        // not put back.
        let mut used = self.used.lock();
        let meta = self.get(name).ok_or(Error::DatabaseMissing)?;
        if let Some(database) = used.databases.get(name) {
            return Ok(database.clone());
        }
        let (copies, copy_id) = (self.copies(&meta)?, self.copy_id(&meta));
        let database = Arc::new(Database::new(meta, copies, copy_id));
        used.databases.insert(name.clone(), database.clone());
        used.sweep();
        Ok(database)
    }

    /// The copies of all shards of a database, by range and owner.
    pub(crate) fn copies(&self, meta: &DbMeta) -> Result<Vec<Vec<ShardCopy>>, Error> {
        let patience = self.settings.patience();
        let copy = |id| ShardCopy::Local(LocalCopy::new(self.engine.clone(), id, patience));
        Ok(meta.shard_ids()?.into_iter().map(|id| vec![copy(id)]).collect())
    }

    /// Names this node's copies of a database's shards in sequences.
    fn copy_id(&self, meta: &DbMeta) -> u64 {
        let digest = Md5::new().chain_update(&self.uuid).chain_update(meta.created.to_be_bytes());
        digest.finalize().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
    }

    /// Follows a database's commits.
    pub(crate) fn follow(&self, name: &DbName) -> watch::Receiver<u64> {
        self.commits.follow(name)
    }

    /// Waits for the turn to change a database's metadata.
    pub(crate) async fn turn(&self, name: &DbName) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        match self.turns.get(turn) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// Shows a database as it is now.
    pub(crate) fn publish(&self, meta: DbMeta) {
        let meta = Arc::new(meta);
        if meta.name.as_str() == updates::DATABASE {
            self.updates.set_wanted(true);
        }
        let used = self.used.lock();
        if let Some(database) = used.databases.get(&meta.name) {
            database.set_meta(meta.clone());
        }
        Arc::make_mut(&mut *self.all.write()).insert(meta.name.clone(), meta);
    }

    /// Shows a database no longer, and tells those who use it.
    pub(crate) fn withdraw(&self, meta: &DbMeta) {
        if meta.name.as_str() == updates::DATABASE {
            self.updates.set_wanted(false);
        }
        let mut used = self.used.lock();
        Arc::make_mut(&mut *self.all.write()).remove(&meta.name);
        if let Some(database) = used.databases.remove(&meta.name) {
            database.set_deleted();
        }
        self.commits.deleted(&meta.name);
    }

    /// Removes the shards of a database that is not shown, then its metadata.
    pub(crate) async fn clear(&self, meta: &DbMeta) -> Result<(), Error> {
        let copies = self.copies(meta)?;
        coord::shards::on_all(&copies, |copy| async move { copy.remove().await }).await?;
        let newest = self.removed.lock().add(meta);
        self.store.remove_database(meta, newest).await
    }

    /// A stamp for a new database that no earlier one of its name had.
    pub(crate) fn new_created(&self, name: &DbName) -> u64 {
        let removed = self.removed.lock();
        let earlier = removed.since.get(name).copied().unwrap_or(0).max(removed.before);
        now().max(earlier + 1)
    }

    pub(crate) async fn close(&self) -> Result<(), Error> {
        let all = u32::try_from(self.settings.background_edits).unwrap_or(u32::MAX);
        let _idle = self.background.acquire_many(all).await;
        let engine = self.engine.clone();
        blocking(move || Ok(engine.close()?)).await
    }
}

impl Used {
    fn sweep(&mut self) {
        if self.databases.len() > self.sweep_at {
            self.databases.retain(|_, database| Arc::strong_count(database) > 1);
            self.sweep_at = KEPT_READY.max(self.databases.len() * 2);
        }
    }
}

impl Removed {
    /// Remembers a database that goes; gives the newest stamp of all that went.
    fn add(&mut self, meta: &DbMeta) -> u64 {
        let now = now();
        self.since.retain(|_, created| *created >= now);
        self.since.insert(meta.name.clone(), meta.created);
        self.newest = self.newest.max(meta.created);
        self.newest
    }
}

/// Called by the engine for every commit, on a thread that must not wait.
fn committed(commits: &Commits, updates: &Updates, id: &ShardId) {
    let Some(name) = database_of(id) else { return };
    let name = DbName::trusted(name);
    commits.committed(&name);
    updates.add(Event::Updated, &name);
}

/// Seconds since 1970, by the wall clock.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
