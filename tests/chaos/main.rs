//! What takes long, or a network that can be cut: faults of all kinds under load, three nodes that
//! are apart from each other, races. Needs root, and fails without it. `make chaos` runs it.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod apart;
mod faults;
mod races;

use std::path::PathBuf;
use std::str::FromStr;

/// The program under test: `SETTEE_PROGRAM`, or the one that was built with the tests.
fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_settee");
    std::env::var_os("SETTEE_PROGRAM").map_or_else(|| built.into(), PathBuf::from)
}

/// A number that the environment may give.
fn given<T: FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
