//! Conversations as people write them: a text of requests, with a few directives that say what
//! is random in the answers. The format is described in `tests/conformance/README.md`.
//! Never talks to a server.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::client::Request;

/// One request of a conversation with what the player needs to know about its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The request; `{{name}}` in its path, headers and body stands for a captured value.
    pub request: Request,
    /// What to remember of the answer.
    pub captures: Vec<Capture>,
    /// Members whose values are random, by name, at any depth.
    pub ignore: Vec<String>,
    /// Arrays whose order means nothing, by the member's name.
    pub unordered: Vec<String>,
    /// Compare the status and the headers only.
    pub skip_body: bool,
    /// The status that settee answers on purpose instead of the recorded one; the reason stands
    /// in `docs/compatibility.md`.
    pub expect: Option<u16>,
}

/// A value taken from an answer for later requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Name by which later requests use it.
    pub name: String,
    /// `header NAME` or a JSON pointer into the body.
    pub source: String,
}

/// A line that the format does not know.
#[derive(Debug)]
pub struct BadScript {
    line: usize,
    what: String,
}

impl fmt::Display for BadScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for BadScript {}

/// Parses a script. Steps are separated by lines `---`.
///
/// # Errors
/// With the line that has no place in the format.
pub fn parse(text: &str) -> Result<Vec<Step>, BadScript> {
    let mut steps = Vec::new();
    let mut line = 1;
    for block in text.split("\n---\n") {
        let meaningful = block.lines().any(|l| !l.trim().is_empty() && !l.starts_with('#'));
        if meaningful {
            steps.push(parse_step(block, line)?);
        }
        line += block.lines().count() + 1;
    }
    Ok(steps)
}

fn parse_step(block: &str, first: usize) -> Result<Step, BadScript> {
    let mut step = Step::default();
    let mut lines = block.lines().enumerate();
    let bad = |at: usize, what: &str| BadScript { line: first + at, what: what.to_owned() };
    for (at, line) in lines.by_ref() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(directive) = line.strip_prefix('@') {
            parse_directive(&mut step, directive).map_err(|what| bad(at, &what))?;
            continue;
        }
        let (method, path) = line.split_once(' ').ok_or_else(|| bad(at, "no request line"))?;
        step.request = Request::new(method, path);
        break;
    }
    let mut rest = lines.map(|(_, line)| line).peekable();
    while let Some((name, value)) = rest.peek().and_then(|line| header(line)) {
        step.request = step.request.header(name, value);
        rest.next();
    }
    let body: Vec<&str> = rest.skip_while(|line| line.is_empty()).collect();
    let body = body.join("\n");
    let body = body.trim_end_matches('\n');
    if !body.is_empty() {
        let raw = step.request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type"));
        step.request.body = Some(unescape(body));
        if !raw {
            step.request = step.request.header("Content-Type", "application/json");
        }
    }
    Ok(step)
}

/// A header line; anything else begins the body.
fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(": ")?;
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-').then_some((name, value))
}

/// In bodies `\x{hex}` stands for a byte and `\r\n` written out for a line break, but only when
/// the body begins with `\raw `: multipart bodies and invalid UTF-8 need them.
fn unescape(body: &str) -> Vec<u8> {
    let Some(raw) = body.strip_prefix("\\raw ") else { return body.as_bytes().to_vec() };
    let mut bytes = Vec::new();
    let mut rest = raw.replace('\n', "");
    rest = rest.replace("\\r\\n", "\r\n");
    let mut rest = rest.as_str();
    while let Some(at) = rest.find("\\x{") {
        let (before, after) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(3..5).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.extend(code);
        rest = after.get(6..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The text of a script that is parsed to these steps.
#[must_use]
pub fn to_text(steps: &[Step]) -> String {
    let blocks: Vec<String> = steps.iter().map(step_to_text).collect();
    blocks.join("---\n")
}

fn step_to_text(step: &Step) -> String {
    let mut text = String::new();
    for Capture { name, source } in &step.captures {
        text.push_str(&format!("@capture {name} {source}\n"));
    }
    for (name, members) in [("ignore", &step.ignore), ("unordered", &step.unordered)] {
        if !members.is_empty() {
            text.push_str(&format!("@{name} {}\n", members.join(" ")));
        }
    }
    if step.skip_body {
        text.push_str("@skip-body\n");
    }
    if let Some(status) = step.expect {
        text.push_str(&format!("@expect {status}\n"));
    }
    let Request { method, path, headers, body } = &step.request;
    text.push_str(&format!("{method} {path}\n"));
    // What the parser adds to a body by itself.
    let implied = |(name, value): &(String, String)| {
        body.is_some() && name == "Content-Type" && value == "application/json"
    };
    let (implied, written) = match headers.split_last() {
        Some((last, before)) if implied(last) => (true, before),
        _ => (false, headers.as_slice()),
    };
    for (name, value) in written {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if let Some(body) = body {
        if !implied || !written.is_empty() {
            text.push('\n');
        }
        text.push_str(&escape(body));
        text.push('\n');
    }
    text
}

/// The inverse of [`unescape`].
fn escape(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if !text.contains(['\r', '\n']) && !text.starts_with("\\raw ") => text.to_owned(),
        _ => {
            let mut text = String::from("\\raw ");
            for &byte in body {
                match byte {
                    b' '..=b'[' | b']'..=b'~' => text.push(byte.into()),
                    _ => text.push_str(&format!("\\x{{{byte:02x}}}")),
                }
            }
            text.replace("\\x{0d}\\x{0a}", "\\r\\n")
        }
    }
}

fn parse_directive(step: &mut Step, directive: &str) -> Result<(), String> {
    let (name, value) = directive.split_once(' ').unwrap_or((directive, ""));
    match name {
        "capture" => {
            let (name, source) = value.split_once(' ').ok_or("capture NAME SOURCE")?;
            step.captures.push(Capture { name: name.into(), source: source.into() });
        }
        "ignore" => step.ignore.extend(value.split_whitespace().map(str::to_owned)),
        "unordered" => step.unordered.extend(value.split_whitespace().map(str::to_owned)),
        "expect" => step.expect = Some(value.parse().map_err(|_| "expect STATUS")?),
        "skip-body" => step.skip_body = true,
        other => return Err(format!("no directive @{other}")),
    }
    Ok(())
}

impl Step {
    /// As kept in a recording.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("method".into(), json!(self.request.method));
        object.insert("path".into(), json!(self.request.path));
        object.insert("headers".into(), json!(self.request.headers));
        if let Some(body) = &self.request.body {
            object.insert("body".into(), crate::bytes_to_json(body));
        }
        let captures: Vec<_> = self.captures.iter().map(|c| json!([c.name, c.source])).collect();
        for (name, list) in [
            ("capture", captures),
            ("ignore", self.ignore.iter().map(|s| json!(s)).collect()),
            ("unordered", self.unordered.iter().map(|s| json!(s)).collect()),
        ] {
            if !list.is_empty() {
                object.insert(name.into(), Value::Array(list));
            }
        }
        if self.skip_body {
            object.insert("skip_body".into(), json!(true));
        }
        if let Some(status) = self.expect {
            object.insert("expect".into(), json!(status));
        }
        Value::Object(object)
    }

    /// The inverse of [`Step::to_json`]; missing members are empty.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let pairs = |name: &str| -> Vec<(String, String)> {
            let list = value.get(name).and_then(Value::as_array).into_iter().flatten();
            list.map(|p| (text(p.get(0).unwrap_or(p)), text(p.get(1).unwrap_or(p)))).collect()
        };
        let texts = |name: &str| -> Vec<String> {
            value.get(name).and_then(Value::as_array).into_iter().flatten().map(text).collect()
        };
        Step {
            request: Request {
                method: value.get("method").map(text).unwrap_or_default(),
                path: value.get("path").map(text).unwrap_or_default(),
                headers: pairs("headers"),
                body: value.get("body").map(crate::bytes_from_json),
            },
            captures: pairs("capture")
                .into_iter()
                .map(|(name, source)| Capture { name, source })
                .collect(),
            ignore: texts("ignore"),
            unordered: texts("unordered"),
            skip_body: value.get("skip_body").is_some(),
            expect: value.get("expect").and_then(Value::as_u64).and_then(|s| s.try_into().ok()),
        }
    }
}
