//! Certificates of nodes, for mutual TLS: PEM files as the transport wants them. What a certificate
//! is worth is decided by the transport alone: it goes back to the authority, and it names the
//! address that a node was called by.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::codegen::StdError;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::net::Connection;
use crate::Error;
use crate::steps::blocking;

/// What both ends say that they will speak.
const HTTP2: &[u8] = b"h2";

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

/// What is in the files.
struct Pem {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl TlsFiles {
    /// What a node shows that listens, and whom it lets in, who may take so long to show what they
    /// have. [`Error::Unreachable`] names a file that cannot be read.
    pub(super) async fn server(&self, patience: Duration) -> Result<ServerTlsConfig, Error> {
        let Pem { ca, certificate, key } = self.read().await?;
        let own = Identity::from_pem(certificate, key);
        let config = ServerTlsConfig::new().identity(own).timeout(patience);
        Ok(config.client_ca_root(Certificate::from_pem(ca)))
    }

    /// Makes a connection to `host:port` one with a peer that showed its certificate and was shown
    /// this node's. Reads the files, so that a certificate that was renewed is shown with the next
    /// connection. Errs as [`TlsFiles::server`], or with why the two do not believe each other.
    pub(super) async fn connect(
        &self,
        address: &str,
        connection: Connection,
    ) -> Result<Connection, Error> {
        let pem = self.read().await?;
        let secured = secure(&pem, address, connection).await;
        secured.map_err(|why| Error::Unreachable(format!("{address}: {why}")))
    }

    async fn read(&self) -> Result<Pem, Error> {
        let TlsFiles { ca, certificate, key } = self.clone();
        let read = move || {
            Ok(Pem { ca: bytes(&ca)?, certificate: bytes(&certificate)?, key: bytes(&key)? })
        };
        blocking(read).await
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let unread = |error| Error::Unreachable(format!("cannot read {}: {error}", path.display()));
    std::fs::read(path).map_err(unread)
}

async fn secure(pem: &Pem, address: &str, connection: Connection) -> Result<Connection, StdError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem.ca) {
        roots.add(certificate?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(&pem.key)?;
    let own = ClientConfig::builder().with_root_certificates(roots);
    let mut config = own.with_client_auth_cert(chain?, key)?;
    config.alpn_protocols.push(HTTP2.into());
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, connection).await?;
    Ok(Connection::new(secured))
}
