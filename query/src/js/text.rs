//! Text as it leaves the engine: JSON that any reader takes. JavaScript's strings may hold half of
//! a surrogate pair, which is no Unicode; its JSON writes that as an escape, CouchDB stores U+FFFD.
//! Mends nothing else, and takes it for granted that it is JSON.

use std::borrow::Cow;

use memchr::memchr;

/// Replaces escapes of lone surrogates by U+FFFD. The engine writes whole pairs as UTF-8, so each
/// escape of a surrogate that it writes is a lone one.
pub(super) fn mend(json: &str) -> Cow<'_, str> {
    let Some(first) = lone_surrogate(json, 0) else {
        return Cow::Borrowed(json);
    };
    let mut mended = String::with_capacity(json.len());
    let mut done = 0;
    let mut next = Some(first);
    while let Some(at) = next {
        mended.push_str(json.get(done..at).unwrap_or_default());
        mended.push('\u{fffd}');
        done = at + 6;
        next = lone_surrogate(json, done);
    }
    mended.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(mended)
}

/// Where the next `\ud…` is that is an escape and not a backslash and letters.
fn lone_surrogate(json: &str, from: usize) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut at = from;
    loop {
        at += memchr(b'\\', bytes.get(at..)?)?;
        match bytes.get(at + 1..at + 3) {
            Some([b'u', b'd' | b'D']) if is_surrogate(bytes.get(at + 3)) => return Some(at),
            _ => at += 2,
        }
    }
}

fn is_surrogate(digit: Option<&u8>) -> bool {
    digit.is_some_and(|digit| matches!(digit, b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'))
}
