//! Names that clients choose: document ids and database names, and the rules that CouchDB has
//! for them. Limits that are settings are given by the caller; whether a name is taken is not
//! known here.

use std::fmt;
use std::sync::Arc;

/// A document's id: any non-empty UTF-8 that does not begin with `_`, or one of the two reserved
/// families `_design/…` and `_local/…`. Ordered by bytes, as `_all_docs` is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(Arc<str>);

/// A database's name that passed CouchDB's rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbName(Arc<str>);

/// Why a document id was refused. Always 400 `illegal_docid`; the text is the `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocIdError {
    /// No character at all.
    #[error("Document id must not be empty")]
    Empty,
    /// Only the prefix of the design documents.
    #[error("Illegal document id `_design/`")]
    DesignOnly,
    /// Only the prefix of the local documents.
    #[error("Illegal document id `_local/`")]
    LocalOnly,
    /// More bytes than the setting `couchdb/max_document_id_length` allows.
    #[error("Document id is too long")]
    TooLong,
    /// The bytes of a path that are no text.
    #[error("Document id must be valid UTF-8")]
    NotUtf8,
    /// An underscore in front of anything that is not reserved.
    #[error("Only reserved document ids may start with underscore.")]
    Underscore,
    /// A JSON value of another type.
    #[error("Document id must be a string")]
    NotString,
}

/// Why a database's name was refused. Always 400 `illegal_database_name`; the text is the
/// `reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Name: '{0}'. Only lowercase characters (a-z), digits (0-9), and any of the characters \
     _, $, (, ), +, -, and / are allowed. Must begin with a letter."
)]
pub struct IllegalDbName(pub String);

/// A new database's name has a part too long for a file's name. 400 `database_name_too_long`; the
/// text is the `reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("At least one path segment of `{0}` is too long.")]
pub struct DbNameTooLong(pub String);

/// Names that may begin with an underscore, alone or after a prefix that is itself a name.
const SYSTEM_DATABASES: [&str; 6] =
    ["_dbs", "_global_changes", "_metadata", "_nodes", "_replicator", "_users"];

/// What a file's name may have, and what CouchDB adds to the last part of a database's name.
const MAX_SEGMENT: usize = 255;
const FILE_SUFFIX: usize = ".1234567890.couch".len();

/// Checks an id without taking it.
///
/// # Errors
/// When the text breaks a rule, or has more than `max_length` bytes (`Some(0)` counts as no limit).
pub fn check(text: &str, max_length: Option<usize>) -> Result<(), DocIdError> {
    match text {
        "" => return Err(DocIdError::Empty),
        "_design/" => return Err(DocIdError::DesignOnly),
        "_local/" => return Err(DocIdError::LocalOnly),
        _ => {}
    }
    if max_length.is_some_and(|max| max > 0 && text.len() > max) {
        return Err(DocIdError::TooLong);
    }
    let reserved = text.starts_with("_design/") || text.starts_with("_local/");
    if text.starts_with('_') && !reserved { Err(DocIdError::Underscore) } else { Ok(()) }
}

impl DocId {
    /// Takes a client's text by CouchDB's rules.
    ///
    /// # Errors
    /// See [`check`].
    pub fn parse(text: &str, max_length: Option<usize>) -> Result<Self, DocIdError> {
        check(text, max_length)?;
        Ok(DocId(text.into()))
    }

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
    /// Takes a client's text by CouchDB's rules: lowercase letters, digits and `_$()+-/` after a
    /// first letter, or a system database's name, alone or after such a prefix and a slash.
    /// (`.couch` and a shard's time stamp may stand at the end, as they may there.)
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(text: &str) -> Result<Self, IllegalDbName> {
        let bare = text.strip_suffix(".couch").unwrap_or(text);
        if is_plain_name(bare) || is_system_name(bare) {
            Ok(DbName(text.into()))
        } else {
            Err(IllegalDbName(text.to_owned()))
        }
    }

    /// Whether a database of this name can be made: the parts between slashes must have room in
    /// a file's name, as CouchDB forms it.
    ///
    /// # Errors
    /// When one is too long.
    pub fn check_length(&self) -> Result<(), DbNameTooLong> {
        let parents = self.0.rsplit('/').skip(1).all(|part| part.len() <= MAX_SEGMENT);
        let last = self.0.rsplit('/').next().unwrap_or_default().len();
        if parents && last + FILE_SUFFIX <= MAX_SEGMENT {
            Ok(())
        } else {
            Err(DbNameTooLong(self.0.to_string()))
        }
    }

    /// Whether nothing stands between two slashes. The file of such a database would be that of another
    /// one, so none is made.
    #[must_use]
    pub fn has_empty_part(&self) -> bool {
        self.0.contains("//")
    }

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

/// Letters, digits and the like, and perhaps a shard's time stamp (a dot and ten digits or more).
fn is_plain_name(text: &str) -> bool {
    let name = match text.split_once('.') {
        Some((name, stamp)) => {
            if stamp.len() < 10 || !stamp.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            name
        }
        None => text,
    };
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_$()+-/".contains(&byte)
        })
}

fn is_system_name(text: &str) -> bool {
    match text.rsplit_once('/') {
        None => SYSTEM_DATABASES.contains(&text),
        Some((prefix, name)) => SYSTEM_DATABASES.contains(&name) && is_plain_name(prefix),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_ids_follow_couchdb() {
        for good in ["a", " ", "ä/b?c", "_design/x", "_local/x", "0_a", "_design/_x"] {
            assert_eq!(DocId::parse(good, None).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        let refused =
            |text: &str, error| assert_eq!(DocId::parse(text, None), Err(error), "{text}");
        refused("", DocIdError::Empty);
        refused("_design/", DocIdError::DesignOnly);
        refused("_local/", DocIdError::LocalOnly);
        for reserved in ["_", "_a", "_designx", "_design", "_all_docs"] {
            refused(reserved, DocIdError::Underscore);
        }
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert!(DocId::parse("äö", Some(4)).is_ok());
        assert_eq!(DocId::parse("äöx", Some(4)), Err(DocIdError::TooLong));
        assert_eq!(DocId::parse("_aöx", Some(4)), Err(DocIdError::TooLong));
        assert!(DocId::parse("äö", Some(0)).is_ok());
    }

    #[test]
    fn database_names_follow_couchdb() {
        for good in [
            "a",
            "a_$()+-/0",
            "a/",
            "a//b",
            "a/_x",
            "_users",
            "_dbs",
            "_metadata",
            "a/_users",
            "a.couch",
            "a.1234567890",
            "a.1234567890.couch",
        ] {
            assert_eq!(DbName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "A",
            "1a",
            "_x",
            "a.b",
            "a.123",
            "aé",
            "a b",
            "a\n",
            "A/_users",
            "/_users",
            "../a",
            "a.couch.couch",
            "a.1234567890.1234567890",
        ] {
            assert_eq!(DbName::parse(bad), Err(IllegalDbName(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn texts_of_errors_are_couchdbs() {
        let error = DbName::parse("Foo").expect_err("capital");
        assert_eq!(
            error.to_string(),
            "Name: 'Foo'. Only lowercase characters (a-z), digits (0-9), and any of the \
             characters _, $, (, ), +, -, and / are allowed. Must begin with a letter."
        );
        let long = DbName::trusted(&"a".repeat(239));
        assert!(DbName::trusted(&"a".repeat(238)).check_length().is_ok());
        assert!(DbName::trusted("a//b").has_empty_part());
        assert!(!DbName::trusted("a/b/").has_empty_part());
        let error = long.check_length().expect_err("long");
        assert!(error.to_string().starts_with("At least one path segment of `aaa"));
    }
}
