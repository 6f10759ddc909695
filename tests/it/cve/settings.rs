//! Settings that administrators may make over HTTP, and that once became programs (2017-12636), by odd
//! values (2018-8007), by odd names (2018-11769), or because they were open at all (2018-17188).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use settee_tests::ask::get;
use settee_tests::client::{Client, Request};
use settee_tests::server::Server;

use super::{put, send};
use crate::{repository, with_server};

const CONFIG: &str = "/_node/_local/_config";

/// Sections that named programs in some version of CouchDB, and a key of each.
const PROGRAMS: [(&str, &str); 14] = [
    ("query_servers", "cmd"),
    ("native_query_servers", "cmd"),
    ("os_daemons", "cmd"),
    ("external", "cmd"),
    ("daemons", "cmd"),
    ("httpd_global_handlers", "_cmd"),
    ("httpd_db_handlers", "_cmd"),
    ("httpd_design_handlers", "_cmd"),
    ("feature_flags", "cmd"),
    ("couchdb", "util_driver_dir"),
    ("couchdb", "os_process_command"),
    ("log", "file"),
    ("ssl", "key_file"),
    ("chttpd", "cmd"),
];

fn set(client: &mut Client, key: &str, value: &str) -> u16 {
    let request = Request::new("PUT", &format!("{CONFIG}/{key}"));
    send(client, &request.json(&json!(value).to_string())).status
}

/// Does all that could run a program that was set: views and functions in its language, reloads, a
/// start. `file` is what it would have made.
fn try_to_run(server: &mut Server, client: &mut Client, file: &Path) {
    for (at, language) in ["cmd", "javascript", "erlang", "query_servers"].iter().enumerate() {
        let db = format!("/run{at}");
        send(client, &Request::new("PUT", &db));
        let ddoc = json!({
            "language": language,
            "views": {"v": {"map": "function(doc) { emit(1) }"}},
            "shows": {"s": "function() { return 'x' }"},
        });
        put(client, &format!("{db}/doc"), "{}");
        send(client, &Request::new("PUT", &format!("{db}/_design/d")).json(&ddoc.to_string()));
        for path in ["_view/v", "_show/s"] {
            send(client, &Request::new("GET", &format!("{db}/_design/d/{path}")));
        }
        for path in [&format!("{db}/_cmd"), &format!("{db}/_design/d/_cmd"), "/_cmd"] {
            assert!(send(client, &Request::new("GET", path)).status >= 400, "{path}");
        }
        send(client, &Request::new("DELETE", &db));
    }
    for path in ["/_reload_query_servers", "/_node/_local/_config/_reload"] {
        assert_eq!(send(client, &Request::new("POST", path).json("{}")).status, 200, "{path}");
    }
    server.kill_and_restart().expect("a server");
    assert!(!file.exists(), "a program ran");
}

/// A server, its client, and a file that programs would make.
fn attacked(test: impl FnOnce(&mut Server, &mut Client, &Path, &str)) {
    with_server(|server, client| {
        let file = server.setup().data.join("ran");
        let command = format!("/bin/touch {}", file.display());
        test(server, client, &file, &command);
    });
}

#[test]
fn cve_2017_12636_no_setting_names_a_program() {
    attacked(|server, client, file, command| {
        let before = get(client, CONFIG);
        for (section, key) in PROGRAMS {
            assert_eq!(set(client, &format!("{section}/{key}"), command), 403, "{section}/{key}");
        }
        assert_eq!(get(client, CONFIG), before);
        // Not even who writes the files makes it run one.
        let ini = server.setup().data.join("local.ini");
        let text = fs::read_to_string(&ini).expect("a file");
        let more = PROGRAMS.map(|(section, key)| format!("[{section}]\n{key} = {command}\n"));
        let more = more[..9].concat();
        fs::write(&ini, format!("{text}\n{more}[query_servers]\njavascript = {command}\n"))
            .expect("a file");
        server.kill_and_restart().expect("a server");
        try_to_run(server, client, file);
    });
}

#[test]
fn cve_2018_8007_no_value_becomes_a_setting() {
    attacked(|server, client, file, command| {
        let lines = format!("x\n[query_servers]\ncmd = {command}\n[os_daemons]\ncmd = {command}");
        for (key, value) in [
            ("test/key", lines.as_str()),
            ("test/key", &lines.replace('\n', "\r\n")),
            ("test/key", &lines.replace('\n', "\r")),
            ("test/key", &lines.replace('\n', "\u{85}")),
            ("test/key", &lines.replace('\n', "\u{2028}")),
            ("test/key", &lines.replace('\n', "\u{b}")),
            ("test/key", "x\0\n[admins]\neve = eve"),
            ("test/key%0A%5Bquery_servers%5D%0Acmd", command),
            ("test%5D%0A%5Bquery_servers%5D%0Acmd%20=%20x%0A%5By/key", command),
            ("query_servers%5D%0Acmd/key", command),
            ("%5Bquery_servers/cmd", command),
        ] {
            let status = set(client, key, value);
            assert!(matches!(status, 200 | 400 | 403), "{key} {value:?}: {status}");
        }
        try_to_run(server, client, file);
        let after = get(client, CONFIG);
        for section in ["query_servers", "os_daemons"] {
            assert_eq!(after.get(section).unwrap_or(&json!({})), &json!({}), "{section}");
        }
        assert_eq!(after["admins"].as_object().expect("admins").len(), 1);
    });
}

#[test]
fn cve_2018_11769_no_odd_name_is_another_name() {
    attacked(|server, client, file, command| {
        for (section, key) in PROGRAMS.into_iter().take(6) {
            for odd in [
                section.to_uppercase(),
                format!("%20{section}"),
                format!("{section}%20"),
                format!("{section}%09"),
                format!("{section}%00"),
                format!("{section}%0D"),
                format!("%EF%BB%BF{section}"),
                format!("{section}%2F"),
                format!("{section}:x"),
                section.replacen('_', "%5F", 1),
                section.replacen('_', "%255F", 1),
                section.replacen('_', "+", 1),
            ] {
                for key in [key.to_owned(), format!("%20{key}")] {
                    set(client, &format!("{odd}/{key}"), command);
                }
            }
        }
        try_to_run(server, client, file);
        let after = get(client, CONFIG);
        for (section, key) in PROGRAMS {
            let value = after[section].get(key).and_then(Value::as_str).unwrap_or_default();
            assert!(!value.contains("/bin/touch"), "{section}/{key} = {value}");
        }
    });
}

/// A key that sounds as if it named a file, and does not.
const NO_FILE: &str = "couchdb/file_compression";

/// All settings there are, by the list of them.
fn settings() -> Vec<String> {
    let text = fs::read_to_string(repository("model/src/config/default.ini")).expect("a list");
    let (mut section, mut all) = (String::new(), Vec::new());
    for line in text.lines().map(|line| line.trim_start_matches(';')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" =") {
            all.push(format!("{section}/{key}"));
        }
    }
    all
}

#[test]
fn cve_2018_17188_what_a_server_is_made_of_is_for_its_files() {
    with_server(|server, client| {
        let before = get(client, CONFIG);
        let sounds =
            ["file", "_dir", "/port_", "/mesh", "/secret", "/seedlist", "settee/", "/writer"];
        let all = settings();
        let of_files = all.iter().filter(|key| sounds.iter().any(|sound| key.contains(sound)));
        let of_files: Vec<_> =
            of_files.filter(|key| *key != NO_FILE && !key.starts_with("chttpd_auth/")).collect();
        assert!(of_files.len() > 20, "{of_files:?}");
        let more = ["settee/other", "settee.log/file", "vendor/cmd", "couchdb/other", "log/other"];
        for key in of_files.into_iter().map(String::as_str).chain(more) {
            assert_eq!(set(client, key, "/tmp/x"), 403, "{key}");
            let removed = Request::new("DELETE", &format!("{CONFIG}/{key}"));
            assert!(send(client, &removed).status >= 400, "{key}");
        }
        server.kill_and_restart().expect("a server");
        assert_eq!(get(client, CONFIG), before);
    });
}
