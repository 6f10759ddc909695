//! [`Framing`]: knows, byte by byte, whether a connection is in a request line, in headers or in a
//! body, and encodes what request lines should not hold. Pure; never changes anything but those.

use percent_encoding::percent_encode_byte;

#[cfg(test)]
mod tests;

/// Longest header line that is understood; lengths and encodings are shorter.
const LINE: usize = 256;

/// Where in its requests a connection is.
#[derive(Debug)]
pub struct Framing {
    place: Place,
    body: Body,
    /// The beginning of a header line that may tell the length of the body, in lower case.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a request line, after so many bytes of it that all fit `PRI `; `None` if they don't.
    Request(Option<u8>),
    /// At the first byte of a header line.
    Header,
    /// In a line that tells about the body.
    Telling,
    /// In another line.
    Other,
    /// Before so many bytes of a body.
    Body(u64),
    /// In the line before a chunk: the length so far.
    ChunkLength(u64),
    /// The same, after the digits.
    ChunkExtension(u64),
    /// Before so many bytes of a chunk.
    Chunk(u64),
    /// In the line end after a chunk.
    ChunkEnd,
    /// At the first byte of a line after the last chunk.
    Trailer,
    /// Inside such a line.
    TrailerLine,
    /// All bytes pass from here on.
    Passing,
}

impl Place {
    /// At the first byte of a request.
    const REQUEST: Place = Place::Request(Some(0));
}

/// What the headers said of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
}

const PREFACE: &[u8; 4] = b"PRI ";

impl Default for Framing {
    fn default() -> Self {
        Framing { place: Place::REQUEST, body: Body::Length(0), line: Vec::new() }
    }
}

impl Framing {
    /// Takes note of bytes that came in; gives them anew if some had to be encoded.
    pub fn follow(&mut self, fresh: &[u8]) -> Option<Vec<u8>> {
        let mut encoded: Option<Vec<u8>> = None;
        let mut at = 0;
        while let Some(&byte) = fresh.get(at) {
            let rest = fresh.get(at..).unwrap_or_default();
            let skipped = self.skip(rest);
            if skipped > 0 {
                if let Some(out) = &mut encoded {
                    out.extend_from_slice(rest.get(..skipped).unwrap_or_default());
                }
                at += skipped;
                continue;
            }
            let odd = matches!(self.place, Place::Request(_)) && is_odd(byte);
            self.step(byte);
            if odd && self.place != Place::Passing {
                let out = encoded.get_or_insert_with(|| {
                    let mut out = Vec::with_capacity(fresh.len() + 64);
                    out.extend_from_slice(fresh.get(..at).unwrap_or_default());
                    out
                });
                out.extend_from_slice(percent_encode_byte(byte).as_bytes());
            } else if let Some(out) = &mut encoded {
                out.push(byte);
            }
            at += 1;
        }
        encoded
    }

    /// How many of the next bytes are of no interest.
    fn skip(&mut self, rest: &[u8]) -> usize {
        let until =
            |found: fn(u8) -> bool| rest.iter().position(|&byte| found(byte)).unwrap_or(rest.len());
        let (left, next) = match &mut self.place {
            Place::Passing => return rest.len(),
            Place::Request(None) => return until(|byte| byte == b'\n' || is_odd(byte)),
            Place::Other => return until(|byte| byte == b'\n'),
            Place::Body(left) => (left, Place::REQUEST),
            Place::Chunk(left) => (left, Place::ChunkEnd),
            _ => return 0,
        };
        let skipped = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= skipped as u64;
        if *left == 0 {
            self.place = next;
        }
        skipped
    }

    fn step(&mut self, byte: u8) {
        use Place as P;
        self.place = match (self.place, byte) {
            // Empty lines before a request are nothing to the parser.
            (P::REQUEST, b'\r' | b'\n') => P::REQUEST,
            (P::Request(_), b'\n') => {
                self.body = Body::Length(0);
                P::Header
            }
            (P::Request(Some(matched)), byte) => match PREFACE.get(usize::from(matched)) {
                Some(&wanted) if wanted == byte && matched == 3 => P::Passing,
                Some(&wanted) if wanted == byte => P::Request(Some(matched + 1)),
                _ => P::Request(None),
            },
            (P::Request(None), _) => P::Request(None),
            (P::Header, b'\r') => P::Header,
            (P::Header, b'\n') => self.body_begins(),
            (P::Header, b'c' | b'C' | b't' | b'T') => {
                self.line.clear();
                self.line.push(byte.to_ascii_lowercase());
                P::Telling
            }
            (P::Other, b'\n') => P::Header,
            (P::Header | P::Other, _) => P::Other,
            (P::Telling, b'\n') => self.told(),
            (P::Telling, _) if self.line.len() >= LINE => self.too_long(),
            (P::Telling, byte) => {
                self.line.push(byte.to_ascii_lowercase());
                P::Telling
            }
            (place, byte) => chunked(place, byte),
        };
    }

    /// The headers are over.
    fn body_begins(&mut self) -> Place {
        match std::mem::replace(&mut self.body, Body::Length(0)) {
            Body::Length(0) => Place::REQUEST,
            Body::Length(length) => Place::Body(length),
            Body::Chunked => Place::ChunkLength(0),
        }
    }

    /// A line is longer than anything that tells about a body need be. If it tells all the same, it
    /// may mean something else to the parser, and what is a body there must not be encoded here.
    fn too_long(&self) -> Place {
        let tells = [&b"content-length"[..], b"transfer-encoding"];
        let tells = tells.into_iter().any(|name| self.line.starts_with(name));
        if tells { Place::Passing } else { Place::Other }
    }

    /// A line that may have told about the body is over.
    fn told(&mut self) -> Place {
        let line = std::str::from_utf8(&self.line).unwrap_or_default();
        let Some((name, value)) = line.split_once(':') else { return Place::Header };
        match (name, value.trim(), self.body) {
            ("content-length", _, Body::Chunked) => {}
            ("content-length", value, Body::Length(known)) => match value.parse() {
                Ok(length) if known == 0 || known == length => self.body = Body::Length(length),
                _ => return Place::Passing,
            },
            ("transfer-encoding", "chunked", _) => self.body = Body::Chunked,
            ("transfer-encoding", _, _) => return Place::Passing,
            _ => {}
        }
        Place::Header
    }
}

/// The next place in a body that comes in chunks.
fn chunked(place: Place, byte: u8) -> Place {
    use Place as P;
    match (place, byte) {
        (P::ChunkLength(0) | P::ChunkExtension(0), b'\n') => P::Trailer,
        (P::ChunkLength(length) | P::ChunkExtension(length), b'\n') => P::Chunk(length),
        (P::ChunkExtension(length), _) => P::ChunkExtension(length),
        (P::ChunkLength(length), byte) => match char::from(byte).to_digit(16) {
            Some(digit) if length < 1 << 56 => P::ChunkLength(length << 4 | u64::from(digit)),
            Some(_) => P::Passing,
            None => P::ChunkExtension(length),
        },
        (P::ChunkEnd, b'\r') => P::ChunkEnd,
        (P::ChunkEnd, b'\n') => P::ChunkLength(0),
        (P::Trailer, b'\r') => P::Trailer,
        (P::Trailer, b'\n') => P::REQUEST,
        (P::TrailerLine, b'\n') => P::Trailer,
        (P::Trailer | P::TrailerLine, _) => P::TrailerLine,
        _ => P::Passing,
    }
}

/// Whether the parser would not take a byte in a request line, or not everywhere in it.
fn is_odd(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}
