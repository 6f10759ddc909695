//! Two nodes in one process, over loopback: one with shards on a disk of its own, the other one a
//! caller.

mod calls;
mod certificates;
mod faults;
mod feeds;
mod greetings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use settee_engine::io::{RealStorage, Storage};
use settee_engine::{Engine, Options, ShardId};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::Error;
use crate::attachment::{EditUploads, Upload, UploadOptions};
use crate::copy::ShardCopy;
use crate::local::LocalCopy;

const SHARD: &str = "00000000-ffffffff/db.1";
const PATIENCE: Duration = Duration::from_secs(10);

/// A node that listens, with an engine of its own.
pub(crate) struct Far {
    pub(crate) host: crate::Host,
    address: SocketAddr,
    settings: MeshSettings,
    /// Its threads, apart from the caller's, so that it can be killed.
    runtime: Option<Runtime>,
    _dir: TempDir,
}

/// Raft that answers what it was told.
struct Echo;

impl RaftPort for Echo {
    fn call<'a>(&'a self, from: &'a NodeIdentity, bytes: Bytes) -> RaftAnswer<'a> {
        Box::pin(async move {
            if bytes.is_empty() {
                return Err(Error::Forbidden("nothing was said".into()));
            }
            Ok(Bytes::from(format!("{} {}", from.name, bytes.len())))
        })
    }
}

pub(crate) fn settings(name: &str, uuid: u8, secret: &str) -> MeshSettings {
    let node = NodeIdentity { name: name.into(), uuid: [uuid; 16], epoch: 1 };
    let mut settings = MeshSettings::new(Secret::new(secret).unwrap(), node);
    settings.listen.set_port(0);
    settings.timing.call = PATIENCE;
    settings.timing.connect = Duration::from_secs(5);
    settings
}

fn near() -> MeshSettings {
    settings("near@one", 1, "mellon")
}

impl Far {
    fn start(settings: MeshSettings) -> Far {
        Far::over(settings, |storage| Arc::new(storage))
    }

    /// A node whose disk something stands in front of.
    pub(crate) fn over(
        mut settings: MeshSettings,
        disk: impl FnOnce(RealStorage) -> Arc<dyn Storage>,
    ) -> Far {
        let dir = tempfile::tempdir().unwrap();
        let storage = disk(RealStorage::open(dir.path()).unwrap());
        let engine = Engine::open(storage, Options::default()).unwrap();
        let host = crate::Host::new(engine);
        let (runtime, address) = listen(settings.clone(), &host);
        settings.listen = address;
        Far { host, address, settings, runtime: Some(runtime), _dir: dir }
    }

    fn new() -> Far {
        Far::start(settings("far@two", 2, "mellon"))
    }

    /// Ends it as a crash does: when this returns no call is answered any more and all connections
    /// are broken. Work on a disk that a test holds up is left behind.
    pub(crate) fn kill(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        // A runtime waits for its threads only where waiting is allowed: not on a task.
        let end = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(1)));
        end.join().unwrap();
    }

    /// Listens again, where it did before.
    pub(crate) fn revive(&mut self) {
        self.runtime = Some(listen(self.settings.clone(), &self.host).0);
    }

    pub(crate) fn peer_of(&self, settings: MeshSettings) -> Peer {
        Peer::new(self.address.to_string(), Arc::new(settings))
    }

    fn peer(&self) -> Peer {
        self.peer_of(near())
    }

    pub(crate) fn local(&self) -> ShardCopy {
        ShardCopy::Local(self.local_copy())
    }

    fn local_copy(&self) -> LocalCopy {
        LocalCopy::new(self.host.clone(), shard(), PATIENCE)
    }

    fn remote(&self) -> ShardCopy {
        remote(self.peer())
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.kill();
    }
}

fn listen(settings: MeshSettings, host: &crate::Host) -> (Runtime, SocketAddr) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let host = host.clone();
    let (tell, told) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let started = MeshServer::start(Arc::new(settings), host, Arc::new(Echo)).await;
        let server = started.unwrap();
        tell.send(server.address()).unwrap();
        std::future::pending::<()>().await;
    });
    let address = told.recv().unwrap();
    (runtime, address)
}

pub(crate) fn shard() -> ShardId {
    ShardId::parse(SHARD).unwrap()
}

fn remote(peer: Peer) -> ShardCopy {
    ShardCopy::Remote(RemoteCopy::new(peer, 2, shard()))
}

fn begin(copy: &ShardCopy, options: UploadOptions) -> Upload {
    EditUploads::to(vec![copy.clone()]).begin(options)
}

fn shown(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}
