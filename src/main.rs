//! The settee program: command line, configuration, wiring, signals. No logic.

mod admins;
mod args;
mod check;
mod files;
mod handles;
mod home;
mod log;
mod memory;
mod process;
mod serve;
mod site;
mod tls;

use std::process::ExitCode;

use args::{Command, parse};
use tikv_jemallocator::Jemalloc;

/// See `docs/performance.md`; how it is set up stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let outcome = match parse() {
        Command::Serve(options) => serve::run(*options),
        Command::Check { data } => check::run(&data),
    };
    match outcome {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("settee: {reason}");
            ExitCode::FAILURE
        }
    }
}
