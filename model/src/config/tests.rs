//! Ini texts as CouchDB reads and edits them.

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
    assert_eq!(config.limit("s", "none", Some(5)), Some(5));
    config.set("s", "none", "infinity");
    assert_eq!(config.limit("s", "none", Some(5)), None);
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

proptest::proptest! {
    #[test]
    fn what_passed_the_check_survives_the_file(
        section in "[ -~]{1,8}", key in "[ -~]{1,8}", value in "\\PC{0,12}",
    ) {
        proptest::prop_assume!(check(&section, &key, &value).is_ok());
        let text = edit("[other]\nk = v\n", &section, &key, Some(&value));
        let mut read = Config::default();
        read.merge_ini(&text);
        // No value may become another section or key.
        let keys: usize = read.sections().map(|section| read.section(section).count()).sum();
        proptest::prop_assert!(keys <= 2);
        proptest::prop_assert_eq!(read.get("other", "k").is_some(), true);
    }

    #[test]
    fn a_set_value_is_read_back(key in "[a-z_]{1,8}", value in "[a-z0-9,./=-]{1,12}") {
        let once = edit("", "s", &key, Some("first"));
        let text = edit(&once, "s", &key, Some(&value));
        let read = config(&text);
        proptest::prop_assert_eq!(read.get("s", &key), Some(value.as_str()));
        proptest::prop_assert_eq!(config(&edit(&text, "s", &key, None)), Config::default());
    }
}
