//! What turns documents into answers: JavaScript functions of design documents, map/reduce indexes,
//! Mango plans. Synchronous; never sees HTTP, a cluster or another node.

mod document;
pub mod js;
pub mod mango;
pub mod view;

pub use document::Document;
