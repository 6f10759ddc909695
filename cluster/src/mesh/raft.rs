//! Raft's messages as opaque bytes: this room carries them and never looks into them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::handshake::NodeIdentity;
use super::peer::Peer;
use super::wire::raft_server::Raft;
use super::wire::{RaftBytes, status_of};
use crate::Error;

/// What an answer will be.
pub type RaftAnswer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send + 'a>>;

/// The room that speaks Raft, as peers reach it.
pub trait RaftPort: Send + Sync + 'static {
    /// Answers a message.
    fn call<'a>(&'a self, from: &'a NodeIdentity, bytes: Bytes) -> RaftAnswer<'a>;
}

/// Lets peers reach the room.
pub(crate) struct RaftService(pub(crate) Arc<dyn RaftPort>);

#[tonic::async_trait]
impl Raft for RaftService {
    async fn call(&self, request: Request<RaftBytes>) -> Result<Response<RaftBytes>, Status> {
        let from = request.extensions().get::<Arc<NodeIdentity>>().cloned();
        let from = from.ok_or_else(|| Status::unauthenticated("no session"))?;
        let bytes = self.0.call(&from, request.into_inner().bytes).await.map_err(status_of)?;
        Ok(Response::new(RaftBytes { bytes }))
    }
}

impl Peer {
    /// Sends a message to the peer's Raft and waits for its answer.
    pub async fn raft(&self, bytes: Bytes) -> Result<Bytes, Error> {
        let ask = async |line: super::peer::Line| line.raft().call(RaftBytes { bytes }).await;
        Ok(self.call_group(ask).await?.bytes)
    }
}
