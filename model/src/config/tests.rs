//! Ini texts as CouchDB reads and edits them.

use proptest::strategy::Strategy as _;

use super::*;

fn config(text: &str) -> Config {
    let mut config = Config::default();
    config.merge_ini(text);
    config
}

#[test]
fn lines_that_mean_something() {
    for (line, key, value) in [
        ("k=v", "k", "v"),
        ("k = v", "k", "v"),
        ("k  =v  ", "k", "v"),
        ("k = v ; c", "k", "v"),
        ("k==v", "k", "=v"),
        ("k=v=", "k", "v="),
        ("k = =v", "k", "=v"),
        ("k= = v", "k=", "v"),
        ("k = a;b", "k", "a;b"),
    ] {
        let text = format!("ignored = 1\n[s]\r\n\n{line}\n");
        let found: Vec<_> = config(&text).section("s").map(own).collect();
        assert_eq!(found, [(key.to_owned(), value.to_owned())], "{line}");
    }
}

fn own((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn lines_that_mean_nothing() {
    for text in [
        "",
        "k = v",
        "[s]",
        "[s]\nk",
        "[s]\n= v",
        "[s]\nk =",
        "[s]\n;k = v",
        "[]\nk = v",
        "[s\nk=v",
    ] {
        assert_eq!(config(text), Config::default(), "{text}");
    }
}

#[test]
fn later_texts_win_and_sections_have_two_names() {
    let mut config = config("[httpd]\nport = 1\nenable_cors = true\n[admins]\nann = x");
    config.merge_ini("[admins]\nann = y");
    assert_eq!(config.get("admins", "ann"), Some("y"));
    assert_eq!(config.get("chttpd", "enable_cors"), Some("true"));
    assert_eq!(config.get("chttpd", "port"), None);
    config.set("chttpd", "enable_cors", "false");
    assert!(!config.boolean("httpd", "enable_cors", true));
    config.remove("httpd", "enable_cors");
    assert_eq!(config.get("httpd", "enable_cors"), Some("false"));
    config.set("couch_httpd_auth", "timeout", "60");
    assert_eq!(config.parsed("chttpd_auth", "timeout", 600), 60);
    assert_eq!(config.parsed("chttpd_auth", "iterations", 600_000), 600_000);
    let size = |config: &Config| config.limit("couchdb", "max_document_size", Some(5));
    assert_eq!(size(&config), Some(5));
    config.set("couchdb", "max_document_size", "infinity");
    assert_eq!(size(&config), None);
}

#[test]
fn what_moved_has_two_names() {
    // Old section, key, whether CouchDB still reads it there.
    for (old, key, moved) in [
        ("httpd", "WWW-Authenticate", true),
        ("httpd", "allow_jsonp", true),
        ("httpd", "changes_timeout", true),
        ("httpd", "chunked_response_buffer", true),
        ("httpd", "config_whitelist", true),
        ("httpd", "enable_cors", true),
        ("httpd", "enable_xframe_options", true),
        ("httpd", "max_http_request_size", true),
        ("httpd", "max_uri_length", true),
        ("httpd", "require_valid_user", true),
        ("httpd", "rewrite_limit", true),
        ("httpd", "secure_rewrites", true),
        ("httpd", "server_header_versions", true),
        ("httpd", "valid_hosts", true),
        ("httpd", "validate_host", true),
        ("httpd", "x_forwarded_host", true),
        ("httpd", "x_forwarded_proto", true),
        ("httpd", "x_forwarded_ssl", true),
        ("httpd", "admin_only_all_dbs", false),
        ("httpd", "authentication_handlers", false),
        ("httpd", "backlog", false),
        ("httpd", "bind_address", false),
        ("httpd", "buffer_response", false),
        ("httpd", "bulk_get_use_batches", false),
        ("httpd", "decode_plus_to_space", false),
        ("httpd", "max_connections", false),
        ("httpd", "max_db_number_for_dbs_info_req", false),
        ("httpd", "peer_header", false),
        ("httpd", "port", false),
        ("httpd", "prefer_minimal", false),
        ("httpd", "require_valid_user_except_for_up", false),
        ("httpd", "scrub_json_request", false),
        ("httpd", "server_options", false),
        ("httpd", "socket_options", false),
        ("couch_httpd_auth", "allow_persistent_cookies", true),
        ("couch_httpd_auth", "authentication_redirect", true),
        ("couch_httpd_auth", "cookie_domain", true),
        ("couch_httpd_auth", "hash_algorithms", true),
        ("couch_httpd_auth", "iterations", true),
        ("couch_httpd_auth", "max_iterations", true),
        ("couch_httpd_auth", "min_iterations", true),
        ("couch_httpd_auth", "password_regexp", true),
        ("couch_httpd_auth", "password_scheme", true),
        ("couch_httpd_auth", "pbkdf2_prf", true),
        ("couch_httpd_auth", "proxy_use_secret", true),
        ("couch_httpd_auth", "public_fields", true),
        ("couch_httpd_auth", "same_site", true),
        ("couch_httpd_auth", "secret", true),
        ("couch_httpd_auth", "timeout", true),
        ("couch_httpd_auth", "users_db_public", true),
        ("couch_httpd_auth", "x_auth_roles", true),
        ("couch_httpd_auth", "x_auth_token", true),
        ("couch_httpd_auth", "x_auth_username", true),
        ("couch_httpd_auth", "allow_conflicted_user_docs", false),
        ("couch_httpd_auth", "authentication_db", false),
        ("couch_httpd_auth", "upgrade_hash_on_auth", false),
    ] {
        let new = if old == "httpd" { "chttpd" } else { "chttpd_auth" };
        let mut config = config(&format!("[{old}]\n{key} = before\n"));
        let told = |config: &Config| config.shown(new, key).map(str::to_owned);
        assert_eq!(told(&config).as_deref(), moved.then_some("before"), "{old}/{key}");
        assert_eq!((newest(old, key) == new, newest(new, key)), (moved, new), "{key}");
        if !moved {
            config.set(new, key, "now");
            assert_eq!(config.raw(old, key), Some("before"), "{old}/{key}");
            continue;
        }
        assert_eq!(table::may_set(old, key), Ok(()), "{old}/{key}");
        assert_eq!(table::may_set(new, key), Ok(()), "{new}/{key}");
        config.merge_ini(&format!("[{new}]\n{key} = now\n[{old}]\n{key} = later\n"));
        assert_eq!(told(&config).as_deref(), Some("now"), "the newer name of {key} wins");
        config.set(old, key, "set");
        assert_eq!((told(&config).as_deref(), config.raw(old, key)), (Some("set"), Some("set")));
    }
}

#[test]
fn edits_keep_the_rest() {
    let text = "; top\n[a]\nx = 1 ; one\n; note\n\n[b]\ny = 2\n";
    let set = |section, key, value| edit(text, section, key, Some(value));
    assert_eq!(set("a", "x", "9"), "; top\n[a]\nx = 9\n; note\n\n[b]\ny = 2\n");
    assert_eq!(set("a", "z", "9"), "; top\n[a]\nx = 1 ; one\n; note\nz = 9\n\n[b]\ny = 2\n");
    assert_eq!(set("b", "z", "9"), "; top\n[a]\nx = 1 ; one\n; note\n\n[b]\ny = 2\nz = 9\n");
    let added = "; top\n[a]\nx = 1 ; one\n; note\n\n[b]\ny = 2\n\n[c]\nz = 9\n";
    assert_eq!(set("c", "z", "9"), added);
    assert_eq!(edit(text, "a", "x", None), "; top\n[a]\n; note\n\n[b]\ny = 2\n");
    assert_eq!(edit(text, "c", "x", None), text);
    assert_eq!(edit("", "c", "x", Some("1")), "[c]\nx = 1\n");
}

#[test]
fn edits_find_the_section_that_is_read() {
    let set = |text: &str| edit(text, "a", "x", Some("9"));
    assert_eq!(set("[a] ; one\nx = 1\n"), "[a] ; one\nx = 9\n");
    assert_eq!(set("[a]\nk = 1\n[b] ; two\nx = 1\n"), "[a]\nk = 1\nx = 9\n\n[b] ; two\nx = 1\n");
    assert_eq!(set("[a]\n[x]y]\n[]\nx = 1"), "[a]\n[x]y]\n[]\nx = 9\n");
    assert_eq!(set("[a]\nx = 1\n[b]\n[a]\nx = 2\nk = 1\n"), "[a]\n[b]\n[a]\nx = 9\nk = 1\n");
    assert_eq!(set("[a]\r\nx = 1\r\n[b]\r\n"), "[a]\r\nx = 9\r\n[b]\r\n");
    assert_eq!(set("k = 1"), "k = 1\n\n[a]\nx = 9\n");
    assert_eq!(edit("[a]\nx = 1", "b", "x", None), "[a]\nx = 1");
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let unfit = |section, key, value| check(section, key, value).unwrap_err();
    for text in [
        "a\nb", "a\rb", "a\u{1a}b", "a\0b", "a]b", "[a", "a\u{85}b", "\u{7f}", "Ā", "\u{2028}", "É",
    ] {
        assert_eq!(unfit(text, "k", "v"), Unfit::Section, "{text:?}");
        assert_eq!(unfit("s", text, "v"), Unfit::Key, "{text:?}");
    }
    for value in [
        "x\n[admins]\neve = e",
        "x\r",
        "€",
        "\u{2028}",
        "\u{a0}x",
        "x\u{1a}y",
        "a ; b",
        "a\t;b",
        ";a",
        " a",
        "a ",
    ] {
        assert_eq!(unfit("s", "k", value), Unfit::Value, "{value:?}");
    }
    for key in ["", " k", "k ", ";k", "a = b", "k ;c", "= "] {
        assert_eq!(unfit("s", key, "v"), Unfit::Key, "{key:?}");
    }
    for section in ["", "a ;b"] {
        assert_eq!(unfit(section, "k", "v"), Unfit::Section, "{section:?}");
    }
    for value in ["", "[a, {b, c}]", "a;b", "a = b", "-----BEGIN\\nMIIB=\\n", "é", "\u{feff}x"] {
        assert_eq!(check("jwt_keys", "rsa:h2=", value), Ok(()), "{value:?}");
    }
}

#[test]
fn what_may_be_set_over_http() {
    use table::{Closed, may_remove, may_set};
    for (section, key) in [
        ("chttpd", "require_valid_user"),
        ("chttpd_auth", "require_valid_user"),
        ("chttpd", "port"),
        ("chttpd", "bind_address"),
        ("httpd", "WWW-Authenticate"),
        ("httpd", "enable_cors"),
        ("chttpd", "enable_cors"),
        ("chttpd", "max_http_request_size"),
        ("chttpd", "config_whitelist"),
        ("couchdb", "max_document_size"),
        ("couchdb", "max_dbs_open"),
        ("cors", "credentials"),
        ("cors", "origins"),
        ("cors:http://a.example", "origins"),
        ("couch_httpd_auth", "public_fields"),
        ("couch_httpd_auth", "secret"),
        ("jwt_keys", "hmac:_default"),
        ("admins", "ann"),
        ("test", "foo"),
        ("my-application", "any thing"),
    ] {
        assert_eq!(may_set(section, key), Ok(()), "{section}/{key}");
        assert_eq!(may_remove(section, key), Ok(()), "{section}/{key}");
    }
    for section in ["query_servers", "os_daemons", "daemons", "external", "settee", "settee.new"] {
        assert_eq!(may_set(section, "x"), Err(Closed::Section), "{section}");
        assert_eq!(may_remove(section, "x"), Err(Closed::Section), "{section}");
    }
    for (section, key) in [
        ("couchdb", "database_dir"),
        ("couchdb", "view_index_dir"),
        ("couchdb", "util_driver_dir"),
        ("couchdb", "uri_file"),
        ("cluster", "secret"),
        ("cluster", "mesh"),
        ("ssl", "key_file"),
        ("log", "file"),
        ("log", "writer"),
        ("replicator", "key_file"),
    ] {
        assert_eq!(may_set(section, key), Err(Closed::Key), "{section}/{key}");
        assert_eq!(may_remove(section, key), Err(Closed::Key), "{section}/{key}");
    }
    for (section, key) in [("couchdb", "new_thing"), ("httpd", "daemon"), ("cors:x", "y")] {
        assert_eq!(may_set(section, key), Err(Closed::Unknown), "{section}/{key}");
        assert_eq!(may_remove(section, key), Ok(()), "{section}/{key}");
    }
}

#[test]
fn nothing_in_the_list_that_names_files_is_open() {
    let names = ["_file", "_dir", "_path", "password", "command", "writer"];
    let known = table::keys().filter(|(_, key)| names.iter().any(|name| key.ends_with(name)));
    let known: Vec<_> = known.filter(|(section, _)| *section != "jwt_auth").collect();
    assert!(known.len() > 10, "{known:?}");
    for (section, key) in known {
        assert_eq!(table::may_set(section, key), Err(table::Closed::Key), "{section}/{key}");
    }
}

#[test]
fn the_list_shows_what_couchdb_shows() {
    let shown = config(table::DEFAULTS);
    assert_eq!(shown.get("chttpd", "port"), Some("5984"));
    assert_eq!(shown.raw("chttpd_auth", "hash_algorithms"), Some("sha256, sha"));
    assert_eq!(shown.raw("couchdb", "max_document_size"), None);
    let defaults: Vec<_> = table::defaults().collect();
    assert!(defaults.contains(&("couchdb", "max_document_size", "8000000")));
    assert!(defaults.contains(&("cluster", "q", "2")));
    assert!(defaults.iter().all(|(_, key, _)| *key != "max_dbs_open"), "it means nothing");
}

/// Texts of lines that are much alike, with headers, remarks and ends of every kind.
fn texts() -> impl proptest::strategy::Strategy<Value = String> {
    let line = "(\\[[ab]\\]( ;r| ;]|\t; r)?|\\[[ab]|\\[\\]|\\[a\\]b\\]|\\[a\\] *|;?[xy] ?= ?[12]( ; \\[b\\])?| )\
                (\n|\r\n|\r|\u{1a}|\n\n)";
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest::proptest! {
    #[test]
    fn an_edit_changes_one_value(
        text in texts(),
        section in "[abc]",
        key in "[xyz]",
        value in proptest::option::of("[3-9]"),
    ) {
        let edited = edit(&text, &section, &key, value.as_deref());
        let mut wanted = config(&text);
        match &value {
            Some(value) => wanted.insert(&section, &key, value),
            None => wanted.remove(&section, &key),
        }
        proptest::prop_assert_eq!(&config(&edited), &wanted, "{:?}", edited);
        let remarks = |text: &str| text.matches(';').count();
        if config(&text).raw(&section, &key).is_none() {
            proptest::prop_assert_eq!(remarks(&edited), remarks(&text));
        }
    }

}

proptest::proptest! {
    // Most of what is made up is refused.
    #![proptest_config(proptest::test_runner::Config {
        max_global_rejects: 1 << 16,
        ..Default::default()
    })]

    #[test]
    fn what_passed_the_check_survives_the_file(
        section in "[ -~]{1,8}|[a-z=; \\[\\]\t]{1,6}",
        key in "[ -~]{1,8}|[a-z=; \\[\\]\t]{1,6}",
        value in "[ -~\u{a1}-\u{bf}\u{e0}-\u{ff}]{1,12}|[a-z=; \\[\\]\t]{1,6}",
    ) {
        proptest::prop_assume!(check(&section, &key, &value).is_ok());
        let before = "; a remark\n[other]\nk = v\nkey = other\n\n[last]\nk = v\n";
        let mut wanted = config(before);
        wanted.insert(&section, &key, "first");
        let text = edit(before, &section, &key, Some("first"));
        proptest::prop_assert_eq!(&config(&text), &wanted);
        wanted.insert(&section, &key, &value);
        let text = edit(&text, &section, &key, Some(&value));
        proptest::prop_assert_eq!(&config(&text), &wanted);
        wanted.remove(&section, &key);
        proptest::prop_assert_eq!(&config(&edit(&text, &section, &key, None)), &wanted);
    }

    #[test]
    fn a_set_value_is_read_back(key in "[a-z_]{1,8}", value in "[a-z0-9,./=-]{1,12}") {
        let once = edit("", "s", &key, Some("first"));
        let text = edit(&once, "s", &key, Some(&value));
        let read = config(&text);
        proptest::prop_assert_eq!(read.raw("s", &key), Some(value.as_str()));
        proptest::prop_assert_eq!(config(&edit(&text, "s", &key, None)), Config::default());
    }
}
