//! Documents as they travel between the rooms: an edit on its way in, a stored revision on its
//! way out, and what is known of their attachments. No IO, no parsing (see `json`), no rendering.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::docid::DocId;
use crate::rev::{Rev, RevPath};

/// A document revision that a client wants to write.
#[derive(Clone, Debug)]
pub struct DocEdit {
    /// Which document; `_local/…` and `_design/…` included.
    pub id: DocId,
    /// For an interactive edit: the revision it replaces (one id), or empty for a new document.
    /// For a replicated edit: the revision itself, then its ancestors.
    pub revs: RevPath,
    /// Whether the edit makes a tombstone.
    pub deleted: bool,
    /// The document's members without those that begin with `_`: a JSON object in stored form
    /// (no white space, UTF-8, last of duplicate keys, numbers as written), `{}` at least.
    pub body: Bytes,
    /// All attachments that the revision shall have, in the client's order.
    pub atts: Vec<AttEdit>,
}

impl DocEdit {
    /// How many bytes of attachments it brings.
    #[must_use]
    pub fn carried(&self) -> usize {
        let carried = |att: &AttEdit| match &att.source {
            AttSource::Stub => 0,
            AttSource::Uploaded(uploaded) => uploaded.carried(),
        };
        self.atts.iter().map(carried).sum()
    }
}

/// One attachment of a [`DocEdit`].
#[derive(Clone, Debug)]
pub struct AttEdit {
    /// Name, unique in the document; may hold slashes.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Generation at which the attachment was added; `None` asks for the edit's own.
    pub revpos: Option<u64>,
    /// Where the bytes are.
    pub source: AttSource,
}

impl AttEdit {
    /// A stored attachment, as an edit keeps it.
    fn stub(att: Attachment) -> AttEdit {
        AttEdit {
            name: att.name,
            content_type: att.content_type,
            revpos: Some(att.revpos),
            source: AttSource::Stub,
        }
    }
}

/// Where the bytes of an edit's attachment come from.
#[derive(Clone, Debug)]
pub enum AttSource {
    /// `stub: true`: the revision that is edited (or a known ancestor) has it.
    Stub,
    /// Uploaded ahead of the edit, or brought by it.
    Uploaded(Uploaded),
}

/// An attachment's bytes, as the edit names them that comes after them or with them.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// What was uploaded.
    pub content: AttContent,
    /// Where the bytes are while no revision names them yet.
    pub bytes: AttBytes,
}

impl Uploaded {
    /// How many bytes the edit brings.
    #[must_use]
    pub fn carried(&self) -> usize {
        match &self.bytes {
            AttBytes::Held(_) => 0,
            AttBytes::Carried(bytes) => bytes.len(),
        }
    }
}

/// Where the bytes of an uploaded attachment wait for the edit that names them.
#[derive(Clone, Debug)]
pub enum AttBytes {
    /// In the storage, which keeps them.
    Held(Hold),
    /// With the edit: as they are to be stored, all in the one chunk that the content names.
    Carried(Bytes),
}

/// As long as a clone of it lives, the storage keeps what it was given for.
/// Opaque: made and read by those who store, carried by everybody else.
#[derive(Clone, Default)]
pub struct Hold(Option<Arc<dyn Any + Send + Sync>>);

impl Hold {
    /// Wraps what shall live as long as the hold.
    #[must_use]
    pub fn new(kept: Arc<dyn Any + Send + Sync>) -> Self {
        Hold(Some(kept))
    }

    /// What was wrapped, for who knows what it is.
    #[must_use]
    pub fn kept<T: Any>(&self) -> Option<&T> {
        self.0.as_deref().and_then(|kept| <dyn Any>::downcast_ref(kept))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hold" } else { "Hold(nothing)" })
    }
}

/// Bytes of an attachment that lie in a shard, and how to name them to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttContent {
    /// How the bytes lie there.
    pub encoding: Encoding,
    /// Length in bytes as a client uploaded it, before any compression by the server.
    pub length: u64,
    /// Length in bytes as stored; equal to `length` unless gzip.
    pub stored_length: u64,
    /// MD5 of the stored bytes: what `digest` says after `md5-`.
    pub md5: [u8; 16],
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
}

/// Whether stored bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As uploaded.
    Identity,
    /// gzip, by the server or by a client that said so.
    Gzip,
}

/// A piece of an attachment, addressed by its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// BLAKE3 of the chunk's bytes.
    pub hash: [u8; 32],
    /// Its length in bytes.
    pub length: u32,
}

/// An attachment of a stored revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Name, unique in the document.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Generation at which it was added or last changed.
    pub revpos: u64,
    /// Its bytes.
    pub content: AttContent,
}

/// A revision's stored content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocRecord {
    /// In stored order.
    pub atts: Vec<Attachment>,
    /// JSON object in stored form, as in [`DocEdit::body`].
    pub body: Bytes,
}

/// A revision of a document as a reader gets it.
#[derive(Clone, Debug)]
pub struct StoredDoc {
    /// Which document.
    pub id: DocId,
    /// The revision and its ancestors, newest first, as far as the tree knows them.
    pub revs: RevPath,
    /// Whether this revision is a tombstone.
    pub deleted: bool,
    /// Body and attachments.
    pub record: DocRecord,
}

impl StoredDoc {
    /// The revision that this is.
    #[must_use]
    pub fn rev(&self) -> Option<Rev> {
        self.revs.tip()
    }

    /// An edit that leaves everything as it is, to be changed before it is written.
    #[must_use]
    pub fn into_edit(self) -> DocEdit {
        DocEdit {
            revs: self.rev().map(RevPath::single).unwrap_or_default(),
            id: self.id,
            deleted: self.deleted,
            body: self.record.body,
            atts: self.record.atts.into_iter().map(AttEdit::stub).collect(),
        }
    }
}
