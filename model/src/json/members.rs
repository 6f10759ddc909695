//! Walks text in stored form without parsing it: the members of an object, the elements of an
//! array, and the few readings of a value that the server itself needs. Never checks that the
//! text is JSON; given something else it ends early.

use std::borrow::Cow;
use std::ops::Deref;

use super::number::{self, Number};
use super::text::{plain_run, unescape_string};

/// A JSON value in stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl Deref for Raw<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl<'a> Raw<'a> {
    /// The bytes, for as long as the text lives.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What a string says; `None` for other values.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let inside = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        unescape(inside)
    }

    /// `true` or `false`; `None` for other values.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// An integer that fits; `None` for other values, `1.0` among them.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match number::value(self.0)? {
            Number::Small(small) => Some(small),
            _ => None,
        }
    }

    /// An integer that is not negative and fits; `None` for other values.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        std::str::from_utf8(self.0).ok()?.parse().ok()
    }

    /// Whether it is an integer of any size.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(number::value(self.0), Some(Number::Small(_) | Number::Big { .. }))
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// The members of an object; `None` for other values.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        self.is_object().then(|| Members::new(self.0))
    }

    /// The members of an object with their names as written; `None` for other values.
    pub(super) fn raw_members(self) -> Option<RawMembers<'a>> {
        Some(RawMembers { rest: self.0.strip_prefix(b"{")? })
    }

    /// The elements of an array; `None` for other values.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'a>> {
        self.is_array().then(|| Elements::new(self.0))
    }

    /// An object's members of those names, in one walk; `None` for those that it doesn't have.
    #[must_use]
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Option<Raw<'a>>; N] {
        let mut picked = [None; N];
        for (found, value) in self.members().into_iter().flatten() {
            if let Some((_, slot)) = names.iter().zip(&mut picked).find(|(name, _)| found == **name)
            {
                *slot = Some(value);
            }
        }
        picked
    }

    /// An object's member of that name, if it is an object and has one.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Raw<'a>> {
        self.members()?.find_map(|(found, value)| (found == name).then_some(value))
    }
}

fn unescape(inside: &[u8]) -> Option<Cow<'_, str>> {
    if inside.contains(&b'\\') {
        let mut text = Vec::with_capacity(inside.len());
        unescape_string(&mut text, inside);
        String::from_utf8(text).ok().map(Cow::Owned)
    } else {
        std::str::from_utf8(inside).ok().map(Cow::Borrowed)
    }
}

/// A member as it stands in an object: `"name":value`.
pub(super) struct Member<'a> {
    /// A string.
    pub name: Raw<'a>,
    pub value: Raw<'a>,
    /// Both, with the colon.
    pub whole: &'a [u8],
}

/// The members of an object in stored form, in order, names not unescaped.
#[derive(Clone, Debug)]
pub(super) struct RawMembers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RawMembers<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let (name, after) = self.rest.split_at_checked(string_length(self.rest)?)?;
        let value = after.strip_prefix(b":")?;
        let (value, after) = value.split_at_checked(value_length(value))?;
        let whole = self.rest.get(..name.len() + 1 + value.len())?;
        self.rest = after.get(1..).unwrap_or_default();
        Some(Member { name: Raw(name), value: Raw(value), whole })
    }
}

/// The members of an object in stored form, in order.
#[derive(Clone, Debug)]
pub struct Members<'a>(RawMembers<'a>);

impl<'a> Members<'a> {
    /// Walks an object; anything else has no members.
    #[must_use]
    pub fn new(object: &'a [u8]) -> Self {
        Members(RawMembers { rest: object.strip_prefix(b"{").unwrap_or_default() })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.0.next()?;
        Some((member.name.as_str()?, member.value))
    }
}

/// The elements of an array in stored form, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Walks an array; anything else has no elements.
    #[must_use]
    pub fn new(array: &'a [u8]) -> Self {
        Elements { rest: array.strip_prefix(b"[").unwrap_or_default() }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let (value, after) = self.rest.split_at_checked(value_length(self.rest))?;
        self.rest = after.get(1..).unwrap_or_default();
        if value.is_empty() { None } else { Some(Raw(value)) }
    }
}

/// Length of the value that a text begins with: up to the comma or bracket that follows it.
fn value_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let rest = text.get(at..).unwrap_or_default();
                at += string_length(rest).unwrap_or(rest.len());
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Length of the string, quotation marks included, that a text begins with.
pub(crate) fn string_length(text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        let (_, tail) = rest.split_at(plain_run(rest));
        match tail.split_first()? {
            (b'"', after) => return Some(text.len() - after.len()),
            (b'\\', after) => rest = after.get(1..)?,
            (_, after) => rest = after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_in_order() {
        let text = br#"{"a":1,"b\"":"x,}\"]","c":{"d":[1,{}],"e":{}},"":[],"f":null}"#;
        let members: Vec<(String, String)> = Members::new(text)
            .map(|(name, value)| {
                (name.into_owned(), String::from_utf8_lossy(value.bytes()).into_owned())
            })
            .collect();
        let expected = [
            ("a", "1"),
            ("b\"", r#""x,}\"]""#),
            ("c", r#"{"d":[1,{}],"e":{}}"#),
            ("", "[]"),
            ("f", "null"),
        ];
        assert_eq!(members.len(), expected.len());
        let [f, none, a] = Raw(text).pick(["f", "d", "a"]);
        assert_eq!((f, none, a), (Some(Raw(b"null")), None, Some(Raw(b"1"))));
        assert_eq!(Raw(b"[1]").pick(["a"]), [None]);
        for ((name, value), wanted) in members.iter().zip(expected) {
            assert_eq!((name.as_str(), value.as_str()), wanted);
        }
        assert_eq!(Members::new(b"{}").count(), 0);
        assert_eq!(Members::new(b"[1]").count(), 0);
    }

    #[test]
    fn elements_are_found_in_order() {
        let elements: Vec<&[u8]> =
            Elements::new(br#"[1,"a,b",[2,[3]],{"x":[]},true]"#).map(Raw::bytes).collect();
        let expected: [&[u8]; 5] = [b"1", br#""a,b""#, b"[2,[3]]", br#"{"x":[]}"#, b"true"];
        assert_eq!(elements, expected);
        assert_eq!(Elements::new(b"[]").count(), 0);
        assert_eq!(Elements::new(b"{}").count(), 0);
    }

    #[test]
    fn values_are_read() {
        assert_eq!(Raw(br#""a\n\u0001""#).as_str().as_deref(), Some("a\n\u{1}"));
        assert!(matches!(Raw("\"é\"".as_bytes()).as_str(), Some(Cow::Borrowed("é"))));
        assert_eq!(Raw(b"1").as_str(), None);
        assert_eq!(Raw(b"\"").as_str(), None);
        assert_eq!(Raw(b"-5").as_i64(), Some(-5));
        assert_eq!(Raw(b"-5").as_u64(), None);
        assert_eq!(Raw(b"5.0").as_u64(), None);
        assert!(Raw(b"123456789012345678901234567890").is_integer());
        assert!(!Raw(b"1e2").is_integer());
        assert_eq!(Raw(br#"{"a":1,"b":2}"#).get("b"), Some(Raw(b"2")));
        assert_eq!(Raw(b"[]").get("b"), None);
    }

    #[test]
    fn broken_text_ends_early() {
        for text in ["{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\":[1", "{a:1}", "{\"a\\"] {
            for (_, value) in Members::new(text.as_bytes()) {
                let _ = value.as_str();
            }
        }
        assert_eq!(Elements::new(b"[1,[2").count(), 2);
    }
}
