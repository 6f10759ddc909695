//! JSON as a tree of values, for the few places that need one. Takes what was nested as deep as
//! stored text may be, and never more: who walks the tree may recurse, on the stacks that threads
//! have. Reading it does not recurse; what a single string or number says is left to `serde_json`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::JsonError;
use super::members::string_length;

/// Arrays and objects inside each other, at most, in whatever settee takes.
pub const DEPTH_MAX: usize = 1000;

/// Reads a value. Of members with equal names the last counts, and stands where it stood, as in CouchDB:
/// objects are ordered by their members in their order.
///
/// # Errors
/// When the text is no JSON, or is nested deeper than [`DEPTH_MAX`].
pub fn value(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader { rest: text, open: Vec::new() };
    let value = reader.value()?;
    match reader.peek() {
        Err(_) => Ok(value),
        Ok(_) => Err(JsonError),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    open: Vec<Open>,
}

enum Open {
    Array(Vec<Value>),
    /// And the name of the member whose value is due.
    Object(Vec<(String, Value)>, String),
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Value, JsonError> {
        'due: loop {
            let mut value = match self.peek()? {
                b'[' | b'{' if self.open.len() >= DEPTH_MAX => return Err(JsonError),
                b'[' => {
                    self.skip(1);
                    if !self.take(b']') {
                        self.open.push(Open::Array(Vec::new()));
                        continue;
                    }
                    Value::Array(Vec::new())
                }
                b'{' => {
                    self.skip(1);
                    if !self.take(b'}') {
                        let name = self.name()?;
                        self.open.push(Open::Object(Vec::new(), name));
                        continue;
                    }
                    Value::Object(Map::new())
                }
                _ => self.scalar()?,
            };
            // A value has ended: go up until another one is due.
            while let Some(open) = self.open.pop() {
                let more = self.take(b',');
                match open {
                    Open::Array(mut elements) => {
                        elements.push(value);
                        if more {
                            self.open.push(Open::Array(elements));
                            continue 'due;
                        }
                        self.expect(b']')?;
                        value = Value::Array(elements);
                    }
                    Open::Object(mut members, name) => {
                        members.push((name, value));
                        if more {
                            let name = self.name()?;
                            self.open.push(Open::Object(members, name));
                            continue 'due;
                        }
                        self.expect(b'}')?;
                        value = Value::Object(object(members));
                    }
                }
            }
            return Ok(value);
        }
    }

    /// What stands behind white space.
    fn peek(&mut self) -> Result<u8, JsonError> {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.skip(self.rest.iter().take_while(blank).count());
        self.rest.first().copied().ok_or(JsonError)
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Ok(byte);
        self.skip(usize::from(is_there));
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(JsonError) }
    }

    /// A member's name and the colon behind it.
    fn name(&mut self) -> Result<String, JsonError> {
        self.peek()?;
        let length = string_length(self.rest).ok_or(JsonError)?;
        let Value::String(name) = self.read(length)? else { return Err(JsonError) };
        self.expect(b':')?;
        Ok(name)
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        let plain = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = match self.rest.first() {
            Some(b'"') => string_length(self.rest).ok_or(JsonError)?,
            _ => self.rest.iter().take_while(plain).count(),
        };
        self.read(length)
    }

    fn read(&mut self, length: usize) -> Result<Value, JsonError> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(JsonError)?;
        self.rest = rest;
        serde_json::from_slice(text).map_err(|_| JsonError)
    }
}

/// An object of members, of which some may have equal names.
fn object(members: Vec<(String, Value)>) -> Map<String, Value> {
    let mut names = HashSet::with_capacity(members.len());
    let mut last: Vec<bool> =
        members.iter().rev().map(|(name, _)| names.insert(name.as_str())).collect();
    last.reverse();
    members.into_iter().zip(last).filter(|(_, last)| *last).map(|(member, _)| member).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Less than threads of servers have.
    const STACK: usize = 2 << 20;

    fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn nesting_is_taken_up_to_the_limit() {
        for (open, close) in [("[", "]"), ("{\"a\":[", "]}"), ("[{\"a\":", "}]")] {
            let one = open.len() - open.replace(['[', '{'], "").len();
            for (levels, fits) in [(200, true), (DEPTH_MAX, true), (DEPTH_MAX + one, false)] {
                let inner = if open.ends_with(':') { "1" } else { "" };
                let (open, close) = (open.repeat(levels / one), close.repeat(levels / one));
                on_a_small_stack(move || {
                    let read = value(format!("{open}{inner}{close}").as_bytes());
                    assert_eq!(read.is_ok(), fits, "{levels}");
                    assert_eq!(value(open.as_bytes()), Err(JsonError));
                });
            }
        }
    }

    #[test]
    fn what_was_read_can_be_walked() {
        on_a_small_stack(|| {
            let levels = DEPTH_MAX / 2;
            let text = format!("{}1{}", "[{\"a\":".repeat(levels), "}]".repeat(levels));
            let read = value(text.as_bytes()).unwrap();
            assert_eq!(read.clone(), read);
            assert_eq!(read.to_string(), text);
        });
    }

    #[test]
    fn brackets_in_strings_nest_nothing() {
        let text = format!("\"{}\\\"{}\"", "[".repeat(2000), "{".repeat(2000));
        assert!(value(text.as_bytes()).is_ok());
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let text = br#"{"a":1,"b":{"c":[],"\u0063":2},"\u0061":{"d":3}}"#;
        assert_eq!(value(text).unwrap().to_string(), r#"{"b":{"c":2},"a":{"d":3}}"#);
    }

    proptest! {
        #[test]
        fn a_text_is_json_where_it_is_elsewhere(
            text in r#"([\[\]{},:]|[ \n]|"a"|"\\u00e9"|"|\\|-?[0-9]|\.5|e[+-]?7|true|null|nul){0,12}"#
        ) {
            let expected = serde_json::from_str::<Value>(&text).map_err(|_| JsonError);
            prop_assert_eq!(value(text.as_bytes()), expected);
        }

        #[test]
        fn what_was_written_is_read(text in any_json()) {
            let expected: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value(text.as_bytes()), Ok(expected));
        }
    }

    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just(" true\n".to_owned()),
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let member =
                ("[a-c]", inner.clone()).prop_map(|(name, of)| format!("\"{name}\" :{of}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(|all| format!("[{}]", all.join(", "))),
                prop::collection::vec(member, 0..5)
                    .prop_map(|all| format!("{{{}}}", all.join(","))),
            ]
        })
    }
}
