//! Erlang's external term format (minor version 1, as of OTP 25), as far as documents need it:
//! JSON in stored form goes in, the bytes of the term that CouchDB keeps for it come out. Never
//! reads terms.

use crate::json::number::{self, Number};
use crate::json::unescape_string;

const VERSION: u8 = 131;
const SMALL_INTEGER: u8 = 97;
const INTEGER: u8 = 98;
const ATOM: u8 = 100;
const SMALL_TUPLE: u8 = 104;
const NIL: u8 = 106;
const STRING: u8 = 107;
const LIST: u8 = 108;
const BINARY: u8 = 109;
const SMALL_BIG: u8 = 110;
const LARGE_BIG: u8 = 111;
const NEW_FLOAT: u8 = 70;

/// A list's tag and the place of its length.
const LIST_HEAD: [u8; 5] = [LIST, 0, 0, 0, 0];

/// Writes one term, its parts in order.
pub struct Terms {
    out: Vec<u8>,
}

/// An array or object that is being written.
struct Open {
    /// Where the list of its elements or members begins.
    at: usize,
    count: usize,
    kind: Kind,
}

enum Kind {
    Array {
        /// Nothing but integers from 0 to 255 so far.
        bytes: bool,
    },
    Object {
        /// The next string is a member's name.
        name_due: bool,
    },
}

impl Terms {
    /// Begins with the format's version; `capacity` in bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(VERSION);
        Terms { out }
    }

    /// What was written so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The head of a list; its elements and [`Terms::nil`] must follow.
    pub fn list(&mut self, count: usize) {
        self.out.push(LIST);
        self.length(count);
    }

    /// The empty list, and the end of every other.
    pub fn nil(&mut self) {
        self.out.push(NIL);
    }

    /// The head of a tuple; its elements must follow.
    pub fn tuple(&mut self, arity: u8) {
        self.out.extend_from_slice(&[SMALL_TUPLE, arity]);
    }

    /// An atom of at most 255 bytes.
    pub fn atom(&mut self, name: &str) {
        self.out.extend_from_slice(&[ATOM, 0, name.len() as u8]);
        self.out.extend_from_slice(name.as_bytes());
    }

    /// A binary.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.out.push(BINARY);
        self.length(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// An integer that is not negative.
    pub fn natural(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(small) => self.integer(small),
            Err(_) => self.big(false, &value.to_le_bytes()),
        }
    }

    /// Lengths are 32 bits wide; nothing that long gets past the limits of a request.
    fn length(&mut self, length: usize) {
        self.out.extend_from_slice(&(length as u32).to_be_bytes());
    }

    fn integer(&mut self, value: i64) {
        if let Ok(byte) = u8::try_from(value) {
            self.out.extend_from_slice(&[SMALL_INTEGER, byte]);
        } else if let Ok(int) = i32::try_from(value) {
            self.out.push(INTEGER);
            self.out.extend_from_slice(&int.to_be_bytes());
        } else {
            self.big(value < 0, &value.unsigned_abs().to_le_bytes());
        }
    }

    /// An integer of any size by its bytes, lowest first; zeros at the end don't count.
    fn big(&mut self, negative: bool, bytes: &[u8]) {
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if let Ok(short) = u8::try_from(length) {
            self.out.extend_from_slice(&[SMALL_BIG, short]);
        } else {
            self.out.push(LARGE_BIG);
            self.length(length);
        }
        self.out.push(u8::from(negative));
        self.out.extend(bytes.iter().take(length));
    }

    /// A JSON value in stored form: objects are tuples of one list of pairs, strings binaries.
    pub fn json(&mut self, stored: &[u8]) {
        let mut open: Vec<Open> = Vec::new();
        let mut rest = stored;
        while let Some((byte, after)) = rest.split_first() {
            rest = match byte {
                b'"' => self.string(after, &mut open),
                b'{' => {
                    begin_value(&mut open, false);
                    self.tuple(1);
                    self.begin(&mut open, Kind::Object { name_due: true });
                    after
                }
                b'[' => {
                    begin_value(&mut open, false);
                    self.begin(&mut open, Kind::Array { bytes: true });
                    after
                }
                b'}' | b']' => {
                    if let Some(open) = open.pop() {
                        self.end(&open);
                    }
                    after
                }
                b'-' | b'0'..=b'9' => self.number(rest, &mut open),
                b't' | b'f' | b'n' => {
                    begin_value(&mut open, false);
                    let (name, length) = match byte {
                        b't' => ("true", 4),
                        b'f' => ("false", 5),
                        _ => ("null", 4),
                    };
                    self.atom(name);
                    rest.get(length..).unwrap_or_default()
                }
                b',' => {
                    if let Some(Kind::Object { name_due }) = kind(&mut open) {
                        *name_due = true;
                    }
                    after
                }
                // A colon.
                _ => after,
            };
        }
    }

    fn begin(&mut self, open: &mut Vec<Open>, kind: Kind) {
        open.push(Open { at: self.out.len(), count: 0, kind });
        self.out.extend_from_slice(&LIST_HEAD);
    }

    /// Closes a list now that its length is known. Erlang packs short lists of bytes.
    fn end(&mut self, open: &Open) {
        let body = open.at + LIST_HEAD.len();
        if open.count == 0 {
            self.out.truncate(open.at);
            self.nil();
        } else if let (Kind::Array { bytes: true }, Ok(count)) =
            (&open.kind, u16::try_from(open.count))
        {
            let packed: Vec<u8> = self
                .out
                .get(body..)
                .unwrap_or_default()
                .iter()
                .skip(1)
                .step_by(2)
                .copied()
                .collect();
            self.out.truncate(open.at);
            self.out.push(STRING);
            self.out.extend_from_slice(&count.to_be_bytes());
            self.out.extend_from_slice(&packed);
        } else {
            self.set_length(open.at + 1, open.count);
            self.nil();
        }
    }

    fn set_length(&mut self, at: usize, length: usize) {
        if let Some(place) = self.out.get_mut(at..at + 4) {
            place.copy_from_slice(&(length as u32).to_be_bytes());
        }
    }

    /// A string of which the first quotation mark was taken, as a value or a member's name.
    fn string<'a>(&mut self, text: &'a [u8], open: &mut [Open]) -> &'a [u8] {
        match open.last_mut() {
            Some(Open { count, kind: Kind::Object { name_due: name_due @ true }, .. }) => {
                *name_due = false;
                *count += 1;
                self.tuple(2);
            }
            _ => begin_value(open, false),
        }
        let at = self.out.len();
        self.out.extend_from_slice(&[BINARY, 0, 0, 0, 0]);
        let rest = unescape_string(&mut self.out, text);
        self.set_length(at + 1, self.out.len() - at - 5);
        rest
    }

    fn number<'a>(&mut self, text: &'a [u8], open: &mut [Open]) -> &'a [u8] {
        let length = text.iter().take_while(|byte| !b",]}".contains(byte)).count();
        let (text, rest) = text.split_at(length);
        let value = number::value(text);
        begin_value(open, matches!(value, Some(Number::Small(0..=255))));
        match value {
            Some(Number::Small(small)) => self.integer(small),
            Some(Number::Big { negative, digits }) => {
                let words = number::big_to_words(digits);
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                self.big(negative, &bytes);
            }
            Some(Number::Float(float)) => {
                self.out.push(NEW_FLOAT);
                self.out.extend_from_slice(&float.to_be_bytes());
            }
            // Stored form has no such number.
            None => self.atom("null"),
        }
        rest
    }
}

fn kind(open: &mut [Open]) -> Option<&mut Kind> {
    open.last_mut().map(|open| &mut open.kind)
}

/// Counts an element of an array. (Members are counted by their names.)
fn begin_value(open: &mut [Open], byte: bool) {
    if let Some(Open { count, kind: Kind::Array { bytes }, .. }) = open.last_mut() {
        *count += 1;
        *bytes &= byte;
    }
}
