//! Doors that stood open: routes behind a flag that was to keep strangers out (2020-1955), and a port for
//! other nodes with a secret that everybody knew (2022-24706).

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use settee_tests::ask::{as_nobody, configure, put_json};
use settee_tests::client::Request;

use super::{put, send};
use crate::{program, with_server};

#[test]
fn cve_2020_1955_only_what_is_said_is_open() {
    with_server(|_, client| {
        put(client, "/db", "");
        put(client, "/db/_security", "{}");
        configure(client, "chttpd/require_valid_user_except_for_up", "true");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "COPY"] {
            for path in [
                "/",
                "/_all_dbs",
                "/_users",
                "/_node/_local/_config",
                "/_replicate",
                "/db",
                "/db/doc",
                "/db/_up",
                "/db/_design/_up/_view/_up",
                "/_up/db",
                "/_up/../db",
                "/_up%2f..%2fdb",
                "/_up%00",
                "/_up%20",
                "/_UP",
                "/_utils/_up",
                "/_session/_up",
                "/_session/../db",
                "/db?_up",
                "/?/_up",
            ] {
                let proofs =
                    [("Authorization", "Bearer _up"), ("X-Couchdb-Requested-Path", "/_up")];
                let answer = as_nobody(client, method, path, &proofs);
                assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            }
        }
        for path in ["/_up", "//_up/", "/%5fup", "/_up?x=/db"] {
            let status = as_nobody(client, "GET", path, &[]).status;
            assert_eq!(status, 200, "{path}");
        }
        for method in ["PUT", "POST", "DELETE"] {
            assert_eq!(as_nobody(client, method, "/_up", &[]).status, 405, "{method}");
        }
        assert_eq!(send(client, &Request::new("GET", "/db")).status, 200);
    });
}

/// A server as it is started without any options but where its data is.
fn fresh(data: &str, more: &[(&str, &str)]) -> Child {
    Command::new(program())
        .args(["serve", "--port", "0", "--data", data])
        .env("COUCHDB_USER", "admin")
        .env("COUCHDB_PASSWORD", "pass")
        .envs(more.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program that runs")
}

/// Local addresses at which a process listens, as the kernel writes them, by file of `/proc/PID/net`.
fn open_doors(pid: u32) -> Vec<(&'static str, String)> {
    let handles = fs::read_dir(format!("/proc/{pid}/fd")).expect("its files");
    let sockets = handles.filter_map(|handle| {
        let link = fs::read_link(handle.ok()?.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
    });
    let sockets: HashSet<String> = sockets.collect();
    let mut doors = Vec::new();
    // In these states a socket of TCP listens, and one of UDP is bound.
    for (kind, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{kind}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[3] == state && sockets.contains(words[9]) {
                doors.push((kind, words[1].to_owned()));
            }
        }
    }
    doors
}

#[test]
fn cve_2022_24706_no_port_is_open_and_no_secret_known() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let data = data.path().to_str().expect("text");
    let mut server = fresh(data, &[]);
    let mut said = BufReader::new(server.stderr.take().expect("what it says")).lines();
    let ready = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("ready at")));
    let ready = ready.expect("a server").expect("text");
    let doors = open_doors(server.id());
    server.kill().and_then(|()| server.wait()).expect("an end");
    // 127.0.0.1, in the order of bytes in memory.
    let port: u16 = ready.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    assert_eq!(doors, [("tcp", format!("0100007F:{port:04X}"))], "{ready}");
    // Nodes find each other by a secret of their own, or not at all.
    for (secret, more) in [
        ("monster", &["--mesh", "127.0.0.1:0"][..]),
        (" monster ", &["--mesh", "127.0.0.1:0"]),
        ("monster", &[]),
        ("monster", &["--seedlist", "couchdb@127.0.0.1"]),
        ("", &["--seedlist", "couchdb@127.0.0.1"]),
    ] {
        let mut command = Command::new(program());
        command.args(["serve", "--port", "0", "--data", data]).args(more);
        command.envs([("COUCHDB_USER", "admin"), ("COUCHDB_PASSWORD", "pass")]);
        let ended = command.env("COUCHDB_ERLANG_COOKIE", secret).output().expect("an end");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && told.contains("secret"), "{secret:?} {more:?}: {told}");
    }
    with_server(|server, client| {
        let setup = r#"{"action":"receive_cookie","cookie":"monster"}"#;
        let answer = send(client, &Request::new("POST", "/_cluster_setup").json(setup));
        assert_eq!(answer.status, 400, "{}", answer.text());
        let path = "/_node/_local/_config/cluster/secret";
        assert_eq!(put_json(client, path, "\"mellon\"").status, 403);
        assert_eq!(send(client, &Request::new("GET", path)).status, 404);
        server.kill_and_restart().expect("what was refused was not kept");
        assert_eq!(open_doors(server.pid()).len(), 1);
    });
}
