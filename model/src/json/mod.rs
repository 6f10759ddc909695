//! JSON over bytes, without trees: what clients send is checked and brought into *stored form* in
//! one pass, and stored text is walked without being parsed. Stored form has no white space,
//! strings as CouchDB writes them (UTF-8, only the escapes that are needed), the last of members
//! with equal names (in the last one's place), and numbers as the client wrote them.
//!
//! Accepts and refuses what CouchDB's parser does. Never recurses, so nesting costs a stranger
//! more than it costs us, and never keeps values: for those there is [`value`].

mod attachment;
mod doc;
mod members;
pub(crate) mod number;
mod scan;
mod size;
mod text;
mod value;

pub use attachment::{AttData, ParsedAtt, check_attachment_name};
pub use doc::{DocError, ParsedDoc, parse_doc, split_doc};
pub(crate) use members::string_length;
pub use members::{Elements, Members, Raw};
pub use scan::normalise;
pub use size::encoded_size;
pub(crate) use text::unescape_string;
pub use text::{escape_into, push_member};
pub use value::{DEPTH_MAX, value};

/// What a client's JSON may ask of us. All but the first two are settings of CouchDB's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Arrays and objects inside each other.
    pub depth: usize,
    /// Digits of one integer: reading them costs the square of their number.
    pub digits: usize,
    /// Bytes of a document's id (`couchdb/max_document_id_length`); `None` or 0: any number.
    pub id_length: Option<usize>,
    /// Bytes of a document's body, as CouchDB counts them (`couchdb/max_document_size`).
    pub document_size: u64,
    /// Bytes of an attachment (`couchdb/max_attachment_size`); `None`: any number.
    pub attachment_size: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 10_000,
            digits: 10_000,
            id_length: None,
            document_size: 8_000_000,
            attachment_size: Some(1 << 30),
        }
    }
}

/// The text is no JSON that we take: 400 `bad_request`, and the text of this error as the
/// `reason`, which in CouchDB is the same for whatever is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid UTF-8 JSON")]
pub struct JsonError;
