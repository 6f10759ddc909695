//! Values of `chunks`: where the bytes of an attachment's chunk lie. Also how the log names the
//! place of a new chunk. Never fetches what lies in an extent (see `shard/store`).

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

/// Bytes that the chunk takes outside of the tree.
pub(crate) fn decode_len_outside(value: &[u8]) -> Result<u64, Malformed> {
    let mut reader = Reader::new(value);
    match reader.byte()? {
        INLINE => Ok(0),
        EXTENT => {
            reader.varint()?;
            reader.varint()
        }
        _ => Err(Malformed("unknown place of a chunk")),
    }
}
