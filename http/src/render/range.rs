//! `Range` headers of attachments, read as CouchDB reads them, its odd corners included. Never
//! looks at an attachment.

use crate::error::Error;

/// Which bytes of an attachment a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All of them, with 200.
    Whole,
    /// From the first to the second, both included.
    One(u64, u64),
    /// Several, as `multipart/byteranges`.
    Many(Vec<(u64, u64)>),
}

/// More ranges than this in one request get the whole.
const MOST: usize = 9;

/// Reads a `Range` header for an attachment of `length` bytes. A header that makes no sense is as
/// good as none.
///
/// # Errors
/// 416 for a range that holds nothing.
pub fn parse(header: Option<&str>, length: u64) -> Result<Ranges, Error> {
    let Some(specs) = header.and_then(specs) else { return Ok(Ranges::Whole) };
    let length = i128::from(length);
    let mut ranges = Vec::with_capacity(specs.len());
    for (from, to) in specs {
        // As in CouchDB, a count from the end is cut like a last byte: `-100` of 100 bytes is 99.
        if (from, to) == (Some(0), None) {
            return Ok(Ranges::Whole);
        }
        let to = to.map_or(length - 1, |to| to.min(length - 1));
        let (from, to) = match from {
            Some(from) => (from, to),
            None => (length - to, length - 1),
        };
        match (u64::try_from(from), u64::try_from(to)) {
            (Ok(from), Ok(to)) if from <= to => ranges.push((from, to)),
            _ => return Err(Error::RangeNotSatisfiable),
        }
    }
    Ok(match ranges.as_slice() {
        [(from, to)] => Ranges::One(*from, *to),
        many if many.len() > MOST => Ranges::Whole,
        _ => Ranges::Many(ranges),
    })
}

/// First and last byte; without a first one, the last counts bytes from the end.
type Spec = (Option<i128>, Option<i128>);

fn specs(header: &str) -> Option<Vec<Spec>> {
    let parts = header.strip_prefix("bytes=")?.split(',');
    parts.map(|part| part.trim_matches(' ')).filter(|part| !part.is_empty()).map(spec).collect()
}

fn spec(part: &str) -> Option<Spec> {
    if let Some(count) = part.strip_prefix('-') {
        return Some((None, Some(count.parse().ok()?)));
    }
    let mut ends = part.split('-').filter(|end| !end.is_empty());
    let from = Some(ends.next()?.parse().ok()?);
    match (ends.next(), ends.next()) {
        (None, _) => Some((from, None)),
        (Some(to), None) => Some((from, Some(to.parse().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str, length: u64) -> Option<Ranges> {
        parse(Some(&format!("bytes={header}")), length).ok()
    }

    #[test]
    fn single_ranges_as_couchdb_reads_them() {
        assert_eq!(of("0-4", 100), Some(Ranges::One(0, 4)));
        assert_eq!(of("0-", 100), Some(Ranges::Whole));
        assert_eq!(of("5-", 100), Some(Ranges::One(5, 99)));
        assert_eq!(of("-5", 100), Some(Ranges::One(95, 99)));
        assert_eq!(of("-200", 100), Some(Ranges::One(1, 99)));
        assert_eq!(of("90-200", 100), Some(Ranges::One(90, 99)));
        assert_eq!(of("1--2", 100), Some(Ranges::One(1, 2)));
        for nothing in ["-0", "100-200", "200-", "5-2", "0-1,200-300", "--5"] {
            assert_eq!(of(nothing, 100), None, "{nothing}");
        }
    }

    #[test]
    fn nothing_can_be_taken_of_an_empty_attachment() {
        for nothing in ["0-4", "-5", "1-", "0-0"] {
            assert_eq!(of(nothing, 0), None, "{nothing}");
        }
        assert_eq!(of("0-", 0), Some(Ranges::Whole));
    }

    #[test]
    fn several_ranges_up_to_nine() {
        assert_eq!(of("0-1, 5-", 10), Some(Ranges::Many(vec![(0, 1), (5, 9)])));
        assert_eq!(of("", 10), Some(Ranges::Many(vec![])));
        assert_eq!(of("0-,1-2", 10), Some(Ranges::Whole));
        let many = |count| vec!["1-2"; count].join(",");
        assert_eq!(of(&many(9), 10), Some(Ranges::Many(vec![(1, 2); 9])));
        assert_eq!(of(&many(10), 10), Some(Ranges::Whole));
    }

    #[test]
    fn nonsense_is_no_range() {
        for nonsense in ["bytes=abc", "items=1-2", "bytes=1-2-3", "bytes=-x", "bytes=- 5"] {
            assert_eq!(parse(Some(nonsense), 100), Ok(Ranges::Whole), "{nonsense}");
        }
        assert_eq!(parse(None, 100), Ok(Ranges::Whole));
    }
}
