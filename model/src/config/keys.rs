//! The keys of the configuration that the server reads, each with CouchDB's name, default and
//! leniency. A value that can't be read counts as none.

/// A key with what it means.
#[derive(Clone, Copy, Debug)]
pub struct Key<T> {
    /// The section's newest name.
    pub section: &'static str,
    /// The key's name.
    pub name: &'static str,
    /// What it means when nothing is set.
    pub default: T,
    /// Reads a value; `None` if it makes no sense.
    pub read: fn(&str) -> Option<T>,
}

impl<T> Key<T> {
    const fn new(
        section: &'static str,
        name: &'static str,
        default: T,
        read: fn(&str) -> Option<T>,
    ) -> Self {
        Key { section, name, default, read }
    }
}

impl Key<bool> {
    const fn flag(section: &'static str, name: &'static str, default: bool) -> Self {
        Key::new(section, name, default, |text| text.parse().ok())
    }
}

impl Key<u64> {
    const fn natural(section: &'static str, name: &'static str, default: u64) -> Self {
        Key::new(section, name, default, natural)
    }
}

impl Key<Option<u64>> {
    /// A number, or `infinity` for no limit.
    const fn limit(section: &'static str, name: &'static str, default: Option<u64>) -> Self {
        Key::new(section, name, default, |text| match text {
            "infinity" => Some(None),
            _ => natural(text).map(Some),
        })
    }
}

impl Key<Option<String>> {
    /// A text that has no default.
    const fn text(section: &'static str, name: &'static str) -> Self {
        Key::new(section, name, None, |text| Some(Some(text.to_owned())))
    }
}

impl Key<Words> {
    /// A text with a default.
    const fn words(section: &'static str, name: &'static str, default: &'static str) -> Self {
        Key::new(section, name, Words::Default(default), |text| Some(Words::Set(text.to_owned())))
    }
}

/// A text that is set, or the default one.
#[derive(Clone, Debug)]
pub enum Words {
    /// Nobody set it.
    Default(&'static str),
    /// Somebody did.
    Set(String),
}

impl Words {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Words::Default(text) => text,
            Words::Set(text) => text,
        }
    }

    /// The parts between commas, without the space around them; empty ones don't count.
    pub fn list(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(',').map(str::trim).filter(|part| !part.is_empty())
    }
}

/// A whole number as Erlang reads it, signs and leading zeros allowed, but not below zero.
fn natural(text: &str) -> Option<u64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    if text.starts_with('-') && number != 0 { None } else { Some(number) }
}

// [couchdb]
/// The server's identity, which replicators put into their checkpoints.
pub const UUID: Key<Option<String>> = Key::text("couchdb", "uuid");
/// Where the data lies.
pub const DATABASE_DIR: Key<Option<String>> = Key::text("couchdb", "database_dir");
/// Whether to make the system databases at the start.
pub const SINGLE_NODE: Key<bool> = Key::flag("couchdb", "single_node", false);
/// `admin_only`, `admin_local` or `everyone`: who may use a database without a security object.
pub const DEFAULT_SECURITY: Key<Words> = Key::words("couchdb", "default_security", "admin_only");
/// Whether the security object of `_users` can be changed.
pub const USERS_DB_SECURITY_EDITABLE: Key<bool> =
    Key::flag("couchdb", "users_db_security_editable", false);
/// Bytes of a document's id.
pub const MAX_DOCUMENT_ID_LENGTH: Key<Option<u64>> =
    Key::limit("couchdb", "max_document_id_length", None);
/// Bytes of a document's body.
pub const MAX_DOCUMENT_SIZE: Key<u64> = Key::natural("couchdb", "max_document_size", 8_000_000);
/// Bytes of an attachment.
pub const MAX_ATTACHMENT_SIZE: Key<Option<u64>> =
    Key::limit("couchdb", "max_attachment_size", Some(1_073_741_824));
/// Bytes of a partition; 0: no limit.
pub const MAX_PARTITION_SIZE: Key<u64> =
    Key::natural("couchdb", "max_partition_size", 10_737_418_240);
/// `true`, `false` or `nolb`: whether `_up` answers 404.
pub const MAINTENANCE_MODE: Key<Words> = Key::words("couchdb", "maintenance_mode", "false");
/// Ids up to which a filter by ids looks each one up.
pub const CHANGES_DOC_IDS_THRESHOLD: Key<u64> =
    Key::natural("couchdb", "changes_doc_ids_optimization_threshold", 1000);

// [cluster]
/// Shards of a new database.
pub const Q: Key<u64> = Key::natural("cluster", "q", 2);
/// Copies of each shard of a new database.
pub const N: Key<u64> = Key::natural("cluster", "n", 3);

// [chttpd]
/// The port for clients.
pub const PORT: Key<u64> = Key::natural("chttpd", "port", 5984);
/// The address for clients.
pub const BIND_ADDRESS: Key<Words> = Key::words("chttpd", "bind_address", "127.0.0.1");
/// Bytes of a request's body.
pub const MAX_HTTP_REQUEST_SIZE: Key<Option<u64>> =
    Key::limit("chttpd", "max_http_request_size", Some(4_294_967_296));
/// Bytes of a request's path and query.
pub const MAX_URI_LENGTH: Key<Option<u64>> = Key::limit("chttpd", "max_uri_length", None);
/// Milliseconds that a feed waits for a change, at most and by default.
pub const CHANGES_TIMEOUT: Key<u64> = Key::natural("chttpd", "changes_timeout", 60_000);
/// Whether only administrators may list databases.
pub const ADMIN_ONLY_ALL_DBS: Key<bool> = Key::flag("chttpd", "admin_only_all_dbs", true);
/// Whether nothing is answered without a user.
pub const REQUIRE_VALID_USER: Key<bool> = Key::flag("chttpd", "require_valid_user", false);
/// The same, but for `_up`.
pub const REQUIRE_VALID_USER_EXCEPT_FOR_UP: Key<bool> =
    Key::flag("chttpd", "require_valid_user_except_for_up", false);
/// Whether `Server` names versions.
pub const SERVER_HEADER_VERSIONS: Key<bool> = Key::flag("chttpd", "server_header_versions", true);
/// What a 401 says in that header.
pub const WWW_AUTHENTICATE: Key<Option<String>> = Key::text("chttpd", "WWW-Authenticate");
/// Where browsers are sent to log in.
pub const AUTHENTICATION_REDIRECT: Key<Option<String>> =
    Key::text("chttpd", "authentication_redirect");
/// Databases in one `_dbs_info` request.
pub const MAX_DBS_INFO: Key<u64> = Key::natural("chttpd", "max_db_number_for_dbs_info_req", 100);
/// Whether an answer begins only when its end is known.
pub const BUFFER_RESPONSE: Key<bool> = Key::flag("chttpd", "buffer_response", false);
/// Whether `+` is a space in names of databases and documents.
pub const DECODE_PLUS_TO_SPACE: Key<bool> = Key::flag("chttpd", "decode_plus_to_space", true);
/// Whether pages from elsewhere may ask.
pub const ENABLE_CORS: Key<bool> = Key::flag("chttpd", "enable_cors", false);
/// The header with which a proxy says the host.
pub const X_FORWARDED_HOST: Key<Words> =
    Key::words("chttpd", "x_forwarded_host", "X-Forwarded-Host");
/// The header with which a proxy says the scheme.
pub const X_FORWARDED_PROTO: Key<Words> =
    Key::words("chttpd", "x_forwarded_proto", "X-Forwarded-Proto");
/// The header with which a proxy says `on` for TLS.
pub const X_FORWARDED_SSL: Key<Words> = Key::words("chttpd", "x_forwarded_ssl", "X-Forwarded-Ssl");
/// Headers that stay when a client prefers few.
pub const PREFER_MINIMAL: Key<Words> = Key::words(
    "chttpd",
    "prefer_minimal",
    "Cache-Control, Content-Length, Content-Range, Content-Type, ETag, Server, Transfer-Encoding, Vary",
);

// [chttpd_auth]
/// What signs cookies.
pub const SECRET: Key<Option<String>> = Key::text("chttpd_auth", "secret");
/// Seconds that a cookie lasts.
pub const AUTH_TIMEOUT: Key<u64> = Key::natural("chttpd_auth", "timeout", 600);
/// Whether cookies outlive the browser.
pub const ALLOW_PERSISTENT_COOKIES: Key<bool> =
    Key::flag("chttpd_auth", "allow_persistent_cookies", true);
/// The domain of cookies.
pub const COOKIE_DOMAIN: Key<Option<String>> = Key::text("chttpd_auth", "cookie_domain");
/// `strict`, `lax` or `none`: that attribute of cookies.
pub const SAME_SITE: Key<Option<String>> = Key::text("chttpd_auth", "same_site");
/// HMACs of cookies; the first signs.
pub const HASH_ALGORITHMS: Key<Words> = Key::words("chttpd_auth", "hash_algorithms", "sha256, sha");
/// The database of users.
pub const AUTHENTICATION_DB: Key<Words> = Key::words("chttpd_auth", "authentication_db", "_users");
/// Users that are remembered.
pub const AUTH_CACHE_SIZE: Key<u64> = Key::natural("chttpd_auth", "auth_cache_size", 50);
/// How new passwords are kept.
pub const PASSWORD_SCHEME: Key<Words> = Key::words("chttpd_auth", "password_scheme", "pbkdf2");
/// The hash of PBKDF2.
pub const PBKDF2_PRF: Key<Words> = Key::words("chttpd_auth", "pbkdf2_prf", "sha256");
/// Rounds for new passwords.
pub const ITERATIONS: Key<u64> = Key::natural("chttpd_auth", "iterations", 600_000);
/// Fewer rounds than this let nobody in.
pub const MIN_ITERATIONS: Key<u64> = Key::natural("chttpd_auth", "min_iterations", 1);
/// More rounds than this let nobody in.
pub const MAX_ITERATIONS: Key<u64> = Key::natural("chttpd_auth", "max_iterations", 1_000_000_000);
/// Whether a login may renew how its password is kept.
pub const UPGRADE_HASH_ON_AUTH: Key<bool> = Key::flag("chttpd_auth", "upgrade_hash_on_auth", false);

// [chttpd_auth_lockout]
/// `off`, `warn` or `enforce`.
pub const LOCKOUT_MODE: Key<Words> = Key::words("chttpd_auth_lockout", "mode", "enforce");
/// Failures from one address before a user is locked out.
pub const LOCKOUT_THRESHOLD: Key<u64> = Key::natural("chttpd_auth_lockout", "threshold", 5);
/// Pairs of user and address that are watched.
pub const LOCKOUT_OBJECTS: Key<u64> = Key::natural("chttpd_auth_lockout", "max_objects", 10_000);
/// Milliseconds that failures are remembered.
pub const LOCKOUT_LIFETIME: Key<u64> = Key::natural("chttpd_auth_lockout", "max_lifetime", 300_000);

// [uuids]
/// How ids are made.
pub const UUID_ALGORITHM: Key<Words> = Key::words("uuids", "algorithm", "sequential");
/// What ids of `utc_id` end with.
pub const UTC_ID_SUFFIX: Key<Words> = Key::words("uuids", "utc_id_suffix", "");
/// Ids in one `_uuids` request.
pub const MAX_UUIDS: Key<u64> = Key::natural("uuids", "max_count", 1000);

// [attachments]
/// From 1 (fast) to 9 (small); 0: none.
pub const COMPRESSION_LEVEL: Key<u64> = Key::natural("attachments", "compression_level", 8);
/// Media types that are compressed; `*` for any end.
pub const COMPRESSIBLE_TYPES: Key<Words> = Key::words(
    "attachments",
    "compressible_types",
    "text/*, application/javascript, application/json, application/xml",
);

// [purge]
/// Documents in one `_purge` request.
pub const MAX_PURGE_IDS: Key<u64> = Key::natural("purge", "max_document_id_number", 100);
/// Revisions in one `_purge` request.
pub const MAX_PURGE_REVISIONS: Key<u64> = Key::natural("purge", "max_revisions_number", 1000);

// [fabric]
/// Milliseconds that shard copies have to answer.
pub const REQUEST_TIMEOUT: Key<Option<u64>> = Key::limit("fabric", "request_timeout", Some(60_000));

// [log]
/// The least that is worth a line.
pub const LOG_LEVEL: Key<Words> = Key::words("log", "level", "info");

// [vendor]
/// Who `GET /` says made the server.
pub const VENDOR_NAME: Key<Words> = Key::words("vendor", "name", "The Apache Software Foundation");
/// The version that `GET /` tells for the vendor.
pub const VENDOR_VERSION: Key<Option<String>> = Key::text("vendor", "version");
