//! What all handles of one node share: engine, the book of metadata, the databases in use, and who is
//! told of commits. Decides nothing about requests.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest, Md5};
use parking_lot::{Mutex, RwLock};
use settee_engine::{Engine, ShardId};
use settee_model::docid::DbName;
use tokio::sync::{MutexGuard, Semaphore, watch};

use crate::catalogue::{
    Book, Identity, Member, NODES, database_of, databases_of, drop_strays, follow, make_missing,
    members_of,
};
use crate::commits::Commits;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::local::LocalCopy;
use crate::raft::{
    CallError, Calling, MetaStore, NodeId, OpenError, Options, Peer, Timing, Transport,
};
use crate::steps::blocking;
use crate::updates::{self, Event, Updates};
use crate::{DbMeta, Error, Home, Settings};

/// Databases that are kept ready for the next request although nobody uses them.
const KEPT_READY: usize = 1024;
/// Changes of metadata that may go on at once; those of one database take turns.
const TURNS: usize = 64;

/// The folder of the metadata store in the data directory.
const METADATA: &str = "metadata";

/// Makes 32 random hexadecimal digits, another time others.
pub type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// See the module.
pub(crate) struct Node {
    engine: Engine,
    settings: Settings,
    id: NodeId,
    uuid: String,
    new_id: NewId,
    book: Book,
    all: RwLock<Arc<BTreeMap<DbName, Arc<DbMeta>>>>,
    used: Mutex<Used>,
    turns: Vec<tokio::sync::Mutex<()>>,
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

impl Node {
    pub(crate) async fn open(
        engine: Engine,
        settings: Settings,
        home: Home,
        new_id: NewId,
    ) -> Result<Arc<Node>, Error> {
        let (data, make) = (home.data.clone(), new_id.clone());
        let Identity { uuid } = blocking(move || Identity::load(&data, &*make)).await?;
        let member = Member {
            name: settings.node_name.clone(),
            address: String::new(),
            zone: home.zone,
            uuid: uuid.clone(),
        };
        let store = open_store(home.data.join(METADATA), &member).await?;
        let book = Book::new(store.clone());
        let (revision, keys) = store.range("");
        let databases = databases_of(&keys);
        make_missing(&engine, store.id(), &databases).await?;
        let databases = databases.into_iter().map(|meta| (meta.name.clone(), Arc::new(meta)));
        let all: BTreeMap<_, _> = databases.collect();
        let (updates, doorbell) = Updates::new();
        updates.set_wanted(all.contains_key(&DbName::trusted(updates::DATABASE)));
        let (commits, updates) = (Arc::new(Commits::default()), Arc::new(updates));
        let node = Arc::new(Node {
            background: Arc::new(Semaphore::new(settings.background_edits)),
            engine,
            settings,
            id: store.id(),
            uuid,
            new_id,
            book,
            all: RwLock::new(Arc::new(all)),
            used: Mutex::new(Used { databases: HashMap::new(), sweep_at: KEPT_READY }),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            commits: commits.clone(),
            updates: updates.clone(),
        });
        node.engine.on_commit(Box::new(move |id, _| committed(&commits, &updates, id)));
        tokio::spawn(updates::write(Arc::downgrade(&node), doorbell));
        tokio::spawn(follow(Arc::downgrade(&node), store.watch("", revision)));
        tokio::spawn(drop_strays(Arc::downgrade(&node)));
        node.book.enrol(node.id, &member).await?;
        Ok(node)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// This node's id in the cluster.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// The cluster's identity: that of the node that founded it.
    pub(crate) fn uuid(&self) -> String {
        self.book.uuid().unwrap_or_else(|| self.uuid.clone())
    }

    pub(crate) fn new_id(&self) -> &NewId {
        &self.new_id
    }

    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    /// The nodes of the cluster.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, Member> {
        members_of(&self.book.store().range(NODES).1)
    }

    /// Whether a node is there, as far as this one knows.
    pub(crate) fn is_live(&self, node: NodeId) -> bool {
        node == self.id
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
        let copy =
            |id: ShardId| ShardCopy::Local(LocalCopy::new(self.engine.clone(), id, patience));
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
        let mut used = self.used.lock();
        let shown = self.get(&meta.name);
        if shown.is_none_or(|shown| shown.created != meta.created) {
            return;
        }
        Arc::make_mut(&mut *self.all.write()).remove(&meta.name);
        if let Some(database) = used.databases.remove(&meta.name) {
            database.set_deleted();
        }
        self.commits.deleted(&meta.name);
        if meta.name.as_str() == updates::DATABASE {
            self.updates.set_wanted(false);
        }
    }

    pub(crate) async fn close(&self) -> Result<(), Error> {
        let all = u32::try_from(self.settings.background_edits).unwrap_or(u32::MAX);
        let _idle = self.background.acquire_many(all).await;
        let engine = self.engine.clone();
        let closed = blocking(move || Ok(engine.close()?)).await;
        let stopped = self.book.store().shutdown().await;
        closed.and(stopped.map_err(|error| Error::Storage(error.to_string())))
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

/// Opens the metadata. A node alone founds a group, which others may join.
async fn open_store(path: PathBuf, member: &Member) -> Result<MetaStore, Error> {
    let peer = Peer { name: member.name.clone(), address: member.address.clone() };
    let options = Options { path, uuid: member.uuid.clone(), peer, timing: Timing::default() };
    let failed = |error: OpenError| Error::Storage(error.to_string());
    let store = MetaStore::open(options, Arc::new(Alone)).await.map_err(failed)?;
    store.found().await.map_err(failed)?;
    Ok(store)
}

/// The way to other nodes of a node that has none.
struct Alone;

impl Transport for Alone {
    fn call(&self, _: NodeId, _: &Peer, _: Bytes, _: Duration) -> Calling {
        Box::pin(async { Err(CallError::Unreachable) })
    }

    fn alive(&self, _: NodeId) -> bool {
        false
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
