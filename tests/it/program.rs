//! The program as an operator meets it: exit codes and messages of its command line.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use settee_tests::ask::{configure, get, wait_for};
use settee_tests::base64;
use settee_tests::client::{Client, Request};
use settee_tests::server::Server;

use crate::program;

fn settee(words: &[&str]) -> Output {
    let mut command = Command::new(program());
    let command = command.args(words).env_remove("COUCHDB_USER").env_remove("COUCHDB_PASSWORD");
    command.output().expect("a program that runs")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[test]
fn without_an_administrator_it_says_how_to_set_one() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let ended = settee(&["serve", "--data", path(data.path()), "--port", "0"]);
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(told.contains("COUCHDB_USER") && told.contains("[admins]"), "{told}");
}

#[test]
fn a_directory_belongs_to_one_server() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let _server = Server::start(&program(), data.path()).expect("a server");
    for words in [&["--port", "0", "--data", path(data.path())][..], &["check", path(data.path())]]
    {
        let ended = settee(words);
        assert_eq!(ended.status.code(), Some(1), "{words:?}");
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(told.contains("another settee"), "{told}");
    }
}

#[test]
fn a_node_that_waits_for_its_seeds_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["serve", "--port", "0", "--seedlist", "127.0.0.1:1", "--mesh", "127.0.0.1:0"];
    let mut node = Command::new(program())
        .args(words)
        .args(["--data", path(dir.path())])
        .envs([("COUCHDB_USER", "a"), ("COUCHDB_PASSWORD", "b"), ("COUCHDB_ERLANG_COOKIE", "c")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(node.stderr.take().expect("stderr")).lines().map_while(Result::ok);
    let mut said = said.skip_while(|line| !line.contains("waiting for a seed"));
    assert!(said.next().is_some(), "it does not wait");
    let signal = Command::new("kill").arg(node.id().to_string()).status().unwrap();
    assert!(signal.success());
    // The end of what it says is its own end; a test that hangs here has failed.
    let rest: Vec<String> = said.collect();
    assert!(node.wait().unwrap().success(), "{rest:?}");
}

#[test]
fn a_check_finds_damage() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let made = server.client().send(&Request::new("PUT", "/mine")).expect("an answer");
    assert_eq!(made.status, 201);
    server.kill();
    let sound = settee(&["check", path(data.path())]);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    let log = fs::read_dir(data.path().join("log")).expect("a log");
    let segment = log.map(|entry| entry.expect("a segment").path()).max().expect("a segment");
    let mut file = OpenOptions::new().write(true).open(segment).expect("the segment");
    file.seek(SeekFrom::Start(100)).and_then(|_| file.write_all(b"damage")).expect("to write");
    let damaged = settee(&["check", path(data.path())]);
    assert_eq!(damaged.status.code(), Some(1), "{damaged:?}");
    assert!(String::from_utf8_lossy(&damaged.stdout).contains("log/"), "{damaged:?}");
}

#[test]
fn an_administrator_of_the_environment_is_there_after_each_start() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let admin = Request::new("DELETE", "/_node/_local/_config/admins/admin");
    assert_eq!(server.client().send(&admin).expect("an answer").status, 200);
    let status = |server: &Server| {
        server.client().send(&Request::new("GET", "/_all_dbs")).expect("an answer").status
    };
    assert_eq!(status(&server), 401);
    server.kill_and_restart().expect("a restart");
    wait_for(|| (status(&server) == 200).then_some(()));
}

const CONFIG: &str = "/_node/_local/_config";

/// A server that is told a secret of sessions and an administrator each time it starts.
fn told(data: &Path) -> Server {
    let server = Server::start_with(&program(), data, &[("COUCHDB_SECRET", "first")]);
    let server = server.expect("a server");
    configure(&mut server.client(), "chttpd_auth/iterations", "10");
    server
}

/// What somebody is answered by a server that may just be starting.
fn status(server: &Server, name: &str, password: &str) -> u16 {
    let user = base64(format!("{name}:{password}").as_bytes());
    let request =
        Request::new("GET", "/_all_dbs").header("Authorization", &format!("Basic {user}"));
    wait_for(|| Some(server.client().send(&request).ok()?.status))
}

/// Kills a server and starts it again, and lets it do what it does after a start.
fn again(server: &mut Server) {
    server.kill();
    server.restart().expect("a process");
    assert_eq!(status(server, "nobody", "x"), 401);
    std::thread::sleep(Duration::from_secs(2));
}

fn administered(server: &Server, name: &str, password: &str) -> Client {
    let base = server.base();
    Client::new(&base.replace("admin:pass", &format!("{name}:{password}")))
}

#[test]
fn what_was_decided_over_http_outlives_the_environment() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = told(data.path());
    let mut client = server.client();
    for (key, value) in [("chttpd_auth/secret", "later"), ("admins/boss", "b"), ("admins/eve", "e")]
    {
        configure(&mut client, key, value);
    }
    let eve = Request::new("DELETE", &format!("{CONFIG}/admins/eve"));
    assert_eq!(client.send(&eve).expect("an answer").status, 200);
    configure(&mut client, "admins/admin", "new");
    for _ in 0..2 {
        again(&mut server);
        let seen = [("admin", "new"), ("admin", "pass"), ("boss", "b"), ("eve", "e")];
        assert_eq!(seen.map(|(name, word)| status(&server, name, word)), [200, 401, 200, 401]);
        let mut boss = administered(&server, "boss", "b");
        assert_eq!(get(&mut boss, &format!("{CONFIG}/chttpd_auth/secret")), "later");
    }
    let admin = Request::new("DELETE", &format!("{CONFIG}/admins/admin"));
    let mut boss = administered(&server, "boss", "b");
    assert_eq!(boss.send(&admin).expect("an answer").status, 200);
    again(&mut server);
    let seen = [("admin", "new"), ("admin", "pass"), ("boss", "b")];
    assert_eq!(seen.map(|(name, word)| status(&server, name, word)), [401, 401, 200]);
}

#[test]
fn a_password_that_is_written_into_the_file_holds_from_the_next_start_on() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = told(data.path());
    configure(&mut server.client(), "admins/admin", "over-http");
    server.kill();
    let file = data.path().join("local.ini");
    let text = fs::read_to_string(&file).expect("a file");
    let by_hand = |line: &str| match line.starts_with("admin = ") {
        true => "admin = by-hand\n".to_owned(),
        false => format!("{line}\n"),
    };
    fs::write(&file, text.lines().map(by_hand).collect::<String>()).expect("to write");
    again(&mut server);
    let seen = ["by-hand", "over-http", "pass"].map(|word| status(&server, "admin", word));
    assert_eq!(seen, [200, 401, 401]);
    assert!(!fs::read_to_string(&file).expect("a file").contains("by-hand"), "it is in clear");
    configure(&mut administered(&server, "admin", "by-hand"), "admins/admin", "later");
    again(&mut server);
    assert_eq!(["by-hand", "later"].map(|word| status(&server, "admin", word)), [401, 200]);
}
