//! Which part of the hash ring a document falls in, and how a database's ring is cut into `q`
//! ranges: CouchDB's own rules, so that a document lands in the range of the same name there and
//! here. Never knows which node keeps a range.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::docid::DocId;
use crate::partition;

/// A part of the ring of 32-bit hashes, both ends included. Its text is `80000000-ffffffff`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashRange {
    /// First hash of the range.
    pub start: u32,
    /// Last hash of the range.
    pub end: u32,
}

impl HashRange {
    /// The whole ring.
    pub const ALL: HashRange = HashRange { start: 0, end: u32::MAX };

    /// Whether a hash falls in the range.
    #[must_use]
    pub fn contains(&self, hash: u32) -> bool {
        (self.start..=self.end).contains(&hash)
    }
}

impl fmt::Display for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:08x}", self.start, self.end)
    }
}

impl fmt::Debug for HashRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a range is two times eight hexadecimal digits with a dash between, in order")]
pub struct BadRange;

impl FromStr for HashRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let (start, end) = text.split_once('-').ok_or(BadRange)?;
        let range = HashRange { start: parse_bound(start)?, end: parse_bound(end)? };
        if range.start > range.end { Err(BadRange) } else { Ok(range) }
    }
}

fn parse_bound(text: &str) -> Result<u32, BadRange> {
    if text.len() != 8 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(BadRange);
    }
    u32::from_str_radix(text, 16).map_err(|_| BadRange)
}

/// The ranges of a database with `q` of them, in ring order. All have the same length except for
/// the last, which takes what the division leaves over.
#[must_use]
pub fn ranges(q: NonZeroU32) -> Vec<HashRange> {
    let step = (1_u64 << 32) / u64::from(q.get());
    (0..q.get())
        .map(|index| {
            let start = u64::from(index) * step;
            let last = index + 1 == q.get();
            let end = if last { u64::from(u32::MAX) } else { start + step - 1 };
            // Both are below 2^32 by the division above.
            HashRange { start: start as u32, end: end as u32 }
        })
        .collect()
}

/// The place of a document on the ring: the CRC-32 of its id, or, in a partitioned database, of
/// its partition (ids that begin with `_` have none and are hashed whole).
#[must_use]
pub fn hash_of(id: &DocId, partitioned: bool) -> u32 {
    let text = id.as_str();
    let hashed = if partitioned && !text.starts_with('_') {
        partition::split(text).map_or(text, |(partition, _)| partition)
    } else {
        text
    };
    crc32fast::hash(hashed.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(q: u32) -> Vec<String> {
        let q = NonZeroU32::new(q).expect("not zero");
        ranges(q).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rings_are_cut_as_couchdb_cuts_them() {
        assert_eq!(cut(1), ["00000000-ffffffff"]);
        assert_eq!(cut(2), ["00000000-7fffffff", "80000000-ffffffff"]);
        assert_eq!(
            cut(3),
            ["00000000-55555554", "55555555-aaaaaaa9", "aaaaaaaa-ffffffff"],
            "the last range takes the remainder"
        );
        assert_eq!(cut(7).last().map(String::as_str), Some("db6db6d8-ffffffff"));
    }

    #[test]
    fn every_hash_has_one_range() {
        for q in [1, 2, 3, 5, 8, 100, 1000] {
            let ranges = ranges(NonZeroU32::new(q).expect("not zero"));
            assert_eq!(ranges.len(), q as usize);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end + 1, pair[1].start);
            }
            assert_eq!(ranges[0].start, 0);
            assert_eq!(ranges[ranges.len() - 1].end, u32::MAX);
        }
    }

    #[test]
    fn documents_are_hashed_as_couchdb_hashes_them() {
        let hash = |id: &str, partitioned| hash_of(&DocId::trusted(id), partitioned);
        assert_eq!(hash("abc", false), 0x3524_41c2);
        assert_eq!(hash("abc:1", true), 0x3524_41c2);
        assert_ne!(hash("abc:1", false), 0x3524_41c2);
        assert_eq!(hash("abc:1:2", true), hash("abc:x", true));
        assert_eq!(hash("_design/a:b", true), hash("_design/a:b", false));
    }

    #[test]
    fn texts_of_ranges_are_read_back() {
        assert_eq!("80000000-ffffffff".parse(), Ok(HashRange { start: 1 << 31, end: u32::MAX }));
        for bad in ["", "1-2", "80000000", "ffffffff-00000000", "+0000000-ffffffff"] {
            assert_eq!(bad.parse::<HashRange>(), Err(BadRange), "{bad}");
        }
    }
}
