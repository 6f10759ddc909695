//! Names of shards: where below `shards/` a shard's file lies. Checked once, so that no name leads
//! out of that folder. Never touches the disk.

use std::fmt;
use std::sync::Arc;

/// The folder of all files of shards, below the data directory.
pub(crate) const FOLDER: &str = "shards";

/// A shard's name, e.g. `80000000-ffffffff/name.1700000000`: one or more parts between slashes, each
/// of ASCII letters, digits and `_$()+-.`, none of them `.` or `..`. The log names shards so, too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

/// The text cannot be a shard's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a shard's name: {0:?}")]
pub struct BadShardId(String);

/// Longest name in bytes; longer than any that database names can make.
const MAX_LEN: usize = 1024;

impl ShardId {
    /// Checks a name.
    pub fn parse(text: &str) -> Result<ShardId, BadShardId> {
        if text.len() <= MAX_LEN && text.split('/').all(is_part) {
            Ok(ShardId(text.into()))
        } else {
            Err(BadShardId(text.chars().take(MAX_LEN).collect()))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, for a frame of the log.
    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// The shard that a file below the data directory holds.
    pub(crate) fn of_file(path: &str) -> Option<ShardId> {
        let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".shard")?;
        ShardId::parse(name).ok()
    }

    /// The shard's file, below the data directory.
    pub(crate) fn file(&self) -> String {
        format!("{FOLDER}/{}.shard", self.0)
    }

    /// The file of frames that are kept while the shard's own cannot be read.
    pub(crate) fn kept_file(&self) -> String {
        format!("{FOLDER}/{}.kept", self.0)
    }
}

fn is_part(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_$()+-.".contains(&byte);
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(allowed)
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for good in ["_meta", "00000000-ffffffff/db.1", "00000000-7fffffff/a/b(c)+d$e.1700000000"] {
            assert_eq!(ShardId::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(2000);
        for bad in ["", "/", "a//b", "../a", "a/..", "a/./b", "a\\b", "a\0b", "ä", "a b", &long] {
            assert!(ShardId::parse(bad).is_err(), "{bad}");
        }
    }
}
