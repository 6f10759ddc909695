//! CVE-2012-5641: names in paths led to files of the system.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;

use settee_tests::client::{Client, Request};
use settee_tests::server::{Server, Setup, free_port};

use super::{put, send};
use crate::program;

const SECRET: &str = "nobody may read this";

/// Ways to say the folder above, each with the separator behind it.
const UP: [&str; 12] = [
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "%2E%2E%2F",
    "..\\",
    "..%5c",
    "%2e%2e%5C",
    "%252e%252e%252f",
    "..%c0%af",
    "..;/",
    "....//",
];

/// A web interface beside a file that is not its own, under a folder that holds all.
fn place(root: &Path) -> Server {
    let (site, data) = (root.join("site"), root.join("data"));
    for folder in [&site, &data, &site.join("js")] {
        fs::create_dir(folder).expect("a folder");
    }
    fs::write(site.join("index.html"), "index").expect("a file");
    fs::write(site.join("js/app.js"), "app").expect("a file");
    fs::write(root.join("secret.txt"), SECRET).expect("a file");
    symlink("../secret.txt", site.join("link.txt")).expect("a link");
    symlink("..", site.join("up")).expect("a link");
    let mut server = Server::launch(Setup {
        program: program(),
        data,
        host: Ipv4Addr::LOCALHOST,
        port: free_port().expect("a port"),
        namespace: None,
        arguments: vec!["--fauxton".to_owned(), site.display().to_string()],
        environment: Vec::new(),
    })
    .expect("a server");
    server.wait_until_up().expect("a server");
    server
}

/// What lies in a folder, by names; what names would be that came from requests.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect()
}

/// Paths that would lead to the file, or to one that each system has.
fn paths(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let secret = root.join("secret.txt").display().to_string();
    for base in ["/_utils/", "/_utils/js/", "/favicon.ico/", "/", "/db/", "/db/doc/", "/_node/"] {
        for up in UP {
            for levels in [1, 2, 3, 8] {
                let up = up.repeat(levels);
                paths.push(format!("{base}{up}secret.txt"));
                paths.push(format!("{base}{up}etc{}passwd", &up[up.len() - 1..]));
            }
        }
        for name in [
            "link.txt",
            "up/secret.txt",
            "index.html%00/../../secret.txt",
            "%00",
            "secret.txt%00.html",
            "C:%5cwindows%5cwin.ini",
            "C:/windows/win.ini",
            "%5c%5chost%5cshare%5cx",
            "//host/share/x",
            "file:///etc/passwd",
            &secret,
            &secret.replace('/', "%2f"),
        ] {
            paths.push(format!("{base}{name}"));
        }
    }
    paths
}

#[test]
fn cve_2012_5641_no_name_leads_to_a_file() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut server = place(root.path());
    let client = &mut server.client();
    put(client, "/db", "");
    put(client, "/db/doc", "{}");
    let read = |client: &mut Client, path: &str| send(client, &Request::new("GET", path));
    assert_eq!(read(client, "/_utils/").text(), "index");
    assert_eq!(read(client, "/_utils/js/app.js").text(), "app");
    let before = names(root.path());
    for path in paths(root.path()) {
        let answer = read(client, &path);
        let icon = path.starts_with("/favicon.ico/") && answer.status == 200;
        assert!(icon || (400..500).contains(&answer.status), "{path}: {}", answer.status);
        let text = answer.text();
        assert!(!text.contains(SECRET) && !text.contains("root:"), "{path}: {text}");
    }
    for name in ["..%2fevil", "..%5cevil", "%2e%2e", "a%2f..%2f..%2fevil", "%00", "a%00", "C:evil"]
    {
        let answer = send(client, &Request::new("PUT", &format!("/{name}")));
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        // As names of things in a database they are names.
        let view = r#"{"views":{"../../evil":{"map":"function(doc) { emit(1) }"}}}"#;
        for path in ["/db/", "/db/_local/", "/db/_design/"] {
            let body = if path.ends_with("_design/") { view } else { "{}" };
            let request = Request::new("PUT", &format!("{path}x{name}")).json(body);
            assert!(send(client, &request).status < 500, "{path}{name}");
        }
        let file = Request::new("PUT", &format!("/db/x{name}/x{name}")).json("1");
        assert!(send(client, &file).status < 500, "{name}");
        let rows = read(client, &format!("/db/_design/x{name}/_view/..%2f..%2fevil"));
        assert!(matches!(rows.status, 200 | 404), "{name}: {}", rows.text());
    }
    assert_eq!(read(client, "/db/doc").status, 200);
    server.terminate().expect("an end");
    assert_eq!(names(root.path()), before);
    let evil = |folder: &Path| names(folder).iter().any(|name| name.contains("evil"));
    let mut folders = vec![root.path().join("data")];
    while let Some(folder) = folders.pop() {
        assert!(!evil(&folder), "{}", folder.display());
        let entries = fs::read_dir(&folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        folders.extend(paths.filter(|path| path.is_dir()));
    }
}
