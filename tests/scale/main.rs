//! What a large server must hold: millions of documents, attachments of gigabytes, a hundred thousand
//! databases, ten thousand listeners, an hour of everything at once; all within bounds of memory, disk
//! and files. Takes long, and a build for release; `make scale` runs it. Every size may be given by the
//! environment, for a first look at smaller ones.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod attachments;
mod databases;
mod documents;
mod overwrites;
mod soak;

use std::fs;
use std::path::{Path, PathBuf};

use settee_tests::client::{Client, Request, Response};
use settee_tests::orders::bulk_body;
use settee_tests::server;

const MIB: u64 = 1 << 20;
/// What a process may hold while it streams.
const STREAMING: u64 = 256 * MIB;

/// The program under test: `SETTEE_PROGRAM`, or the one that was built with the tests.
fn program() -> PathBuf {
    server::program(env!("CARGO_BIN_EXE_settee"))
}

/// Sends a request and fails unless it is answered so.
fn expect(client: &mut Client, request: &Request, status: u16) -> Response {
    let answer = client.send(request).expect("an answer");
    assert_eq!(answer.status, status, "{} {}: {}", request.method, request.path, answer.text());
    answer
}

/// Makes a database with so many documents.
fn fill(client: &mut Client, db: &str, count: usize) {
    expect(client, &Request::new("PUT", db), 201);
    for first in (0..count).step_by(1000) {
        let body = bulk_body("", first, 1000.min(count - first));
        expect(client, &Request::new("POST", &format!("{db}/_bulk_docs")).json(&body), 201);
    }
}

/// Bytes of all files below a directory.
fn disk(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk(&entry.path()),
        Ok(meta) => meta.len(),
        // Files come and go while the server works.
        Err(_) => 0,
    };
    entries.map(size).sum()
}
