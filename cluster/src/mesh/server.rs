//! The node's ear: listens for peers and hands their calls to the services. Knows no shard.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::codegen::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::gather::Gather;
use super::greet::{Gate, Greeter, MESSAGE_MAX};
use super::net::Incoming;
use super::peer::{STREAM_WINDOW, connection_window};
use super::raft::{RaftPort, RaftService};
use super::sessions::Sessions;
use super::settings::MeshSettings;
use super::shards::ShardService;
use super::wire;
use super::wire::greeting_server::GreetingServer;
use super::wire::health_server::{Health, HealthServer};
use super::wire::raft_server::RaftServer;
use super::wire::shards_server::ShardsServer;
use crate::Host;

/// Streams that a connection may have open.
const STREAMS: u32 = 4096;
/// How often a silent connection is probed, and how long it may take to answer.
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBE_WAIT: Duration = Duration::from_secs(5);
/// How long calls that are under way may take to end when the node stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a node does not listen to its peers.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen for peers on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The certificates cannot be used.
    #[error("{0}")]
    Tls(String),
}

/// A node that listens to its peers, until it is stopped or dropped.
pub struct MeshServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

struct HealthService(Arc<MeshSettings>);

#[tonic::async_trait]
impl Health for HealthService {
    async fn ping(&self, _: Request<wire::PingAsk>) -> Result<Response<wire::Pong>, Status> {
        let version = self.0.versions.newest;
        Ok(Response::new(wire::Pong { version, node: Some((&self.0.node).into()) }))
    }
}

impl MeshServer {
    /// Begins to listen. Peers reach the shards of the host, and Raft.
    pub async fn start(
        settings: Arc<MeshSettings>,
        host: Host,
        raft: Arc<dyn RaftPort>,
    ) -> Result<MeshServer, StartError> {
        let failed = |error| StartError::Listen(settings.listen, error);
        let ear = settings.net.listen(settings.listen).await.map_err(failed)?;
        let address = ear.address().map_err(failed)?;
        let incoming = Incoming::new(ear).map(|connection| connection.map(Gather::new));
        let router = router(&settings, host, raft).await?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            // A sender that was dropped is a stop, too.
            let stopped = async { drop(stopped.await) };
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, stopped).await {
                tracing::error!(%error, "the mesh has stopped listening");
            }
        });
        tracing::info!(%address, "listening for peers");
        Ok(MeshServer { address, stop: Some(stop), serving })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more calls, and waits a little for those that are under way.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // It has stopped by itself if nobody hears this.
            let _ = stop.send(());
        }
        if timeout(FAREWELL, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

/// The transport, with certificates if there are any.
async fn transport(settings: &MeshSettings) -> Result<Server, StartError> {
    let Some(files) = &settings.tls else { return Ok(Server::builder()) };
    let tls = files.server(settings.timing.connect).await;
    let tls = tls.map_err(|error| StartError::Tls(error.to_string()))?;
    Server::builder().tls_config(tls).map_err(|error| StartError::Tls(cause(&error)))
}

/// What lies behind a failure of the transport, which itself says only where it happened.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

async fn router(
    settings: &Arc<MeshSettings>,
    host: Host,
    raft: Arc<dyn RaftPort>,
) -> Result<tonic::transport::server::Router, StartError> {
    let sessions = Arc::new(Sessions::new());
    let gate = Gate(sessions.clone());
    let largest = settings.message_max;
    let greeter = GreetingServer::new(Greeter::new(settings.clone(), sessions))
        .max_decoding_message_size(MESSAGE_MAX);
    let health =
        HealthServer::new(HealthService(settings.clone())).max_decoding_message_size(MESSAGE_MAX);
    let shards = ShardsServer::new(ShardService::new(host, settings.timing.call))
        .max_decoding_message_size(largest)
        .max_encoding_message_size(largest);
    let raft = RaftServer::new(RaftService(raft))
        .max_decoding_message_size(largest)
        .max_encoding_message_size(largest);
    Ok(transport(settings)
        .await?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(connection_window(settings.calls_max))
        .max_concurrent_streams(STREAMS)
        // Peers may give up many calls at once, as when this node pauses. (Strangers reach this, too; a
        // stream that is given up before it is looked at costs little.)
        .http2_max_pending_accept_reset_streams(usize::try_from(STREAMS).ok())
        .http2_keepalive_interval(Some(PROBE_EVERY))
        .http2_keepalive_timeout(Some(PROBE_WAIT))
        .add_service(greeter)
        .add_service(InterceptedService::new(health, gate.clone()))
        .add_service(InterceptedService::new(shards, gate.clone()))
        .add_service(InterceptedService::new(raft, gate)))
}
