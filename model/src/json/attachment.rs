//! What a document says in `_attachments`: each entry's name, type, and either its bytes, or that
//! they are there already, or that they follow in the request. Never stores or compresses.

use std::borrow::Cow;

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::doc::DocError;
use super::members::Raw;
use crate::doc::Encoding;

const DEFAULT_TYPE: &str = "application/octet-stream";

/// No attachment was added at this generation: it stands for a stub's `revpos` that is no natural
/// number, with which nothing agrees.
const NO_REVPOS: u64 = u64::MAX;

/// One entry of `_attachments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedAtt {
    /// Its name, unique in the document.
    pub name: String,
    /// Its `content_type`, or the one CouchDB takes for nothing said.
    pub content_type: String,
    /// Generation at which it was added, if the client says so. A stub without one agrees with
    /// any; for the others CouchDB takes 0 in a replicated edit, and the edit's own generation
    /// (whatever stands here) in an interactive one.
    pub revpos: Option<u64>,
    /// Where its bytes are.
    pub data: AttData,
}

/// Where the bytes of a [`ParsedAtt`] are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttData {
    /// In the document, decoded.
    Inline(Bytes),
    /// In the revision that is edited.
    Stub,
    /// In a later part of the request.
    Follows {
        /// Length in bytes of what a reader shall get, if said.
        length: Option<u64>,
        /// Length in bytes of what follows, if said.
        encoded_length: Option<u64>,
        /// How it comes.
        encoding: Encoding,
        /// MD5 of what follows, if said.
        md5: Option<[u8; 16]>,
    },
}

/// Reads the members of `_attachments`; those that are no objects don't count.
pub(super) fn read_all(object: Raw<'_>, max: Option<u64>) -> Result<Vec<ParsedAtt>, DocError> {
    let members = object.members().ok_or_else(|| DocError::member("_attachments"))?;
    members
        .filter(|(_, entry)| entry.is_object())
        .map(|(name, entry)| read(name.into_owned(), entry, max))
        .collect()
}

fn read(name: String, entry: Raw<'_>, max: Option<u64>) -> Result<ParsedAtt, DocError> {
    let Some(fields) = Fields::read(entry) else {
        return Err(DocError::AttachmentData(name));
    };
    let (length, data) = if fields.stub {
        (fields.stored_length(), Some(AttData::Stub))
    } else if fields.follows {
        (fields.stored_length(), fields.follows())
    } else {
        let data = fields.data.and_then(|text| decode(text.as_bytes()));
        (data.as_ref().map(|data| data.len() as u64), data.map(AttData::Inline))
    };
    let Some(data) = data else {
        return Err(DocError::AttachmentData(name));
    };
    if length.zip(max).is_some_and(|(length, max)| length > max) {
        return Err(DocError::AttachmentTooLarge(name));
    }
    let revpos = match (fields.revpos, &data) {
        (Some(revpos), AttData::Stub) => Some(revpos.as_u64().unwrap_or(NO_REVPOS)),
        (revpos, _) => revpos.and_then(Raw::as_u64),
    };
    Ok(ParsedAtt { name, content_type: fields.content_type, revpos, data })
}

/// What an entry says.
struct Fields<'a> {
    content_type: String,
    stub: bool,
    follows: bool,
    data: Option<Cow<'a, str>>,
    revpos: Option<Raw<'a>>,
    length: Option<u64>,
    encoded_length: Option<u64>,
    encoding: Option<Encoding>,
    md5: Option<[u8; 16]>,
}

impl<'a> Fields<'a> {
    /// `None` for a value of the wrong type, or an encoding or digest that can't be.
    fn read(entry: Raw<'a>) -> Option<Self> {
        let mut fields = Fields {
            content_type: DEFAULT_TYPE.to_owned(),
            stub: false,
            follows: false,
            data: None,
            revpos: None,
            length: None,
            encoded_length: None,
            encoding: None,
            md5: None,
        };
        for (name, value) in entry.members()? {
            match name.as_ref() {
                "content_type" => fields.content_type = value.as_str()?.into_owned(),
                "stub" => fields.stub = value.as_bool() == Some(true),
                "follows" => fields.follows = value.as_bool() == Some(true),
                "data" => fields.data = value.as_str(),
                "revpos" => fields.revpos = Some(value),
                "length" => fields.length = value.as_u64(),
                "encoded_length" => fields.encoded_length = value.as_u64(),
                "encoding" => fields.encoding = Some(read_encoding(&value.as_str()?)?),
                "digest" => fields.md5 = read_digest(&value.as_str()?)?,
                _ => {}
            }
        }
        Some(fields)
    }

    fn stored_length(&self) -> Option<u64> {
        self.encoding.and(self.encoded_length).or(self.length)
    }

    fn follows(&self) -> Option<AttData> {
        Some(AttData::Follows {
            length: self.length,
            encoded_length: self.stored_length(),
            encoding: self.encoding.unwrap_or(Encoding::Identity),
            md5: self.md5,
        })
    }
}

fn read_encoding(text: &str) -> Option<Encoding> {
    match text {
        "gzip" => Some(Encoding::Gzip),
        "identity" => Some(Encoding::Identity),
        _ => None,
    }
}

/// `md5-` and base64; digests of other kinds are not looked at.
fn read_digest(text: &str) -> Option<Option<[u8; 16]>> {
    match text.strip_prefix("md5-") {
        Some(text) => Some(Some(decode(text.as_bytes())?.as_ref().try_into().ok()?)),
        None => Some(None),
    }
}

/// Base64 as Erlang reads it: with padding, whatever the unused bits are, and with white space
/// anywhere.
fn decode(text: &[u8]) -> Option<Bytes> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let data = if text.iter().any(blank) {
        let packed: Vec<u8> = text.iter().copied().filter(|byte| !blank(byte)).collect();
        ENGINE.decode(packed)
    } else {
        ENGINE.decode(text)
    };
    data.ok().map(Bytes::from)
}

/// Checks a name, of an entry or in a path.
///
/// # Errors
/// When it begins with an underscore: 400.
pub fn check_attachment_name(name: &str) -> Result<(), DocError> {
    if name.starts_with('_') { Err(DocError::AttachmentName(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(entry: &str) -> Result<ParsedAtt, DocError> {
        read("a".to_owned(), Raw(entry.as_bytes()), Some(1000))
    }

    #[test]
    fn base64_is_read_as_erlang_reads_it() {
        let read = |text: &str| decode(text.as_bytes()).map(|data| data.to_vec());
        for text in ["QQ==", "Q Q = =", "\nQQ==\r\n", "QR==", "QQ= ="] {
            assert_eq!(read(text).as_deref(), Some(&b"A"[..]), "{text:?}");
        }
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read("QUJD QUI=\t").as_deref(), Some(&b"ABCAB"[..]));
        assert_eq!(read("QQB=").as_deref(), Some(&b"A\0"[..]));
        for text in ["QQ", "QQ=", "Q", "QQ==QQ==", "QQ== x", "Q=Q=", "====", "QQ=A", "Q-_A", "="] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn entries_say_where_their_bytes_are() {
        let inline = read_one(r#"{"content_type":"text/plain","data":"QUI=","revpos":3}"#);
        let data = AttData::Inline(Bytes::from_static(b"AB"));
        let (name, content_type) = ("a".to_owned(), "text/plain".to_owned());
        assert_eq!(inline, Ok(ParsedAtt { name, content_type, revpos: Some(3), data }));

        let stub = read_one(r#"{"stub":true,"data":5}"#).expect("stub");
        assert_eq!((stub.data, stub.revpos), (AttData::Stub, None));
        assert_eq!(stub.content_type, DEFAULT_TYPE);
        let stub = read_one(r#"{"stub":true,"revpos":"x"}"#).expect("stub");
        assert_eq!(stub.revpos, Some(NO_REVPOS), "agrees with nothing");

        let follows = read_one(
            r#"{"follows":true,"length":5,"encoded_length":7,"encoding":"gzip",
            "digest":"md5-AAAAAAAAAAAAAAAAAAAAAQ=="}"#
                .replace("\n            ", "")
                .as_str(),
        );
        let mut md5 = [0; 16];
        md5[15] = 1;
        assert_eq!(
            follows.expect("follows").data,
            AttData::Follows {
                length: Some(5),
                encoded_length: Some(7),
                encoding: Encoding::Gzip,
                md5: Some(md5),
            }
        );
        let plain = read_one(r#"{"follows":true,"length":5,"encoded_length":7}"#).expect("plain");
        let AttData::Follows { encoded_length, md5, .. } = plain.data else { panic!("follows") };
        assert_eq!((encoded_length, md5), (Some(5), None));
    }

    #[test]
    fn broken_entries_are_refused() {
        for bad in [
            "{}",
            r#"{"data":"x"}"#,
            r#"{"data":5}"#,
            r#"{"stub":"true"}"#,
            r#"{"data":"","content_type":5}"#,
            r#"{"stub":true,"encoding":"zork"}"#,
            r#"{"stub":true,"digest":"md5-?"}"#,
        ] {
            assert_eq!(read_one(bad), Err(DocError::AttachmentData("a".to_owned())), "{bad}");
        }
    }

    #[test]
    fn sizes_have_a_limit() {
        let too_large = Err(DocError::AttachmentTooLarge("a".to_owned()));
        assert!(read_one(r#"{"follows":true,"length":1000}"#).is_ok());
        assert_eq!(read_one(r#"{"follows":true,"length":1001}"#), too_large);
        assert_eq!(read_one(&format!(r#"{{"data":"{}"}}"#, "A".repeat(1336))), too_large);
    }
}
