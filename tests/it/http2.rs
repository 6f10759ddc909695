//! HTTP/2, by prior knowledge and over TLS: frames that are written and read by hand, so that nothing
//! is taken on trust from a library that the server uses, too.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use settee_tests::ask::put;
use settee_tests::base64;

use crate::with_server;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// Of data and headers; of settings it says that they were seen.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, in the table that all know.
const OK: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// What a client begins with.
pub fn hello() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat()
}

/// What a client ends with.
pub fn farewell() -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0; 8])
}

/// A request of the administrator. Names are those of the table that all know; values are written out.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    const AUTHORITY: &[u8] = &[1];
    const PATH: &[u8] = &[4];
    const AUTHORIZATION: &[u8] = &[15, 23 - 15];
    let login = format!("Basic {}", base64(b"admin:pass"));
    // `:method: GET`, `:scheme: http`.
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(AUTHORITY, "here"), (PATH, path), (AUTHORIZATION, &login)] {
        block.extend_from_slice(name);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend_from_slice(value.as_bytes());
    }
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn read(stream: &mut TcpStream) -> Frame {
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("a frame");
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let mut payload = vec![0; number(&head[..3]) as usize];
    stream.read_exact(&mut payload).expect("a whole frame");
    Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload }
}

/// What comes on a stream until there is enough of it, or all: the headers' bytes and the body.
fn answer(stream: &mut TcpStream, of: u32, enough: impl Fn(&str) -> bool) -> (Vec<u8>, String) {
    let (mut headers, mut body) = (Vec::new(), Vec::new());
    loop {
        let Frame { kind, flags, stream: on, payload } = read(stream);
        match kind {
            SETTINGS if flags == 0 => {
                stream.write_all(&frame(SETTINGS, END_STREAM, 0, &[])).expect("to write");
            }
            GOAWAY => panic!("the server gave up: {payload:?}"),
            HEADERS if on == of => headers.extend(payload),
            DATA if on == of => body.extend(payload),
            _ => {}
        }
        let ended = on == of && [DATA, HEADERS].contains(&kind) && flags & END_STREAM != 0;
        let text = String::from_utf8_lossy(&body).into_owned();
        if ended || enough(&text) {
            return (headers, text);
        }
    }
}

#[test]
fn a_connection_carries_many_requests_at_once() {
    with_server(|server, client| {
        assert_eq!(put(client, "/db", "").status, 201);
        assert_eq!(put(client, "/db/first", "1").status, 201);
        let address = format!("127.0.0.1:{}", server.port());
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        // A feed that has no end.
        let feed = get(1, "/db/_changes?feed=continuous&heartbeat=60000");
        stream.write_all(&[hello(), feed].concat()).expect("to write");
        let (headers, changes) = answer(&mut stream, 1, |body| body.contains("\"first\""));
        assert_eq!(headers[0], OK, "{changes}");
        // Others are answered meanwhile, and the feed goes on.
        stream.write_all(&get(3, "/db/first")).expect("to write");
        let (headers, doc) = answer(&mut stream, 3, |_| false);
        assert!(headers[0] == OK && doc.contains("\"n\":1"), "{doc}");
        stream.write_all(&get(5, "/nothing")).expect("to write");
        let (_, missing) = answer(&mut stream, 5, |_| false);
        assert!(missing.contains("Database does not exist."), "{missing}");
        assert_eq!(put(client, "/db/second", "2").status, 201);
        let (_, changes) = answer(&mut stream, 1, |body| body.contains("\"second\""));
        assert!(!changes.contains("\"first\""), "{changes}");
    });
}
