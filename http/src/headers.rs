//! What stands in a header. Knows none by its name.

use http::HeaderValue;

/// A header's text, which may be any UTF-8, as CouchDB takes it; `None` for other bytes.
#[must_use]
pub fn text(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes()).ok()
}
