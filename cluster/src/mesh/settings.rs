//! What an operator decides about the mesh. Values only.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::handshake::{NodeIdentity, VERSIONS, Versions};
use super::net::{Net, Tcp};
use super::secret::Secret;
use super::tls::TlsFiles;

/// The port of the mesh.
pub const PORT: u16 = 9100;

/// Settings of the mesh. Without a secret there are none.
#[derive(Clone, Debug)]
pub struct MeshSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What all nodes of the cluster know.
    pub secret: Secret,
    /// Who this node is.
    pub node: NodeIdentity,
    /// What it speaks.
    pub versions: Versions,
    /// Certificates, for mutual TLS; plain TCP without.
    pub tls: Option<TlsFiles>,
    /// Where connections come from.
    pub net: Arc<dyn Net>,
    /// How long things may take.
    pub timing: Timing,
    /// Calls to one peer that may be under way, and as many streams; more are shed.
    pub calls_max: usize,
    /// Longest message in bytes, as a batch of edits is one.
    pub message_max: usize,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A call to its answer, a stream to its next step.
    pub call: Duration,
    /// A connection with its handshake.
    pub connect: Duration,
    /// Between pings.
    pub beat: Duration,
    /// A ping to its answer.
    pub ping: Duration,
    /// Pings missed in a row that make a peer down.
    pub down_after: u32,
    /// Pings answered in a row that make it up again.
    pub up_after: u32,
    /// Before a peer is tried again, at first.
    pub backoff_first: Duration,
    /// The same at most.
    pub backoff_most: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            call: Duration::from_secs(60),
            connect: Duration::from_secs(2),
            // A node that hangs is known to be down after 1.7 seconds at most.
            beat: Duration::from_millis(300),
            ping: Duration::from_millis(400),
            down_after: 3,
            up_after: 2,
            backoff_first: Duration::from_millis(50),
            backoff_most: Duration::from_secs(1),
        }
    }
}

impl MeshSettings {
    /// The defaults for a node: on loopback, where nobody else can call.
    #[must_use]
    pub fn new(secret: Secret, node: NodeIdentity) -> MeshSettings {
        MeshSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            secret,
            node,
            versions: VERSIONS,
            tls: None,
            net: Tcp::shared(),
            timing: Timing::default(),
            calls_max: 1024,
            message_max: 1 << 30,
        }
    }
}
