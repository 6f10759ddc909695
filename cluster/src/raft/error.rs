//! Why the metadata store did not do what it was asked, and why a directory cannot be opened. What
//! that means to a request is decided in `catalogue::book`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a request to the store failed. Every variant but [`Error::Timeout`] says that nothing
/// happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// A condition of the transaction did not hold.
    #[error("{key} was changed by revision {modified}")]
    Conflict {
        /// The first key whose condition did not hold.
        key: Arc<str>,
        /// The revision that last wrote it; 0 if it is absent.
        modified: u64,
    },
    /// No majority of the voters can be reached from here, or none has elected a leader.
    #[error("the cluster has no leader that this node can reach")]
    NoLeader,
    /// There was no answer in time: the request may have happened, or may happen yet.
    #[error("no answer in time; whether it happened is not known")]
    Timeout,
    /// Too many requests wait already, or membership is being changed by somebody else.
    #[error("too much is going on; try again")]
    Busy,
    /// The request can never succeed.
    #[error("{0}")]
    Invalid(InvalidReason),
    /// This node's store was shut down.
    #[error("the metadata store of this node has stopped")]
    Stopped,
    /// This node's store stopped after a failure of its disk.
    #[error("the metadata store of this node failed")]
    Failed,
}

/// What is wrong with a request; words for people.
pub type InvalidReason = std::borrow::Cow<'static, str>;

/// Why a store cannot be opened, or stopped working.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk, or sled.
    #[error("metadata store: {0}")]
    Sled(#[from] sled::Error),
    /// Bytes that are not what was written.
    #[error("metadata store: damaged record: {0}")]
    Damaged(#[from] postcard::Error),
    /// Written by another version of settee.
    #[error("metadata store has format {0}, which this version does not know")]
    Version(u32),
    /// The directory is another node's.
    #[error("metadata store belongs to the node {0}")]
    OtherNode(String),
    /// The node belongs to a group already, and not to one that it founded.
    #[error("this node is a member of another group")]
    OtherGroup,
    /// Raft did not start, or a setting is out of range.
    #[error("metadata store: {0}")]
    Raft(String),
}
