//! A hundred thousand databases and ten thousand listeners, in a gigabyte each, with a bounded number of
//! files open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::base64;
use settee_tests::client::Request;
use settee_tests::given;
use settee_tests::server::{Server, raise_files};

use crate::{MIB, expect, program};

/// Memory for all databases, and as much again for all listeners.
const MOST: u64 = 1024 * MIB;
/// Files that a server of many databases may have open.
const FILES: usize = 4096;
/// Clients that make databases.
const MAKERS: usize = 16;
/// Databases that are listened to.
const HEARD: usize = 100;

#[test]
fn many_databases_and_many_listeners_fit() {
    let databases = given("DATABASES", 100_000);
    let files = usize::try_from(raise_files().expect("a limit")).unwrap_or(usize::MAX);
    // Each takes one file here and one in the server.
    let listeners = given("LISTENERS", 10_000).min(files - 500);
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(&program(), data.path()).expect("a server");
    let began = Instant::now();
    make(&server, databases);
    let (memory, files) = (held(&server), server.open_files().expect("its files"));
    let took = began.elapsed();
    eprintln!("{databases} databases in {took:?}: {} MiB, {files} files", memory / MIB);
    assert!(memory < MOST, "{} MiB", memory / MIB);
    assert!(files < FILES, "{files} files are open");
    server.kill_and_restart().expect("a restart");
    eprintln!("after a restart: {} MiB", held(&server) / MIB);
    let info = expect(&mut server.client(), &Request::new("GET", &path(databases - 1)), 200);
    assert_eq!(info.json().expect("JSON")["doc_count"], 1);
    listen(&server, listeners);
}

fn path(number: usize) -> String {
    format!("/many{number:06}")
}

/// Makes the databases, with a document in each.
fn make(server: &Server, databases: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..MAKERS {
            scope.spawn(|| {
                let mut client = server.client();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= databases {
                        return;
                    }
                    let db = path(number);
                    expect(&mut client, &Request::new("PUT", &db), 201);
                    let doc = Request::new("PUT", &format!("{db}/doc")).json("{}");
                    expect(&mut client, &doc, 201);
                }
            });
        }
    });
}

/// Opens the feeds, and has each hear of a change of its database.
fn listen(server: &Server, count: usize) {
    let before = held(server);
    let mut feeds: Vec<_> = (0..count).map(|number| feed(server, number % HEARD)).collect();
    // What the first answers took is given back.
    thread::sleep(Duration::from_secs(5));
    let more = held(server).saturating_sub(before);
    eprintln!("{count} listeners: {} MiB more, {} bytes each", more / MIB, more / count as u64);
    assert!(more < MOST, "{} MiB", more / MIB);
    let began = Instant::now();
    let mut client = server.client();
    for number in 0..HEARD {
        let doc = Request::new("PUT", &format!("{}/news", path(number))).json("{}");
        expect(&mut client, &doc, 201);
    }
    for feed in &mut feeds {
        read_until(feed, b"news");
    }
    let took = began.elapsed();
    eprintln!("{count} listeners heard of {HEARD} changes within {took:?}");
}

fn feed(server: &Server, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let path = format!("{}/_changes?feed=continuous&heartbeat=60000", path(number));
    let authorization = base64(b"admin:pass");
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("to ask");
    read_until(&mut stream, b"\"doc\"");
    stream
}

fn read_until(stream: &mut TcpStream, what: &[u8]) {
    let (mut seen, mut piece) = (Vec::new(), [0; 1024]);
    while !seen.windows(what.len()).any(|window| window == what) {
        let read = stream.read(&mut piece).expect("more of a feed");
        assert!(read > 0, "a feed ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..read]);
    }
}

fn held(server: &Server) -> u64 {
    server.memory().expect("its memory")
}
