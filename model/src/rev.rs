//! Revision identifiers: `Rev` (`3-9bf1…`), its hash part, and the path of ancestors that an edit
//! carries. Never decides anything about trees of revisions (see `revtree`).

use std::fmt;
use std::str::FromStr;

/// The part of a revision after the dash: 16 bytes of MD5 for revisions that a server made, or
/// any other bytes that a replicator brought with `new_edits=false`.
///
/// Ordered by bytes, as CouchDB orders Erlang binaries; that order breaks ties between winners.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevId(Bytes16);

/// Sixteen bytes inline, anything else boxed; always compared through `as_bytes`.
#[derive(Clone)]
enum Bytes16 {
    Md5([u8; 16]),
    Other(Box<[u8]>),
}

impl Bytes16 {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Bytes16::Md5(bytes) => bytes,
            Bytes16::Other(bytes) => bytes,
        }
    }
}

impl PartialEq for Bytes16 {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Bytes16 {}

impl PartialOrd for Bytes16 {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes16 {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::hash::Hash for Bytes16 {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl RevId {
    /// A hash as the server computes it.
    #[must_use]
    pub fn from_md5(md5: [u8; 16]) -> Self {
        RevId(Bytes16::Md5(md5))
    }

    /// Raw bytes as kept on disk (the inverse of [`RevId::as_bytes`]).
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match <[u8; 16]>::try_from(bytes) {
            Ok(md5) => RevId(Bytes16::Md5(md5)),
            Err(_) => RevId(Bytes16::Other(bytes.into())),
        }
    }

    /// Reads the text form: 32 hexadecimal digits become 16 bytes, all else is kept as it is.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match decode_hex(text.as_bytes()) {
            Some(md5) => RevId::from_md5(md5),
            None => RevId::from_bytes(text.as_bytes()),
        }
    }

    /// Reads a client's text as CouchDB does: of 32 characters, all must be hexadecimal digits.
    ///
    /// # Errors
    /// When they are not.
    pub fn from_client(text: &str) -> Result<Self, BadRev> {
        match RevId::parse(text) {
            RevId(Bytes16::Other(bytes)) if bytes.len() == 32 => Err(BadRev),
            id => Ok(id),
        }
    }

    /// The bytes that are stored, hashed and compared.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn decode_hex(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 32 {
        return None;
    }
    let mut md5 = [0; 16];
    for (byte, pair) in md5.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(md5)
}

impl fmt::Display for RevId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Bytes16::Md5(md5) => md5.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Bytes16::Other(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

impl fmt::Debug for RevId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One revision: its generation (from 1; 0 only for `_local` documents) and its id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev {
    /// The number before the dash: how many edits lead here.
    pub pos: u64,
    /// What tells this revision from others of its generation.
    pub id: RevId,
}

/// The text was no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid rev format")]
pub struct BadRev;

impl FromStr for Rev {
    type Err = BadRev;

    fn from_str(text: &str) -> Result<Self, BadRev> {
        let (pos, id) = text.split_once('-').ok_or(BadRev)?;
        let pos = pos.parse().map_err(|_| BadRev)?;
        Ok(Rev { pos, id: RevId::from_client(id)? })
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pos, self.id)
    }
}

impl fmt::Debug for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A revision with its known ancestors, newest first: what `_revisions` says.
/// `ids[0]` has generation `start`, `ids[1]` has `start - 1`, and so on. Empty for a document
/// that has no revision yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevPath {
    /// Generation of the first id; 0 when there is none.
    pub start: u64,
    /// Newest first.
    pub ids: Vec<RevId>,
}

impl RevPath {
    /// The path of a single revision without known ancestors.
    #[must_use]
    pub fn single(rev: Rev) -> Self {
        RevPath { start: rev.pos, ids: vec![rev.id] }
    }

    /// The revision that the newest one follows, if it is known.
    #[must_use]
    pub fn parent(&self) -> Option<Rev> {
        self.ids.get(1).map(|id| Rev { pos: self.start.saturating_sub(1), id: id.clone() })
    }

    /// The newest revision of the path.
    #[must_use]
    pub fn tip(&self) -> Option<Rev> {
        self.ids.first().map(|id| Rev { pos: self.start, id: id.clone() })
    }
}
