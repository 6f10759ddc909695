//! Connections that keep the server waiting: each gives its place to the next client, and those that
//! have something to wait for keep theirs.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use settee_http::Patience;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::{ADMIN, Server};

const SHORT: Duration = Duration::from_millis(400);
/// On a busy machine, what is over in a moment takes as long as the machine wants.
const AT_LAST: Duration = Duration::from_secs(20);
/// Much longer than any patience here.
const LONG: Duration = Duration::from_secs(3);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// Of data and headers; of settings and pings it says that they were seen.
const END: u8 = 1;
const END_HEADERS: u8 = 4;

/// Waits for nothing for long.
fn hasty() -> Patience {
    Patience {
        handshake: SHORT,
        beginning: SHORT,
        idle: SHORT,
        answer: SHORT,
        body: SHORT,
        stranger: SHORT,
        ping: SHORT,
        farewell: SHORT,
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// What a client of HTTP/2 begins with that lets each answer have so many bytes.
fn hello(window: u32) -> Vec<u8> {
    let window = [&[0, 4][..], &window.to_be_bytes()].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &window)].concat()
}

/// The head of a request: of the administrator if `GET`, else of nobody, with a body to come.
fn ask(stream: u32, path: &str) -> Vec<u8> {
    let post = path == "/_session";
    // `:method`, `:scheme: http`.
    let mut block = vec![if post { 0x83 } else { 0x82 }, 0x86];
    let mut put = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend_from_slice(value.as_bytes());
    };
    put(&[1], "here");
    put(&[4], path);
    match post {
        true => put(&[15, 31 - 15], "application/json"),
        false => put(&[15, 23 - 15], ADMIN),
    }
    frame(HEADERS, END_HEADERS | if post { 0 } else { END }, stream, &block)
}

async fn open(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Reads until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let end = timeout(AT_LAST, stream.read_to_end(&mut read)).await.expect("an end");
    if let Err(error) = end {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    read
}

/// Checks that somebody gets an answer who comes after one who said that.
async fn is_served(server: &Server, after: &str) {
    let answer = timeout(AT_LAST, server.send("GET /_up", &[], "")).await;
    assert_eq!(answer.expect(after).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_the_server_waiting_loses_the_place() {
    let server = Server::start_with(hasty(), 1).await;
    let login = "POST /_session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Content-Length: 40\r\n\r\n{\"name\":";
    let known = format!(
        "PUT /_node/_local/_config/a/b HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 40\r\n\r\n\""
    );
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("half a beginning", PREFACE[..12].to_vec()),
        ("half a head", b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: ".to_vec()),
        ("nothing after an answer", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("half a login", login.into()),
        ("half a body", known.into()),
        ("no request", hello(1 << 16)),
        ("half a frame", [hello(1 << 16), ask(1, "/")[..20].to_vec()].concat()),
        ("nothing taken", [hello(0), ask(1, "/")].concat()),
        ("one byte taken", [hello(1), ask(1, "/")].concat()),
        ("nothing after an answer of HTTP/2", [hello(1 << 16), ask(1, "/")].concat()),
        ("half a login by HTTP/2", [hello(1 << 16), ask(1, "/_session")].concat()),
    ] {
        let mut stuck = open(&server, &bytes).await;
        is_served(&server, what).await;
        rest(&mut stuck).await;
    }
}

/// A body of which a byte comes now and then is no better than one of which none comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_keeps_some_pace() {
    let server = Server::start_with(hasty(), 1).await;
    let head = format!(
        "PUT /_node/_local/_config/a/b HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n\""
    );
    let mut slow = open(&server, head.as_bytes()).await;
    let began = Instant::now();
    while slow.write_all(b"x").await.is_ok() && began.elapsed() < AT_LAST {
        sleep(SHORT / 8).await;
    }
    assert!(began.elapsed() < AT_LAST, "it is read for ever");
    is_served(&server, "a slow body").await;
}

/// A longer one may take longer than the patience is with one of which nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_buys_time() {
    let server = Server::start_with(Patience { body: LONG / 2, ..hasty() }, 1).await;
    let head = format!(
        "PUT /db HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\r\n\
         PUT /db/doc/att HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\
         Connection: close\r\nContent-Length: 16000\r\n\r\n"
    );
    let mut slow = open(&server, head.as_bytes()).await;
    for _ in 0..16 {
        sleep(LONG / 12).await;
        slow.write_all(&[b'x'; 1000]).await.unwrap();
    }
    let answers = String::from_utf8(rest(&mut slow).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 201 ").count(), 2, "{answers}");
}

const FEEDS: [&str; 3] = ["continuous", "eventsource", "longpoll"];

#[tokio::test(flavor = "multi_thread")]
async fn feeds_go_on_while_somebody_listens() {
    let server = Server::start_with(Patience { answer: 4 * SHORT, ..hasty() }, 100).await;
    assert_eq!(server.admin("PUT /db", "").await.status, 201);
    let (mut plain, mut framed) = (Vec::new(), Vec::new());
    for feed in FEEDS {
        let path = format!("/db/_changes?feed={feed}&heartbeat=100");
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\n\r\n");
        plain.push((feed, open(&server, head.as_bytes()).await));
        let stream = open(&server, &[hello(1 << 20), ask(1, &path)].concat()).await;
        framed.push((feed, tokio::spawn(listen(stream))));
    }
    // One that hears nothing but pings.
    let silent = "/db/_changes?feed=continuous&heartbeat=600000";
    let stream = open(&server, &[hello(1 << 20), ask(1, silent)].concat()).await;
    framed.push(("continuous", tokio::spawn(listen(stream))));
    sleep(LONG).await;
    assert_eq!(server.admin("PUT /db/late", "{}").await.status, 201);
    for (feed, mut stream) in plain {
        let mut heard = String::new();
        while !heard.contains("\"late\"") {
            let mut bytes = [0; 4096];
            let read = timeout(AT_LAST, stream.read(&mut bytes)).await.expect(feed).unwrap();
            assert!(read > 0, "{feed} ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
    for (feed, heard) in framed {
        let heard = timeout(AT_LAST, heard).await.expect(feed).unwrap();
        assert!(heard.contains("\"late\""), "{feed} over HTTP/2: {heard}");
    }
}

/// Reads a feed over HTTP/2 until it tells of a change, as a client does that is there.
async fn listen(mut stream: TcpStream) -> String {
    let mut heard = String::new();
    while !heard.contains("\"late\"") {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            break;
        }
        let length = head[..3].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        match (head[3], head[4]) {
            (DATA, _) => heard.push_str(&String::from_utf8_lossy(&payload)),
            (RESET, _) => break,
            (SETTINGS | PING, END) => {}
            (kind @ (SETTINGS | PING), _) => {
                let payload = if kind == PING { &payload[..] } else { &[] };
                stream.write_all(&frame(kind, END, 0, payload)).await.unwrap();
            }
            _ => {}
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_when_nobody_is_there() {
    let server = Server::start_with(hasty(), 2).await;
    assert_eq!(server.admin("PUT /db", "").await.status, 201);
    let silent = "/db/_changes?feed=continuous&heartbeat=600000";
    // It answers no ping.
    let mut gone = open(&server, &[hello(1 << 20), ask(1, silent)].concat()).await;
    rest(&mut gone).await;
    // It takes nothing of what is said again and again.
    let chatty = "/db/_changes?feed=continuous&heartbeat=10";
    let mut full = open(&server, &[hello(100), ask(1, chatty)].concat()).await;
    rest(&mut full).await;
    is_served(&server, "two feeds").await;
}
