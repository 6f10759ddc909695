//! Values of `by_seq`: which document changed and the ends of its branches, the winner first. Enough
//! for a change feed in every style, and for finding the winner's body, without a look into `by_id`.
//! Which branch wins is the revision tree's to say.

use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;
use settee_model::rev::{Rev, RevId};
use settee_model::varint;

use super::Malformed;
use super::reader::Reader;

const VERSION: u8 = 1;
const DELETED: u8 = 1;
const MD5: u8 = 2;
const BODY: u8 = 4;

/// One line of the change feed: the last change of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The shard's sequence of the change.
    pub seq: u64,
    /// The document.
    pub id: DocId,
    /// The ends of its branches, the winner first; at least one. The document is deleted if the
    /// first one is.
    pub leaves: Vec<ChangeLeaf>,
}

/// The end of a branch in a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeLeaf {
    /// The revision.
    pub rev: Rev,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Number of its body, for `Snapshot::record`.
    pub body: Option<u64>,
}

/// The key of a sequence, or of any number, in a tree: ordered as the numbers are.
pub(crate) fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(crate) fn decode_key(key: &[u8]) -> Result<u64, Malformed> {
    let bytes = key.try_into().map_err(|_| Malformed("key is not a number"))?;
    Ok(u64::from_be_bytes(bytes))
}

pub(crate) fn encode(info: &DocInfo) -> Vec<u8> {
    let leaves = info.tree.leaves();
    let id = info.id.as_str().as_bytes();
    let mut out = Vec::with_capacity(8 + id.len() + leaves.len() * 24);
    out.push(VERSION);
    varint::put_bytes(&mut out, id);
    varint::put(&mut out, leaves.len() as u64);
    for leaf in leaves {
        let rev = leaf.id.as_bytes();
        let md5 = if rev.len() == 16 { MD5 } else { 0 };
        let body = if leaf.value.body.is_some() { BODY } else { 0 };
        out.push(md5 | body | if leaf.value.deleted { DELETED } else { 0 });
        varint::put(&mut out, leaf.pos);
        if md5 == 0 {
            varint::put(&mut out, rev.len() as u64);
        }
        out.extend_from_slice(rev);
        if let Some(body) = leaf.value.body {
            varint::put(&mut out, body);
        }
    }
    out
}

pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Change, Malformed> {
    let mut reader = Reader::new(value);
    if reader.byte()? != VERSION {
        return Err(Malformed("unknown version of a change"));
    }
    let id = DocId::trusted(reader.text()?);
    let count = reader.count()?;
    let leaves = (0..count).map(|_| read_leaf(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    reader.end()?;
    if leaves.is_empty() {
        return Err(Malformed("a change without revisions"));
    }
    Ok(Change { seq: decode_key(key)?, id, leaves })
}

fn read_leaf(reader: &mut Reader<'_>) -> Result<ChangeLeaf, Malformed> {
    let flags = reader.byte()?;
    let pos = reader.varint()?;
    let id = RevId::from_bytes(if flags & MD5 != 0 { reader.take(16)? } else { reader.bytes()? });
    let body = if flags & BODY != 0 { Some(reader.varint()?) } else { None };
    Ok(ChangeLeaf { rev: Rev { pos, id }, deleted: flags & DELETED != 0, body })
}
