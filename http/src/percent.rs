//! Percent encoding in paths and queries, as CouchDB reads and writes it. Never splits a target: who
//! does, does it first.

use std::borrow::Cow;

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

use crate::error::Error;

/// What a path's segment shows as it is, as CouchDB writes `Location`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b':');
/// What a form shows as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
/// What no target of a request can hold.
const NO_TARGET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What is said of ids that are none.
pub const NOT_UTF_8: &str = "Document id must be valid UTF-8";

/// What a `+` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A space: always in queries, and in paths as CouchDB has it by default.
    Space,
    /// Itself.
    Itself,
}

/// Whether every `%` in a request target is followed by two hexadecimal digits.
#[must_use]
pub fn is_sound(target: &str) -> bool {
    let mut parts = target.split('%').skip(1).map(str::as_bytes);
    parts.all(|part| part.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Undoes percent encoding. Digits were checked before ([`is_sound`]); a stray `%` stays.
///
/// # Errors
/// What comes out is not UTF-8.
pub fn decode(text: &str, plus: Plus) -> Result<Cow<'_, str>, Error> {
    match decode_bytes(text, plus) {
        Cow::Borrowed(_) => Ok(Cow::Borrowed(text)),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|_| Error::IllegalDocId(NOT_UTF_8.into())),
    }
}

/// The same, whatever comes out.
#[must_use]
pub fn decode_bytes(text: &str, plus: Plus) -> Cow<'_, [u8]> {
    if plus == Plus::Space && text.contains('+') {
        return percent_decode_str(&text.replace('+', " ")).collect();
    }
    percent_decode_str(text).into()
}

/// Appends a path's segment as CouchDB writes `Location`.
pub fn push_segment(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, SEGMENT));
}

/// A name or a value as a form has it, with a plus for a space.
#[must_use]
pub fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, word) in text.split(' ').enumerate() {
        out.push_str(if place == 0 { "" } else { "+" });
        out.extend(utf8_percent_encode(word, FORM));
    }
    out
}

/// A target with what none can hold percent-encoded.
#[must_use]
pub fn target(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, NO_TARGET).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_need_two_digits() {
        for sound in ["/db", "/db%25", "/db%25%3a", "/a%2Fb/c", "/a?b=%41"] {
            assert!(is_sound(sound), "{sound}");
        }
        for broken in ["/db%", "%", "/%2", "/db%2%3A", "/db%%3Ae", "/db%2g", "/db%g2", "/a%?b=c"] {
            assert!(!is_sound(broken), "{broken}");
        }
    }

    #[test]
    fn plus_is_a_space_where_it_is_one() {
        let plain = |text, plus| decode(text, plus).unwrap().into_owned();
        assert_eq!(plain("a+b%2Bc%20d", Plus::Space), "a b+c d");
        assert_eq!(plain("a+b%2Bc%20d%", Plus::Itself), "a+b+c d%");
        assert!(decode("%FF", Plus::Space).is_err());
    }

    #[test]
    fn each_place_encodes_what_it_cannot_show() {
        let mut out = String::new();
        push_segment(&mut out, "a b/c:d~\u{e9}");
        assert_eq!(out, "a%20b%2Fc:d%7E%C3%A9");
        assert_eq!(form("a b  c&d~"), "a+b++c%26d~");
        assert_eq!(target("/a b\"#{}ü?x=%20"), "/a%20b%22%23%7B%7D%C3%BC?x=%20");
    }
}
