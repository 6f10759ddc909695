//! Raft's network over a [`Transport`]: wraps requests, unwraps replies, keeps deadlines. Opens no
//! connection, and tries nothing again by itself.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::error::{
    Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RPCTypes, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Snapshot};

use super::message::{self, Envelope, Refusal, Reply, Request, VERSION};
use super::transport::{CallError, Transport};
use super::{NodeId, Peer, Types, Vote};

/// This node's way to others.
pub(super) struct Wire {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) me: NodeId,
    /// The founder of this node's group; 0 as long as it has none.
    pub(super) group: AtomicU64,
    /// Rest between attempts to reach a node that cannot be reached.
    pub(super) pause: Duration,
}

/// Why a request has no reply that helps.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("no answer in time")]
    Late,
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("the reply makes no sense")]
    Nonsense,
}

impl Wire {
    /// Asks a node; never waits longer than `deadline`.
    pub(super) async fn ask(
        &self,
        to: NodeId,
        peer: &Peer,
        request: Request,
        deadline: Duration,
    ) -> Result<Reply, AskError> {
        let envelope = Envelope {
            version: VERSION,
            group: self.group.load(Ordering::Acquire),
            to,
            deadline: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            request,
        };
        let message = message::encode(&envelope).ok_or(AskError::Nonsense)?;
        let call = self.transport.call(to, peer, message, deadline);
        let answer = tokio::time::timeout(deadline, call).await.map_err(|_| AskError::Late)?;
        match message::decode(&answer?) {
            Some(Reply::Refused(refusal)) => Err(AskError::Refused(refusal)),
            Some(reply) => Ok(reply),
            None => Err(AskError::Nonsense),
        }
    }
}

/// Makes a [`Link`] for each peer.
pub(super) struct Links(pub(super) Arc<Wire>);

/// The way to one peer.
pub(super) struct Link {
    wire: Arc<Wire>,
    to: NodeId,
    peer: Peer,
}

impl RaftNetworkFactory<Types> for Links {
    type Network = Link;

    async fn new_client(&mut self, to: NodeId, peer: &Peer) -> Link {
        Link { wire: self.0.clone(), to, peer: peer.clone() }
    }
}

type RpcError = RPCError<NodeId, Peer, RaftError<NodeId>>;
type SnapshotError = StreamingError<Types, Fatal<NodeId>>;

impl Link {
    fn failed(&self, error: &AskError, action: RPCTypes, option: &RPCOption) -> RpcError {
        match error {
            // Raft asks again at once, which is right only if time has passed.
            AskError::Late => RPCError::Timeout(Timeout {
                action,
                id: self.wire.me,
                target: self.to,
                timeout: option.hard_ttl(),
            }),
            _ => RPCError::Unreachable(Unreachable::new(error)),
        }
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RpcError> {
        let request = Request::Append(request);
        match self.wire.ask(self.to, &self.peer, request, option.hard_ttl()).await {
            Ok(Reply::Append(reply)) => Ok(reply),
            Ok(_) => Err(self.failed(&AskError::Nonsense, RPCTypes::AppendEntries, &option)),
            Err(error) => Err(self.failed(&error, RPCTypes::AppendEntries, &option)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, RpcError> {
        let request = Request::Vote(request);
        match self.wire.ask(self.to, &self.peer, request, option.hard_ttl()).await {
            Ok(Reply::Vote(reply)) => Ok(reply),
            Ok(_) => Err(self.failed(&AskError::Nonsense, RPCTypes::Vote, &option)),
            Err(error) => Err(self.failed(&error, RPCTypes::Vote, &option)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, SnapshotError> {
        let request = Request::Snapshot { vote, meta: snapshot.meta, data: *snapshot.snapshot };
        let asked = self.wire.ask(self.to, &self.peer, request, option.hard_ttl());
        let reply = tokio::select! {
            closed = cancel => return Err(StreamingError::Closed(closed)),
            reply = asked => reply,
        };
        let error = match reply {
            Ok(Reply::Snapshot(reply)) => return Ok(reply),
            Ok(_) => AskError::Nonsense,
            Err(error) => error,
        };
        Err(StreamingError::Unreachable(Unreachable::new(&error)))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.wire.pause))
    }
}
