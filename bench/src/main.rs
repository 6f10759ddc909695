//! The side-by-side benchmark: drives two servers in turn with the same work and prints each
//! figure and the ratio. It speaks plain HTTP, so either side may be settee or a CouchDB, and one node or
//! a cluster, whose nodes are asked in turn. Starts no server.

mod load;
mod queries;
mod report;
mod rest;
mod rows;
mod transfers;
mod users;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::report::Report;
use crate::rows::{Bench, ROWS};

/// Compare two servers that speak CouchDB's HTTP API.
#[derive(Parser)]
struct Args {
    /// The server under test, `http://user:password@host:port`; of a cluster all nodes, separated by
    /// commas.
    ours: String,
    /// The server to compare with.
    theirs: String,
    /// Process ids of the server under test, separated by commas, for its memory.
    #[arg(long, value_delimiter = ',')]
    our_pid: Vec<u32>,
    /// Process ids of the other server.
    #[arg(long, value_delimiter = ',')]
    their_pid: Vec<u32>,
    /// Documents in the database that is read and scanned.
    #[arg(long, default_value_t = 50_000)]
    docs: usize,
    /// Seconds for each timed row and side.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each pair is run; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Shards of each database made; the server's default when absent.
    #[arg(long)]
    q: Option<u32>,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    let mut sides = [
        Bench::new(&args.ours, &args.our_pid, args.docs, args.seconds, args.q),
        Bench::new(&args.theirs, &args.their_pid, args.docs, args.seconds, args.q),
    ];
    for side in &mut sides {
        side.prepare()?;
    }
    let rows: Vec<_> = ROWS.iter().filter(|row| row.name.contains(&args.only)).collect();
    if rows.iter().any(|row| row.needs_indexes) {
        sides.iter_mut().try_for_each(Bench::prepare_queries)?;
    }
    let mut out = io::stdout();
    let mut report = Report::new(&mut out)?;
    for row in rows {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..args.rounds.max(1) {
            for (side, figures) in sides.iter_mut().zip(&mut figures) {
                if !rest::rest() {
                    eprintln!("{}: the machine was not at rest", row.name);
                }
                figures.extend((row.run)(side)?);
            }
        }
        let [ours, theirs] = figures;
        report.row(row.name, row.unit, row.better, ours, theirs)?;
    }
    sides.iter_mut().try_for_each(Bench::clean_up)
}
