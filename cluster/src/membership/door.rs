//! Where this node listens to others, if it does, and who it is to them. Opened at the start by who
//! has a secret, later by who is given one; never decides whom to let in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::{Port, host_of};
use crate::catalogue::Member;
use crate::mesh::{MeshServer, MeshSettings, NodeIdentity, Secret};
use crate::{Error, Host, MeshHome};

/// See the module.
pub(crate) struct Door {
    host: Host,
    port: Arc<Port>,
    /// None for a node that is alone for ever.
    home: Option<MeshHome>,
    me: Arc<Whereabouts>,
    server: Mutex<Option<(Secret, MeshServer)>>,
}

/// This node as others know it. It changes when the node listens somewhere else.
pub(crate) struct Whereabouts(RwLock<Arc<Member>>);

impl Whereabouts {
    pub(crate) fn now(&self) -> Arc<Member> {
        self.0.read().clone()
    }

    fn move_to(&self, address: String) {
        let member = Member { address, ..(*self.now()).clone() };
        *self.0.write() = Arc::new(member);
    }
}

impl Door {
    /// A closed one.
    pub(crate) fn new(host: Host, home: Option<MeshHome>, member: Member) -> Door {
        let me = Arc::new(Whereabouts(RwLock::new(Arc::new(member))));
        Door { host, port: Arc::default(), home, me, server: Mutex::default() }
    }

    /// This node as others know it.
    pub(crate) fn me(&self) -> &Arc<Whereabouts> {
        &self.me
    }

    /// What is answered to who comes in.
    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// Listens to those who know the secret, and to nobody else any more; how they are reached. None
    /// if it did so before.
    pub(crate) async fn open(&self, secret: Secret) -> Result<Option<Arc<MeshSettings>>, Error> {
        let alone = || Error::BadRequest("This node is not meant to be one of many.".into());
        let home = self.home.as_ref().ok_or_else(alone)?;
        let mut server = self.server.lock().await;
        if server.as_ref().is_some_and(|(known, _)| known.is(&secret)) {
            return Ok(None);
        }
        if let Some((_, old)) = server.take() {
            old.stop().await;
        }
        let settings =
            Arc::new(settings(home, secret.clone(), &self.me.now(), self.host.engine.now()));
        let started = MeshServer::start(settings.clone(), self.host.clone(), self.port.clone());
        let new = started.await.map_err(|error| Error::Storage(error.to_string()))?;
        self.me.move_to(reached_at(new.address(), &self.me.now().name));
        *server = Some((secret, new));
        Ok(Some(settings))
    }

    /// Listens no longer.
    pub(crate) async fn close(&self) {
        if let Some((_, server)) = self.server.lock().await.take() {
            server.stop().await;
        }
    }
}

fn settings(home: &MeshHome, secret: Secret, member: &Member, now: Duration) -> MeshSettings {
    let node = NodeIdentity {
        name: member.name.clone(),
        // 32 hexadecimal digits, as was checked when it was read.
        uuid: u128::from_str_radix(&member.uuid, 16).unwrap_or(0).to_be_bytes(),
        epoch: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
    };
    let MeshHome { listen, timing, tls, net, .. } = home.clone();
    MeshSettings { listen, timing, tls, net, ..MeshSettings::new(secret, node) }
}

/// Where others reach a node that listens at an address.
fn reached_at(listen: SocketAddr, name: &str) -> String {
    match listen.ip().is_unspecified() {
        true => format!("{}:{}", host_of(name), listen.port()),
        false => listen.to_string(),
    }
}
