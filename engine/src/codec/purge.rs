//! Values of `purges` (by purge sequence) and keys of `purge_ids` (by document and uuid). Carries
//! no purge out (see `shard/workspace`).

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevId};
use settee_model::varint;

use super::Malformed;
use super::reader::Reader;

/// A purge as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeRequest {
    /// Names the request on all copies, among those about its document; one that was carried out is
    /// not carried out again.
    pub uuid: Box<[u8]>,
    /// The document.
    pub id: DocId,
    /// The leaves to remove; others are passed over.
    pub revs: Vec<Rev>,
}

/// A purge that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeInfo {
    /// Its number: 1, 2, 3, …
    pub purge_seq: u64,
    /// What was asked.
    pub request: PurgeRequest,
}

pub(crate) fn put_request(out: &mut Vec<u8>, request: &PurgeRequest) {
    varint::put_bytes(out, &request.uuid);
    varint::put_bytes(out, request.id.as_str().as_bytes());
    varint::put(out, request.revs.len() as u64);
    for rev in &request.revs {
        varint::put(out, rev.pos);
        varint::put_bytes(out, rev.id.as_bytes());
    }
}

pub(crate) fn read_request(reader: &mut Reader<'_>) -> Result<PurgeRequest, Malformed> {
    let uuid = reader.bytes()?.into();
    let id = DocId::trusted(reader.text()?);
    let count = reader.count()?;
    let revs = (0..count).map(|_| read_rev(reader)).collect::<Result<_, _>>()?;
    Ok(PurgeRequest { uuid, id, revs })
}

fn read_rev(reader: &mut Reader<'_>) -> Result<Rev, Malformed> {
    Ok(Rev { pos: reader.varint()?, id: RevId::from_bytes(reader.bytes()?) })
}

/// The key under which `purge_ids` has a request.
pub(crate) fn key(request: &PurgeRequest) -> Vec<u8> {
    let mut key = prefix(&request.id);
    key.extend_from_slice(&request.uuid);
    key
}

/// What the keys of all requests about a document begin with, and no others.
pub(crate) fn prefix(id: &DocId) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(id.as_str().len() + 36);
    varint::put_bytes(&mut prefix, id.as_str().as_bytes());
    prefix
}

/// The uuid in a key.
pub(crate) fn uuid(key: &Bytes) -> Result<Bytes, Malformed> {
    let mut reader = Reader::new(key);
    reader.bytes()?;
    Ok(key.slice_ref(reader.rest()))
}

pub(crate) fn encode(request: &PurgeRequest) -> Vec<u8> {
    let mut out = Vec::new();
    put_request(&mut out, request);
    out
}

pub(crate) fn decode(purge_seq: u64, value: &[u8]) -> Result<PurgeInfo, Malformed> {
    let mut reader = Reader::new(value);
    let request = read_request(&mut reader)?;
    reader.end()?;
    Ok(PurgeInfo { purge_seq, request })
}
