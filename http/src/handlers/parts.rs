//! [`Parts`]: a multipart request read part by part from its body, at the pace of whoever takes
//! the parts. Never knows what a part means; the bytes are taken apart by `multipart`.

use bytes::Bytes;

use crate::body::RequestBody;
use crate::error::Error;
use crate::multipart::{Event, Malformed, Parameters, Parser};

/// The parts of a request.
pub struct Parts {
    parser: Parser,
    ended: bool,
}

impl Parts {
    /// Parts of a request of this `Content-Type`.
    ///
    /// # Errors
    /// 400 without a boundary, or for one that is too long.
    pub fn new(content_type: &str) -> Result<Self, Error> {
        let media = Parameters::parse(content_type);
        let boundary = media.get("boundary").filter(|boundary| !boundary.is_empty());
        let boundary = boundary.ok_or_else(|| Error::bad_request("Missing multipart boundary"))?;
        Ok(Parts { parser: Parser::new(boundary)?, ended: false })
    }

    /// What comes next; `None` after the last part, over and over.
    ///
    /// # Errors
    /// A body that is no multipart, or that stops before its end.
    pub async fn next(&mut self, body: &mut RequestBody) -> Result<Option<Event>, Error> {
        while !self.ended {
            match self.parser.next_event()? {
                Some(Event::End) => self.ended = true,
                Some(event) => return Ok(Some(event)),
                None => match body.chunk().await? {
                    Some(piece) => self.parser.feed(piece),
                    None => return Err(Error::bad_request("expected more data")),
                },
            }
        }
        Ok(None)
    }

    /// The headers of the next part.
    ///
    /// # Errors
    /// As [`Parts::next`].
    pub async fn next_part(
        &mut self,
        body: &mut RequestBody,
    ) -> Result<Option<Vec<(String, String)>>, Error> {
        while let Some(event) = self.next(body).await? {
            if let Event::Headers(headers) = event {
                return Ok(Some(headers));
            }
        }
        Ok(None)
    }

    /// What is left of the part, whole.
    ///
    /// # Errors
    /// As [`Parts::next`]; 413 beyond `limit` bytes.
    pub async fn whole(&mut self, body: &mut RequestBody, limit: u64) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(body).await? {
            if (whole.len() + piece.len()) as u64 > limit {
                return Err(Error::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// The next piece of the part; `None` at its end.
    ///
    /// # Errors
    /// As [`Parts::next`].
    pub async fn piece(&mut self, body: &mut RequestBody) -> Result<Option<Bytes>, Error> {
        match self.next(body).await? {
            Some(Event::Body(piece)) => Ok(Some(piece)),
            _ => Ok(None),
        }
    }
}

/// A part's header.
#[must_use]
pub fn header(headers: &[(String, String)], name: &str) -> Option<Parameters> {
    let found = headers.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| Parameters::parse(value))
}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Error::BadRequest(error.to_string().into())
    }
}
