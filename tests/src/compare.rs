//! Says how two answers to one request differ, for whoever reads a failing test. JSON is compared
//! with the order of members and numbers by value; what is random by nature (uuids, sequences,
//! dates, boundaries) is compared by shape. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::Response;
use crate::script::Step;

/// Members whose value is random, or is the server's own affair, wherever they stand.
const RANDOM_MEMBERS: [&str; 18] = [
    "disk_format_version",
    "uuid",
    "uuids",
    "seq",
    "last_seq",
    "update_seq",
    "purge_seq",
    "instance_start_time",
    "pid",
    "started_on",
    "updated_on",
    "git_sha",
    "version",
    "vendor",
    "sizes",
    "source_seq",
    "_local_seq",
    "time",
];

/// Headers that follow from the body's length and framing, compared only for bodies that are
/// not JSON or multipart.
const FRAMING_HEADERS: [&str; 2] = ["content-length", "transfer-encoding"];

/// Headers that allow something, or forbid it: an answer has them only where CouchDB's has them.
const ALLOWING_HEADERS: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "set-cookie",
    "x-frame-options",
];

/// All differences, each a line; empty when the answers agree.
#[must_use]
pub fn differences(step: &Step, expected: &Response, actual: &Response) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(status) = step.expect {
        if actual.status != status {
            found.push(format!(
                "status should be {status}, is {}: {}",
                actual.status,
                actual.text()
            ));
        }
        return found;
    }
    if expected.status != actual.status {
        found.push(format!(
            "status {} became {}: {}",
            expected.status,
            actual.status,
            actual.text()
        ));
    }
    compare_headers(step, expected, actual, &mut found);
    if !step.skip_body {
        compare_bodies(step, expected, actual, &mut found);
    }
    found
}

fn compare_headers(step: &Step, expected: &Response, actual: &Response, found: &mut Vec<String>) {
    let framed = is_json(expected) || is_multipart(expected) || step.request.method == "HEAD";
    for (name, value) in &expected.headers {
        if framed && FRAMING_HEADERS.contains(&name.as_str()) {
            continue;
        }
        if step.ignore.contains(name) {
            continue;
        }
        match actual.header(name) {
            None => found.push(format!("header {name} is missing, was {value:?}")),
            Some(_) if name == "etag" && is_opaque_tag(value) => {}
            Some(_) if name == "content-security-policy" => {
                let (was, is) = (policies(expected), policies(actual));
                if was != is {
                    found.push(format!("policies were {was:?}, are {is:?}"));
                }
            }
            Some(other) if name == "set-cookie" => {
                if without_secrets(value) != without_secrets(other) {
                    found.push(format!("cookie was {value:?}, is {other:?}"));
                }
            }
            Some(other) if without_port_and_boundary(value) != without_port_and_boundary(other) => {
                found.push(format!("header {name} was {value:?}, is {other:?}"));
            }
            Some(_) => {}
        }
    }
    for name in ALLOWING_HEADERS.into_iter().filter(|name| expected.header(name).is_none()) {
        if step.ignore.iter().any(|ignored| ignored == name) {
            continue;
        }
        if let Some(value) = actual.header(name) {
            found.push(format!("header {name} was absent, is {value:?}"));
        }
    }
}

/// A tag that is a hash over CouchDB's own terms, not a revision or a digest.
fn is_opaque_tag(value: &str) -> bool {
    let tag = value.trim_matches('"');
    (20..=25).contains(&tag.len())
        && tag.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// `Location` names the server's own address, multipart types name a random boundary.
fn without_port_and_boundary(value: &str) -> String {
    if let Some((before, _)) = value.split_once("boundary=") {
        return before.to_owned();
    }
    match value.strip_prefix("http://") {
        Some(rest) => rest.split_once('/').map_or(String::new(), |(_, path)| path.to_owned()),
        None => value.to_owned(),
    }
}

/// Policies of which each restricts: in a header each or in one, in any order.
fn policies(response: &Response) -> BTreeSet<&str> {
    let headers = response.headers.iter().filter(|(name, _)| name == "content-security-policy");
    headers.flat_map(|(_, value)| value.split(',')).map(str::trim).collect()
}

/// A cookie's name, whether it is emptied, and its attributes; what is hashed and dates differ.
fn without_secrets(cookie: &str) -> String {
    let parts = cookie.split("; ").map(|part| match part.split_once('=') {
        Some((name @ ("AuthSession" | "Expires"), value)) if !value.is_empty() => name,
        _ => part,
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn is_json(response: &Response) -> bool {
    serde_json::from_slice::<Value>(&response.body).is_ok()
}

fn is_multipart(response: &Response) -> bool {
    response.header("content-type").is_some_and(|t| t.starts_with("multipart/"))
}

fn compare_bodies(step: &Step, expected: &Response, actual: &Response, found: &mut Vec<String>) {
    if expected.body == actual.body {
        return;
    }
    if is_multipart(expected) {
        compare_parts(step, &without_boundary(expected), &without_boundary(actual), found);
        return;
    }
    match (json_values(&expected.body), json_values(&actual.body)) {
        (Some(left), Some(right)) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(&right) {
                compare_json(step, "", left, right, found);
            }
        }
        _ => found.push(format!("body was {:?}, is {:?}", expected.text(), actual.text())),
    }
}

/// Lines of multipart bodies: what is JSON as such, the rest to the byte.
fn compare_parts(step: &Step, left: &str, right: &str, found: &mut Vec<String>) {
    let (was, is): (Vec<_>, Vec<_>) = (left.split("\r\n").collect(), right.split("\r\n").collect());
    let mut alike = was.len() == is.len();
    for (was, is) in was.iter().zip(&is).filter(|(was, is)| was != is) {
        match (serde_json::from_str(was), serde_json::from_str(is)) {
            (Ok(was), Ok(is)) => compare_json(step, "", &was, &is, found),
            _ => alike = false,
        }
    }
    if !alike {
        found.push(format!("multipart body was {left:?}, is {right:?}"));
    }
}

/// One JSON value, or the lines of a feed: a continuous one, or one of events.
fn json_values(body: &[u8]) -> Option<Vec<Value>> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Some(vec![value]);
    }
    let text = std::str::from_utf8(body).ok()?;
    text.lines().filter(|l| !l.is_empty()).map(line_value).collect()
}

fn line_value(line: &str) -> Option<Value> {
    // The id of an event is a sequence.
    if let Some(seq) = line.strip_prefix("id: ") {
        return serde_json::from_str::<Value>(seq).ok().map(|seq| json!({ "seq": seq }));
    }
    serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok()
}

fn without_boundary(response: &Response) -> String {
    let kind = response.header("content-type").unwrap_or_default();
    let boundary = kind.split_once("boundary=").map_or("", |(_, b)| b.trim_matches('"'));
    let mut text = response.text().replace(boundary, "BOUNDARY");
    // Parts of a multipart/mixed answer have boundaries of their own, in quotes or without.
    while let Some((before, rest)) = text.split_once("boundary=") {
        let inner = rest.trim_start_matches('"').split(['"', ';', '\r']).next().unwrap_or_default();
        let named = format!("{before}boundary: {rest}");
        text = if inner.is_empty() { named } else { named.replace(inner, "INNER") };
    }
    text
}

fn compare_json(step: &Step, path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            // Errors may name a place in CouchDB's own code.
            let place = |name: &&String| *name != "ref" || !left.contains_key("error");
            let names: Vec<_> = left.keys().filter(place).collect();
            let others: Vec<_> = right.keys().filter(place).collect();
            if names != others {
                found.push(format!("{path}: members were {names:?}, are {others:?}: {right:?}"));
            }
            for (name, value) in left {
                let Some(other) = right.get(name) else { continue };
                if RANDOM_MEMBERS.contains(&name.as_str()) || step.ignore.contains(name) {
                    continue;
                }
                let path = format!("{path}/{name}");
                if step.unordered.contains(name) {
                    compare_json(step, &path, &sorted(value), &sorted(other), found);
                } else {
                    compare_json(step, &path, value, other, found);
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (at, (left, right)) in left.iter().zip(right).enumerate() {
                compare_json(step, &format!("{path}/{at}"), left, right, found);
            }
        }
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        _ if left == right => {}
        _ => found.push(format!("{path}: was {left}, is {right}")),
    }
}

/// Orders an array by the members that identify a row, for answers whose order means nothing.
fn sorted(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let mut items = items.clone();
    items.sort_by_key(|item| match item.get("id").or_else(|| item.get("key")) {
        Some(id) => id.to_string(),
        None => item.to_string(),
    });
    Value::Array(items)
}
