//! Values of the coordinator as messages of the mesh, and back. Bodies are handed on as slices of
//! the message they came in. What a peer sent is checked for shape here; nothing is decided.

mod ask;
mod chunked;
mod doc;
mod error;
mod feed;
mod find;
mod rev;
mod sync;
mod view;

use crate::Error;

pub(crate) use chunked::digest;
pub(crate) use error::{failure_of, status_of};
use feed::point;
pub(crate) use feed::{IndexStep, NotYet, RowsStep};
pub(crate) use view::{signature_from, signature_to};

#[allow(missing_docs, clippy::all)]
mod made {
    tonic::include_proto!("settee.mesh.v1");
}

pub(crate) use made::*;

/// A message that lacks what it must have: the peer speaks another language than it said.
pub(crate) fn malformed(what: &'static str) -> Error {
    Error::Storage(format!("a node sent a malformed message: {what}"))
}

/// A part that must be there.
pub(crate) fn need<T>(part: Option<T>, what: &'static str) -> Result<T, Error> {
    part.ok_or_else(|| malformed(what))
}

/// All parts as other values, or the first failure.
pub(crate) fn all<A, B: TryFrom<A, Error = Error>>(parts: Vec<A>) -> Result<Vec<B>, Error> {
    parts.into_iter().map(B::try_from).collect()
}

/// All parts as other values.
pub(crate) fn each<A, B: From<A>>(parts: impl IntoIterator<Item = A>) -> Vec<B> {
    parts.into_iter().map(B::from).collect()
}
