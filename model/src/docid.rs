//! Names that clients choose: document ids and database names, and the rules that CouchDB has
//! for them. Limits that are settings are given by the caller.

use std::fmt;
use std::sync::Arc;

/// A document's id: any non-empty UTF-8 that does not begin with `_`, or one of the two reserved
/// families `_design/…` and `_local/…`. Ordered by bytes, as `_all_docs` is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(Arc<str>);

/// A database's name that passed CouchDB's rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbName(Arc<str>);

impl DocId {
    /// Takes a text that was checked before (read from disk, or made by the server).
    #[must_use]
    pub fn trusted(text: &str) -> Self {
        DocId(text.into())
    }

    /// The id as clients see it, prefix included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a `_local/` document, which is not replicated and has no revision tree.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.starts_with("_local/")
    }

    /// Whether it is a design document.
    #[must_use]
    pub fn is_design(&self) -> bool {
        self.0.starts_with("_design/")
    }
}

impl DbName {
    /// Takes a name that was checked before (read from disk, or one of the server's own).
    #[must_use]
    pub fn trusted(text: &str) -> Self {
        DbName(text.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
