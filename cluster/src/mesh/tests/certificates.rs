//! Nodes that show each other certificates, made by Debian's `openssl`.

use std::path::Path;
use std::process::Command;

use super::*;

/// An authority, with certificates for nodes on loopback.
struct Authority(TempDir);

impl Authority {
    fn new() -> Authority {
        let authority = Authority(tempfile::tempdir().unwrap());
        authority.make("ca", "basicConstraints = critical, CA:TRUE", &[]);
        authority
    }

    /// A node's files.
    fn node(&self, name: &str) -> TlsFiles {
        self.node_at(name, "IP:127.0.0.1")
    }

    /// A node's files, at an address.
    fn node_at(&self, name: &str, address: &str) -> TlsFiles {
        let extensions = format!("basicConstraints = CA:FALSE\nsubjectAltName = {address}");
        self.make(name, &extensions, &["-CA", "ca.pem", "-CAkey", "ca.key"]);
        let file = |name: String| self.0.path().join(name);
        TlsFiles {
            ca: file("ca.pem".into()),
            certificate: file(format!("{name}.pem")),
            key: file(format!("{name}.key")),
        }
    }

    fn make(&self, name: &str, extensions: &str, signed: &[&str]) {
        let config = format!(
            "[req]\ndistinguished_name = of\nprompt = no\n[of]\nCN = {name}\n[with]\n{extensions}\n"
        );
        std::fs::write(self.0.path().join("config"), config).unwrap();
        let words = "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                     -config config -extensions with";
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let openssl = Command::new("openssl")
            .args(words.split(' ').filter(|word| !word.is_empty()))
            .args(["-keyout", &key, "-out", &certificate])
            .args(signed)
            .current_dir(self.0.path())
            .output()
            .expect("openssl");
        assert!(openssl.status.success(), "{}", String::from_utf8_lossy(&openssl.stderr));
    }
}

fn with(settings: MeshSettings, tls: TlsFiles) -> MeshSettings {
    MeshSettings { tls: Some(tls), ..settings }
}

fn refused(result: Result<impl Sized, Error>) {
    match result.err() {
        Some(Error::Unreachable(_)) => {}
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn nodes_of_one_authority_talk_and_strangers_do_not() {
    let authority = Authority::new();
    let far = Far::start(with(settings("far@two", 2, "mellon"), authority.node("far")));
    far.local().create().await.unwrap();
    let known = with(near(), authority.node("near"));
    let state = remote(far.peer_of(known.clone())).state().await.unwrap();
    assert_eq!(state, far.local().state().await.unwrap());
    // The secret alone lets nobody in, neither does a certificate of somebody else.
    refused(remote(far.peer()).state().await);
    let elsewhere = Authority::new();
    let mut forged = elsewhere.node("forged");
    refused(remote(far.peer_of(with(near(), forged.clone()))).state().await);
    forged.ca = authority.node("other").ca;
    refused(remote(far.peer_of(with(near(), forged))).state().await);
    // Nor does a node with certificates believe one that has none.
    let bare = Far::new();
    bare.local().create().await.unwrap();
    refused(remote(bare.peer_of(known)).state().await);
}

#[tokio::test]
async fn a_node_that_shows_the_certificate_of_another_address_is_not_believed() {
    let authority = Authority::new();
    let files = authority.node_at("far", "DNS:elsewhere.example");
    let far = Far::start(with(settings("far@two", 2, "mellon"), files));
    far.local().create().await.unwrap();
    refused(remote(far.peer_of(with(near(), authority.node("near")))).state().await);
}

#[tokio::test]
async fn who_shows_nothing_is_hung_up_on() {
    let authority = Authority::new();
    let mut quick = with(settings("far@two", 2, "mellon"), authority.node("far"));
    quick.timing.connect = Duration::from_millis(200);
    let far = Far::start(quick);
    let mut silent = tokio::net::TcpStream::connect(far.address).await.unwrap();
    let mut bytes = [0; 8];
    let read = tokio::io::AsyncReadExt::read(&mut silent, &mut bytes);
    let ended = tokio::time::timeout(Duration::from_secs(10), read).await.expect("an end");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn a_node_that_cannot_read_its_certificates_does_not_listen() {
    let dir = tempfile::tempdir().unwrap();
    let storage = RealStorage::open(dir.path()).unwrap();
    let engine = Engine::open(Arc::new(storage), Options::default()).unwrap();
    let start = async |tls: TlsFiles| {
        let settings = Arc::new(with(near(), tls));
        match MeshServer::start(settings, crate::Host::new(engine.clone()), Arc::new(Echo)).await {
            Err(StartError::Tls(why)) => why,
            other => panic!("{:?}", other.err()),
        }
    };
    let authority = Authority::new();
    let files = authority.node("far");
    let gone = |name: &str| Path::new("/nowhere").join(name);
    let why = start(TlsFiles { key: gone("key.pem"), ..files.clone() }).await;
    assert!(why.starts_with("cannot read /nowhere/key.pem: "), "{why}");
    start(TlsFiles { certificate: files.key.clone(), ..files }).await;
}
