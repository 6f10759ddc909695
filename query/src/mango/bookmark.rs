//! Where an answer ended, so that the next one goes on from there: opaque to clients, and the
//! same text that CouchDB makes of the same place, so that a client may take it from one to the
//! other. Never decides where an answer ends.

use std::io::{Read, Write};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settee_model::hash::term::Terms;

use super::error::MangoError;
use super::term::Term;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a bookmark at most, once unpacked.
const LONGEST: u64 = 1 << 20;

/// A row of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Its key, JSON in stored form: an array, or for all documents an id.
    pub key: Vec<u8>,
    /// The document that it is of.
    pub id: String,
}

impl Bookmark {
    /// Reads a text that an answer had.
    ///
    /// # Errors
    /// `invalid_bookmark` if it never was in one.
    pub fn parse(text: &str) -> Result<Bookmark, MangoError> {
        let error = || MangoError::invalid_bookmark(Value::from(text));
        let packed = BASE64.decode(text.trim_end_matches('=')).map_err(|_| error())?;
        let term = unpack(&packed).and_then(|bytes| Term::read(&bytes)).ok_or_else(error)?;
        Bookmark::of_term(&term).ok_or_else(error)
    }

    fn of_term(term: &Term) -> Option<Bookmark> {
        let Term::List(options) = term else { return None };
        let option = |wanted: &str| {
            options.iter().find_map(|option| match option {
                Term::Tuple(pair) => match pair.as_slice() {
                    [Term::Atom(name), value] if name == wanted => Some(value),
                    _ => None,
                },
                _ => None,
            })
        };
        let Value::String(id) = option("startkey_docid")?.to_json()? else { return None };
        let key = option("startkey")?.to_json()?.to_string().into_bytes();
        Some(Bookmark { key, id })
    }

    /// The text for an answer.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut terms = Terms::new(self.key.len() + self.id.len() + 64);
        terms.list(2);
        terms.tuple(2);
        terms.atom("startkey_docid");
        terms.binary(self.id.as_bytes());
        terms.tuple(2);
        terms.atom("startkey");
        terms.json(&self.key);
        terms.nil();
        BASE64.encode(pack(terms.bytes()))
    }
}

const VERSION: u8 = 131;
const COMPRESSED: u8 = 80;

/// Compresses a term, unless that makes it longer.
fn pack(term: &[u8]) -> Vec<u8> {
    let body = term.get(1..).unwrap_or_default();
    let mut packed = vec![VERSION, COMPRESSED];
    packed.extend_from_slice(&(body.len() as u32).to_be_bytes());
    let mut encoder = ZlibEncoder::new(packed, Compression::default());
    let done = encoder.write_all(body).and_then(|()| encoder.finish());
    match done {
        Ok(packed) if packed.len() <= term.len() => packed,
        _ => term.to_vec(),
    }
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let Some(rest) = packed.strip_prefix(&[VERSION, COMPRESSED]) else {
        return Some(packed.to_vec());
    };
    let (_, compressed) = rest.split_at_checked(4)?;
    let mut term = vec![VERSION];
    ZlibDecoder::new(compressed).take(LONGEST).read_to_end(&mut term).ok()?;
    Some(term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_couchdbs() {
        for (key, id, text) in [
            ("[1]", "a", "g2wAAAACaAJkAA5zdGFydGtleV9kb2NpZG0AAAABYWgCZAAIc3RhcnRrZXlrAAEBag"),
            (r#""~""#, "~", "g1AAAAAyeJzLYWBgYMpgSmHgKy5JLCrJTq2MT8lPzkzJBYoz1oEkOGASEKEsAFGdDbM"),
            (
                r#"[{"x":1}]"#,
                "c",
                "g1AAAABEeJzLYWBgYMpgSmHgKy5JLCrJTq2MT8lPzkzJBYozJoMkOGASOSChDEYIxQRWUJHImJWVBQBTehB1",
            ),
            (
                "[[1,2]]",
                "d",
                "g2wAAAACaAJkAA5zdGFydGtleV9kb2NpZG0AAAABZGgCZAAIc3RhcnRrZXlsAAAAAWsAAgECamo",
            ),
        ] {
            let bookmark = Bookmark { key: key.as_bytes().to_vec(), id: id.to_owned() };
            assert_eq!(bookmark.to_text(), text);
            assert_eq!(Bookmark::parse(text), Ok(bookmark));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["xyz", "nil", "", "!", "g2o", "g1AAAAAy", "g1D_____eJw"] {
            let error = Bookmark::parse(text).unwrap_err();
            assert_eq!((error.status, &*error.error), (400, "invalid_bookmark"));
            assert_eq!(error.reason, format!("Invalid bookmark value: \"{text}\""));
        }
    }
}
