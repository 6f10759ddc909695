//! Tests of the whole program over HTTP: recorded conversations, real clients, kill -9.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod cluster;
mod cluster_chaos;
mod cluster_config;
mod cluster_quorum;
mod cluster_setup;
mod conformance;
mod crash;
mod healing;
mod hostile;
mod house;
mod program;

use std::path::{Path, PathBuf};

/// The program under test.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_settee"))
}

/// A folder of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
