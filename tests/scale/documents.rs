//! A million documents: they stream within a bound of memory, a killed server is there again at once,
//! and one of a million is read as quickly as one of ten thousand.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::client::{Client, Request};
use settee_tests::given;
use settee_tests::orders::id;
use settee_tests::server::Server;

use crate::{MIB, STREAMING, expect, fill, program};

/// From the kill to the first document that is read.
const START: Duration = Duration::from_secs(1);
/// Documents of the small database.
const FEW: usize = 10_000;
/// How much slower reads of the large one may be.
const SLOWER: f64 = 0.8;
/// Clients that read at once.
const READERS: usize = 8;

#[test]
fn a_million_documents_are_as_quick_as_few_and_stream_within_a_bound() {
    let count = given("DOCS", 1_000_000);
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    fill(&mut client, "/few", FEW);
    let began = Instant::now();
    fill(&mut client, "/many", count);
    eprintln!("{count} documents written in {:?}", began.elapsed());
    server.kill();
    let began = Instant::now();
    server.restart().expect("a restart");
    let read = Request::new("GET", &format!("/many/{}", id(count - 1)));
    while !server.client().send(&read).is_ok_and(|answer| answer.status == 200) {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come up");
        thread::sleep(Duration::from_millis(2));
    }
    let took = began.elapsed();
    eprintln!("a document was read {took:?} after a start that followed kill -9");
    assert!(took < START, "{took:?}");
    for what in ["_all_docs?include_docs=true", "_changes"] {
        stream(&server, &format!("/many/{what}"), count);
    }
    compare_reads(&server, count);
}

/// Reads a whole list, a piece at a time.
fn stream(server: &Server, path: &str, count: usize) {
    let began = Instant::now();
    let client = server.client();
    let (head, mut body) = client.open_feed(&Request::new("GET", path)).expect("an answer");
    assert_eq!(head.status, 200);
    let (mut piece, mut bytes, mut lines) = (vec![0; 1 << 16], 0, 0);
    let mut last = [0; 5];
    // The connection is kept: a chunk of no bytes is the end.
    while &last != b"0\r\n\r\n" {
        let read = body.read(&mut piece).expect("more of the list");
        assert!(read > 0, "{path} broke off");
        bytes += read;
        lines += piece[..read].iter().filter(|byte| **byte == b'{').count();
        for byte in &piece[read.saturating_sub(5)..read] {
            last.rotate_left(1);
            last[4] = *byte;
        }
    }
    let (peak, took) = (server.peak_memory().expect("its memory"), began.elapsed());
    eprintln!("{path}: {} MiB in {took:?}, memory at most {} MiB", bytes as u64 / MIB, peak / MIB);
    assert!(lines >= count, "{path} has {lines} objects");
    assert!(peak < STREAMING, "{path} took {} MiB", peak / MIB);
}

/// The median of seven rounds, in turn.
fn compare_reads(server: &Server, count: usize) {
    let mut ratios: Vec<f64> = (0..7)
        .map(|round| {
            let few = read(&server.client(), "/few", FEW, round);
            let many = read(&server.client(), "/many", count, round);
            eprintln!("reads a second: {few:.0} of {FEW}, {many:.0} of {count}");
            many / few
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[3] >= SLOWER, "reads of {count} documents: {ratios:?} times those of {FEW}");
}

/// Documents read a second, each far from the one before.
fn read(client: &Client, db: &str, count: usize, round: usize) -> f64 {
    let each = given("READS", 20_000) / READERS;
    let began = Instant::now();
    thread::scope(|scope| {
        for reader in 0..READERS {
            let mut client = client.again();
            scope.spawn(move || {
                for turn in 0..each {
                    let number = (round * 1_000_003 + turn * READERS + reader) * 7919 % count;
                    let path = format!("{db}/{}", id(number));
                    expect(&mut client, &Request::new("GET", &path), 200);
                }
            });
        }
    });
    (each * READERS) as f64 / began.elapsed().as_secs_f64()
}
