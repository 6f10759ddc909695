//! What is not set, and what is set under old names.

use settee_model::config::{newest, table};

use super::*;

#[test]
fn what_nobody_sets_is_as_the_list_says() {
    let usual = format!("{:?}", Settings::default());
    for (section, key, default) in table::defaults() {
        let mut config = Config::default();
        config.set(section, key, default);
        let told = format!("{:?}", Settings::from_config(&config));
        assert_eq!(told, usual, "{section}/{key} = {default}");
    }
}

/// What the settings are with one value in a text, and otherwise as usual.
fn with(section: &str, key: &str, value: &str) -> String {
    let mut config = Config::default();
    config.merge_ini(&format!("[{section}]\n{key} = {value}\n"));
    let settings = Settings::from_config(&config);
    let secret = settings.auth.secrets.current();
    format!("{settings:?} {secret:?}")
}

#[test]
fn old_names_mean_what_the_new_ones_mean() {
    let usual = format!("{:?} None", Settings::default());
    for (old, key, value) in [
        ("httpd", "WWW-Authenticate", "Basic realm=\"x\""),
        ("httpd", "changes_timeout", "1"),
        ("httpd", "enable_cors", "true"),
        ("httpd", "enable_xframe_options", "true"),
        ("httpd", "max_http_request_size", "1"),
        ("httpd", "max_uri_length", "1"),
        ("httpd", "require_valid_user", "true"),
        ("httpd", "rewrite_limit", "1"),
        ("httpd", "secure_rewrites", "false"),
        ("httpd", "server_header_versions", "false"),
        ("httpd", "validate_host", "true"),
        ("httpd", "x_forwarded_host", "X-Host"),
        ("httpd", "x_forwarded_proto", "X-Proto"),
        ("httpd", "x_forwarded_ssl", "X-Tls"),
        ("couch_httpd_auth", "allow_persistent_cookies", "false"),
        ("couch_httpd_auth", "authentication_redirect", "/x"),
        ("couch_httpd_auth", "cookie_domain", "a.example"),
        ("couch_httpd_auth", "hash_algorithms", "sha512"),
        ("couch_httpd_auth", "iterations", "10"),
        ("couch_httpd_auth", "max_iterations", "10"),
        ("couch_httpd_auth", "min_iterations", "10"),
        ("couch_httpd_auth", "password_regexp", "[\".{9,}\"]"),
        ("couch_httpd_auth", "password_scheme", "simple"),
        ("couch_httpd_auth", "pbkdf2_prf", "sha512"),
        ("couch_httpd_auth", "proxy_use_secret", "true"),
        ("couch_httpd_auth", "public_fields", "name"),
        ("couch_httpd_auth", "same_site", "strict"),
        ("couch_httpd_auth", "secret", "x"),
        ("couch_httpd_auth", "timeout", "60"),
        ("couch_httpd_auth", "x_auth_roles", "X-Roles"),
        ("couch_httpd_auth", "x_auth_token", "X-Token"),
        ("couch_httpd_auth", "x_auth_username", "X-Name"),
    ] {
        let told = with(old, key, value);
        assert_ne!(told, usual, "{old}/{key}");
        assert_eq!(told, with(newest(old, key), key, value), "{old}/{key}");
    }
    // Of a server that CouchDB had beside this one.
    for (key, value) in [("authentication_handlers", "{x, y}"), ("buffer_response", "true")] {
        assert_eq!(with("httpd", key, value), usual, "{key}");
    }
}
