//! What the engine's bytes mean above the level of pages: documents' infos, changes, records of the
//! log, reductions. Every format is versioned and stands in docs/format.md section 4; decoding never
//! trusts a length. No IO here.

pub(crate) mod change;
pub(crate) mod chunk;
pub(crate) mod docinfo;
pub(crate) mod local;
pub(crate) mod log;
pub(crate) mod purge;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod reduce;

/// Bytes that passed their checksum do not have the form they should have: written by a newer
/// version, or a fault of the program. Says which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);
