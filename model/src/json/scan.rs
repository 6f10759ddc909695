//! The one pass over a client's JSON: checks it and writes its stored form. Keeps no values, only
//! what is open and where the names of open objects lie, to find those that come twice.

use std::cmp::Ordering;

use super::text::{escape_char, plain_run, read_escape};
use super::{JsonError, Limits, number};

/// Brings a client's JSON value into stored form.
///
/// # Errors
/// When the input is no JSON, holds a number that Erlang can't, or exceeds the limits on depth
/// and digits.
pub fn normalise(input: &[u8], limits: &Limits) -> Result<Vec<u8>, JsonError> {
    // Bytes beyond ASCII can only stand in strings, so their check can be made for all at once.
    std::str::from_utf8(input).map_err(|_| JsonError)?;
    let mut scan = Scan {
        input,
        at: 0,
        // Stored form is never longer than what it was made from.
        out: Vec::with_capacity(input.len()),
        open: Vec::new(),
        names: Vec::new(),
        cuts: Vec::new(),
        limits,
    };
    scan.run()?;
    Ok(without(scan.out, scan.cuts))
}

struct Scan<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    open: Vec<Open>,
    names: Vec<Name>,
    /// Parts of `out` that members of the same name made void; each ends where a member begins.
    cuts: Vec<(usize, usize)>,
    limits: &'a Limits,
}

enum Open {
    Array,
    /// Its names begin at this index of `names`.
    Object(usize),
}

/// Where a member of an open object lies in `out`.
struct Name {
    start: usize,
    end: usize,
    /// Start of the member after it, once there is one.
    next: usize,
    /// Differs for most names that differ.
    print: u64,
}

/// Objects with more members than this are sorted to find equal names.
const FEW: usize = 32;

impl Scan<'_> {
    fn run(&mut self) -> Result<(), JsonError> {
        loop {
            if self.open_or_scalar()? {
                continue;
            }
            // A value has ended: go up until another one is due.
            loop {
                let Some(open) = self.open.last() else {
                    return self.end();
                };
                let object = match open {
                    Open::Array => None,
                    Open::Object(first) => Some(*first),
                };
                match (self.token()?, object) {
                    (b',', None) => {
                        self.out.push(b',');
                        break;
                    }
                    (b',', Some(_)) => {
                        self.out.push(b',');
                        self.expect(b'"')?;
                        self.name()?;
                        break;
                    }
                    (b']', None) => self.close(b']'),
                    (b'}', Some(first)) => {
                        self.drop_repeated(first);
                        self.close(b'}');
                    }
                    _ => return Err(JsonError),
                }
            }
        }
    }

    /// Takes a value's beginning; true if it opened something, and another value comes next.
    fn open_or_scalar(&mut self) -> Result<bool, JsonError> {
        let token = self.token()?;
        match token {
            b'"' => self.string()?,
            b'{' => {
                self.open(Open::Object(self.names.len()))?;
                self.out.push(b'{');
                match self.token()? {
                    b'}' => self.close(b'}'),
                    b'"' => {
                        self.name()?;
                        return Ok(true);
                    }
                    _ => return Err(JsonError),
                }
            }
            b'[' => {
                self.open(Open::Array)?;
                self.out.push(b'[');
                if self.peek()? != b']' {
                    return Ok(true);
                }
                self.at += 1;
                self.close(b']');
            }
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => self.number()?,
        }
        Ok(false)
    }

    fn open(&mut self, open: Open) -> Result<(), JsonError> {
        if self.open.len() >= self.limits.depth {
            return Err(JsonError);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, bracket: u8) {
        self.open.pop();
        self.out.push(bracket);
    }

    /// The byte after any white space, not yet taken.
    fn peek(&mut self) -> Result<u8, JsonError> {
        loop {
            match self.input.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(JsonError),
            }
        }
    }

    fn token(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.token()? == byte { Ok(()) } else { Err(JsonError) }
    }

    /// Only white space may follow the value.
    fn end(&mut self) -> Result<(), JsonError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let blank = rest.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        if blank { Ok(()) } else { Err(JsonError) }
    }

    /// A literal of which the first byte was taken.
    fn literal(&mut self, text: &[u8]) -> Result<(), JsonError> {
        let start = self.at - 1;
        if self.input.get(start..start + text.len()) != Some(text) {
            return Err(JsonError);
        }
        self.at = start + text.len();
        self.out.extend_from_slice(text);
        Ok(())
    }

    /// A number of which the first byte was taken.
    fn number(&mut self) -> Result<(), JsonError> {
        let rest = self.input.get(self.at - 1..).unwrap_or_default();
        let shape = number::shape(rest).ok_or(JsonError)?;
        let (text, _) = rest.split_at_checked(shape.length).ok_or(JsonError)?;
        if shape.mantissa > self.limits.digits || !shape.has_value(text) {
            return Err(JsonError);
        }
        if shape.hollow {
            // `1e+` is taken for 1.0, but isn't JSON.
            self.out.extend_from_slice(text.get(..shape.mantissa).unwrap_or_default());
            if !shape.fraction {
                self.out.extend_from_slice(b".0");
            }
        } else {
            self.out.extend_from_slice(text);
        }
        self.at += shape.length - 1;
        Ok(())
    }

    /// A string of which the first quotation mark was taken.
    fn string(&mut self) -> Result<(), JsonError> {
        self.out.push(b'"');
        loop {
            let rest = self.input.get(self.at..).unwrap_or_default();
            let (plain, tail) = rest.split_at(plain_run(rest));
            self.out.extend_from_slice(plain);
            self.at += plain.len() + 1;
            match tail.split_first() {
                Some((b'"', _)) => {
                    self.out.push(b'"');
                    return Ok(());
                }
                Some((b'\\', after)) => {
                    let (char, length) = read_escape(after)?;
                    escape_char(&mut self.out, char);
                    self.at += length;
                }
                _ => return Err(JsonError),
            }
        }
    }

    /// A member's name of which the first quotation mark was taken, and the colon.
    fn name(&mut self) -> Result<(), JsonError> {
        let start = self.out.len();
        if let (Some(Open::Object(first)), count) = (self.open.last(), self.names.len())
            && count > *first
            && let Some(previous) = self.names.last_mut()
        {
            previous.next = start;
        }
        self.string()?;
        let end = self.out.len();
        let print = fingerprint(self.out.get(start..end).unwrap_or_default());
        self.names.push(Name { start, end, next: start, print });
        self.expect(b':')?;
        self.out.push(b':');
        Ok(())
    }

    /// Of members with equal names in the object that closes, marks all but the last as void.
    fn drop_repeated(&mut self, first: usize) {
        let Scan { out, names, cuts, .. } = self;
        let text = |name: &Name| out.get(name.start..name.end).unwrap_or_default();
        let members = names.get_mut(first..).unwrap_or_default();
        if members.len() <= FEW {
            let mut rest = &*members;
            while let Some((name, later)) = rest.split_first() {
                let equal = |other: &Name| other.print == name.print && text(other) == text(name);
                if later.iter().any(equal) {
                    cuts.push((name.start, name.next));
                }
                rest = later;
            }
        } else {
            members.sort_unstable_by(|a, b| match text(a).cmp(text(b)) {
                Ordering::Equal => a.start.cmp(&b.start),
                unequal => unequal,
            });
            for (name, later) in members.iter().zip(members.iter().skip(1)) {
                if text(name) == text(later) {
                    cuts.push((name.start, name.next));
                }
            }
        }
        names.truncate(first);
    }
}

/// A name's length with some of its bytes.
fn fingerprint(name: &[u8]) -> u64 {
    let byte = |at: usize| name.get(at).copied().map_or(0, u64::from);
    let length = name.len();
    let bytes = byte(1) | byte(length / 2) << 8 | byte(length.saturating_sub(2)) << 16;
    (length as u64) << 24 | bytes
}

/// Takes the void parts out. They nest at most, and are few if there are any.
fn without(text: Vec<u8>, mut cuts: Vec<(usize, usize)>) -> Vec<u8> {
    if cuts.is_empty() {
        return text;
    }
    cuts.sort_unstable();
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in cuts {
        kept.extend_from_slice(text.get(at..start).unwrap_or_default());
        at = at.max(end);
    }
    kept.extend_from_slice(text.get(at..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests;
