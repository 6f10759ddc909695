//! The program as an operator meets it: exit codes and messages of its command line.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use settee_tests::ask::wait_for;
use settee_tests::client::Request;
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
