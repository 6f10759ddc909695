//! Multipart bodies: however the bytes are cut on their way, the same events come out.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use settee_http::multipart::{Event, Parser};

/// Events with the pieces of one body joined; false if the body was refused.
fn events(pieces: &[&[u8]]) -> (Vec<Event>, bool) {
    let mut parser = Parser::new("b");
    let mut seen: Vec<Event> = Vec::new();
    for piece in pieces {
        parser.feed(Bytes::copy_from_slice(piece));
        loop {
            match (parser.next_event(), seen.last_mut()) {
                (Ok(Some(Event::Body(more))), Some(Event::Body(body))) => {
                    *body = [body.as_ref(), more.as_ref()].concat().into();
                }
                (Ok(Some(event)), _) => seen.push(event),
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
