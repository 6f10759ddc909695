//! Keys and values of `local`, a tree of two families: the shard's properties and its `_local/`
//! documents. Knows no property by name, and looks into no body.

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::varint;

use super::Malformed;
use super::reader::Reader;

const PROPERTY: u8 = b'p';
const DOC: u8 = b'd';

/// A `_local/` document: not replicated, without history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDoc {
    /// N of its revision `0-N`.
    pub rev: u64,
    /// Its JSON object in stored form.
    pub body: Bytes,
}

/// The key of a property.
pub(crate) fn property_key(name: &[u8]) -> Vec<u8> {
    [&[PROPERTY], name].concat()
}

/// The key of a `_local/` document.
pub(crate) fn doc_key(id: &DocId) -> Vec<u8> {
    [&[DOC], id.as_str().as_bytes()].concat()
}

/// Where the properties end and the documents begin, and where the documents end.
pub(crate) const PROPERTIES: std::ops::Range<[u8; 1]> = [PROPERTY]..[PROPERTY + 1];
pub(crate) const DOCS: std::ops::Range<[u8; 1]> = [DOC]..[DOC + 1];

/// The name in a key of either family.
pub(crate) fn name(key: &[u8]) -> Result<&[u8], Malformed> {
    key.split_first().map(|(_, name)| name).ok_or(Malformed("empty key"))
}

pub(crate) fn doc_id(key: &[u8]) -> Result<DocId, Malformed> {
    let text = std::str::from_utf8(name(key)?).map_err(|_| Malformed("id is not UTF-8"))?;
    Ok(DocId::trusted(text))
}

pub(crate) fn encode_doc(rev: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 4);
    varint::put(&mut out, rev);
    out.extend_from_slice(body);
    out
}

pub(crate) fn decode_doc(value: &Bytes) -> Result<LocalDoc, Malformed> {
    let mut reader = Reader::new(value);
    let rev = reader.varint()?;
    Ok(LocalDoc { rev, body: value.slice_ref(reader.rest()) })
}
