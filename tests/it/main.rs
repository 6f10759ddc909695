//! Tests of the whole program over HTTP: recorded conversations, real clients, kill -9.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod access;
mod admin;
mod auth;
mod cluster;
mod cluster_config;
mod cluster_faults;
mod cluster_find;
mod cluster_functions;
mod cluster_quorum;
mod cluster_setup;
mod cluster_users;
mod cluster_views;
mod conformance;
mod connections;
mod crash;
mod cve;
mod feeds;
mod forming;
mod front;
mod functions;
mod healing;
mod hostile;
mod house;
mod http2;
mod program;
mod race;
mod rewrites;
mod secured;
mod users;

use std::path::{Path, PathBuf};

use settee_tests::client::Client;
use settee_tests::server::{self, Server};

/// The program under test: `SETTEE_PROGRAM`, or the one that was built with the tests.
fn program() -> PathBuf {
    server::program(env!("CARGO_BIN_EXE_settee"))
}

/// A server over an empty directory, and a client that administers it.
fn with_server(test: impl FnOnce(&mut Server, &mut Client)) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    test(&mut server, &mut client);
}

/// A folder of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
