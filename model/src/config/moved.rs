//! Settings that have two names: that of now, and that of before CouchDB moved them to another section.
//! Never looks at what is set.

/// Settings that moved between versions, as CouchDB has moved them: the section of now, the one before,
/// and the keys. A value in either is a value in both, unless each has one of its own: then the newer
/// name's holds. Whatever else stands in an old section means what it means there, or nothing.
const MOVED: [(&str, &str, &[&str]); 2] = [
    (
        "chttpd",
        "httpd",
        &[
            "WWW-Authenticate",
            "allow_jsonp",
            "changes_timeout",
            "chunked_response_buffer",
            "config_whitelist",
            "enable_cors",
            "enable_xframe_options",
            "max_http_request_size",
            "max_uri_length",
            "require_valid_user",
            "rewrite_limit",
            "secure_rewrites",
            "server_header_versions",
            "valid_hosts",
            "validate_host",
            "x_forwarded_host",
            "x_forwarded_proto",
            "x_forwarded_ssl",
        ],
    ),
    (
        "chttpd_auth",
        "couch_httpd_auth",
        &[
            "allow_persistent_cookies",
            "authentication_redirect",
            "cookie_domain",
            "hash_algorithms",
            "iterations",
            "max_iterations",
            "min_iterations",
            "password_regexp",
            "password_scheme",
            "pbkdf2_prf",
            "proxy_use_secret",
            "public_fields",
            "same_site",
            "secret",
            "secret_before",
            "timeout",
            "users_db_public",
            "x_auth_roles",
            "x_auth_token",
            "x_auth_username",
        ],
    ),
];

/// The sections of now and of before, of a setting that moved.
fn moved(section: &str, key: &str) -> Option<(&'static str, &'static str)> {
    let both = MOVED.into_iter().find(|(new, old, _)| [*new, *old].contains(&section));
    both.filter(|(_, _, keys)| keys.contains(&key)).map(|(new, old, _)| (new, old))
}

/// The section in which a setting has its other name, if it has one.
#[must_use]
pub fn alias(section: &str, key: &str) -> Option<&'static str> {
    let (new, old) = moved(section, key)?;
    Some(if section == new { old } else { new })
}

/// The section in which a setting stands under the name of now.
#[must_use]
pub fn newest<'a>(section: &'a str, key: &str) -> &'a str {
    moved(section, key).map_or(section, |(new, _)| new)
}
