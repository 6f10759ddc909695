//! Multipart bodies, cut anywhere.

use proptest::prelude::*;

use super::*;

/// All that a body consists of, bodies of parts joined.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Feeds a body in pieces of the given sizes; true if it came to its end.
fn parse(boundary: &str, body: &[u8], cuts: &[usize]) -> Result<(Vec<Part>, bool), Malformed> {
    let mut parser = Parser::new(boundary)?;
    let mut parts: Vec<Part> = Vec::new();
    let mut ended = false;
    let mut rest = body;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at((*cuts.next().unwrap()).clamp(1, rest.len()));
        rest = tail;
        parser.feed(Bytes::copy_from_slice(piece));
        while let Some(event) = parser.next_event()? {
            match event {
                Event::Headers(headers) => parts.push(Part { headers, body: Vec::new() }),
                Event::Body(bytes) => {
                    assert!(!bytes.is_empty());
                    parts.last_mut().unwrap().body.extend_from_slice(&bytes);
                }
                Event::PartEnd => {}
                Event::End => ended = true,
            }
        }
        let bound = MAX_HEADERS + boundary.len() + 4 + piece.len();
        assert!(parser.rest.len() <= bound, "holds back {} bytes", parser.rest.len());
    }
    Ok((parts, ended))
}

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn parts_with_and_without_headers() {
    let body =
        b"preamble\r\n--b\r\nContent-Type: a/b; c=\"d\"\r\nX:  y \r\n\r\none\r\n--b\r\n\r\ntwo\
                 \r\n--b\r\nE: f\r\n\r\n\r\n--b--epilogue\r\n--b\r\n\r\nno";
    let (parts, ended) = parse("b", body, &[1000]).unwrap();
    let expected = [
        Part {
            headers: headers(&[("content-type", "a/b; c=\"d\""), ("x", "y")]),
            body: b"one".to_vec(),
        },
        Part { headers: vec![], body: b"two".to_vec() },
        Part { headers: headers(&[("e", "f")]), body: vec![] },
    ];
    assert!(ended);
    assert_eq!(parts, expected);
}

#[test]
fn what_looks_like_a_boundary_is_body() {
    let body = b"--b\r\n\r\n\r\n-\r\n--\r\n--a\r--b\n--b\r\n\r\n--b--";
    let (parts, ended) = parse("b", body, &[3]).unwrap();
    assert!(ended);
    assert_eq!(parts[0].body, b"\r\n-\r\n--\r\n--a\r--b\n--b\r\n");
}

#[test]
fn a_body_that_breaks_off_never_ends() {
    for body in [&b"--b\r\nA: b\r\n\r\nxy"[..], b"--b\r\nA: b", b"nothing", b"--b\r\n\r\nx\r\n--b"]
    {
        assert!(!parse("b", body, &[2]).unwrap().1);
    }
}

#[test]
fn bad_headers_are_refused() {
    assert_eq!(parse("b", b"--b\r\nno colon\r\n\r\n", &[9]), Err(Malformed::Header));
    let mut long = b"--b\r\nA: ".to_vec();
    long.resize(MAX_HEADERS + 100, b'x');
    assert_eq!(parse("b", &long, &[4096]), Err(Malformed::LongHeaders));
}

#[test]
fn parameters_of_headers() {
    let related = Parameters::parse("Multipart/Related;type=a ; Boundary=\"a\\\"b\"; c");
    assert_eq!(related.value, "multipart/related");
    assert_eq!(related.get("boundary"), Some("a\"b"));
    assert_eq!(related.get("type"), Some("a"));
    assert_eq!(related.get("c"), None);
    let disposition = Parameters::parse("form-data; name=\"_attachments\"; filename=\"a b\"");
    assert_eq!(disposition.get("name"), Some("_attachments"));
    assert_eq!(disposition.get("filename"), Some("a b"));
}

/// Bodies rich in what boundaries are made of, but without the boundary.
fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'B'), any::<u8>()];
    let body = prop::collection::vec(byte, 0..200);
    let body = body.prop_filter("the boundary itself", |body| {
        // With what stands before a body, too.
        !body.windows(6).any(|window| window == b"\r\n--BB")
    });
    prop::collection::vec(body, 1..6)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_parts(bodies in bodies(), cuts in prop::collection::vec(1..40usize, 1..20)) {
        let mut whole = Vec::new();
        for (index, body) in bodies.iter().enumerate() {
            whole.extend_from_slice(if index == 0 { b"--BB\r\n" } else { b"\r\n--BB\r\n" });
            whole.extend_from_slice(format!("N: {index}\r\n\r\n").as_bytes());
            whole.extend_from_slice(body);
        }
        whole.extend_from_slice(b"\r\n--BB--\r\n");
        let (parts, ended) = parse("BB", &whole, &cuts).unwrap();
        prop_assert!(ended);
        prop_assert_eq!(parts.len(), bodies.len());
        for (index, (part, body)) in parts.iter().zip(&bodies).enumerate() {
            prop_assert_eq!(&part.headers, &headers(&[("n", &index.to_string())]));
            prop_assert_eq!(&part.body, body);
        }
    }

    #[test]
    fn noise_never_breaks_it(noise in prop::collection::vec(any::<u8>(), 0..400), cut in 1..50usize) {
        let mut body = b"--BB\r\n\r\n".to_vec();
        body.extend_from_slice(&noise);
        let _ = parse("BB", &body, &[cut]);
    }
}

#[test]
fn a_boundary_has_its_limit() {
    let body = |boundary: &str| format!("--{boundary}\r\n\r\nx\r\n--{boundary}--").into_bytes();
    let longest = "-".repeat(MAX_BOUNDARY);
    assert!(parse(&longest, &body(&longest), &[1]).unwrap().1);
    let longer = longest + "-";
    assert_eq!(parse(&longer, &body(&longer), &[1]), Err(Malformed::LongBoundary));
}
