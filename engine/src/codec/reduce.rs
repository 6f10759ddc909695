//! Reductions of the shard's trees: counts and sizes that inner nodes carry, so that asking for them
//! costs no walk. Never looks anything up: the tree hands in what is to be summed.

use bytes::Bytes;
use settee_model::docinfo::RevInfo;
use settee_model::revtree::RevTree;
use settee_model::varint;

use super::reader::Reader;
use super::{Malformed, chunk, docinfo};
use crate::Error;
use crate::tree::{Entries, Reducer};

/// Sums over the leaf revisions of a document, or of many documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocSizes {
    /// Bytes of the records, before compression.
    pub stored: u64,
    /// Bytes of the attachments as stored.
    pub atts: u64,
    /// Bytes of JSON and attachments as clients see them.
    pub external: u64,
}

impl DocSizes {
    pub(crate) fn of(tree: &RevTree<RevInfo>) -> DocSizes {
        let mut sum = DocSizes::default();
        for leaf in tree.leaves_unordered() {
            sum.add(&DocSizes {
                stored: leaf.value.stored,
                atts: leaf.value.atts,
                external: leaf.value.external,
            });
        }
        sum
    }

    fn add(&mut self, other: &DocSizes) {
        self.stored = self.stored.saturating_add(other.stored);
        self.atts = self.atts.saturating_add(other.atts);
        self.external = self.external.saturating_add(other.external);
    }
}

/// Reduction of `by_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents that are not deleted.
    pub doc_count: u64,
    /// Deleted documents.
    pub del_count: u64,
    /// Over all of them.
    pub sizes: DocSizes,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.doc_count += other.doc_count;
        self.del_count += other.del_count;
        self.sizes.add(&other.sizes);
    }

    fn encode(&self) -> Bytes {
        let sizes = &self.sizes;
        let all = [self.doc_count, self.del_count, sizes.stored, sizes.atts, sizes.external];
        let mut out = Vec::with_capacity(24);
        all.into_iter().for_each(|number| varint::put(&mut out, number));
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Counts, Malformed> {
        if bytes.is_empty() {
            return Ok(Counts::default());
        }
        let mut reader = Reader::new(bytes);
        let mut next = || reader.varint();
        let (doc_count, del_count) = (next()?, next()?);
        let sizes = DocSizes { stored: next()?, atts: next()?, external: next()? };
        reader.end()?;
        Ok(Counts { doc_count, del_count, sizes })
    }
}

/// Reduces `by_id` to [`Counts`].
pub(crate) struct ById;

impl Reducer for ById {
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error> {
        let mut counts = Counts::default();
        for (_, value) in entries {
            let sums = docinfo::decode_sums(value).map_err(unreadable)?;
            let live = u64::from(!sums.deleted);
            counts.add(&Counts { doc_count: live, del_count: 1 - live, sizes: sums.sizes });
        }
        Ok(counts.encode())
    }

    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        let mut counts = Counts::default();
        for part in parts {
            counts.add(&Counts::decode(part).map_err(unreadable)?);
        }
        Ok(counts.encode())
    }
}

/// Reduces `bodies` to the sum of the lengths of its values.
pub(crate) struct Bodies;

/// Reduces `chunks` to [`ChunkSizes`].
pub(crate) struct Chunks;

/// Bytes that chunks take outside their tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkSizes {
    /// All of them.
    pub(crate) all: u64,
    /// Those that a leaf of a revision tree names.
    pub(crate) live: u64,
}

impl ChunkSizes {
    fn add(&mut self, other: ChunkSizes) {
        self.all = self.all.saturating_add(other.all);
        self.live = self.live.saturating_add(other.live);
    }

    fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(18);
        varint::put(&mut out, self.all);
        varint::put(&mut out, self.live);
        out.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<ChunkSizes, Malformed> {
        if bytes.is_empty() {
            return Ok(ChunkSizes::default());
        }
        let mut reader = Reader::new(bytes);
        let sizes = ChunkSizes { all: reader.varint()?, live: reader.varint()? };
        reader.end()?;
        Ok(sizes)
    }
}

impl Reducer for Bodies {
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error> {
        Ok(encode_sum(entries.map(|(_, value)| value.len() as u64).sum()))
    }

    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        let mut sum = 0u64;
        for part in parts {
            sum = sum.saturating_add(decode_sum(part).map_err(unreadable)?);
        }
        Ok(encode_sum(sum))
    }
}

impl Reducer for Chunks {
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error> {
        let mut sizes = ChunkSizes::default();
        for (_, value) in entries {
            let (names, all) = chunk::decode_weight(value).map_err(unreadable)?;
            sizes.add(ChunkSizes { all, live: if names > 0 { all } else { 0 } });
        }
        Ok(sizes.encode())
    }

    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        let mut sizes = ChunkSizes::default();
        for part in parts {
            sizes.add(ChunkSizes::decode(part).map_err(unreadable)?);
        }
        Ok(sizes.encode())
    }
}

fn encode_sum(sum: u64) -> Bytes {
    let mut out = Vec::with_capacity(9);
    varint::put(&mut out, sum);
    out.into()
}

pub(crate) fn decode_sum(bytes: &[u8]) -> Result<u64, Malformed> {
    if bytes.is_empty() {
        return Ok(0);
    }
    Reader::new(bytes).varint()
}

fn unreadable(Malformed(what): Malformed) -> Error {
    Error::corrupt("shard", 0, what)
}
