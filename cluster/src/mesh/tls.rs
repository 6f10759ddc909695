//! Certificates of nodes, for mutual TLS: PEM files as the transport wants them. What a certificate
//! is worth is decided by the transport alone: it goes back to the authority, and it names the
//! address that a node was called by.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

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

/// A file of certificates that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct TlsError {
    path: PathBuf,
    error: std::io::Error,
}

impl TlsFiles {
    /// What a node shows that listens, and whom it lets in, who may take so long to show what they
    /// have. Reads the files; blocks.
    pub(super) fn server(&self, patience: Duration) -> Result<ServerTlsConfig, TlsError> {
        let (identity, ca) = self.read()?;
        Ok(ServerTlsConfig::new().identity(identity).client_ca_root(ca).timeout(patience))
    }

    /// What a node shows that calls, and whom it believes. Reads the files, so that a certificate
    /// that was renewed is shown with the next connection; blocks.
    pub(super) fn client(&self) -> Result<ClientTlsConfig, TlsError> {
        let (identity, ca) = self.read()?;
        Ok(ClientTlsConfig::new().identity(identity).ca_certificate(ca))
    }

    fn read(&self) -> Result<(Identity, Certificate), TlsError> {
        let identity = Identity::from_pem(pem(&self.certificate)?, pem(&self.key)?);
        Ok((identity, Certificate::from_pem(pem(&self.ca)?)))
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError { path: path.to_owned(), error })
}
