//! Multipart bodies: however the bytes are cut on their way, the same events come out.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use settee_http::multipart::{Event, Parser};

/// What came out of a parser.
#[derive(PartialEq, Debug)]
enum Seen {
    /// A body's pieces, joined.
    Body(Vec<u8>),
    /// Anything else.
    Other(Event),
}

/// What comes out of these pieces; false if they were refused.
fn events(pieces: &[&[u8]]) -> (Vec<Seen>, bool) {
    let Ok(mut parser) = Parser::new("b") else { return (Vec::new(), false) };
    let mut seen: Vec<Seen> = Vec::new();
    for piece in pieces {
        parser.feed(Bytes::copy_from_slice(piece));
        loop {
            match (parser.next_event(), seen.last_mut()) {
                (Ok(Some(Event::Body(more))), Some(Seen::Body(body))) => body.extend(more),
                (Ok(Some(Event::Body(body))), _) => seen.push(Seen::Body(body.into())),
                (Ok(Some(event)), _) => seen.push(Seen::Other(event)),
                (Ok(None), _) => break,
                (Err(_), _) => return (seen, false),
            }
        }
    }
    (seen, true)
}

fuzz_target!(|input: &[u8]| {
    let whole = events(&[input]);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    let one_by_one = events(&bytes);
    if whole.1 && one_by_one.1 {
        assert_eq!(whole.0, one_by_one.0);
    }
});
