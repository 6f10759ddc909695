//! What nodes of a group say to each other, and its bytes. Never sends anything itself.

use bytes::Bytes;
use openraft::SnapshotMeta;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::txn::Txn;
use super::{Error, NodeId, Peer, Types, Vote};

/// Version of these messages; a node with another one is refused.
pub(super) const VERSION: u16 = 1;

/// A request and who it is for.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) version: u16,
    /// The id of the group's founder; nodes of different groups must not hear each other.
    pub(super) group: NodeId,
    pub(super) to: NodeId,
    /// What the asking node is willing to wait, in milliseconds.
    pub(super) deadline: u64,
    pub(super) request: Request,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<NodeId>),
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta<NodeId, Peer>,
        data: Bytes,
    },
    /// The rest is for the leader.
    Lead(Task),
}

/// What only a leader can do.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Task {
    Txn(Txn),
    /// Says how much of the log a copy must have applied to be up to date.
    Barrier,
    Add(NodeId, Peer),
    Remove(NodeId),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    Append(AppendEntriesResponse<NodeId>),
    Vote(VoteResponse<NodeId>),
    Snapshot(SnapshotResponse<NodeId>),
    /// A task was done: a revision for a transaction, a number of entries for a barrier.
    Done(u64),
    /// A task was decided, and this is why it failed.
    Failed(Error),
    /// This node does not lead, and did nothing.
    NotLeader,
    /// This node does not speak with the asking one.
    Refused(Refusal),
}

/// Why a node does not speak with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it speaks another version")]
    Version,
    #[error("it is a member of another group")]
    OtherGroup,
    #[error("another node listens there")]
    OtherNode,
    #[error("it has stopped")]
    Stopped,
    #[error("the message is damaged")]
    Damaged,
}

pub(super) fn encode<T: Serialize>(message: &T) -> Option<Bytes> {
    postcard::to_stdvec(message).ok().map(Bytes::from)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

/// The version of a request, whatever follows it.
pub(super) fn version(bytes: &[u8]) -> Option<u16> {
    postcard::take_from_bytes(bytes).ok().map(|(version, _)| version)
}
