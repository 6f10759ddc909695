//! The mesh: how nodes reach each other's shards. gRPC over one connection to each peer; a peer
//! proves the cluster secret before it is told anything, every call has a deadline, and a peer that
//! is down costs nothing but the look at a flag. The only room that knows `tonic`.
//!
//! `peer` is the client's side of a node, `remote` a shard copy there as the coordinator sees it;
//! `net` connects, `channel` and `gather` are the connection; `server` listens, `greet` lets callers in,
//! `shards` asks the local copy. `handshake`, `backoff` and `detector` decide without IO; `wire` is the
//! values as messages. See `docs/mesh.md`.

mod backoff;
mod channel;
mod detector;
mod gather;
mod greet;
mod handshake;
mod net;
mod peer;
mod raft;
mod remote;
mod remote_feeds;
mod remote_files;
mod remote_views;
mod secret;
mod serve_view;
mod server;
mod sessions;
mod settings;
mod shards;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod wire;

pub use detector::Liveness;
pub(crate) use handshake::is_itself;
pub use handshake::{NodeIdentity, VERSIONS, Versions};
pub use net::{Connecting, Connection, Duplex, Ear, Listening, Net, Tcp};
pub use peer::Peer;
pub(crate) use peer::WeakPeer;
pub use raft::{RaftAnswer, RaftPort};
pub(crate) use remote::{RemoteCopy, RemoteDurable};
pub(crate) use remote_feeds::RemoteChanges;
pub(crate) use remote_files::{RemoteAttachment, RemoteUpload, is_broken};
pub use secret::{NoSecret, Secret};
pub use server::{MeshServer, StartError};
pub use settings::{MeshSettings, PORT, Timing};
pub use tls::TlsFiles;
