//! Raft's messages as opaque bytes: this room carries them and never looks into them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::handshake::NodeIdentity;
use super::peer::Peer;
use super::wire::raft_server::Raft;
use super::wire::{RaftBytes, failure_of, status_of};
use crate::Error;

/// Bytes of a snapshot's piece, about.
const PIECE: usize = 256 << 10;

/// What an answer will be.
pub type RaftAnswer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send + 'a>>;

/// A message that fits into one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftCall {
    /// Entries for the log, or none as a sign of life.
    Append,
    /// A candidate wants a vote.
    Vote,
}

/// The room that speaks Raft, as peers reach it.
pub trait RaftPort: Send + Sync + 'static {
    /// Answers a message.
    fn call<'a>(&'a self, from: &'a NodeIdentity, call: RaftCall, bytes: Bytes) -> RaftAnswer<'a>;

    /// Takes a snapshot.
    fn snapshot<'a>(&'a self, from: &'a NodeIdentity, pieces: RaftPieces) -> RaftAnswer<'a>;
}

/// A snapshot on its way in.
pub struct RaftPieces(Streaming<RaftBytes>);

impl RaftPieces {
    /// The next piece; `None` after the last. An error means that the rest does not come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = self.0.message().await.map_err(|status| failure_of(&status, "the sender"))?;
        Ok(piece.map(|piece| piece.bytes))
    }
}

/// Lets peers reach the room.
pub(crate) struct RaftService(pub(crate) Arc<dyn RaftPort>);

impl RaftService {
    async fn answer(
        &self,
        request: Request<RaftBytes>,
        call: RaftCall,
    ) -> Result<Response<RaftBytes>, Status> {
        let from = caller_of(&request)?;
        let bytes = request.into_inner().bytes;
        reply(self.0.call(&from, call, bytes).await)
    }
}

fn caller_of<T>(request: &Request<T>) -> Result<Arc<NodeIdentity>, Status> {
    let caller = request.extensions().get::<Arc<NodeIdentity>>().cloned();
    caller.ok_or_else(|| Status::unauthenticated("no session"))
}

fn reply(answer: Result<Bytes, Error>) -> Result<Response<RaftBytes>, Status> {
    let bytes = answer.map_err(status_of)?;
    Ok(Response::new(RaftBytes { bytes }))
}

#[tonic::async_trait]
impl Raft for RaftService {
    async fn append(&self, request: Request<RaftBytes>) -> Result<Response<RaftBytes>, Status> {
        self.answer(request, RaftCall::Append).await
    }

    async fn vote(&self, request: Request<RaftBytes>) -> Result<Response<RaftBytes>, Status> {
        self.answer(request, RaftCall::Vote).await
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<RaftBytes>>,
    ) -> Result<Response<RaftBytes>, Status> {
        let from = caller_of(&request)?;
        reply(self.0.snapshot(&from, RaftPieces(request.into_inner())).await)
    }
}

impl Peer {
    /// Sends a message to the peer's Raft and waits for its answer.
    pub async fn raft(&self, call: RaftCall, bytes: Bytes) -> Result<Bytes, Error> {
        let ask = async |line: super::peer::Line| {
            let message = RaftBytes { bytes };
            match call {
                RaftCall::Append => line.raft().append(message).await,
                RaftCall::Vote => line.raft().vote(message).await,
            }
        };
        Ok(self.call_group(ask).await?.bytes)
    }

    /// Sends a snapshot, piece by piece as the peer takes it.
    pub async fn raft_snapshot(&self, snapshot: Bytes) -> Result<Bytes, Error> {
        let ask = async |line: super::peer::Line| {
            let (send, pieces) = mpsc::channel(1);
            let sending = async move {
                let mut rest = snapshot;
                while !rest.is_empty() {
                    let bytes = rest.split_to(PIECE.min(rest.len()));
                    // If the peer takes no more, its answer says why.
                    if send.send(RaftBytes { bytes }).await.is_err() {
                        break;
                    }
                }
            };
            let mut raft = line.raft();
            let answer = raft.snapshot(ReceiverStream::new(pieces));
            tokio::join!(sending, answer).1
        };
        Ok(self.call_group(ask).await?.bytes)
    }
}
