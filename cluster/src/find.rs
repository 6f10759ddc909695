//! Questions to Mango: the errors that answer them, and the documents that do. Plans nothing: see
//! `coord::find`.

use settee_query::mango::MangoError;

use crate::Error;

pub use crate::coord::find::Finding;

/// Why a question to Mango has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// The question is wrong, in CouchDB's words.
    #[error(transparent)]
    Question(#[from] MangoError),
    /// The database could not be asked.
    #[error(transparent)]
    Database(#[from] Error),
}
