//! From values to the bytes of an answer, without IO: documents as JSON, documents with their
//! attachments as multipart, ranges of attachments. What cannot be written yet because it lies in
//! a shard (an attachment's bytes) is left as a place in a [`Script`], which a handler plays.

pub mod doc;
pub mod etag;
pub mod multipart;
pub mod range;
mod script;

pub use script::{AttPiece, Form, Piece, Script};
