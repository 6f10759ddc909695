//! What unit tests have in common. Never part of the server.

use http::{HeaderMap, HeaderValue};

/// Headers in their order; a name may come several times.
pub fn headers(sent: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}
