//! [`Cluster`]: the databases there are, and this node among its peers. Makes and removes
//! databases; what is done with one is [`Db`]'s business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use settee_engine::Engine;
use settee_model::docid::DbName;
use tokio::sync::watch;

use crate::catalogue::Layout;
use crate::info::{ActiveTask, Load, Members};
use crate::membership::{Answer, Ask, Seed, ask, invite};
use crate::mesh::Secret;
use crate::node::{NewId, Node};
use crate::raft::NodeId;
use crate::steps::uninterrupted;
use crate::updates::Event;
use crate::{
    CommonSettings, Db, DbMeta, Desk, DiskSettings, Error, FunctionSettings, Home, LayoutDefaults,
    Settings, coord,
};

/// How long the desk of another node may take.
const DESK: Duration = Duration::from_secs(30);

/// The coordinator of one node. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    node: Arc<Node>,
}

/// How a new database shall be laid out.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// Shards; the setting otherwise. At least 1.
    pub q: Option<u32>,
    /// Copies of each shard; the setting otherwise. At least 1.
    pub n: Option<u32>,
    /// Place documents by partition.
    pub partitioned: bool,
    /// Zones and copies in each: `z1:2,z2:1`.
    pub placement: Option<String>,
    /// The security object that it begins with, JSON in stored form.
    pub security: Option<Bytes>,
}

/// How far a change of metadata has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A creation on a majority, a deletion everywhere.
    Created,
    /// On some node; the rest will follow.
    Accepted,
}

impl Cluster {
    /// Starts the coordinator over an engine: reads what databases there are, makes shards that are
    /// missing and drops those of databases that were deleted. `new_id` makes 32 random hexadecimal
    /// digits: the server's identity, if the data directory has none yet, and names of purges.
    pub async fn open(
        engine: Engine,
        settings: Settings,
        home: Home,
        new_id: NewId,
    ) -> Result<Cluster, Error> {
        let node = Node::open(engine, settings, home, new_id).await?;
        Ok(Cluster { node })
    }

    /// This node's name.
    #[must_use]
    pub fn node_name(&self) -> &str {
        &self.node.settings().node_name
    }

    /// The cluster's identity: 32 hexadecimal digits, those of the node that founded it.
    #[must_use]
    pub fn uuid(&self) -> String {
        self.node.uuid()
    }

    /// Who belongs to it.
    #[must_use]
    pub fn members(&self) -> Members {
        let members = self.node.members();
        let live = members.iter().filter(|(id, _)| self.node.is_live(**id));
        let mut all_nodes: Vec<_> = live.map(|(_, member)| member.name.clone()).collect();
        let mut cluster_nodes: Vec<_> =
            members.values().map(|member| member.name.clone()).collect();
        all_nodes.sort_unstable();
        cluster_nodes.sort_unstable();
        Members { all_nodes, cluster_nodes }
    }

    /// Whether this node leads the others, as far as it knows: it does then what one is to do for all.
    /// Two may believe it for a moment.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.node.book().store().leader() == Some(self.node.id())
    }

    /// Where other nodes reach this one (`host:port`); none if it is alone.
    #[must_use]
    pub fn mesh_address(&self) -> Option<String> {
        self.node.address()
    }

    /// Gives the node a secret for the cluster, in the place of one that it may have. From then on it
    /// listens to who knows it. [`Error::BadRequest`] for one that is none.
    pub async fn set_secret(&self, secret: &str) -> Result<(), Error> {
        let secret = Secret::new(secret).map_err(|error| Error::BadRequest(error.to_string()))?;
        let node = self.node.clone();
        uninterrupted(async move { node.open_to(secret).await }).await
    }

    /// Takes in the node at an address (`name@host`, at the usual port, or `host:port`).
    /// [`Error::BadRequest`] if it says no, with its reason; [`Error::Unreachable`].
    pub async fn add_node(&self, address: &str) -> Result<(), Error> {
        let seed = Seed::parse(address).map_err(|error| Error::BadRequest(error.to_string()))?;
        let node = self.node.clone();
        uninterrupted(async move {
            invite(node.book(), node.peers(), &seed).await?;
            node.spread().await
        })
        .await
    }

    /// Lets a node go, by its name. What it holds copies of keeps it in mind: they are to be moved
    /// first. [`Error::NotFound`].
    pub async fn remove_node(&self, name: &str) -> Result<(), Error> {
        let node = self.node.clone();
        let members = node.members();
        let found = members.into_iter().find(|(_, member)| member.name == name);
        let (id, _) = found.ok_or(Error::NotFound { deleted: false })?;
        uninterrupted(async move {
            node.book().store().remove_node(id).await?;
            node.book().strike(id).await
        })
        .await
    }

    /// Settings that hold on all nodes, now and whenever they change.
    #[must_use]
    pub fn common_settings(&self) -> watch::Receiver<Arc<CommonSettings>> {
        self.node.common()
    }

    /// Sets what a setting is on all nodes; an empty text says that there is to be none. All
    /// nodes that live know it when the call returns. [`Error::NoMajority`].
    pub async fn share_setting(&self, section: &str, key: &str, value: &str) -> Result<(), Error> {
        let setting = ((section.to_owned(), key.to_owned()), value.to_owned());
        self.share_settings(move |_| CommonSettings::from([setting.clone()])).await
    }

    /// Sets settings to what `plan` makes of those that hold: in one step, before which those that it
    /// sets are as it saw them. It may be asked several times.
    pub async fn share_settings(
        &self,
        plan: impl Fn(&CommonSettings) -> CommonSettings + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let node = self.node.clone();
        uninterrupted(async move {
            node.book().share(plan).await?;
            node.shown_by_all().await;
            Ok(())
        })
        .await
    }

    /// From now on this desk answers the fronts of other nodes. Once, at the start.
    pub fn open_desk(&self, desk: Arc<dyn Desk>) {
        self.node.open_desk(desk);
    }

    /// What the desk of another node answers to a question of at most [`crate::LONGEST`] bytes; the
    /// node by its name. [`Error::NotFound`] if no member is called so, [`Error::Unreachable`]; whether
    /// it has done anything is not known after [`Error::Timeout`].
    pub async fn ask_desk(&self, name: &str, question: Bytes) -> Result<Bytes, Error> {
        let members = self.node.members().into_iter();
        let found = members.filter(|(_, member)| member.name == name);
        let found = found.max_by_key(|(id, _)| self.node.is_live(*id));
        let (id, member) = found.ok_or(Error::NotFound { deleted: false })?;
        let peer = self.node.peers().get(id, &member.address);
        let peer = peer.ok_or_else(|| Error::Unreachable(name.to_owned()))?;
        match ask(&peer, &Ask::Front { question }, DESK).await? {
            Answer::Front { answer } => Ok(answer),
            _ => Err(Error::BadRequest(format!("{name} does not answer what it was asked"))),
        }
    }

    /// Sets how databases are laid out from now on unless their creation says otherwise.
    pub fn set_layout(&self, layout: LayoutDefaults) {
        self.node.set_layout(layout);
    }

    /// Holds functions of design documents to other limits from now on.
    pub fn set_functions(&self, settings: FunctionSettings) {
        self.node.functions().set(settings.clone());
        self.node.host().views.set(settings);
    }

    /// Refuses what needs room beyond other thresholds from now on.
    pub fn set_disk(&self, settings: DiskSettings) {
        self.node.host().disk.set(settings);
    }

    /// What functions of design documents may take.
    #[must_use]
    pub fn functions(&self) -> FunctionSettings {
        self.node.functions().settings()
    }

    /// The names of nodes.
    #[must_use]
    pub fn names(&self, nodes: &[NodeId]) -> Vec<String> {
        let members = self.node.members();
        let name = |id: &NodeId| match members.get(id) {
            Some(member) => member.name.clone(),
            None => format!("{id:016x}"),
        };
        nodes.iter().map(name).collect()
    }

    /// All databases, ordered by name.
    #[must_use]
    pub fn all_dbs(&self) -> Arc<BTreeMap<DbName, Arc<DbMeta>>> {
        self.node.all()
    }

    /// Makes a database; durable when it returns. [`Error::DatabaseExists`],
    /// [`Error::BadPlacement`].
    pub async fn create_db(&self, name: &DbName, options: CreateOptions) -> Result<Written, Error> {
        let (node, name) = (self.node.clone(), name.clone());
        uninterrupted(async move { create(&node, &name, &options).await }).await
    }

    /// Removes a database and all that is in it. [`Error::DatabaseMissing`].
    pub async fn delete_db(&self, name: &DbName) -> Result<Written, Error> {
        let (node, name) = (self.node.clone(), name.clone());
        uninterrupted(async move { delete(&node, &name).await }).await
    }

    /// A database. [`Error::DatabaseMissing`].
    pub fn db(&self, name: &DbName) -> Result<Db, Error> {
        Ok(Db::new(self.node.clone(), self.node.database(name)?))
    }

    /// Work in the background.
    #[must_use]
    pub fn active_tasks(&self) -> Vec<ActiveTask> {
        let node = self.node_name();
        let (tasks, now) =
            (self.node.engine().tasks().into_iter(), self.node.engine().now().as_secs());
        let mut all: Vec<_> = tasks.map(|task| ActiveTask::new(node, task, now)).collect();
        all.extend(self.node.host().views.tasks(node));
        all
    }

    /// How much this node has to do with.
    #[must_use]
    pub fn load(&self) -> Load {
        let engine = self.node.engine();
        Load {
            open_shards: engine.open_shards() as u64,
            compactions_waiting: engine.waiting_compactions() as u64,
        }
    }

    /// Waits for what was accepted in the background, then puts everything in its place on disk.
    /// Afterwards every call answers [`Error::Closing`].
    pub async fn close(&self) -> Result<(), Error> {
        self.node.close().await
    }
}

async fn create(
    node: &Arc<Node>,
    name: &DbName,
    options: &CreateOptions,
) -> Result<Written, Error> {
    let _turn = node.turn(name).await;
    let usual = node.layout();
    let layout = Layout {
        q: options.q.unwrap_or(usual.q).max(1),
        n: options.n.unwrap_or(usual.n).max(1),
        partitioned: options.partitioned,
        security: options.security.as_ref(),
        placement: options.placement.as_deref().or(usual.placement.as_deref()),
        candidates: node.candidates(),
        now: node.engine().now().as_secs(),
    };
    let meta = node.book().create(name, layout).await?;
    let copies = node.copies(&meta)?;
    match coord::shards::on_majority(&copies, |copy| async move { copy.ensure().await }).await {
        Ok(written) => {
            node.updates().add(Event::Created, name);
            node.shown_by_all().await;
            Ok(written)
        }
        Err(error) => {
            // Nobody has it, so nobody shall believe in it.
            if let Err(error) = node.book().delete(name).await {
                tracing::warn!(database = %name, %error, "known, and its shards are still to be made");
            }
            Err(error)
        }
    }
}

async fn delete(node: &Arc<Node>, name: &DbName) -> Result<Written, Error> {
    let _turn = node.turn(name).await;
    let meta = node.book().delete(name).await?;
    node.updates().add(Event::Deleted, name);
    let copies = node.copies(&meta)?;
    let known = node.shown_by_all().await;
    // What cannot be reached now goes when it is there again.
    let gone = coord::shards::on_majority(&copies, |copy| async move { copy.remove().await }).await;
    Ok(if known { gone.unwrap_or(Written::Accepted) } else { Written::Accepted })
}
