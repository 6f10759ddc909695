//! Request lines are encoded, bodies are not, however the bytes are cut.

use proptest::prelude::*;

use super::*;

/// Follows pieces, and gives all of them as they are passed on.
fn passed(pieces: &[&[u8]]) -> Vec<u8> {
    let mut framing = Framing::default();
    let follow = |piece: &&[u8]| framing.follow(piece).unwrap_or_else(|| piece.to_vec());
    pieces.iter().flat_map(follow).collect()
}

fn passed_whole(text: &str) -> String {
    String::from_utf8(passed(&[text.as_bytes()])).unwrap()
}

#[test]
fn request_lines_are_encoded_and_nothing_else() {
    let text = "GET /db/é?key=[\"a\",{}] HTTP/1.1\r\nHost: \"x\"\r\n\r\n";
    let wanted = "GET /db/%C3%A9?key=[%22a%22,%7B%7D] HTTP/1.1\r\nHost: \"x\"\r\n\r\n";
    assert_eq!(passed_whole(text), wanted);
    assert_eq!(Framing::default().follow(b"GET / HTTP/1.1\r\n\r\n"), None);
}

#[test]
fn bodies_that_look_like_requests_are_left_alone() {
    let line = "GET /\"x\" HTTP/1.1\r\n\r\n";
    let body = line.repeat(2);
    let length = body.len();
    let text = format!("PUT / HTTP/1.1\r\ncontent-LENGTH:  {length}\r\n\r\n{body}{line}");
    let wanted = format!(
        "PUT / HTTP/1.1\r\ncontent-LENGTH:  {length}\r\n\r\n{body}GET /%22x%22 HTTP/1.1\r\n\r\n"
    );
    assert_eq!(passed_whole(&text), wanted);
    let chunks = format!("{length:x};ext=1\r\n{body}\r\n0\r\nTrailer: \"x\"\r\n\r\n");
    let head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = format!("{head}{chunks}{line}");
    assert_eq!(passed_whole(&text), format!("{head}{chunks}GET /%22x%22 HTTP/1.1\r\n\r\n"));
}

#[test]
fn what_is_unclear_passes_from_there_on() {
    let line = "GET /\"x\" HTTP/1.1\r\n\r\n";
    let zeros = format!("PUT / HTTP/1.1\r\nContent-Length: {}5\r\n\r\n", "0".repeat(300));
    for head in [
        zeros.as_str(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ] {
        let text = format!("{head}{line}");
        assert_eq!(passed_whole(&text), text, "{head}");
    }
}

fn request() -> impl Strategy<Value = (String, String)> {
    let line = "GET /[a-z\"<{é]{0,8}";
    let body = "[ -~\r\n]{0,40}";
    (line, body, any::<bool>(), any::<bool>()).prop_map(|(line, body, chunked, has_body)| {
        let mut encoded = String::new();
        for byte in line.bytes() {
            match byte {
                b'"' | b'<' | b'{' | 0x80.. => encoded.push_str(&format!("%{byte:02X}")),
                byte => encoded.push(char::from(byte)),
            }
        }
        let rest = match (has_body, chunked) {
            (false, _) => " HTTP/1.1\r\nX: y\r\n\r\n".to_owned(),
            (true, false) => {
                format!(" HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
            (true, true) => {
                let chunk = match body.len() {
                    0 => String::new(),
                    length => format!("{length:X}\r\n{body}\r\n"),
                };
                format!(" HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
            }
        };
        (format!("{line}{rest}"), format!("{encoded}{rest}"))
    })
}

proptest! {
    #[test]
    fn any_cuts_give_the_same(
        requests in prop::collection::vec(request(), 1..5),
        cuts in prop::collection::vec(1usize..30, 1..20),
    ) {
        let sent: String = requests.iter().map(|(sent, _)| sent.as_str()).collect();
        let wanted: String = requests.iter().map(|(_, wanted)| wanted.as_str()).collect();
        let mut rest = sent.as_bytes();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(String::from_utf8(passed(&pieces)).unwrap(), wanted);
    }
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let text = "\r\nGET /?k=\"a\" HTTP/1.1\r\n\r\n\r\n\nGET /\"b\" HTTP/1.1\r\n\r\n";
    let wanted = text.replace('"', "%22");
    let mut framing = Framing::default();
    assert_eq!(framing.follow(text.as_bytes()).as_deref(), Some(wanted.as_bytes()));
}
