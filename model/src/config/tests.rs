use super::*;

fn config(text: &str) -> Config {
    let mut config = Config::default();
    config.overlay(text);
    config
}

#[test]
fn files_are_read_as_couchdb_reads_them() {
    let text = "before = 1\n; comment\n[one]\n a=1 ; why\nb = x = y ;z\r\nc;d = 3\t; no\n\
                e = \n= f\nplain\n [ two ]x\ng = [1]\n[]\nh=1\n[three]\n;i = 1\nj = a;b\n\
                k==2\nl = = 1\n m = é \n";
    let expected = [
        ("one", "a", "1"),
        ("one", "b", "x = y"),
        ("one", "c;d", "3"),
        ("one", "g", "[1]"),
        ("one", "h", "1"),
        ("three", "j", "a;b"),
        ("three", "k", "=2"),
        ("three", "l", "= 1"),
        ("three", "m", "é"),
    ];
    assert_eq!(parse(text), expected);
}

#[test]
fn later_layers_win() {
    let mut config = config("[a]\nx = 1\ny = 1\n[a]\nx = 2\n");
    config.overlay("[a]\ny = 3\n[b]\nz = 4\n");
    assert_eq!(config.section("a").into_iter().collect::<Vec<_>>(), [("x", "2"), ("y", "3")]);
    assert_eq!(config.sections(), ["a", "b"]);
    assert_eq!(config.remove("b", "z").as_deref(), Some("4"));
    assert_eq!(config.sections(), ["a"]);
    assert_eq!(config.remove("b", "z"), None);
}

#[test]
fn moved_sections_answer_under_both_names() {
    let mut config = config("[httpd]\nenable_cors = true\nport = 5986\n");
    assert_eq!(config.get("chttpd", "enable_cors"), Some("true"));
    assert!(config.read(&keys::ENABLE_CORS));
    assert_eq!(config.read(&keys::PORT), 5984, "the old port is another one");
    assert_eq!(config.sections(), ["chttpd", "httpd"]);
    assert_eq!(config.section("chttpd").into_iter().collect::<Vec<_>>(), [("enable_cors", "true")]);

    config.set("chttpd", "enable_cors", "false");
    assert_eq!(config.get("httpd", "enable_cors"), Some("false"), "one value, not two");
    config.set("couch_httpd_auth", "secret", "s");
    assert_eq!(config.read(&keys::SECRET).as_deref(), Some("s"));
    assert_eq!(config.remove("chttpd_auth", "secret").as_deref(), Some("s"));
    assert_eq!(config.get("couch_httpd_auth", "secret"), None);
}

#[test]
fn values_that_make_no_sense_count_as_none() {
    let read = |value: &str| {
        let config = config(&format!(
            "[couchdb]\nmax_document_size = {value}\nmax_attachment_size = {value}\n\
             single_node = {value}\n"
        ));
        (
            config.read(&keys::MAX_DOCUMENT_SIZE),
            config.read(&keys::MAX_ATTACHMENT_SIZE),
            config.read(&keys::SINGLE_NODE),
        )
    };
    assert_eq!(read("7"), (7, Some(7), false));
    assert_eq!(read("+007"), (7, Some(7), false));
    assert_eq!(read("infinity"), (8_000_000, None, false));
    assert_eq!(read("true"), (8_000_000, Some(1 << 30), true));
    assert_eq!(read("-7"), (8_000_000, Some(1 << 30), false));
    assert_eq!(read("7kb"), (8_000_000, Some(1 << 30), false));
}

#[test]
fn lists_are_split_at_commas() {
    let types =
        config("[attachments]\ncompressible_types = a/b ,, c/*,\n").read(&keys::COMPRESSIBLE_TYPES);
    assert_eq!(types.list().collect::<Vec<_>>(), ["a/b", "c/*"]);
    assert_eq!(Config::default().read(&keys::COMPRESSIBLE_TYPES).list().count(), 4);
}

#[test]
fn edits_keep_what_the_owner_wrote() {
    let text = "; mine\n[a]\nx = 1 ; why\n;y = 2\n\n\n[b]\nz = 3\n";
    assert_eq!(edit(text, "a", "x", Some("5")), "; mine\n[a]\nx = 5\n;y = 2\n\n\n[b]\nz = 3\n");
    assert_eq!(
        edit(text, "a", "y", Some("5")),
        "; mine\n[a]\nx = 1 ; why\n;y = 2\ny = 5\n\n[b]\nz = 3\n"
    );
    assert_eq!(
        edit(text, "c", "y", Some("5")),
        "; mine\n[a]\nx = 1 ; why\n;y = 2\n\n\n[b]\nz = 3\n\n[c]\ny = 5\n"
    );
    assert_eq!(edit(text, "b", "z", None), "; mine\n[a]\nx = 1 ; why\n;y = 2\n\n\n[b]\n");
    assert_eq!(edit("", "c", "y", Some("5")), "[c]\ny = 5\n");
    assert_eq!(parse(&edit(text, "c", "y", None)), parse(text), "nothing to take out");
    let twice = edit("[a]\nx=1\nx=2\n", "a", "x", Some("3"));
    assert_eq!(twice, "[a]\nx = 3\n", "a second value would win");
}

#[test]
fn an_edit_is_what_is_read_next() {
    let text = "[a]\nx = 1\n[b]\n[a]\ny = 2\nx = 3\n";
    let edited = config(&edit(text, "a", "x", Some("9 = [z]")));
    assert_eq!(edited.get("a", "x"), Some("9 = [z]"));
    assert_eq!(edited.get("a", "y"), Some("2"));
    assert_eq!(config(&edit(text, "a", "x", None)).get("a", "x"), None);
}

#[test]
fn an_edit_finds_the_value_under_its_other_name() {
    let text = "[chttpd]\nport = 1\n[httpd]\nenable_cors = true\nport = 2\n";
    let edited = edit(text, "chttpd", "enable_cors", Some("false"));
    assert_eq!(edited, "[chttpd]\nport = 1\nenable_cors = false\n\n[httpd]\nport = 2\n");
    assert_eq!(config(&edited).get("httpd", "enable_cors"), Some("false"));
    assert_eq!(config(&edited).get("httpd", "port"), Some("2"));
}

#[test]
fn updates_can_t_smuggle_lines() {
    assert_eq!(check_update("section", "key", "value [1] \t"), Ok(()));
    assert_eq!(check_update("section", "key", ""), Ok(()));
    assert_eq!(check_update("sec]tion", "key", ""), Err(BadUpdate::Section));
    assert_eq!(check_update("section\n", "key", ""), Err(BadUpdate::Section));
    assert_eq!(check_update("section", "k[ey", ""), Err(BadUpdate::Key));
    assert_eq!(check_update("section", "k\rey", ""), Err(BadUpdate::Key));
    assert_eq!(check_update("section", "key", "a\n[admins]"), Err(BadUpdate::Value));
    assert_eq!(check_update("section", "key", "a\0"), Err(BadUpdate::Value));
}
