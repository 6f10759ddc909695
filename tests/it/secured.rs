//! TLS by `[ssl]`, with certificates and a client of Debian's `openssl`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use settee_tests::ask::wait_for;
use settee_tests::client::Request;
use settee_tests::server::free_port;
use tempfile::TempDir;

use crate::front::configured;
use crate::{http2, program};

const READ: &str = "GET /_session HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";

/// Makes `NAME.pem` and `NAME.key`, signed by `ca` if that is another one.
fn certificate(dir: &Path, name: &str) {
    let authority = if name == "ca" { "TRUE" } else { "FALSE" };
    let config = format!(
        "[req]\ndistinguished_name = of\nprompt = no\n[of]\nCN = {name}\n[with]\n\
         basicConstraints = critical, CA:{authority}\nsubjectAltName = IP:127.0.0.1\n"
    );
    fs::write(dir.join("config"), config).unwrap();
    let words = "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                 -config config -extensions with";
    let mut openssl = Command::new("openssl");
    openssl.args(words.split_whitespace()).current_dir(dir);
    openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.new")]);
    if name != "ca" {
        openssl.args(["-CA", "ca.pem", "-CAkey", "ca.key"]);
    }
    let made = openssl.output().expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::rename(dir.join(format!("{name}.new")), dir.join(format!("{name}.pem"))).unwrap();
}

/// An authority and a server's certificate, and what `[ssl]` says of them.
fn authority(more: &str) -> (TempDir, u16, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    certificate(dir.path(), "ca");
    certificate(dir.path(), "own");
    let (port, at) = (free_port().expect("a port"), dir.path().display());
    let ini = format!(
        "[ssl]\nenable = true\nport = {port}\ncert_file = {at}/own.pem\nkey_file = {at}/own.key\n\
         cacert_file = {at}/ca.pem\n{more}"
    );
    (dir, port, ini)
}

/// What comes back over TLS.
fn say(dir: &Path, port: u16, words: &[&str], text: impl AsRef<[u8]>) -> (bool, String) {
    let mut openssl = Command::new("openssl")
        .args(["s_client", "-CAfile", "ca.pem", "-verify_return_error", "-ign_eof"])
        .args(["-verify_ip", "127.0.0.1", "-connect", &format!("127.0.0.1:{port}")])
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    // It may have ended already, when it was refused.
    let _ = openssl.stdin.take().expect("a pipe").write_all(text.as_ref());
    let Output { status, stdout, stderr } = openssl.wait_with_output().expect("an end");
    let told = [stdout, stderr].concat();
    (status.success(), String::from_utf8_lossy(&told).into_owned())
}

#[test]
fn what_is_said_can_be_secured_and_certificates_renewed() {
    let (dir, port, ini) = authority("");
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = configured(data.path(), &ini);
    let (ended, told) = say(dir.path(), port, &["-alpn", "http/1.1"], READ);
    assert!(ended && told.contains("HTTP/1.1 200 OK") && told.contains("\"userCtx\""), "{told}");
    assert!(told.contains("ALPN protocol: http/1.1"), "{told}");
    let far = "GET /_utils HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    let (_, told) = say(dir.path(), port, &[], far);
    assert!(told.contains("https://here/_utils/"), "{told}");
    let (_, told) = say(dir.path(), port, &["-alpn", "h2,http/1.1"], READ);
    assert!(told.contains("ALPN protocol: h2"), "{told}");
    let asked = [http2::hello(), http2::get(1, "/_session"), http2::farewell()].concat();
    let (_, told) = say(dir.path(), port, &["-alpn", "h2"], asked);
    assert!(told.contains("\"name\":\"admin\""), "{told}");
    let (old, _) = say(dir.path(), port, &["-tls1_1"], READ);
    assert!(!old, "an old version was spoken");
    certificate(dir.path(), "own");
    let number = Command::new("openssl")
        .args(["x509", "-in", "own.pem", "-noout", "-serial"])
        .current_dir(dir.path())
        .output()
        .expect("openssl");
    let number = String::from_utf8(number.stdout).unwrap();
    let number = number.trim().trim_start_matches("serial=").to_owned();
    wait_for(|| {
        let (_, told) = say(dir.path(), port, &["-showcerts"], READ);
        fs::write(dir.path().join("shown.pem"), told).unwrap();
        let shown = Command::new("openssl")
            .args(["x509", "-in", "shown.pem", "-noout", "-serial"])
            .current_dir(dir.path())
            .output()
            .expect("openssl");
        String::from_utf8_lossy(&shown.stdout).contains(&number).then_some(())
    });
    fs::write(dir.path().join("own.pem"), "nonsense").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert!(say(dir.path(), port, &[], READ).0, "the last good certificate is shown no more");
    assert_eq!(server.client().send(&Request::new("GET", "/")).unwrap().status, 200);
}

#[test]
fn clients_can_be_asked_for_certificates() {
    let (dir, port, ini) =
        authority("verify_ssl_certificates = true\nfail_if_no_peer_cert = true\n");
    let data = tempfile::tempdir().expect("a temporary directory");
    let _server = configured(data.path(), &ini);
    certificate(dir.path(), "client");
    let (_, told) = say(dir.path(), port, &["-cert", "client.pem", "-key", "client.key"], READ);
    assert!(told.contains("HTTP/1.1 200 OK"), "{told}");
    let (_, told) = say(dir.path(), port, &[], READ);
    assert!(!told.contains("HTTP/1.1"), "{told}");
}

#[test]
fn a_key_that_cannot_be_read_is_no_start() {
    for (more, named) in [("password = x\n", "password"), ("tls_versions = [tlsv1]\n", "versions")]
    {
        let (_dir, _, ini) = authority(more);
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::write(data.path().join("local.ini"), ini).unwrap();
        let ended = Command::new(program())
            .args(["serve", "--port", "0", "--data"])
            .arg(data.path())
            .envs([("COUCHDB_USER", "a"), ("COUCHDB_PASSWORD", "b")])
            .output()
            .expect("a program that runs");
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && told.contains(named), "{told}");
    }
}
