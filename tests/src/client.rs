//! A small blocking HTTP/1.1 client that sends exactly the bytes it is told to, so that odd paths,
//! odd headers and broken bodies reach the server under test. It never retries, never follows a
//! redirect, never decodes a body. One connection each; the benchmark uses it for its low cost.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long any single read may take before the test fails.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

/// As the value of `Authorization`: send no such header, though the client has a user.
pub const ANONYMOUS: &str = "none";

/// An answer as it came over the wire, chunked framing removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that (lower case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text, for messages.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(io::Error::other)
    }
}

/// A request; `path` goes out as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query, already encoded.
    pub path: String,
    /// Headers; `Host` and `Content-Length` are added when absent.
    pub headers: Vec<(String, String)>,
    /// Body; `None` sends neither a body nor a length.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Request { method: method.into(), path: path.into(), ..Request::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &str) -> Self {
        let mut request = self.header("Content-Type", "application/json");
        request.body = Some(body.as_bytes().to_vec());
        request
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn head(&self, host: &str, authorization: Option<&str>) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if let Some(value) = authorization.filter(|_| !self.has("authorization")) {
            head.push_str(&format!("Authorization: {value}\r\n"));
        }
        if !self.has("host") {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        let anonymous = |name: &str, value: &str| {
            name.eq_ignore_ascii_case("authorization") && value == ANONYMOUS
        };
        for (name, value) in self.headers.iter().filter(|(n, v)| !anonymous(n, v)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body
            && !self.has("content-length")
            && !self.has("transfer-encoding")
        {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// A kept connection to one server.
pub struct Client {
    address: String,
    authorization: Option<String>,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// `base` is `http://[user:password@]host:port`; nothing is opened yet.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let rest = base.trim_start_matches("http://").trim_end_matches('/');
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let authorization = user.map(|user| format!("Basic {}", crate::base64(user.as_bytes())));
        Client { address: address.into(), authorization, stream: None }
    }

    /// A client for the same server as the same user, on a connection of its own.
    #[must_use]
    pub fn again(&self) -> Self {
        Client {
            address: self.address.clone(),
            authorization: self.authorization.clone(),
            stream: None,
        }
    }

    /// Sends a request and reads the whole answer. A kept connection that the server closed
    /// meanwhile is opened anew once, before anything of the answer was seen.
    ///
    /// # Errors
    /// Connection and framing errors.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        let kept = self.stream.is_some();
        match self.exchange(request) {
            Err(error) if kept && closed_early(&error) => self.exchange(request),
            other => other,
        }
    }

    /// Sends a request whose body, `length` bytes, is read from somewhere and never held as a whole; on
    /// a connection of its own.
    ///
    /// # Errors
    /// Connection and framing errors, and those of the body.
    pub fn send_from(
        &self,
        request: &Request,
        length: u64,
        body: &mut impl Read,
    ) -> io::Result<Response> {
        let mut stream = connect(&self.address)?;
        let request = request.clone().header("Content-Length", &length.to_string());
        let head = request.head(&self.address, self.authorization.as_deref());
        stream.get_mut().write_all(&head)?;
        io::copy(&mut body.take(length), stream.get_mut())?;
        Ok(read_response(&mut stream, false)?.0)
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.address)?,
        };
        let mut bytes = request.head(&self.address, self.authorization.as_deref());
        bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
        // A server may answer (413) and close before it has read everything.
        let sent = stream.get_mut().write_all(&bytes);
        let (response, keep) = match read_response(&mut stream, request.method == "HEAD") {
            Ok(answer) => answer,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        };
        if keep && sent.is_ok() {
            self.stream = Some(stream);
        }
        Ok(response)
    }

    /// Sends a request and hands out the stream once the head was read, for feeds.
    ///
    /// # Errors
    /// Connection and framing errors.
    pub fn open_feed(&self, request: &Request) -> io::Result<(Response, BufReader<TcpStream>)> {
        let mut stream = connect(&self.address)?;
        let head = request.head(&self.address, self.authorization.as_deref());
        stream.get_mut().write_all(&head)?;
        stream.get_mut().write_all(request.body.as_deref().unwrap_or_default())?;
        let (status, headers) = read_head(&mut stream)?;
        Ok((Response { status, headers, body: Vec::new() }, stream))
    }
}

fn closed_early(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn connect(address: &str) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    Ok(BufReader::with_capacity(64 << 10, stream))
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

type Head = (u16, Vec<(String, String)>);

fn read_head(stream: &mut impl BufRead) -> io::Result<Head> {
    loop {
        let line = read_line(stream)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("status: {line}")))?;
        let mut headers = Vec::new();
        loop {
            let line = read_line(stream)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if status != 100 {
            return Ok((status, headers));
        }
    }
}

fn read_response(stream: &mut impl BufRead, head_only: bool) -> io::Result<(Response, bool)> {
    let (status, headers) = read_head(stream)?;
    let mut response = Response { status, headers, body: Vec::new() };
    let mut keep = response.header("connection").is_none_or(|c| !c.eq_ignore_ascii_case("close"));
    if head_only || status == 204 || status == 304 {
        return Ok((response, keep));
    }
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = read_chunks(stream)?;
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        response.body = vec![0; length];
        stream.read_exact(&mut response.body)?;
    } else {
        keep = false;
        stream.read_to_end(&mut response.body)?;
    }
    Ok((response, keep))
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let chunk = read_chunk(stream)?;
        if chunk.is_empty() {
            return Ok(body);
        }
        body.extend_from_slice(&chunk);
    }
}

/// Reads one chunk of a chunked body; empty at the end.
///
/// # Errors
/// Connection and framing errors.
pub fn read_chunk(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let line = read_line(stream)?;
    let length = line.split(';').next().unwrap_or_default().trim();
    let length = usize::from_str_radix(length, 16).map_err(io::Error::other)?;
    let mut chunk = vec![0; length];
    stream.read_exact(&mut chunk)?;
    read_line(stream)?;
    Ok(chunk)
}
