//! Connections that ask for nothing, never come to an end, or take their time: they cost little, and
//! others are answered meanwhile as if there were none.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use settee_tests::ask::wait_for;
use settee_tests::base64;
use settee_tests::client::{Client, Request};
use settee_tests::given;
use settee_tests::server::{Server, raise_files};

use crate::front::configured;
use crate::{program, with_server};

/// Connections of each kind, unless `CONNECTIONS` says otherwise.
const MOST: u64 = 1500;
/// What each may cost the server; a build without optimization holds more than others.
const BYTES_EACH: u64 = 80 << 10;
/// On a busy machine, an answer takes as long as the machine wants.
const PROMPT: Duration = Duration::from_secs(5);

/// As many of each kind as are wanted, and as the system lets this process have open, and the
/// server, which inherits that.
fn count() -> usize {
    let files = raise_files().expect("a limit");
    usize::try_from(given("CONNECTIONS", MOST).min(files / 5)).expect("a count")
}

fn open(server: &Server, count: usize, text: &str) -> Vec<TcpStream> {
    let address = format!("127.0.0.1:{}", server.port());
    let opened = (0..count).map(|_| {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        stream.write_all(text.as_bytes()).expect("to write");
        stream
    });
    opened.collect()
}

/// How long reads take, on a kept connection and on new ones: the median and the slowest.
fn read_again_and_again(server: &Server, client: &mut Client) -> (Duration, Duration) {
    let mut took = [Duration::ZERO; 400];
    for (number, took) in took.iter_mut().enumerate() {
        let (began, kept) = (Instant::now(), number % 2 == 0);
        let read = Request::new("GET", "/slow/doc");
        let sent = if kept { client.send(&read) } else { server.client().send(&read) };
        assert_eq!(sent.expect("an answer").status, 200);
        *took = began.elapsed();
    }
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() - 1])
}

#[test]
fn a_body_that_nobody_reads_ends_no_connection() {
    with_server(|server, client| {
        assert_eq!(client.send(&Request::new("PUT", "/unread")).expect("an answer").status, 201);
        let login = base64(b"admin:pass");
        let head = format!(
            "POST /unread/_compact HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        );
        let mut stream = open(server, 1, &head).remove(0);
        std::thread::sleep(Duration::from_millis(200));
        let rest = "{}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let (mut answers, _) = (String::new(), stream.write_all(rest.as_bytes()));
        stream.read_to_string(&mut answers).expect("two answers");
        assert!(answers.starts_with("HTTP/1.1 202 "), "{answers}");
        assert!(answers.contains("Welcome"), "{answers}");
    });
}

#[test]
fn thousands_that_wait_make_nobody_else_wait() {
    let count = count();
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    let mut client = server.client();
    for request in [Request::new("PUT", "/slow"), Request::new("PUT", "/slow/doc").json("{}")] {
        assert_eq!(client.send(&request).expect("an answer").status, 201);
    }
    let alone = read_again_and_again(&server, &mut client);
    let before = server.memory().unwrap_or_default();
    let mut idle = open(&server, count, "GET /_up HTTP/1.1\r\nHost: x\r\n\r\n");
    for stream in &mut idle {
        assert!(stream.read(&mut [0; 1024]).expect("an answer") > 0);
    }
    let half = open(&server, count, "GET /_up HTTP/1.1\r\nHost: x\r\nX-Half: ");
    let slow = open(
        &server,
        count,
        &format!(
            "PUT /slow/other HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{\"a\":\"",
            base64(b"admin:pass")
        ),
    );
    let beside = read_again_and_again(&server, &mut client);
    let opened = (idle.len() + half.len() + slow.len()) as u64;
    let more = server.memory().unwrap_or_default().saturating_sub(before);
    eprintln!("{opened} connections, {} bytes each; median and slowest read:", more / opened);
    eprintln!("{alone:?} without them, {beside:?} beside them");
    assert!(beside.1 < PROMPT, "{beside:?}");
    assert!(more < opened * BYTES_EACH, "{} bytes for each of {opened}", more / opened);
    drop((idle, half, slow));
    assert_eq!(client.send(&Request::new("GET", "/slow/other")).expect("an answer").status, 404);
}

#[test]
fn who_comes_when_it_is_full_waits_for_a_place() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = configured(data.path(), "[chttpd]\nmax_connections = 4\n");
    let mut first = wait_for(|| {
        // One was taken while it was asked whether it is up, and may not be free again yet.
        let mut taken = open(&server, 4, "GET /_up HTTP/1.1\r\nHost: x\r\n\r\n");
        let answered = taken.iter_mut().all(|stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0)
        });
        answered.then_some(taken)
    });
    let mut late = open(&server, 1, "GET /_up HTTP/1.1\r\nHost: x\r\n\r\n");
    late[0].set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    assert!(late[0].read(&mut [0; 1024]).is_err(), "there is no place yet");
    first.pop();
    late[0].set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    assert!(late[0].read(&mut [0; 1024]).expect("an answer") > 0);
}
