//! Values and pure rules: ids, revisions, revision trees, documents, exact JSON, collation,
//! selectors, ranges, sequences. Never does IO, never awaits, never reads a clock.

pub mod collate;
pub mod config;
pub mod ddoc;
pub mod doc;
pub mod docid;
pub mod docinfo;
pub mod edit;
pub mod hash;
pub mod json;
pub mod partition;
pub mod range;
pub mod rev;
pub mod revtree;
pub mod selector;
pub mod seq;
pub mod uuid;
pub mod varint;
