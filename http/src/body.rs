//! A request's body: whole and limited for JSON, piece by piece for attachments, `gzip` undone
//! where CouchDB undoes it. Never parses what it carries.

use std::io::Read;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::headers;

/// Bytes that buy a second more: who sends fewer is given up when the patience with it is used up,
/// however short each pause is. A slow mobile network carries ten times as many.
const PACE: u64 = 128;
/// Packed bodies up to this size are unpacked on the spot, in bytes; a packed byte gives a thousand at most.
const AT_ONCE: usize = 4 << 10;
/// How long the rest of a body may take that nobody wants.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// The body of one request. Reading it lets a client go on that asked `Expect: 100-continue`.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    length: Length,
    gzip: Result<bool, String>,
    limit: u64,
    spent: Duration,
    /// How long may be waited for the next piece.
    patience: Duration,
    /// Bytes that came.
    came: u64,
}

#[derive(Debug)]
enum Source {
    Wire(Incoming),
    Bytes(Bytes),
}

/// What the head said about the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Neither a length nor chunks: there is no body.
    None,
    /// `Content-Length`.
    Known(u64),
    /// `Transfer-Encoding: chunked`, or HTTP/2 without a length.
    Chunked,
}

impl RequestBody {
    /// A body as it arrives. `limit` is `max_http_request_size`, in bytes.
    #[must_use]
    pub fn from_wire(headers: &HeaderMap, body: Incoming, limit: u64, patience: Duration) -> Self {
        use http_body::Body;
        let length = match (length_header(headers), headers.contains_key(TRANSFER_ENCODING)) {
            (Some(length), false) => Length::Known(length),
            (_, true) => Length::Chunked,
            (None, false) if body.is_end_stream() => Length::None,
            (None, false) => Length::Chunked,
        };
        RequestBody { patience, ..Self::new(headers, Source::Wire(body), length, limit) }
    }

    /// A body that is there already.
    #[must_use]
    pub fn from_bytes(headers: &HeaderMap, body: Bytes, limit: u64) -> Self {
        let length = Length::Known(body.len() as u64);
        Self::new(headers, Source::Bytes(body), length, limit)
    }

    fn new(headers: &HeaderMap, source: Source, length: Length, limit: u64) -> Self {
        let gzip = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
            None | Some(b"identity") => Ok(false),
            Some(b"gzip") => Ok(true),
            Some(other) => Err(String::from_utf8_lossy(other).into_owned()),
        };
        let (spent, patience) = (Duration::ZERO, Duration::MAX);
        RequestBody { source, length, gzip, limit, spent, patience, came: 0 }
    }

    /// Takes no more than `limit` bytes, whatever the settings allow.
    pub fn limit_to(&mut self, limit: u64) {
        self.limit = self.limit.min(limit);
    }

    /// Waits no longer than this.
    pub fn hurry(&mut self, patience: Duration) {
        self.patience = self.patience.min(patience);
    }

    /// What the head said about the body.
    #[must_use]
    pub fn length(&self) -> Length {
        self.length
    }

    /// How many bytes of it were read.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.came
    }

    /// How long was waited for it, for `X-CouchDB-Body-Time`.
    #[must_use]
    pub fn time_spent(&self) -> Duration {
        self.spent
    }

    /// The next piece as it was sent, `None` at the end. No limit is applied here: the reader
    /// knows how much it wants.
    ///
    /// # Errors
    /// The client went away or takes too long, or its framing was broken.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let began = Instant::now();
        let in_all = self.patience.saturating_add(Duration::from_secs(self.came / PACE));
        let left = in_all.saturating_sub(self.spent).min(self.patience);
        let piece = tokio::time::timeout(left, self.source.next()).await;
        self.spent += began.elapsed();
        let piece = piece.unwrap_or(Err(Error::Disconnected))?;
        self.came += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }

    /// The whole body as it was sent.
    ///
    /// # Errors
    /// 413 beyond `max_http_request_size`; 400 if there is none.
    pub async fn bytes(&mut self) -> Result<Bytes, Error> {
        match self.length {
            Length::None => return Err(Error::bad_request("Missing request body")),
            Length::Known(length) if length > self.limit => return Err(Error::TooLarge),
            _ => {}
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if self.length == Length::Known(first.len() as u64) {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(self.expected().max(first.len()));
        whole.extend_from_slice(&first);
        while let Some(piece) = self.chunk().await? {
            if whole.len() as u64 + piece.len() as u64 > self.limit {
                return Err(Error::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The whole body as JSON text, unpacked if it was sent with `Content-Encoding: gzip`. What it
    /// says is not looked at.
    ///
    /// # Errors
    /// As [`RequestBody::bytes`]; 415 for another encoding, 400 for broken gzip.
    pub async fn json(&mut self) -> Result<Bytes, Error> {
        let body = self.bytes().await?;
        match &self.gzip {
            Ok(false) => Ok(body),
            Ok(true) if body.len() <= AT_ONCE => gunzip(body, self.limit),
            Ok(true) => {
                let limit = self.limit;
                let unpacked = spawn_blocking(move || gunzip(body, limit)).await;
                unpacked.unwrap_or(Err(Error::Disconnected))
            }
            Err(other) => {
                let reason = format!("{other} is not a supported content encoding.");
                Err(Error::BadContentType(reason.into()))
            }
        }
    }

    /// Reads on to the end and throws it away, so that the connection can be used again; gives up
    /// after a fair amount, and a fair time: strangers send these, too.
    pub async fn drain(&mut self) {
        let rest = async {
            let mut left: usize = 1 << 20;
            while let Ok(Some(piece)) = self.chunk().await {
                match left.checked_sub(piece.len()) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(DRAIN_PATIENCE, rest).await;
    }

    /// A capacity to begin with, however large the head claims the body to be.
    fn expected(&self) -> usize {
        match self.length {
            Length::Known(length) => usize::try_from(length).unwrap_or(usize::MAX).min(1 << 20),
            _ => 0,
        }
    }
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Source::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Source::Bytes(bytes) => Ok(Some(std::mem::take(bytes))),
            Source::Wire(incoming) => loop {
                match incoming.frame().await {
                    None => return Ok(None),
                    Some(Err(_)) => return Err(Error::Disconnected),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if data.has_remaining() => return Ok(Some(data)),
                        _ => {}
                    },
                }
            },
        }
    }
}

fn length_header(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Unpacks a whole gzip text of at most `limit` bytes.
fn gunzip(packed: Bytes, limit: u64) -> Result<Bytes, Error> {
    let mut out = Vec::with_capacity(packed.len().saturating_mul(3).min(1 << 20));
    let mut reader = flate2::bufread::MultiGzDecoder::new(packed.reader()).take(limit + 1);
    match reader.read_to_end(&mut out) {
        Ok(length) if length as u64 > limit => Err(Error::TooLarge),
        Ok(_) => Ok(out.into()),
        Err(_) => Err(Error::bad_request("Request body is not properly gzipped.")),
    }
}

/// CouchDB's check of a body's media type: the type itself must be exactly `wanted`.
///
/// # Errors
/// 415.
pub fn require_content_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Error> {
    let sent = headers.get(CONTENT_TYPE).and_then(headers::text);
    match sent.and_then(|sent| sent.split(';').find(|part| !part.is_empty())) {
        Some(media) if media == wanted => Ok(()),
        _ => Err(Error::BadContentType(format!("Content-Type must be {wanted}").into())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::kit::headers;

    fn packed(text: &[u8]) -> Bytes {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap().into()
    }

    #[tokio::test]
    async fn json_bodies_are_unpacked_within_the_limit() {
        let gzip = headers(&[("content-encoding", "gzip")]);
        let mut body = RequestBody::from_bytes(&gzip, packed(b"{\"a\":1}"), 100);
        assert_eq!(body.json().await, Ok(Bytes::from_static(b"{\"a\":1}")));
        let mut body = RequestBody::from_bytes(&gzip, packed(&[b' '; 5000]), 100);
        assert_eq!(body.json().await, Err(Error::TooLarge));
        let mut body = RequestBody::from_bytes(&gzip, Bytes::from_static(b"{}"), 100);
        assert_eq!(body.json().await.unwrap_err().info().0, 400);
        let odd = headers(&[("content-encoding", "br")]);
        let mut body = RequestBody::from_bytes(&odd, Bytes::from_static(b"{}"), 100);
        assert_eq!(body.json().await.unwrap_err().info().0, 415);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
        let mut body = RequestBody::from_bytes(&headers(&[]), Bytes::from_static(b"12345"), 4);
        assert_eq!(body.bytes().await, Err(Error::TooLarge));
        for (limit, fits) in [(4, false), (1000, true)] {
            let mut body = RequestBody::from_bytes(&headers(&[]), Bytes::from_static(b"12345"), 9);
            body.limit_to(limit);
            assert_eq!(body.bytes().await.is_ok(), fits);
        }
    }

    #[test]
    fn media_types_are_compared_without_parameters() {
        let json = "application/json";
        for good in ["application/json", "application/json; charset=utf-8", ";application/json"] {
            assert!(require_content_type(&headers(&[("content-type", good)]), json).is_ok());
        }
        for bad in ["text/plain", "application/json-patch", "application/json ;a=b"] {
            assert!(require_content_type(&headers(&[("content-type", bad)]), json).is_err());
        }
        assert!(require_content_type(&headers(&[]), json).is_err());
    }
}
