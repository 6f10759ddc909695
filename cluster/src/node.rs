//! What all handles of one node share: engine, the book of metadata, the databases in use, and who is
//! told of commits. Decides nothing about requests.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use settee_engine::engine::Commit;
use settee_engine::{Engine, ShardId};
use settee_model::docid::DbName;
use tokio::sync::{MutexGuard, Semaphore, watch};
use tokio::time::sleep;

use crate::catalogue::{
    Book, Candidate, CommonSettings, Member, NODES, SETTINGS, database_of, databases_of, drop_all,
    drop_strays, follow, make_missing, members_of, settings_of,
};
use crate::commits::Commits;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::designs::BELIEVED;
use crate::functions::{self, Marks, Pool};
use crate::heal::{self, Hints};
use crate::join::join_all;
use crate::local::LocalCopy;
use crate::membership::{Ask, Peers, SHOW, ask};
use crate::mesh::{RemoteCopy, Secret};
use crate::raft::{self, MetaStore, NodeId};
use crate::rows::Namespace;
use crate::station::Station;
use crate::steps::blocking;
use crate::sync::scheduler::{Scheduler, Timing};
use crate::updates::{self, Event, Updates};
use crate::views::{self, Changed, keep_building};
use crate::{DbMeta, Desk, Error, Home, Host, LayoutDefaults, Settings, ShardPlace};

/// Databases that are kept ready for the next request although nobody uses them.
const KEPT_READY: usize = 1024;
/// Changes of metadata that may go on at once; those of one database take turns.
const TURNS: usize = 64;

/// Rest before a metadata store that failed is tried again; longer each time.
const MEND: Duration = Duration::from_secs(1);
/// How long a metadata store that was opened anew waits for a leader in one go.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Databases that every server has from its first start on.
pub const SYSTEM: [&str; 3] = ["_users", "_replicator", "_global_changes"];

/// Makes 32 random hexadecimal digits, another time others.
pub type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// See the module.
pub(crate) struct Node {
    host: Host,
    settings: Settings,
    id: NodeId,
    new_id: NewId,
    station: Station,
    all: RwLock<Arc<BTreeMap<DbName, Arc<DbMeta>>>>,
    used: Mutex<Used>,
    turns: Vec<tokio::sync::Mutex<()>>,
    /// Told by the engine's threads, so they must not keep the engine alive.
    commits: Arc<Commits>,
    marks: Arc<Marks>,
    updates: Arc<Updates>,
    functions: Arc<Pool>,
    common: watch::Sender<Arc<CommonSettings>>,
    layout: RwLock<Arc<LayoutDefaults>>,
    background: Arc<Semaphore>,
    scheduler: Scheduler,
    hints: Hints,
    me: Weak<Node>,
}

/// Databases that are in use or were so lately.
#[derive(Default)]
struct Used {
    databases: HashMap<DbName, Arc<Database>>,
    /// Those that new requests do not use any more, and old ones still do.
    retired: Vec<Weak<Database>>,
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
        let host = Host::new(engine.clone());
        let station = Station::open(&host, &settings.node_name, home, &new_id).await?;
        let store = station.book.store();
        let (revision, keys) = store.range("");
        let databases = databases_of(&keys);
        make_missing(&engine, store.id(), &databases).await?;
        let databases = databases.into_iter().map(|meta| (meta.name.clone(), Arc::new(meta)));
        let all: BTreeMap<_, _> = databases.collect();
        let (updates, doorbell) = Updates::new();
        updates.set_wanted(all.contains_key(&DbName::trusted(updates::DATABASE)));
        let (commits, updates) = (Arc::new(Commits::default()), Arc::new(updates));
        let (marks, functions) =
            (Arc::new(Marks::default()), Arc::new(Pool::new(Default::default())));
        let (hints, telling) = Hints::new();
        tokio::spawn(telling);
        tokio::spawn(functions::tidy(Arc::downgrade(&functions)));
        tokio::spawn(views::tidy(Arc::downgrade(&host.views)));
        let node = Arc::new_cyclic(|node| Node {
            scheduler: Scheduler::start(heal::places(node), Timing::default()),
            hints,
            me: node.clone(),
            background: Arc::new(Semaphore::new(settings.background_edits)),
            host,
            layout: RwLock::new(Arc::new(settings.layout.clone())),
            settings,
            id: store.id(),
            new_id,
            station,
            all: RwLock::new(Arc::new(all)),
            used: Mutex::default(),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            commits: commits.clone(),
            marks: marks.clone(),
            functions,
            updates: updates.clone(),
            common: watch::Sender::default(),
        });
        let ear = node.scheduler.ear();
        let changed = Arc::new(Changed::default());
        keep_building(&Arc::downgrade(&node), &changed);
        node.host.engine.on_commit(Box::new(move |id, commit| {
            ear.committed(id);
            changed.note(id);
            committed((&commits, &marks, &updates), id, commit);
        }));
        let here = Arc::downgrade(&node);
        node.peers().on_meeting(move |other| {
            here.upgrade().iter().for_each(|node| heal::met(node, other));
        });
        tokio::spawn(updates::write(Arc::downgrade(&node), doorbell));
        node.meet();
        node.learn_settings();
        node.scheduler.map_changed();
        node.begin(&store, revision);
        node.station.serve(Arc::downgrade(&node)).await?;
        Ok(node)
    }

    /// Follows a store from a revision on.
    fn begin(self: &Arc<Node>, store: &MetaStore, revision: u64) {
        tokio::spawn(follow(Arc::downgrade(self), store.watch("", revision)));
        tokio::spawn(drop_strays(Arc::downgrade(self)));
        tokio::spawn(mend(Arc::downgrade(self), store.end()));
    }

    /// Learns who the members are and where.
    pub(crate) fn meet(&self) {
        if self.station.peers.keep(self.id, &self.members()) {
            // The next request looks for the copies where they are now.
            self.used.lock().retire();
            self.scheduler.map_changed();
        }
    }

    /// Learns the settings that hold on all nodes.
    pub(crate) fn learn_settings(&self) {
        let settings = settings_of(&self.book().store().range(SETTINGS).1);
        self.common.send_replace(Arc::new(settings));
    }

    /// The settings that hold on all nodes.
    pub(crate) fn common(&self) -> watch::Receiver<Arc<CommonSettings>> {
        self.common.subscribe()
    }

    /// Leaves a cluster of one, so that another can take this node in. Refused if there is anything
    /// to lose.
    pub(crate) async fn give_up(self: &Arc<Node>) -> Result<(), Error> {
        if self.members().len() > 1 {
            let reason = "This node is a member of another cluster.";
            return Err(Error::BadRequest(reason.into()));
        }
        // Who is refused is to notice nothing.
        self.nothing_to_lose(&self.all()).await?;
        // From here on no database is made, and those that would go take no documents.
        let paused = self.station.pause().await?;
        let all = self.all();
        all.values().for_each(|meta| self.withdraw(meta));
        let nothing_to_lose = self.nothing_to_lose(&all).await;
        let store = match &nothing_to_lose {
            Ok(()) => {
                drop_all(&self.host.engine).await?;
                paused.resume_alone().await?
            }
            Err(_) => paused.resume().await?,
        };
        self.begin(&store, 0);
        nothing_to_lose
    }

    /// Whether there are only system databases, with no documents but design documents. What tells of
    /// changes of these is nothing to lose.
    async fn nothing_to_lose(&self, all: &BTreeMap<DbName, Arc<DbMeta>>) -> Result<(), Error> {
        for (name, meta) in all.iter().filter(|(name, _)| name.as_str() != updates::DATABASE) {
            if !SYSTEM.contains(&name.as_str()) || self.has_documents(meta).await? {
                let reason = format!("This node has a database that would be lost: {name}");
                return Err(Error::BadRequest(reason));
            }
        }
        Ok(())
    }

    /// Whether a database has documents other than design documents.
    async fn has_documents(&self, meta: &DbMeta) -> Result<bool, Error> {
        for copy in self.copies(meta)?.iter().flatten() {
            if copy.total(Namespace::All).await? > copy.total(Namespace::Design).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.host.engine
    }

    /// What all copies on this node share.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How databases are laid out unless their creation says otherwise.
    pub(crate) fn layout(&self) -> Arc<LayoutDefaults> {
        self.layout.read().clone()
    }

    /// Changes that.
    pub(crate) fn set_layout(&self, layout: LayoutDefaults) {
        *self.layout.write() = Arc::new(layout);
    }

    /// From now on this desk answers the fronts of other nodes.
    pub(crate) fn open_desk(&self, desk: Arc<dyn Desk>) {
        self.station.open_desk(desk);
    }

    /// This node's id in the cluster.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// The cluster's identity: that of the node that founded it.
    pub(crate) fn uuid(&self) -> String {
        self.book().uuid().unwrap_or_else(|| self.station.me().uuid.clone())
    }

    pub(crate) fn new_id(&self) -> &NewId {
        &self.new_id
    }

    pub(crate) fn book(&self) -> &Book {
        &self.station.book
    }

    /// The nodes of the cluster.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, Member> {
        members_of(&self.book().store().range(NODES).1)
    }

    /// Whether a node is there, as far as this one knows.
    pub(crate) fn is_live(&self, node: NodeId) -> bool {
        node == self.id || self.station.peers.is_live(node)
    }

    /// The other nodes as this one reaches them.
    pub(crate) fn peers(&self) -> &Peers {
        &self.station.peers
    }

    /// Where other nodes reach this one; none if it is alone.
    pub(crate) fn address(&self) -> Option<String> {
        Some(self.station.me().address.clone()).filter(|address| !address.is_empty())
    }

    /// From now on it listens to those who know this secret.
    pub(crate) async fn open_to(&self, secret: Secret) -> Result<(), Error> {
        self.station.open_to(secret).await?;
        self.meet();
        Ok(())
    }

    /// Who makes this node's copies equal to others.
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// What other nodes' copies lack.
    pub(crate) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Edits that may go on in the background.
    pub(crate) fn background(&self) -> &Arc<Semaphore> {
        &self.background
    }

    /// Whether design documents changed.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Who runs functions of design documents.
    pub(crate) fn functions(&self) -> &Arc<Pool> {
        &self.functions
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
        let copies = self.copies(&meta)?;
        let me = self.me.clone();
        let lacking = move |copy: &ShardCopy| {
            me.upgrade().iter().for_each(|node| node.lacks(copy));
        };
        let database = Database::new(meta, copies, self.id).healed_by(Arc::new(lacking));
        let database = Arc::new(database);
        used.databases.insert(name.clone(), database.clone());
        used.sweep();
        Ok(database)
    }

    /// The copies of all shards of a database, by range and in owner order. Those on nodes that are
    /// no members any more are left out.
    pub(crate) fn copies(&self, meta: &DbMeta) -> Result<Vec<Vec<ShardCopy>>, Error> {
        let (members, patience) = (self.members(), self.settings.patience());
        let copy = |id: &ShardId, node: &NodeId| {
            if *node == self.id {
                let local = LocalCopy::new(self.host.clone(), id.clone(), patience);
                return Some(ShardCopy::Local(local));
            }
            let peer = self.station.peers.get(*node, &members.get(node)?.address)?;
            Some(ShardCopy::Remote(RemoteCopy::new(peer, *node, id.clone())))
        };
        let ids = meta.shard_ids()?;
        let copies = |(id, place): (&ShardId, &ShardPlace)| {
            place.nodes.iter().filter_map(|node| copy(id, node)).collect()
        };
        Ok(ids.iter().zip(&meta.shards).map(copies).collect())
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

    /// Waits until all nodes that live show what this one does, so that a client finds everywhere
    /// what it was told here; whether that is all nodes there are. Nobody waits long for one that does
    /// not answer.
    pub(crate) async fn shown_by_all(&self) -> bool {
        let revision = self.book().store().revision();
        self.tell_all(&Ask::Shows { revision }, SHOW).await
    }

    /// Has all nodes that live look anew at the design documents of a database. Who does not hear of
    /// it in time believes what it knows no longer.
    pub(crate) async fn designs_changed(&self, name: &DbName) {
        self.marks.changed(name);
        self.tell_all(&Ask::Designs { database: name.to_string() }, BELIEVED).await;
    }

    /// Says something to all other nodes that live; whether that is all nodes there are, and all have
    /// heard it.
    async fn tell_all(&self, message: &Ask, patience: Duration) -> bool {
        let others = self.members().into_keys().filter(|id| *id != self.id);
        let tell = |id| async move {
            let peer = self.peers().known(id).filter(|_| self.is_live(id));
            let Some(peer) = peer else { return false };
            let heard = ask(&peer, message, patience).await;
            if let Err(error) = &heard {
                tracing::debug!(node = peer.address(), ?message, %error, "it may not have heard");
            }
            heard.is_ok()
        };
        join_all(others.map(tell)).await.into_iter().all(|heard| heard)
    }

    /// Lets new requests look anew for a database's copies.
    pub(crate) fn retire(&self, name: &DbName) {
        let mut used = self.used.lock();
        if let Some(database) = used.databases.remove(name) {
            used.retired.push(Arc::downgrade(&database));
        }
    }

    /// The members as holders of copies.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(id, member): (NodeId, Member)| Candidate {
            id,
            zone: member.zone,
            live: self.is_live(id),
        };
        self.members().into_iter().map(candidate).collect()
    }

    /// Gives the system databases, which a node makes when it is still alone, more copies now that
    /// there are more nodes.
    pub(crate) async fn spread(&self) -> Result<(), Error> {
        self.meet();
        let (n, candidates) = (self.layout().n, self.candidates());
        for name in SYSTEM.map(DbName::trusted) {
            let Some(meta) = self.get(&name).filter(|meta| meta.n < n) else { continue };
            let widen = |meta: &mut DbMeta| {
                meta.widen(n, &candidates);
            };
            match self.book().change(&name, meta.created, widen).await {
                Ok(()) | Err(Error::DatabaseMissing) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Shows a database as it is now.
    pub(crate) fn publish(&self, meta: DbMeta) {
        let meta = Arc::new(meta);
        if meta.name.as_str() == updates::DATABASE {
            self.updates.set_wanted(true);
        }
        let used = self.used.lock();
        used.handles(&meta.name).for_each(|database| database.set_meta(meta.clone()));
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
        used.handles(&meta.name).for_each(|database| database.set_deleted());
        used.databases.remove(&meta.name);
        self.commits.deleted(&meta.name);
        if meta.name.as_str() == updates::DATABASE {
            self.updates.set_wanted(false);
        }
    }

    pub(crate) async fn close(&self) -> Result<(), Error> {
        let all = u32::try_from(self.settings.background_edits).unwrap_or(u32::MAX);
        let _idle = self.background.acquire_many(all).await;
        self.scheduler.stop();
        let engine = self.host.engine.clone();
        let parted = self.station.close().await;
        blocking(move || Ok(engine.close()?)).await.and(parted)
    }
}

impl Used {
    fn sweep(&mut self) {
        if self.databases.len() > self.sweep_at.max(KEPT_READY) {
            self.databases.retain(|_, database| Arc::strong_count(database) > 1);
            self.sweep_at = self.databases.len() * 2;
        }
    }

    /// Lets new requests begin afresh.
    fn retire(&mut self) {
        self.retired.retain(|database| database.strong_count() > 0);
        let databases = std::mem::take(&mut self.databases);
        self.retired.extend(databases.values().map(Arc::downgrade));
    }

    /// All that requests use of a database.
    fn handles(&self, name: &DbName) -> impl Iterator<Item = Arc<Database>> {
        let retired = self.retired.iter().filter_map(Weak::upgrade);
        let retired = retired.filter(|database| database.meta().name == *name);
        self.databases.get(name).cloned().into_iter().chain(retired.collect::<Vec<_>>())
    }
}

/// Opens the metadata store anew after its disk failed (it was full, as a rule), as often as it takes.
/// What the new one shows is believed only when it has everything that was agreed on, for it may
/// know less than the old one did, and what is missing from it would be dropped.
async fn mend(node: Weak<Node>, end: impl Future<Output = raft::Error>) {
    if end.await != raft::Error::Failed {
        return;
    }
    let mut rest = MEND;
    loop {
        sleep(rest).await;
        rest = (rest * 2).min(MEND * 32);
        let Some(here) = node.upgrade() else { return };
        let store = match here.station.reopen().await {
            Ok(Some(store)) => store,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the metadata store failed; it is tried again");
                continue;
            }
        };
        drop(here);
        if caught_up(&node, &store).await {
            let Some(node) = node.upgrade() else { return };
            tracing::info!("the metadata store takes part again");
            return node.begin(&store, 0);
        }
    }
}

/// Waits until a store has everything that was agreed on; false if it fails before.
async fn caught_up(node: &Weak<Node>, store: &MetaStore) -> bool {
    while node.strong_count() > 0 {
        match store.barrier(CATCH_UP).await {
            Ok(()) => return true,
            Err(raft::Error::Failed | raft::Error::Stopped) => return false,
            Err(_) => sleep(MEND).await,
        }
    }
    false
}

/// Called by the engine for every commit, on a thread that must not wait.
fn committed(
    (commits, marks, updates): (&Commits, &Marks, &Updates),
    id: &ShardId,
    commit: Commit,
) {
    let Some(name) = database_of(id) else { return };
    let name = DbName::trusted(name);
    if commit.design {
        marks.changed(&name);
    }
    commits.committed(&name);
    updates.add(Event::Updated, &name);
}
