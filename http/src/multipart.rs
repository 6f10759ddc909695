//! [`Parser`]: a stream of multipart bytes, cut anywhere, becomes the headers and bodies of its
//! parts. Holds back no more than what might be the beginning of a boundary, or one part's
//! headers. Never reads a socket, and never knows what the parts mean.

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;
use memchr::memmem::Finder;

#[cfg(test)]
mod tests;

/// What comes next in a multipart body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A part begins; names are in lower case.
    Headers(Vec<(String, String)>),
    /// More of the part's body; never empty.
    Body(Bytes),
    /// The part ends.
    PartEnd,
    /// The last part ended; what follows means nothing.
    End,
}

/// The body is no multipart that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line among a part's headers has no colon.
    #[error("bad part header")]
    Header,
    /// A part's headers are longer than [`MAX_HEADERS`].
    #[error("part headers are too long")]
    LongHeaders,
    /// The boundary is longer than [`MAX_BOUNDARY`].
    #[error("multipart boundary is too long")]
    LongBoundary,
}

/// Bytes of one part's headers at most.
pub const MAX_HEADERS: usize = 64 * 1024;
/// Bytes of a boundary at most; RFC 2046 allows 70. What may be the beginning of one is looked at again with
/// each piece that comes.
pub const MAX_BOUNDARY: usize = 256;

/// Splits a multipart body. Give it bytes with [`Parser::feed`], then take events with
/// [`Parser::next_event`] until it has none.
#[derive(Debug)]
pub struct Parser {
    /// Of `\r\n--` and the boundary.
    delimiter: Finder<'static>,
    /// Of the same at the beginning of the body, where no line ends before it.
    first: Finder<'static>,
    /// Of the empty line behind headers.
    empty_line: Finder<'static>,
    state: State,
    rest: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// After a boundary: headers up to an empty line.
    Headers,
    Body,
    /// After a boundary that ended a part: two dashes, or another part.
    Boundary,
    Done,
}

impl Parser {
    /// A parser for parts that are separated by `boundary`.
    ///
    /// # Errors
    /// [`Malformed::LongBoundary`].
    pub fn new(boundary: &str) -> Result<Self, Malformed> {
        if boundary.len() > MAX_BOUNDARY {
            return Err(Malformed::LongBoundary);
        }
        let first = [b"--", boundary.as_bytes()].concat();
        Ok(Parser {
            delimiter: Finder::new(&[b"\r\n", &*first].concat()).into_owned(),
            first: Finder::new(&first).into_owned(),
            empty_line: Finder::new(b"\r\n\r\n"),
            state: State::Preamble,
            rest: Bytes::new(),
        })
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, bytes: Bytes) {
        if self.rest.is_empty() {
            self.rest = bytes;
            return;
        }
        let mut both = BytesMut::with_capacity(self.rest.len() + bytes.len());
        both.extend_from_slice(&self.rest);
        both.extend_from_slice(&bytes);
        self.rest = both.freeze();
    }

    /// What comes next; `None` if more bytes are needed to say.
    ///
    /// # Errors
    /// Headers that are none, or too many. The parser is of no use afterwards.
    pub fn next_event(&mut self) -> Result<Option<Event>, Malformed> {
        loop {
            match self.state {
                State::Preamble => match find(&self.rest, &self.first) {
                    Found::At(at) => {
                        let _ = self.rest.split_to(at + self.first.needle().len());
                        self.state = State::Headers;
                    }
                    Found::Not { keep } => {
                        let _ = self.rest.split_to(self.rest.len() - keep);
                        return Ok(None);
                    }
                },
                State::Headers => return self.headers(),
                State::Body => return Ok(self.body()),
                State::Boundary => match self.rest.get(..2) {
                    None => return Ok(None),
                    Some(b"--") => {
                        self.state = State::Done;
                        return Ok(Some(Event::End));
                    }
                    Some(_) => self.state = State::Headers,
                },
                State::Done => {
                    self.rest = Bytes::new();
                    return Ok(None);
                }
            }
        }
    }

    fn headers(&mut self) -> Result<Option<Event>, Malformed> {
        match find(&self.rest, &self.empty_line) {
            Found::At(at) if at > MAX_HEADERS => Err(Malformed::LongHeaders),
            Found::At(at) => {
                let text = self.rest.split_to(at);
                let _ = self.rest.split_to(4);
                self.state = State::Body;
                Ok(Some(Event::Headers(header_lines(&text)?)))
            }
            Found::Not { .. } if self.rest.len() > MAX_HEADERS => Err(Malformed::LongHeaders),
            Found::Not { .. } => Ok(None),
        }
    }

    fn body(&mut self) -> Option<Event> {
        let length = match find(&self.rest, &self.delimiter) {
            Found::At(0) => {
                let _ = self.rest.split_to(self.delimiter.needle().len());
                self.state = State::Boundary;
                return Some(Event::PartEnd);
            }
            Found::At(at) => at,
            Found::Not { keep } => self.rest.len() - keep,
        };
        if length == 0 { None } else { Some(Event::Body(self.rest.split_to(length))) }
    }
}

fn header_lines(text: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let text = String::from_utf8_lossy(text);
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or(Malformed::Header)?;
            Ok((name.trim_matches(' ').to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect()
}

enum Found {
    At(usize),
    /// Not there, but the last `keep` bytes may be its beginning.
    Not {
        keep: usize,
    },
}

fn find(text: &[u8], finder: &Finder) -> Found {
    if let Some(at) = finder.find(text) {
        return Found::At(at);
    }
    let pattern = finder.needle();
    let last = text.len().saturating_sub(pattern.len());
    let tail = text.get(last..).unwrap_or_default();
    let keep = pattern.first().and_then(|first| {
        memchr_iter(*first, tail)
            .filter_map(|at| tail.get(at..))
            .find(|end| pattern.starts_with(end))
    });
    Found::Not { keep: keep.map_or(0, <[u8]>::len) }
}

/// A header's value and its parameters, as `multipart/related; boundary="x"` has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// What stands before the first semicolon, in lower case.
    pub value: String,
    named: Vec<(String, String)>,
}

impl Parameters {
    /// Reads a header's value. A semicolon separates even in quotation marks, as in CouchDB.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(|part| part.trim_matches(' '));
        let value = parts.next().unwrap_or_default().to_ascii_lowercase();
        let named = parts
            .filter_map(|part| part.split_once('='))
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| {
                (name.trim_matches(' ').to_ascii_lowercase(), unquote(value.trim_matches(' ')))
            })
            .collect();
        Parameters { value, named }
    }

    /// The first parameter of that name (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn unquote(text: &str) -> String {
    let Some(inside) = text.strip_prefix('"') else { return text.to_owned() };
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    let mut out = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.extend(chars.next().or(Some('\\'))),
            char => out.push(char),
        }
    }
    out
}
