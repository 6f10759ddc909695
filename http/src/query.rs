//! The query string: names and values, decoded, and the few value types that all of CouchDB's
//! parameters share, with the errors it gives for wrong ones. Knows no parameter by name.

use std::borrow::Cow;

use crate::error::Error;
use crate::percent::{Plus, decode, decode_bytes};

/// Parameters in the order in which they came; a name may come twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Takes the part of a request target after `?`. `&` and `;` separate, `+` is a space, a name
    /// without `=` has the empty value.
    ///
    /// # Errors
    /// A name or value that is not UTF-8.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let utf8 = |text| {
            decode(text, Plus::Space).map(Cow::into_owned).map_err(|_| Error::invalid_json())
        };
        let pairs = pairs(text).map(|(name, value)| Ok((utf8(name)?, utf8(value)?)));
        pairs.collect::<Result<_, Error>>().map(Query)
    }

    /// The same of a form that somebody filled in: what is not UTF-8 is read with U+FFFD in its place.
    #[must_use]
    pub fn of_form(text: &str) -> Self {
        let lossy = |text| String::from_utf8_lossy(&decode_bytes(text, Plus::Space)).into_owned();
        Query(pairs(text).map(|(name, value)| (lossy(name), lossy(value))).collect())
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Puts names in order, each with its first value.
    pub fn sort(&mut self) {
        self.0.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.0.dedup_by(|(a, _), (b, _)| a == b);
    }

    /// Whether a parameter is literally `true`, as most of CouchDB's document parameters are read.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// `true` or `false` in any case, as views and listings read it.
///
/// # Errors
/// `query_parse_error`.
pub fn boolean(value: &str) -> Result<bool, Error> {
    if value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(parse_error(&format!("Invalid boolean parameter: {}", quoted(value))))
    }
}

/// An integer of any sign. Larger ones than fit are the largest: no limit or offset is beyond.
///
/// # Errors
/// `query_parse_error`.
pub fn integer(value: &str) -> Result<i64, Error> {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(parse_error(&format!("Invalid value for integer: {}", quoted(value))));
    }
    let bound = if value.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(value.parse().unwrap_or(bound))
}

/// An integer that is not negative.
///
/// # Errors
/// `query_parse_error`.
pub fn natural(value: &str) -> Result<u64, Error> {
    u64::try_from(integer(value)?)
        .map_err(|_| parse_error(&format!("Invalid value for positive integer: {}", quoted(value))))
}

fn parse_error(reason: &str) -> Error {
    Error::QueryParse(Cow::Owned(reason.to_owned()))
}

/// A text as Erlang prints a string of characters.
pub(crate) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "[]".to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_are_decoded() {
        let query = Query::parse("a=1&b=%22x+y%22;c&a=2&=z").unwrap();
        let pairs: Vec<_> = query.iter().collect();
        let expected = [("a", "1"), ("b", "\"x y\""), ("c", ""), ("a", "2"), ("", "z")];
        assert_eq!(pairs, expected);
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("d"), None);
        assert!(Query::parse("a=%ff").is_err());
    }

    #[test]
    fn booleans_are_strict_but_for_case() {
        assert_eq!(boolean("TRUE"), Ok(true));
        assert_eq!(boolean("false"), Ok(false));
        let error = boolean("foo").unwrap_err();
        assert_eq!(error.info().2, "Invalid boolean parameter: \"foo\"");
        assert_eq!(boolean("").unwrap_err().info().2, "Invalid boolean parameter: []");
    }

    #[test]
    fn integers_of_any_size() {
        assert_eq!(integer("-5"), Ok(-5));
        assert_eq!(integer("+5"), Ok(5));
        assert_eq!(natural("99999999999999999999999"), Ok(i64::MAX as u64));
        assert_eq!(integer("1.5").unwrap_err().info().2, "Invalid value for integer: \"1.5\"");
        let error = natural("-1").unwrap_err();
        assert_eq!(error.info().1, "query_parse_error");
        assert_eq!(error.info().2, "Invalid value for positive integer: \"-1\"");
    }
}
