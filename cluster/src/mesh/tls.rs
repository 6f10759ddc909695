//! Certificates of nodes, for mutual TLS: PEM files as the transport wants them. What a certificate
//! is worth is decided by the transport alone: it goes back to the authority, and it names the
//! address that a node was called by.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::Error;
use crate::steps::blocking;

/// PEM files for mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates that a peer's one must go back to.
    pub ca: PathBuf,
    /// This node's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// What a node shows that listens, and whom it lets in, who may take so long to show what they
    /// have. [`Error::Unreachable`] names a file that cannot be read.
    pub(super) async fn server(&self, patience: Duration) -> Result<ServerTlsConfig, Error> {
        let (identity, ca) = self.read().await?;
        Ok(ServerTlsConfig::new().identity(identity).client_ca_root(ca).timeout(patience))
    }

    /// What a node shows that calls, and whom it believes. Reads the files, so that a certificate
    /// that was renewed is shown with the next connection. Errs as [`TlsFiles::server`].
    pub(super) async fn client(&self) -> Result<ClientTlsConfig, Error> {
        let (identity, ca) = self.read().await?;
        Ok(ClientTlsConfig::new().identity(identity).ca_certificate(ca))
    }

    async fn read(&self) -> Result<(Identity, Certificate), Error> {
        let TlsFiles { ca, certificate, key } = self.clone();
        blocking(move || {
            let identity = Identity::from_pem(pem(&certificate)?, pem(&key)?);
            Ok((identity, Certificate::from_pem(pem(&ca)?)))
        })
        .await
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, Error> {
    let unread = |error| Error::Unreachable(format!("cannot read {}: {error}", path.display()));
    std::fs::read(path).map_err(unread)
}
