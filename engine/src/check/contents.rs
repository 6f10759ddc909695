//! Whether the trees of a shard agree with each other: each document stands once in the sequence,
//! its leaves have their bodies, their attachments have their chunks, and chunks are what their
//! names say. Reads values; pages were checked before. Never compares with the log (see `frames`).

use std::ops::Bound;

use bytes::Bytes;
use settee_model::doc::Chunk;
use settee_model::docid::DocId;

use crate::Error;
use crate::codec::{Malformed, change, docinfo, local, purge, record};
use crate::shard::state::State;
use crate::tree::{Direction, Entry, Tree};

/// A shard whose contents are to be checked.
pub(super) struct Contents<'a> {
    pub(super) state: &'a State,
    /// No page is damaged, so that what is missing is missing and not only unreadable.
    pub(super) intact: bool,
}

/// Told the part of the shard and what is wrong with it.
type Tell<'a> = &'a mut dyn FnMut(&'static str, Error);

impl Contents<'_> {
    pub(super) fn check(&self, tell: Tell<'_>) -> Result<(), Error> {
        let trees = &self.state.trees;
        self.each(&trees.by_id, "by_id", tell, |entry| self.doc(entry))?;
        self.each(&trees.by_seq, "by_seq", tell, |entry| self.change(entry))?;
        self.each(&trees.bodies, "bodies", tell, |entry| self.body(entry))?;
        self.each(&trees.chunks, "chunks", tell, |entry| self.chunk(entry))?;
        self.each(&trees.local, "local", tell, |entry| self.local(entry))?;
        self.each(&trees.purges, "purges", tell, |entry| self.purge(entry))?;
        if self.intact && trees.by_id.count() != trees.by_seq.count() {
            tell("by_seq", self.wrong("holds not as many documents as by_id"));
        }
        if self.intact && trees.purges.count() != trees.purge_ids.count() {
            tell("purge_ids", self.wrong("holds not as many purges as purges"));
        }
        Ok(())
    }

    /// Checks the entries of a tree one by one. A page that cannot be read was reported before.
    fn each(
        &self,
        tree: &Tree,
        part: &'static str,
        tell: Tell<'_>,
        check: impl Fn(&Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let pages = self.state.store.pages.uncached();
        for entry in tree.range(&pages, (Bound::Unbounded, Bound::Unbounded), Direction::Forward) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Error::Corrupt { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            match check(&entry) {
                Err(error @ Error::Corrupt { .. }) => tell(part, error),
                other => other?,
            }
        }
        Ok(())
    }

    fn doc(&self, entry: &Entry) -> Result<(), Error> {
        let id = std::str::from_utf8(entry.key()).map_err(|_| self.wrong("id is not UTF-8"))?;
        let info = docinfo::decode(DocId::trusted(id), entry.value()).map_err(|e| self.bad(e))?;
        let bodies = info.tree.leaves_unordered().filter_map(|leaf| leaf.value.body);
        for body in bodies.map(change::key) {
            let record = self.need(&self.state.trees.bodies, &body, "a leaf's body is missing")?;
            record.map_or(Ok(()), |record| self.named(&record))?;
        }
        let seq = change::key(info.seq);
        let value = self.need(&self.state.trees.by_seq, &seq, "a document is not in by_seq")?;
        let Some(value) = value else { return Ok(()) };
        let change = change::decode(&seq, &value).map_err(|e| self.bad(e))?;
        if change.id != info.id || value != change::encode(&info) {
            return Err(self.wrong("a document and its change do not match"));
        }
        Ok(())
    }

    /// Compaction would drop chunks that count as named by nothing.
    fn named(&self, record: &[u8]) -> Result<(), Error> {
        for value in self.chunks_of(record)? {
            if self.state.store.stored_chunk(&value)?.names == 0 {
                return Err(self.wrong("a chunk counts as named by nothing"));
            }
        }
        Ok(())
    }

    /// Values of the chunks that a record names.
    fn chunks_of(&self, record: &[u8]) -> Result<Vec<Bytes>, Error> {
        let (atts, _) = record::split(record).map_err(|e| self.bad(e))?;
        let need = |chunk: &Chunk| {
            let chunks = &self.state.trees.chunks;
            self.need(chunks, &chunk.hash, "an attachment's chunk is missing").transpose()
        };
        atts.iter().flat_map(|att| &att.content.chunks).filter_map(need).collect()
    }

    fn change(&self, entry: &Entry) -> Result<(), Error> {
        let change = change::decode(entry.key(), entry.value()).map_err(|e| self.bad(e))?;
        if change.seq > self.state.counters.update_seq {
            return Err(self.wrong("a change is newer than the shard"));
        }
        Ok(())
    }

    fn body(&self, entry: &Entry) -> Result<(), Error> {
        let number = change::decode_key(entry.key()).map_err(|e| self.bad(e))?;
        if number >= self.state.counters.next_body {
            return Err(self.wrong("a body is newer than the shard"));
        }
        self.chunks_of(entry.value()).map(|_| ())
    }

    fn chunk(&self, entry: &Entry) -> Result<(), Error> {
        let store = &self.state.store;
        let bytes = store.chunk(&store.pages, &store.stored_chunk(&entry.value_bytes())?.place)?;
        if blake3::hash(&bytes).as_bytes() == entry.key() {
            return Ok(());
        }
        Err(self.wrong("a chunk is not what its name says"))
    }

    fn local(&self, entry: &Entry) -> Result<(), Error> {
        if (&local::DOCS.start[..]..&local::DOCS.end[..]).contains(&entry.key()) {
            local::doc_id(entry.key()).map_err(|e| self.bad(e))?;
            local::decode_doc(&entry.value_bytes()).map_err(|e| self.bad(e))?;
        }
        Ok(())
    }

    fn purge(&self, entry: &Entry) -> Result<(), Error> {
        let number = change::decode_key(entry.key()).map_err(|e| self.bad(e))?;
        let info = purge::decode(number, entry.value()).map_err(|e| self.bad(e))?;
        let key = purge::key(&info.request);
        self.need(&self.state.trees.purge_ids, &key, "a purge is not in purge_ids").map(|_| ())
    }

    /// The value of a key that must be there, as far as pages can be read.
    fn need(&self, tree: &Tree, key: &[u8], what: &'static str) -> Result<Option<Bytes>, Error> {
        match tree.get(&self.state.store.pages, key) {
            Ok(None) => Err(self.wrong(what)),
            Err(Error::Corrupt { .. }) if !self.intact => Ok(None),
            other => other,
        }
    }

    fn bad(&self, damage: Malformed) -> Error {
        self.state.store.unreadable(damage)
    }

    fn wrong(&self, what: &'static str) -> Error {
        self.bad(Malformed(what))
    }
}
