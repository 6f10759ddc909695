//! [`Few`]: the headers that are left for clients that prefer few (`Prefer: return=minimal`). Pure.

use http::{HeaderMap, HeaderName};
use settee_model::config::Config;

/// Those that are left if nobody says.
const USUAL: &str = "Cache-Control, Content-Length, Content-Range, Content-Type, ETag, Server, Transfer-Encoding, Vary";

/// `[chttpd] prefer_minimal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few(Vec<HeaderName>);

impl Few {
    /// What is configured. Names that no header can have are passed over.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let names = config.list("chttpd", "prefer_minimal", USUAL);
        Few(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Removes all others from an answer, if its client prefers that.
    pub fn keep(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        let prefers = asked
            .get("prefer")
            .is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"return=minimal"));
        if !prefers {
            return;
        }
        let names: Vec<HeaderName> = answer.keys().cloned().collect();
        for name in names.iter().filter(|name| !self.0.contains(name)) {
            answer.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::headers;

    fn left(list: &str, prefer: &'static str) -> Vec<String> {
        let mut config = Config::default();
        config.set("chttpd", "prefer_minimal", list);
        let mut answer = headers(&[("etag", "x"), ("server", "x"), ("x-couch-request-id", "x")]);
        Few::from_config(&config).keep(&headers(&[("prefer", prefer)]), &mut answer);
        let mut names: Vec<_> = answer.keys().map(HeaderName::to_string).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn few_headers_are_left_for_who_prefers_that() {
        let all = ["etag", "server", "x-couch-request-id"];
        for (list, prefer, expected) in [
            ("", "return=minimal", &["etag", "server"][..]),
            ("", "Return=Minimal", &["etag", "server"]),
            ("", "return=representation", &all),
            ("X-Couch-Request-ID , server", "return=minimal", &["server", "x-couch-request-id"]),
            ("no name, ETag", "return=minimal", &["etag"]),
        ] {
            assert_eq!(left(list, prefer), expected, "{list} {prefer}");
        }
    }
}
