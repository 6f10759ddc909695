//! Rules for document ids in partitioned databases (`partition:id`) and for the names of
//! partitions. Never decides whether a database is partitioned.

use crate::docid::{self, DocId, DocIdError};

/// Why a partition, or an id in a partitioned database, was refused. All answer 400; the text is
/// the `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// `illegal_docid`: an id without a colon.
    #[error("Doc id must be of form partition:id")]
    NoPartition,
    /// `illegal_docid`: what follows the colon is no id of its own.
    #[error(transparent)]
    DocId(#[from] DocIdError),
    /// `illegal_partition`.
    #[error("Partition must not be empty")]
    Empty,
    /// `illegal_partition`.
    #[error("Partition must not start with an underscore")]
    Underscore,
    /// `illegal_partition`.
    #[error("Partition must not contain a colon")]
    Colon,
    /// `illegal_partition`: the bytes of a path that are no text.
    #[error("Partition must be valid UTF-8")]
    NotUtf8,
}

impl PartitionError {
    /// What CouchDB says in the member `error`.
    #[must_use]
    pub fn error(&self) -> &'static str {
        match self {
            PartitionError::NoPartition | PartitionError::DocId(_) => "illegal_docid",
            _ => "illegal_partition",
        }
    }
}

/// Splits an id at its first colon: partition, and the id inside it.
#[must_use]
pub fn split(id: &str) -> Option<(&str, &str)> {
    id.split_once(':')
}

/// Checks that an id names a partition, or is a design document's, which are in all of them.
///
/// # Errors
/// When it has none.
pub fn require(id: &DocId) -> Result<(), PartitionError> {
    match id.is_design() || split(id.as_str()).is_some() {
        true => Ok(()),
        false => Err(PartitionError::NoPartition),
    }
}

/// Checks an id that is to be used in a partitioned database.
///
/// # Errors
/// When the id has no partition, or one of the two parts breaks a rule.
pub fn check_doc_id(id: &DocId, max_id_length: Option<usize>) -> Result<(), PartitionError> {
    if id.is_design() || id.is_local() {
        return Ok(());
    }
    let (partition, inner) = split(id.as_str()).ok_or(PartitionError::NoPartition)?;
    check(partition)?;
    docid::check(inner, max_id_length)?;
    Ok(())
}

/// Checks a partition's name.
///
/// # Errors
/// When it is empty, begins with an underscore or holds a colon.
pub fn check(partition: &str) -> Result<(), PartitionError> {
    match partition {
        "" => Err(PartitionError::Empty),
        name if name.starts_with('_') => Err(PartitionError::Underscore),
        name if name.contains(':') => Err(PartitionError::Colon),
        _ => Ok(()),
    }
}

/// The first key of a partition in the order of ids.
#[must_use]
pub fn start_key(partition: &str) -> String {
    format!("{partition}:")
}

/// The first key after a partition in the order of ids.
#[must_use]
pub fn end_key(partition: &str) -> String {
    format!("{partition};")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_id(id: &str) -> Result<(), (&'static str, String)> {
        check_doc_id(&DocId::trusted(id), None).map_err(|error| (error.error(), error.to_string()))
    }

    #[test]
    fn ids_need_a_partition() {
        assert_eq!(check_id("a:b"), Ok(()));
        assert_eq!(check_id("a:b:c"), Ok(()), "only the first colon counts");
        assert_eq!(check_id("_design/x"), Ok(()));
        assert_eq!(check_id("_local/x"), Ok(()));
        let refused = |id, error, reason: &str| {
            assert_eq!(check_id(id), Err((error, reason.to_owned())), "{id}");
        };
        refused("ab", "illegal_docid", "Doc id must be of form partition:id");
        refused(":b", "illegal_partition", "Partition must not be empty");
        refused("a:", "illegal_docid", "Document id must not be empty");
        refused("a:_b", "illegal_docid", "Only reserved document ids may start with underscore.");
    }

    #[test]
    fn ids_that_can_be_asked_for_name_a_partition() {
        for (id, is) in [("a:b", true), (":b", true), ("_design/x", true), ("ab", false)] {
            assert_eq!(require(&DocId::trusted(id)).is_ok(), is, "{id}");
        }
    }

    #[test]
    fn names_of_partitions_have_rules() {
        assert_eq!(check("ä b"), Ok(()));
        assert_eq!(check(""), Err(PartitionError::Empty));
        assert_eq!(check("_a"), Err(PartitionError::Underscore));
        assert_eq!(check("a:b"), Err(PartitionError::Colon));
    }

    #[test]
    fn keys_enclose_the_partition() {
        assert!(start_key("a") < "a:".to_owned() + "x");
        assert!(*"a:\u{10ffff}" < *end_key("a"));
    }
}
