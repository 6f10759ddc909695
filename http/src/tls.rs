//! [`TlsSettings`]: how connections are secured, as `[ssl]` has it, and what follows from that and
//! the text of certificates. Never reads a file: what is in them is given.

use std::path::PathBuf;
use std::sync::Arc;

use settee_model::config::Config;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};

/// What both ends may agree on, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// `[ssl]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// `cert_file`: this server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// `key_file`: its key.
    pub key: PathBuf,
    /// `cacert_file`: authorities of clients; the rest of the chain, if `cert_file` has no more than
    /// one.
    pub authorities: Option<PathBuf>,
    clients: Clients,
    /// Words of `tls_versions` and `ciphers`; none means all that are known.
    versions: Vec<String>,
    ciphers: Vec<String>,
}

/// What clients must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    Nothing,
    /// A certificate, if they have one.
    Good,
    Certificate,
}

/// What is in the files.
#[derive(Clone, Debug, Default)]
pub struct Pem {
    /// Of `cert_file`.
    pub certificate: Vec<u8>,
    /// Of `key_file`.
    pub key: Vec<u8>,
    /// Of `cacert_file`.
    pub authorities: Option<Vec<u8>>,
}

impl TlsSettings {
    /// Reads what is configured; `None` unless `enable`.
    ///
    /// # Errors
    /// The text says what is missing, or cannot be had.
    pub fn from_config(config: &Config) -> Result<Option<Self>, String> {
        if !config.boolean("ssl", "enable", false) {
            return Ok(None);
        }
        if config.get("ssl", "password").is_some() {
            return Err("[ssl] password: keys that are encrypted cannot be read; keep the key \
                        without a password, in a file that only this server may read"
                .to_owned());
        }
        let file = |key| config.get("ssl", key).map(PathBuf::from);
        let needed = |key| file(key).ok_or_else(|| format!("[ssl] {key} is missing"));
        let clients = match config.boolean("ssl", "verify_ssl_certificates", false) {
            false => Clients::Nothing,
            true if config.boolean("ssl", "fail_if_no_peer_cert", false) => Clients::Certificate,
            true => Clients::Good,
        };
        let authorities = file("cacert_file");
        if clients != Clients::Nothing && authorities.is_none() {
            return Err("[ssl] verify_ssl_certificates needs cacert_file".to_owned());
        }
        Ok(Some(TlsSettings {
            certificate: needed("cert_file")?,
            key: needed("key_file")?,
            authorities,
            clients,
            versions: words(config, "tls_versions"),
            ciphers: words(config, "ciphers"),
        }))
    }

    /// How connections are accepted.
    ///
    /// # Errors
    /// The text says which file is of no use, and why.
    pub fn server(&self, pem: &Pem) -> Result<Arc<ServerConfig>, String> {
        let provider = CryptoProvider { cipher_suites: self.suites(), ..ring::default_provider() };
        let provider = Arc::new(provider);
        let (mut chain, key) = self.identity(pem)?;
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions()?)
            .map_err(|error| format!("[ssl] tls_versions and ciphers: {error}"))?;
        let authorities = match (&pem.authorities, &self.authorities) {
            (Some(text), Some(file)) => {
                certificates(text).map_err(|error| format!("{}: {error}", file.display()))?
            }
            _ => Vec::new(),
        };
        let config = if self.clients == Clients::Nothing {
            config.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = match self.clients {
                Clients::Certificate => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| format!("[ssl] cacert_file: {error}"));
            config.with_client_cert_verifier(verifier?)
        };
        if chain.len() == 1 {
            chain.extend(authorities);
        }
        let config = config.with_single_cert(chain, key);
        let mut config = config.map_err(|error| format!("[ssl] cert_file, key_file: {error}"))?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }

    fn identity(
        &self,
        pem: &Pem,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let unfit = |file: &PathBuf, why: String| format!("{}: {why}", file.display());
        let chain = certificates(&pem.certificate);
        let chain = chain.map_err(|error| unfit(&self.certificate, error))?;
        if chain.is_empty() {
            return Err(unfit(&self.certificate, "there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem.key);
        Ok((chain, key.map_err(|error| unfit(&self.key, error.to_string()))?))
    }

    /// Older versions are not spoken; a list of nothing else is a mistake.
    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
        let known = [("tlsv1.2", &TLS12), ("tlsv1.3", &TLS13)];
        let wanted = |name: &str| self.versions.iter().any(|word| word == name);
        let versions = known.iter().filter(|(name, _)| self.versions.is_empty() || wanted(name));
        let versions: Vec<_> = versions.map(|(_, version)| *version).collect();
        if versions.is_empty() {
            return Err("[ssl] tls_versions: tlsv1.2 and tlsv1.3 are what can be spoken".to_owned());
        }
        Ok(versions)
    }

    /// Those that were asked for; all, if none of these is known: whoever names others wants none
    /// that is weak, and none that is known is.
    fn suites(&self) -> Vec<SupportedCipherSuite> {
        let all = ring::default_provider().cipher_suites;
        let named = |suite: &&SupportedCipherSuite| {
            let own = bare(&format!("{:?}", suite.suite()));
            self.ciphers.iter().map(|word| bare(word)).any(|word| {
                own == word || own.strip_suffix("SHA256").is_some_and(|short| short == word)
            })
        };
        let some: Vec<_> = all.iter().filter(named).copied().collect();
        if some.is_empty() { all } else { some }
    }
}

/// A suite's name, whoever wrote it: OpenSSL, or the standard.
fn bare(name: &str) -> String {
    let name = name.to_ascii_uppercase().replace(['-', '_'], "").replace("WITH", "");
    let name = name.replace("TLS13", "TLS");
    match name.strip_prefix("TLSECDHE") {
        Some(rest) => format!("ECDHE{rest}"),
        None => name,
    }
}

/// The words of a list in Erlang's form.
fn words(config: &Config, key: &str) -> Vec<String> {
    let text = config.get("ssl", key).unwrap_or_default();
    let inside = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    let words = text.split(|letter| !inside(letter)).filter(|word| !word.is_empty());
    words.filter(|word| *word != "undefined").map(str::to_owned).collect()
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, rustls::pki_types::pem::Error> =
        CertificateDer::pem_slice_iter(text).collect();
    all.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(ini: &str) -> Result<Option<TlsSettings>, String> {
        let mut config = Config::default();
        config.merge_ini(&format!("[ssl]\n{ini}"));
        TlsSettings::from_config(&config)
    }

    fn enabled(ini: &str) -> TlsSettings {
        let files = "enable = true\ncert_file = c\nkey_file = k\n";
        settings(&format!("{files}{ini}")).unwrap().unwrap()
    }

    #[test]
    fn what_is_missing_or_cannot_be_had_is_said() {
        assert_eq!(settings("cert_file = x\n"), Ok(None));
        for (ini, named) in [
            ("enable = true\nkey_file = k\n", "cert_file"),
            ("enable = true\ncert_file = c\n", "key_file"),
            ("enable = true\ncert_file = c\nkey_file = k\npassword = x\n", "password"),
            (
                "enable = true\ncert_file = c\nkey_file = k\nverify_ssl_certificates = true\n",
                "cacert_file",
            ),
        ] {
            assert!(settings(ini).unwrap_err().contains(named), "{ini}");
        }
        let unfit = enabled("").server(&Pem::default()).unwrap_err();
        assert_eq!(unfit, "c: there is no certificate in it");
    }

    #[test]
    fn versions_and_ciphers_are_erlangs_lists() {
        assert_eq!(enabled("").versions().unwrap().len(), 2);
        let versions = |list: &str| enabled(&format!("tls_versions = {list}\n")).versions();
        assert_eq!(versions("['tlsv1.2', 'tlsv1.1']").unwrap(), [&TLS12]);
        assert!(versions("[tlsv1]").is_err());
        let suites = |list: &str| enabled(&format!("ciphers = {list}\n")).suites();
        let all = suites("undefined").len();
        assert_eq!(suites("[\"ECDHE-ECDSA-AES128-SHA256\"]").len(), all);
        for (list, count) in [
            ("[\"ECDHE-ECDSA-AES128-GCM-SHA256\", \"ECDHE-RSA-CHACHA20-POLY1305\"]", 2),
            ("[\"TLS_AES_256_GCM_SHA384\"]", 1),
            ("[\"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\"]", 1),
        ] {
            assert_eq!(suites(list).len(), count, "{list}");
        }
    }
}
