//! Strings of JSON: how far a run of plain bytes goes, how characters are escaped, and the way
//! back. Knows nothing of what is around a string.

use super::JsonError;

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// How many bytes from the start stand for themselves in a string: no quotation mark, backslash
/// or control character. Looks at eight bytes at a time.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, next)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = next;
    }
    let tail = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    bytes.len() - rest.len() + tail.unwrap_or(rest.len())
}

/// The lowest set bit lies in the first byte that is special; bits above it mean nothing.
fn special_bytes(word: u64) -> u64 {
    let equal = |byte: u8| {
        let differing = word ^ (ONES * u64::from(byte));
        differing.wrapping_sub(ONES) & !differing
    };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal(b'"') | equal(b'\\') | control) & HIGHS
}

/// Appends a text as a JSON string, quotation marks included, with the escapes that CouchDB
/// writes: the short ones, and `\u00XX` in capitals for other control characters.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, tail) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((byte, tail)) = tail.split_first() else { break };
        escape_byte(out, *byte);
        rest = tail;
    }
    out.push(b'"');
}

/// Appends a member to an object that is being written: `out` ends with its `{`, or with a member.
/// `value` is JSON.
pub fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    escape_into(out, name);
    out.push(b':');
    out.extend_from_slice(value);
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends one character of a string as stored form has it.
pub(super) fn escape_char(out: &mut Vec<u8>, char: char) {
    match char {
        '"' | '\\' | '\0'..' ' => escape_byte(out, char as u8),
        _ => push_char(out, char),
    }
}

fn push_char(out: &mut Vec<u8>, char: char) {
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what follows a backslash: the character, and how many bytes say so.
pub(super) fn read_escape(after: &[u8]) -> Result<(char, usize), JsonError> {
    let char = match after.first().ok_or(JsonError)? {
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return read_unicode(after),
        _ => return Err(JsonError),
    };
    Ok((char, 1))
}

/// `uXXXX`, or a pair of surrogates `uXXXX\uXXXX`; half a pair is an error.
fn read_unicode(after: &[u8]) -> Result<(char, usize), JsonError> {
    let high = hex4(after.get(1..5))?;
    if !(0xd800..0xdc00).contains(&high) {
        return Ok((char::from_u32(high).ok_or(JsonError)?, 5));
    }
    if after.get(5..7) != Some(b"\\u") {
        return Err(JsonError);
    }
    let low = hex4(after.get(7..11))?;
    if !(0xdc00..0xe000).contains(&low) {
        return Err(JsonError);
    }
    let code = 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
    Ok((char::from_u32(code).ok_or(JsonError)?, 11))
}

fn hex4(digits: Option<&[u8]>) -> Result<u32, JsonError> {
    digits.ok_or(JsonError)?.iter().try_fold(0, |code, digit| {
        Ok(code << 4 | char::from(*digit).to_digit(16).ok_or(JsonError)?)
    })
}

/// Appends what a string means, of which `text` begins after the first quotation mark, and gives
/// what follows the last one. For stored form; what that doesn't have is kept as it stands.
pub(crate) fn unescape_string<'a>(out: &mut Vec<u8>, text: &'a [u8]) -> &'a [u8] {
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(plain_run(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = tail.split_first() else { return tail };
        if *byte == b'"' {
            return after;
        }
        let Ok((char, length)) = read_escape(after) else {
            out.push(*byte);
            rest = after;
            continue;
        };
        push_char(out, char);
        rest = after.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape_into(&mut out, text);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn runs_end_at_the_first_special_byte() {
        for length in 0..40 {
            for special in [b'"', b'\\', 0, 9, 0x1f] {
                let mut text = "aé~\u{7f}€ !#[]".repeat(4).into_bytes();
                text.truncate(length);
                let plain = text.len();
                assert_eq!(plain_run(&text), plain);
                text.push(special);
                text.extend_from_slice(b"\"tail\\\x01");
                assert_eq!(plain_run(&text), plain, "{special} at {length}");
            }
        }
    }

    #[test]
    fn strings_are_escaped_as_couchdb_escapes_them() {
        assert_eq!(escaped("a/é€😀\u{7f}"), "\"a/é€😀\u{7f}\"");
        assert_eq!(escaped("\"\\\u{8}\u{c}\n\r\t"), r#""\"\\\b\f\n\r\t""#);
        assert_eq!(escaped("\0\u{1f}\u{b}"), r#""\u0000\u001F\u000B""#);
        assert_eq!(escaped(""), "\"\"");
    }

    #[test]
    fn escapes_are_undone() {
        for text in ["", "plain", "\"\\\n\0", "é\u{1}€\\", "😀\t"] {
            let escaped = escaped(text);
            let mut out = Vec::new();
            let tail = escaped.clone() + ":1";
            assert_eq!(unescape_string(&mut out, &tail.as_bytes()[1..]), b":1");
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(read_escape(b"uD83D\\uDe00"), Ok(('😀', 11)));
        assert_eq!(read_escape(b"u00e9"), Ok(('é', 5)));
        for bad in ["ud83d", "ud83dx", "ud83d\\n12345", "ud83d\\u0041", "udc00", "u12g4", "u+123"] {
            assert_eq!(read_escape(bad.as_bytes()), Err(JsonError), "{bad}");
        }
    }
}
