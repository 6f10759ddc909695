//! The size of a document's body as CouchDB counts it for `max_document_size`: about its length as
//! JSON, with strings unescaped and floats guessed from their magnitude. Never compares it with that
//! limit (see `doc`).

use super::number::{self, Number};
use super::text::{plain_run, read_escape};

/// Size in bytes of a value in stored form, by CouchDB's counting.
#[must_use]
pub fn encoded_size(stored: &[u8]) -> u64 {
    let mut size = 0;
    let mut rest = stored;
    while let Some((byte, tail)) = rest.split_first() {
        let (added, used) = match byte {
            b'"' => string_size(tail),
            b'-' | b'0'..=b'9' => {
                let length = rest.iter().take_while(|byte| !b",]}".contains(byte)).count();
                (number_size(rest.get(..length).unwrap_or_default()), length)
            }
            _ => (1, 1),
        };
        size += added;
        rest = rest.get(used..).unwrap_or_default();
    }
    size
}

/// Size of a string, and the bytes that it takes in the text, first quotation mark included.
fn string_size(inside: &[u8]) -> (u64, usize) {
    let mut size = 2;
    let mut rest = inside;
    loop {
        let (plain, tail) = rest.split_at(plain_run(rest));
        size += plain.len();
        match tail.split_first() {
            Some((b'\\', after)) => {
                let (char, length) = read_escape(after).unwrap_or((' ', 0));
                size += char.len_utf8();
                rest = after.get(length..).unwrap_or_default();
            }
            _ => return (size as u64, inside.len() - tail.len() + 2),
        }
    }
}

fn number_size(text: &[u8]) -> u64 {
    match number::value(text) {
        Some(Number::Float(float)) => float_size(float),
        _ => text.len() as u64,
    }
}

fn float_size(float: f64) -> u64 {
    let sign = u64::from(float < 0.0);
    let size = match float.abs() {
        small if small <= 1e-300 => 3,
        small if small <= 1e-100 => 6,
        small if small <= 1e-10 => 5,
        small if small <= 0.01 => 4,
        large if large >= 1e100 => 5,
        large if large >= 1e10 => 4,
        _ => 3,
    };
    sign + size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_as_couchdb_counts_them() {
        let counted = |text: &str, size: u64| assert_eq!(encoded_size(text.as_bytes()), size);
        counted("{}", 2);
        counted(r#"{"a":1,"bc":[true,false,null,[],{}]}"#, 36);
        counted(r#""a\n\u0001""#, 5);
        counted("\"é€\"", 7);
        counted("-12345", 6);
        counted("-0.0", 3);
        counted("-1.25", 4);
        counted("[1e300,1e20,123.456,0.5,0.001,1e-50,1e-200,1e-305]", 2 + 7 + 33);
        counted("\"", 2);
    }
}
