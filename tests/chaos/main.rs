//! What takes long, a network that can be cut, a disk that is full: faults of all kinds under load, three nodes that
//! are apart from each other, races. Needs root, and fails without it. `make chaos` runs it.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod apart;
mod faults;
mod full;
mod races;

use std::path::PathBuf;

use settee_tests::server;

/// The program under test: `SETTEE_PROGRAM`, or the one that was built with the tests.
fn program() -> PathBuf {
    server::program(env!("CARGO_BIN_EXE_settee"))
}
