//! What the store needs from a network: one call to one node with a deadline. It is implemented by
//! `membership::peers`, over the mesh; messages are opaque bytes to it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::{NodeId, Peer};

/// A call under way.
pub type Calling = Pin<Box<dyn Future<Output = Result<Bytes, CallError>> + Send>>;

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The message certainly did not reach the node.
    #[error("the node cannot be reached")]
    Unreachable,
    /// The message may have reached the node.
    #[error("the node did not answer")]
    Lost,
}

/// Carries messages to other nodes' [`answer`](super::MetaStore::answer).
pub trait Transport: Send + Sync + 'static {
    /// Brings a message to a node and its answer back. Must give up after `deadline`, with
    /// [`CallError::Unreachable`] only if it knows that nothing was delivered.
    fn call(&self, to: NodeId, peer: &Peer, message: Bytes, deadline: Duration) -> Calling;

    /// Whether a node seems to live, for the choice of voters. Must not wait.
    fn alive(&self, node: NodeId) -> bool;
}
