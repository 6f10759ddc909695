//! Payloads of the log's frames: what happened to one shard, decided, so that carrying it out again
//! gives the same state. Never decides anything.

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::rev::{RevId, RevPath};
use settee_model::varint;

use super::purge::{self, PurgeRequest};
use super::reader::Reader;
use super::{Malformed, chunk};
use crate::page::Extent;

const VERSION: u8 = 1;

const CREATE: u8 = 1;
const DROP: u8 = 2;
const MERGE: u8 = 3;
const CHUNK: u8 = 4;
const LOCAL: u8 = 5;
const PURGE: u8 = 6;
const EXTENT: u8 = 7;

/// What comes first in every payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Names one life of the shard, from its creation to its removal.
    pub(crate) epoch: u64,
    /// 0 for the frame that creates the shard, then 1, 2, 3, … without gaps.
    pub(crate) number: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The shard came into being. Alone in its frame.
    Create,
    /// The shard is gone. Alone in its frame.
    Drop,
    /// A revision was merged into a document's tree.
    Merge(Merge),
    /// A chunk that no revision named before.
    Chunk { hash: [u8; 32], place: chunk::Place },
    /// A chunk's bytes, in the frame that the shard's file is to have.
    Extent(Extent),
    /// A key of `local` was set, or removed.
    Local { key: Bytes, value: Option<Bytes> },
    /// Leaves were purged, all by one call.
    Purge { requests: Vec<PurgeRequest>, infos_limit: u64 },
}

/// A revision to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) id: DocId,
    /// The document's sequence afterwards.
    pub(crate) seq: u64,
    /// Ancestors beyond it are forgotten.
    pub(crate) revs_limit: u32,
    pub(crate) deleted: bool,
    pub(crate) path: RevPath,
    /// The encoded record; the next free body number becomes its own.
    pub(crate) record: Bytes,
}

impl Record {
    /// The documents that it changes.
    pub(crate) fn docs(&self) -> Vec<&DocId> {
        match self {
            Record::Merge(merge) => vec![&merge.id],
            Record::Purge { requests, .. } => requests.iter().map(|request| &request.id).collect(),
            Record::Create
            | Record::Drop
            | Record::Chunk { .. }
            | Record::Extent(_)
            | Record::Local { .. } => vec![],
        }
    }
}

/// Begins a payload.
pub(crate) fn put_head(out: &mut Vec<u8>, head: FrameHead) {
    out.push(VERSION);
    out.extend_from_slice(&head.epoch.to_le_bytes());
    varint::put(out, head.number);
}

/// Appends a record to a payload.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &Record) {
    match record {
        Record::Create => out.push(CREATE),
        Record::Drop => out.push(DROP),
        Record::Merge(merge) => put_merge(out, merge),
        Record::Chunk { hash, place } => {
            out.push(CHUNK);
            out.extend_from_slice(hash);
            varint::put_bytes(out, &chunk::encode(place));
        }
        Record::Extent(extent) => {
            out.push(EXTENT);
            varint::put(out, extent.offset);
            varint::put_bytes(out, &extent.frame);
        }
        Record::Local { key, value } => {
            out.push(LOCAL);
            varint::put_bytes(out, key);
            out.push(u8::from(value.is_some()));
            if let Some(value) = value {
                varint::put_bytes(out, value);
            }
        }
        Record::Purge { requests, infos_limit } => {
            out.push(PURGE);
            varint::put(out, *infos_limit);
            varint::put(out, requests.len() as u64);
            requests.iter().for_each(|request| purge::put_request(out, request));
        }
    }
}

fn put_merge(out: &mut Vec<u8>, merge: &Merge) {
    out.push(MERGE);
    varint::put_bytes(out, merge.id.as_str().as_bytes());
    varint::put(out, merge.seq);
    varint::put(out, u64::from(merge.revs_limit));
    out.push(u8::from(merge.deleted));
    varint::put(out, merge.path.start);
    varint::put(out, merge.path.ids.len() as u64);
    merge.path.ids.iter().for_each(|id| varint::put_bytes(out, id.as_bytes()));
    varint::put_bytes(out, &merge.record);
}

/// Reads the head and leaves the records.
pub(crate) fn read_head(payload: &[u8]) -> Result<(FrameHead, Records<'_>), Malformed> {
    let mut reader = Reader::new(payload);
    if reader.byte()? != VERSION {
        return Err(Malformed("unknown version of a log record"));
    }
    let epoch = u64::from_le_bytes(reader.array()?);
    let number = reader.varint()?;
    Ok((FrameHead { epoch, number }, Records { reader }))
}

/// The records of a payload, one after the other.
pub(crate) struct Records<'a> {
    reader: Reader<'a>,
}

impl Records<'_> {
    /// The next record; its bytes share the memory of `payload`, which the records are of, except
    /// for extents.
    pub(crate) fn next(&mut self, payload: &Bytes) -> Result<Option<Record>, Malformed> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let reader = &mut self.reader;
        let record = match reader.byte()? {
            CREATE => Record::Create,
            DROP => Record::Drop,
            MERGE => Record::Merge(read_merge(reader, payload)?),
            CHUNK => {
                let hash = reader.array()?;
                let place = chunk::decode(&payload.slice_ref(reader.bytes()?))?;
                Record::Chunk { hash, place }
            }
            EXTENT => {
                let offset = reader.varint()?;
                // It stays in memory longer than the payload is meant to.
                Record::Extent(Extent { offset, frame: Bytes::copy_from_slice(reader.bytes()?) })
            }
            LOCAL => {
                let key = payload.slice_ref(reader.bytes()?);
                let present = reader.byte()? != 0;
                let value = if present { Some(payload.slice_ref(reader.bytes()?)) } else { None };
                Record::Local { key, value }
            }
            PURGE => {
                let infos_limit = reader.varint()?;
                let count = reader.count()?;
                let requests = (0..count).map(|_| purge::read_request(reader));
                Record::Purge { requests: requests.collect::<Result<_, _>>()?, infos_limit }
            }
            _ => return Err(Malformed("unknown kind of log record")),
        };
        Ok(Some(record))
    }
}

fn read_merge(reader: &mut Reader<'_>, payload: &Bytes) -> Result<Merge, Malformed> {
    let id = DocId::trusted(reader.text()?);
    let seq = reader.varint()?;
    let limit = reader.varint()?;
    let revs_limit = u32::try_from(limit).map_err(|_| Malformed("revs limit too large"))?;
    let deleted = reader.byte()? != 0;
    let start = reader.varint()?;
    let count = reader.count()?;
    let ids =
        (0..count).map(|_| reader.bytes().map(RevId::from_bytes)).collect::<Result<_, _>>()?;
    let path = RevPath { start, ids };
    let record = payload.slice_ref(reader.bytes()?);
    Ok(Merge { id, seq, revs_limit, deleted, path, record })
}
