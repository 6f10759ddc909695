//! Runs a conversation against a server and keeps or compares the answers. A recording is a file
//! of JSON lines, each an exchange `{"request": …, "response": …}`; requests stay templates, so
//! that values that a server chose (sequences, uuids) are captured anew by whoever replays them.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};

use crate::client::{Client, Request, Response};
use crate::compare;
use crate::script::Step;

/// An exchange of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What was asked.
    pub step: Step,
    /// What the recorded server answered.
    pub response: Response,
}

/// Headers that are worth keeping: what clients read.
const KEPT_HEADERS: [&str; 24] = [
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-security-policy",
    "content-type",
    "etag",
    "location",
    "set-cookie",
    "transfer-encoding",
    "www-authenticate",
    "x-couch-update-newrev",
    "x-frame-options",
];

/// Values captured so far.
#[derive(Default)]
struct Captured(BTreeMap<String, String>);

impl Captured {
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), value)
        })
    }

    fn fill_request(&self, request: &Request) -> Request {
        let body = request.body.as_ref().map(|body| match std::str::from_utf8(body) {
            Ok(text) => self.fill(text).into_bytes(),
            Err(_) => body.clone(),
        });
        Request {
            method: request.method.clone(),
            path: self.fill(&request.path),
            headers: request.headers.iter().map(|(n, v)| (n.clone(), self.fill(v))).collect(),
            body,
        }
    }

    fn take(&mut self, step: &Step, response: &Response) {
        for capture in &step.captures {
            let value = match capture.source.strip_prefix("header ") {
                Some(name) => response.header(name).map(str::to_owned),
                None => response.json().ok().and_then(|body| {
                    body.pointer(&capture.source).map(|v| match v {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                }),
            };
            self.0.insert(capture.name.clone(), value.unwrap_or_default());
        }
    }
}

/// A conversation that is going on: a connection, and what its answers gave so far.
pub struct Talk {
    client: Client,
    captured: Captured,
}

impl Talk {
    /// With the server at `base`; nothing is said yet.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Talk { client: Client::new(base), captured: Captured::default() }
    }

    /// A step's request as it is sent now.
    fn request(&self, step: &Step) -> Request {
        self.captured.fill_request(&step.request)
    }

    /// Goes on on another connection: what an answer that broke off left on this one is no answer.
    pub fn reconnect(&mut self) {
        self.client = self.client.again();
    }

    /// Sends a step's request and captures of the answer what later steps need.
    ///
    /// # Errors
    /// Connection errors, with what was asked.
    pub fn say(&mut self, step: &Step) -> io::Result<Response> {
        let request = self.request(step);
        let response = self.client.send(&request).map_err(|error| {
            io::Error::other(format!("{} {}: {error}", request.method, request.path))
        })?;
        self.captured.take(step, &response);
        Ok(response)
    }
}

/// Holds the conversation with a server and returns the exchanges.
///
/// # Errors
/// Connection errors.
pub fn record(base: &str, steps: &[Step]) -> io::Result<Vec<Exchange>> {
    let mut talk = Talk::new(base);
    let mut exchanges = Vec::new();
    for step in steps {
        let response = kept(talk.say(step)?);
        exchanges.push(Exchange { step: step.clone(), response });
    }
    Ok(exchanges)
}

/// An answer with those headers only that are worth keeping, in order.
#[must_use]
pub fn kept(mut response: Response) -> Response {
    response.headers.retain(|(name, _)| KEPT_HEADERS.contains(&name.as_str()));
    response.headers.sort();
    response
}

/// Holds the recorded conversation with another server and returns what differs, as text for a
/// person: nothing when the servers agree.
///
/// # Errors
/// Connection errors.
pub fn replay(base: &str, exchanges: &[Exchange]) -> io::Result<Vec<String>> {
    let mut talk = Talk::new(base);
    let mut differences = Vec::new();
    for (number, exchange) in exchanges.iter().enumerate() {
        let request = talk.request(&exchange.step);
        let response = talk.say(&exchange.step)?;
        let found = compare::differences(&exchange.step, &exchange.response, &response);
        if !found.is_empty() {
            let said = format!("#{} {} {}", number + 1, request.method, request.path);
            let sent = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let sent: String = sent.chars().take(300).collect();
            differences.push(format!("{said} {sent}\n    {}", found.join("\n    ")));
        }
    }
    Ok(differences)
}

/// Text of a recording.
#[must_use]
pub fn to_text(exchanges: &[Exchange]) -> String {
    let mut text = String::new();
    for exchange in exchanges {
        let response = &exchange.response;
        let line = json!({
            "request": exchange.step.to_json(),
            "response": {
                "status": response.status,
                "headers": response.headers,
                "body": crate::bytes_to_json(&response.body),
            }
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

/// Reads a recording.
///
/// # Errors
/// When a line is no JSON.
pub fn from_text(text: &str) -> io::Result<Vec<Exchange>> {
    text.lines().map(exchange_from_line).collect()
}

fn exchange_from_line(line: &str) -> io::Result<Exchange> {
    let value: Value = serde_json::from_str(line).map_err(io::Error::other)?;
    let missing = || io::Error::other("not an exchange");
    let response = value.get("response").ok_or_else(missing)?;
    let headers = response.get("headers").and_then(Value::as_array).into_iter().flatten();
    let text = |v: Option<&Value>| v.and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Exchange {
        step: Step::from_json(value.get("request").ok_or_else(missing)?),
        response: Response {
            status: response
                .get("status")
                .and_then(Value::as_u64)
                .and_then(|status| status.try_into().ok())
                .ok_or_else(missing)?,
            headers: headers.map(|pair| (text(pair.get(0)), text(pair.get(1)))).collect(),
            body: response.get("body").map(crate::bytes_from_json).unwrap_or_default(),
        },
    })
}
