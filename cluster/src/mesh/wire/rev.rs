//! Revisions and paths of them. Ids of 16 bytes travel without an allocation. Never reads one as text.

use bytes::{BufMut, Bytes, BytesMut};
use settee_model::rev::{Rev, RevId, RevPath};

use super as wire;
use crate::Error;

/// Bytes of an id that a server made.
const MADE: usize = 16;

impl From<&Rev> for wire::Rev {
    fn from(rev: &Rev) -> wire::Rev {
        let bytes = rev.id.as_bytes();
        match <[u8; MADE]>::try_from(bytes) {
            Ok(made) => {
                let number = u128::from_be_bytes(made);
                let (high, low) = ((number >> 64) as u64, number as u64);
                wire::Rev { pos: rev.pos, high, low, other: None }
            }
            Err(_) => {
                let other = Some(Bytes::copy_from_slice(bytes));
                wire::Rev { pos: rev.pos, high: 0, low: 0, other }
            }
        }
    }
}

impl From<wire::Rev> for Rev {
    fn from(rev: wire::Rev) -> Rev {
        let id = match rev.other {
            Some(other) => RevId::from_bytes(&other),
            None => {
                let number = u128::from(rev.high) << 64 | u128::from(rev.low);
                RevId::from_md5(number.to_be_bytes())
            }
        };
        Rev { pos: rev.pos, id }
    }
}

impl From<&RevPath> for wire::RevPath {
    fn from(path: &RevPath) -> wire::RevPath {
        if path.ids.iter().all(|id| id.as_bytes().len() == MADE) {
            let mut packed = BytesMut::with_capacity(path.ids.len() * MADE);
            path.ids.iter().for_each(|id| packed.put_slice(id.as_bytes()));
            return wire::RevPath {
                start: path.start,
                packed: packed.freeze(),
                others: Vec::new(),
            };
        }
        let others = path.ids.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect();
        wire::RevPath { start: path.start, packed: Bytes::new(), others }
    }
}

impl TryFrom<wire::RevPath> for RevPath {
    type Error = Error;

    fn try_from(path: wire::RevPath) -> Result<RevPath, Error> {
        if !path.packed.len().is_multiple_of(MADE) {
            return Err(wire::malformed("ids of revisions"));
        }
        let packed = path.packed.chunks_exact(MADE).map(RevId::from_bytes);
        let ids = packed.chain(path.others.iter().map(|id| RevId::from_bytes(id))).collect();
        Ok(RevPath { start: path.start, ids })
    }
}

impl From<&[Rev]> for wire::RevList {
    fn from(revs: &[Rev]) -> wire::RevList {
        wire::RevList { revs: wire::each(revs) }
    }
}
