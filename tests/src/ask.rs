//! What tests ask clusters again and again, failing when there is no answer.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{ANONYMOUS, Client, Request, Response};

/// How long a node that comes back may take until it shows what the others show.
pub const CATCH_UP: Duration = Duration::from_secs(10);

/// Puts a document with a number, or nothing.
pub fn put(client: &mut Client, path: &str, n: &str) -> Response {
    let body = if n.is_empty() { String::new() } else { format!("{{\"n\":{n}}}") };
    put_json(client, path, &body)
}

/// Puts JSON, or nothing.
pub fn put_json(client: &mut Client, path: &str, body: &str) -> Response {
    let request = Request::new("PUT", path);
    let request = if body.is_empty() { request } else { request.json(body) };
    client.send(&request).expect("an answer")
}

/// The JSON that is there.
pub fn get(client: &mut Client, path: &str) -> Value {
    let answer = client.send(&Request::new("GET", path)).expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json().expect("JSON")
}

/// The status of what is there, or is not.
pub fn status(client: &mut Client, path: &str) -> u16 {
    client.send(&Request::new("GET", path)).expect("an answer").status
}

/// Configures the node that is asked, and fails if it does not let that happen.
pub fn configure(client: &mut Client, key: &str, value: &str) {
    let path = format!("/_node/_local/_config/{key}");
    let answer = put_json(client, &path, &Value::from(value).to_string());
    assert_eq!(answer.status, 200, "{key}: {}", answer.text());
}

/// Asks with these headers, and as nobody if none of them says who asks: as a browser does for a
/// page of somebody else.
pub fn as_nobody(
    client: &mut Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    let mut request = Request::new(method, path);
    if !headers.iter().any(|(name, _)| *name == "Authorization") {
        request = request.header("Authorization", ANONYMOUS);
    }
    let request = headers.iter().fold(request, |sent, (name, value)| sent.header(name, value));
    client.send(&request).expect("an answer")
}

/// What a node shows of a database: revisions by id.
pub fn contents(client: &mut Client, db: &str) -> BTreeMap<String, String> {
    contents_of(client, &format!("{db}/_all_docs"))
}

/// The same of those rows that a path of `_all_docs` asks for.
pub fn contents_of(client: &mut Client, path: &str) -> BTreeMap<String, String> {
    let answer = client.send(&Request::new("GET", path)).expect("an answer");
    let body = answer.json().expect("JSON");
    let rows = body.get("rows").and_then(Value::as_array).into_iter().flatten();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    rows.map(|row| (text(row.get("id")), text(row.pointer("/value/rev")))).collect()
}

/// How long what must happen may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "not after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
