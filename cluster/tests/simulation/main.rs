//! Clusters in a simulation: nodes in one process over a simulated network and simulated disks, in
//! simulated time. A seed says what clients do and what goes wrong: crashes, disks that fail, cut and
//! one-way links, delays, a node that comes and goes. Afterwards no acknowledged write may be lost, all copies must be
//! equal, feeds complete, and metadata linearizable.
//!
//! `SEEDS=n` runs so many seeds, `FIRST=n` from that on; `SEED=n` runs just that one and shows what
//! happened. Each seed runs in a process of its own, in which nothing but the seed decides anything:
//! engines work without threads, all randomness is the seed's (`chance`), and two runs of a seed have the
//! same digest, which is tested.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test: it tells what it sees, and ends where something is not as it must be"
)]

mod admin;
mod chance;
mod check;
mod clients;
mod faults;
mod files;
mod guest;
mod history;
mod linear;
mod net;
mod node;
mod run;
mod world;

use std::io::{Read, Seek};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

/// Seeds that are run when nobody says how many.
const SEEDS: u64 = 2;
/// The longest that the run of a seed may take, of real time.
const PATIENCE: Duration = Duration::from_secs(300);

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs the seed in this process, and says what came of it; whether all was well.
fn run_here(seed: u64) -> bool {
    if env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().without_time().with_ansi(false).with_env_filter(filter).init();
    }
    chance::decide(seed);
    // A thread that has asked for no randomness yet.
    let report = thread::spawn(move || run::run(seed)).join().unwrap();
    if !report.wrong.is_empty() || env::var_os("WORDS").is_some() {
        report.words.iter().for_each(|line| println!("{line}"));
    }
    report.wrong.iter().for_each(|line| println!("WRONG: {line}"));
    println!("{}, digest {:016x}", report.summary, report.digest);
    report.wrong.is_empty()
}

/// Runs a seed in a process of its own; what it said, and whether all was well.
fn run_apart(seed: u64) -> (String, bool) {
    let program = env::current_exe().unwrap();
    let mut said = tempfile::tempfile().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", "no_seed_breaks_a_promise", "--nocapture"])
        .env("SEED", seed.to_string())
        .stdout(said.try_clone().unwrap())
        .stderr(said.try_clone().unwrap())
        .spawn()
        .unwrap();
    let given_up = Instant::now() + PATIENCE;
    let well = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.success(),
            // Something goes on and on while no time passes.
            None if Instant::now() > given_up => {
                child.kill().unwrap();
                child.wait().unwrap();
                break false;
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    let mut text = String::new();
    said.rewind().unwrap();
    said.read_to_string(&mut text).unwrap();
    (text, well)
}

#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = number("SEED") {
        assert!(run_here(seed), "SEED={seed}");
        return;
    }
    let first = number("FIRST").unwrap_or(1);
    let mut broken = Vec::new();
    for seed in first..first + number("SEEDS").unwrap_or(SEEDS) {
        let (said, well) = run_apart(seed);
        match said.lines().find(|line| line.starts_with("seed ")) {
            Some(line) => println!("{line}"),
            None => println!("seed {seed}: no report"),
        }
        if !well {
            println!("{said}");
            broken.push(seed);
        }
    }
    assert!(broken.is_empty(), "SEED=n reproduces each of these: {broken:?}");
}

#[test]
fn a_seed_runs_the_same_twice() {
    let digest = || {
        let (said, _) = run_apart(7);
        said.lines().find(|line| line.starts_with("seed ")).map(str::to_owned)
    };
    let first = digest();
    assert!(first.is_some());
    assert_eq!(first, digest());
}
