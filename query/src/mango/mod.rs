//! Mango: from a request to a plan, and from rows to an answer. Never runs JavaScript, never reads
//! or writes: who uses it brings design documents, rows and documents.
//!
//! A question goes this way: [`Find::parse`] reads the request; [`Catalog::new`] knows the
//! indexes; [`Plan::new`] chooses one and the spans of it to look into; where the rows are, a
//! [`Sieve`], made of a [`Task`], matches documents and cuts out what is shown; where they come
//! together, by key and then by id, a [`Cursor`] counts them; [`Response`] writes the answer.
//! [`explain`] shows the plan instead. [`NewIndex`] and [`take_from`] change design documents,
//! and [`Index::key`] says what a document's row in an index is.

mod bookmark;
mod bound;
mod catalog;
mod choose;
mod create;
mod cursor;
mod ddoc;
mod error;
mod explain;
mod find;
mod ids;
mod index;
mod members;
mod narrow;
mod plan;
mod pretty;
mod project;
mod range;
mod response;
mod shape;
mod sieve;
mod sort;
mod stats;
mod term;
#[cfg(test)]
mod tests;
mod walk;

pub use bookmark::Bookmark;
pub use bound::{Bound, Order, Span};
pub use catalog::{Catalog, design_id};
pub use create::{Change, NewIndex, bulk_delete_response, parse_bulk_delete, take_from};
pub use cursor::{Cursor, Summary};
pub use error::MangoError;
pub use explain::explain;
pub use find::{DEFAULT_LIMIT, Find, UseIndex};
pub use ids::{IdRange, id_ranges};
pub use index::{Index, id_key};
pub use plan::{Plan, Scan, Source};
pub use project::Projection;
pub use response::Response;
pub use sieve::{Doc, Pass, Row, Sieve, Sifted, Stored, Task};
pub use sort::Sort;
pub use stats::{SCAN_WARNING_THRESHOLD, Stats};
pub use walk::{row_key, row_ranges};
