//! Values of `chunks`: where the bytes of an attachment's chunk lie, and how many revisions name it.
//! Also how the log names the place of a new chunk. Never fetches what lies in an extent (see
//! `shard/store`).

use settee_model::varint;

use bytes::Bytes;

use super::Malformed;
use super::reader::Reader;
use crate::page::PagePtr;

const INLINE: u8 = 0;
const EXTENT: u8 = 1;

/// Where a chunk's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here.
    Inline(Bytes),
    /// In an extent of the shard file.
    Extent(PagePtr),
}

/// A chunk that a shard has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// How often leaves of revision trees name it. Compaction keeps what is named.
    pub(crate) names: u64,
    pub(crate) place: Place,
}

impl Stored {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put(&mut out, self.names);
        out.extend_from_slice(&encode(&self.place));
        out
    }

    pub(crate) fn decode(value: &Bytes) -> Result<Stored, Malformed> {
        let mut reader = Reader::new(value);
        let names = reader.varint()?;
        let place = decode(&value.slice_ref(reader.rest()))?;
        Ok(Stored { names, place })
    }
}

pub(crate) fn encode(place: &Place) -> Vec<u8> {
    let mut out = Vec::new();
    match place {
        Place::Inline(bytes) => {
            out.reserve_exact(bytes.len() + 1);
            out.push(INLINE);
            out.extend_from_slice(bytes);
        }
        Place::Extent(ptr) => {
            out.push(EXTENT);
            varint::put(&mut out, ptr.offset);
            varint::put(&mut out, u64::from(ptr.len));
        }
    }
    out
}

pub(crate) fn decode(value: &Bytes) -> Result<Place, Malformed> {
    let mut reader = Reader::new(value);
    match reader.byte()? {
        INLINE => Ok(Place::Inline(value.slice_ref(reader.rest()))),
        EXTENT => {
            let offset = reader.varint()?;
            let len = reader.varint()?;
            reader.end()?;
            let len = u32::try_from(len).map_err(|_| Malformed("extent too large"))?;
            Ok(Place::Extent(PagePtr { offset, len }))
        }
        _ => Err(Malformed("unknown place of a chunk")),
    }
}

/// How often a stored chunk is named, and the bytes that it takes outside of the tree.
pub(crate) fn decode_weight(value: &[u8]) -> Result<(u64, u64), Malformed> {
    let mut reader = Reader::new(value);
    let names = reader.varint()?;
    match reader.byte()? {
        INLINE => Ok((names, 0)),
        EXTENT => {
            reader.varint()?;
            Ok((names, reader.varint()?))
        }
        _ => Err(Malformed("unknown place of a chunk")),
    }
}
