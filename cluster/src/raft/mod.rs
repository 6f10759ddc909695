//! The metadata store: one small key-value map that all nodes agree on through an embedded Raft
//! group, in the style of etcd. Nodes, databases, settings, admins and secrets lie under prefixes
//! (`node/`, `db/`, `config/`, `admin/`, `secret/`); every change has a revision of the cluster.
//!
//! What a transaction does is pure (`state`, `history`, `policy`); `disk`, `log` and `machine` keep
//! it in `records`, which are sled's; `network` speaks through a [`Transport`] that others implement. It never keeps
//! documents, never interprets a value and never opens a socket.

mod applied;
mod disk;
mod error;
mod history;
mod keeper;
mod leader;
mod log;
mod machine;
mod memory;
mod message;
mod network;
mod policy;
mod propose;
mod records;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod transport;
mod txn;
mod watch;

pub(crate) use disk::node_id;
pub use error::{Error, OpenError};
pub use history::Revision;
pub use memory::Memory;
pub use policy::{Seats, VOTERS_MAX};
pub use records::Place;
pub use state::{Change, State, Stored};
pub use store::{Member, MetaStore, Options, Timing};
pub use transport::{CallError, Calling, Transport};
pub use txn::{Compare, Outcome, Txn, Write};
pub use watch::{Update, Watch};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A node of the group; made from the uuid in its data directory, and never another node's.
pub type NodeId = u64;

/// What the group knows of a node besides its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name, for people.
    pub name: String,
    /// Where its mesh listens.
    pub address: String,
}

openraft::declare_raft_types!(
    /// What the group's log and messages are made of.
    pub(crate) Types:
        D = txn::Command,
        R = Vec<Outcome>,
        NodeId = NodeId,
        Node = Peer,
        SnapshotData = Bytes,
);

type Raft = openraft::Raft<Types>;
type Entry = openraft::Entry<Types>;
type LogId = openraft::LogId<NodeId>;
type Vote = openraft::Vote<NodeId>;
type Membership = openraft::StoredMembership<NodeId, Peer>;
type StorageError = openraft::StorageError<NodeId>;
