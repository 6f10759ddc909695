//! What the tests of the whole share: a raw HTTP client, conversations with a server (written,
//! recorded, replayed, compared, made up), settee processes to test, alone or as clusters, and what can happen
//! to them under load. Depends on no room of settee: what
//! it knows of a server it knows over HTTP, so that it works against any CouchDB.

pub mod ask;
pub mod client;
pub mod cluster;
pub mod compare;
pub mod conversation;
pub mod dice;
pub mod differ;
pub mod fault;
pub mod load;
pub mod net;
pub mod orders;
pub mod race;
pub mod rounds;
pub mod script;
pub mod server;

use std::str::FromStr;

use base64::Engine as _;
use serde_json::{Value, json};

/// A number that the environment may give.
pub fn given<T: FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Standard base64, for headers and for bytes that are no text.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Bytes in a recording: a string when they are UTF-8, else `{"base64": …}`.
fn bytes_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": base64(bytes) }),
    }
}

fn bytes_from_json(value: &Value) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    let encoded = value.get("base64").and_then(Value::as_str).unwrap_or_default();
    base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default()
}
