//! [`Ctx`]: all that a handler may know about its request, and [`App`]: what all requests share.
//! Holds things; decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Uri};
use parking_lot::RwLock;
use settee_cluster::Cluster;

use crate::auth::User;
use crate::body::RequestBody;
use crate::error::Error;
use crate::query::Query;
use crate::route::Method;
use crate::settings::Settings;
use crate::uuids::Uuids;

/// What all requests share.
pub struct App {
    /// The coordinator.
    pub cluster: Cluster,
    /// New document ids.
    pub uuids: Uuids,
    settings: RwLock<Arc<Settings>>,
}

impl App {
    /// A front over a coordinator.
    #[must_use]
    pub fn new(cluster: Cluster, settings: Settings) -> Self {
        App { cluster, uuids: Uuids::default(), settings: RwLock::new(Arc::new(settings)) }
    }

    /// The settings of now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }
}

/// One request.
pub struct Ctx {
    /// What all requests share.
    pub app: Arc<App>,
    /// The settings as they were when the request came.
    pub settings: Arc<Settings>,
    /// Its method.
    pub method: Method,
    /// Whether it is a `HEAD`, which is otherwise a [`Method::Get`].
    pub head: bool,
    /// Its target.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its query string.
    pub query: Query,
    /// Its body.
    pub body: RequestBody,
    /// Who asks.
    pub user: Arc<User>,
    /// From where.
    pub peer: SocketAddr,
}

impl Ctx {
    /// A new document id.
    #[must_use]
    pub fn new_uuid(&self) -> String {
        self.app.uuids.next(&self.settings)
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Checks the body's media type as CouchDB does.
    ///
    /// # Errors
    /// 415.
    pub fn require_json(&self) -> Result<(), Error> {
        crate::body::require_content_type(&self.headers, "application/json")
    }

    /// Whether the client has this version already; `tag` has its quotes.
    #[must_use]
    pub fn etag_matches(&self, tag: &str) -> bool {
        self.header(&IF_NONE_MATCH).is_some_and(|tags| {
            let mut tags = tags.split([',', ' ']).filter(|tag| !tag.is_empty());
            tags.any(|sent| sent.strip_prefix("W/").unwrap_or(sent) == tag)
        })
    }

    /// A path as an absolute URI, for `Location`. `path` is percent-encoded and begins with `/`.
    #[must_use]
    pub fn absolute_uri(&self, path: &str) -> String {
        let named = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let secure =
            named("x-forwarded-ssl") == Some("on") || named("x-forwarded-proto") == Some("https");
        let scheme = if secure { "https" } else { "http" };
        let host = named("x-forwarded-host").or_else(|| self.header(&HOST));
        let host = host.or_else(|| self.uri.authority().map(http::uri::Authority::as_str));
        format!("{scheme}://{}{path}", host.unwrap_or("localhost"))
    }
}

/// Percent-encodes a path segment as CouchDB writes `Location`.
pub fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b':' => {
                out.push(char::from(byte));
            }
            byte => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(
                        char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase(),
                    );
                }
            }
        }
    }
}
