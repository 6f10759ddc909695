//! Scripts that got into pages of this server: by what one asks for (CVE-2010-3854), as answers that are
//! calls (2012-5649), by parameters of a page (2012-5650), and as what users wrote (2021-38295).

use std::fs;
use std::net::Ipv4Addr;

use settee_tests::ask::{as_nobody, configure, get};
use settee_tests::base64;
use settee_tests::client::{Request, Response};
use settee_tests::server::{Server, Setup, free_port};

use super::pages::fill;
use super::send;
use crate::{program, with_server};

const SCRIPT: &str = "<script>alert(1)</script>";

/// What says what one asked for, in an error or otherwise, says it as JSON.
fn is_no_page(answer: &Response, path: &str) {
    let media = answer.header("content-type").unwrap_or_default();
    let plain = ["application/json", "text/plain"].iter().any(|plain| media.starts_with(plain));
    let harmless = answer.body.is_empty() || plain || !answer.text().contains(SCRIPT);
    assert!(harmless, "{path}: {media} {}", answer.text());
}

#[test]
fn cve_2010_3854_what_one_asks_for_becomes_no_page() {
    with_server(|_, client| {
        fill(client);
        let script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
        for path in [
            "/_utils/SCRIPT",
            "/_utils/?SCRIPT",
            "/_node/SCRIPT",
            "/_node/_local/_config/SCRIPT/SCRIPT",
            "/_session?basic=SCRIPT&next=/SCRIPT",
            "/_uuids?count=SCRIPT",
            "/SCRIPT",
            "/SCRIPT/SCRIPT",
            "/db/SCRIPT",
            "/db/doc?rev=SCRIPT",
            "/db/doc/SCRIPT",
            "/db/_local/SCRIPT",
            "/db/_changes?since=SCRIPT&filter=SCRIPT/SCRIPT",
            "/db/_all_docs?limit=SCRIPT",
            "/db/_all_docs?key=SCRIPT",
            "/db/_all_docs?keys=%5B%22SCRIPT%22%5D",
            "/db/_partition/SCRIPT",
            "/db/_design/SCRIPT/_view/SCRIPT",
            "/db/_design/d/_view/SCRIPT",
            "/db/_design/d/_show/SCRIPT",
            "/db/_design/d/_list/SCRIPT/SCRIPT",
        ] {
            let path = path.replace("SCRIPT", script);
            for accept in ["*/*", "text/html", "application/json"] {
                let browser = [("Accept", accept), ("Cookie", SCRIPT), ("Referer", SCRIPT)];
                is_no_page(&as_nobody(client, "GET", &path, &browser), &path);
                let request = Request::new("GET", &path).header("Accept", accept);
                is_no_page(&send(client, &request), &path);
            }
        }
    });
}

#[test]
fn cve_2012_5649_no_answer_is_a_call_of_a_function() {
    with_server(|_, client| {
        fill(client);
        // The setting is known, and does nothing.
        configure(client, "chttpd/allow_jsonp", "true");
        configure(client, "httpd/allow_jsonp", "true");
        for path in ["/", "/_all_dbs", "/db", "/db/doc", "/db/_all_docs", "/db/_design/d/_view/v"] {
            for name in ["callback", "jsonp", "jsoncallback"] {
                for call in ["steal", "CWS%07%0E000x%9C%3D%8D1N%C3%40%10E"] {
                    let path = format!("{path}?{name}={call}");
                    let answer = send(client, &Request::new("GET", &path));
                    if answer.status == 200 {
                        assert!(answer.json().is_ok(), "{path}: {}", answer.text());
                    }
                    let media = answer.header("content-type").unwrap_or_default();
                    assert_eq!(media, "application/json", "{path}");
                    assert!(!answer.text().starts_with(['s', 'C']), "{path}: {}", answer.text());
                }
            }
        }
    });
}

#[test]
fn cve_2012_5650_no_parameter_loads_a_script() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (site, data) = (root.path().join("site"), root.path().join("data"));
    fs::create_dir_all(&site).expect("a folder");
    fs::write(site.join("index.html"), "<html>as it is</html>").expect("a file");
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
    let client = &mut server.client();
    for query in ["", "?script=http://evil.example/x.js", "?%3Cscript%3E", "?index.html=x#y"] {
        for path in ["/_utils/", "/_utils/index.html", "/_utils/couch_tests.html", "/_utils/x/"] {
            let answer = send(client, &Request::new("GET", &format!("{path}{query}")));
            let text = answer.text();
            assert!(
                text == "<html>as it is</html>" || answer.status == 404,
                "{path}{query}: {text}"
            );
            let policy = answer.header("content-security-policy").expect("a policy");
            let scripts = policy.split(';').find_map(|rule| rule.trim().strip_prefix("script-src"));
            assert_eq!(scripts, Some(" 'self' 'unsafe-eval'"), "what Fauxton needs, and no more");
            assert!(policy.contains("default-src 'self'"), "{policy}");
        }
    }
}

#[test]
fn cve_2021_38295_what_users_wrote_runs_nowhere() {
    with_server(|_, client| {
        fill(client);
        for path in ["/db/doc", "/db/_design/d"] {
            let rev = get(client, path)["_rev"].as_str().expect("a revision").to_owned();
            let mut file = Request::new("PUT", &format!("{path}/page/x.html?rev={rev}"));
            file = file.header("Content-Type", "text/html");
            file.body = Some(SCRIPT.as_bytes().to_vec());
            assert_eq!(send(client, &file).status, 201);
        }
        let requests = [
            Request::new("GET", "/db/doc/page/x.html"),
            Request::new("GET", "/db/doc/page/x.html?rev="),
            Request::new("HEAD", "/db/doc/page/x.html"),
            Request::new("GET", "/db/doc/page/x.html").header("Range", "bytes=0-5"),
            Request::new("GET", "/db/_design/d/page/x.html"),
            Request::new("GET", "/db/_design/d/_show/s"),
            Request::new("GET", "/db/_design/d/_show/s/doc"),
            Request::new("GET", "/db/_design/d/_show/j"),
            Request::new("GET", "/db/_design/d/_list/l/v"),
            Request::new("POST", "/db/_design/d/_update/u"),
            Request::new("GET", "/db/_design/d/_rewrite/x"),
        ];
        let rev = get(client, "/db/doc")["_rev"].as_str().expect("a revision").to_owned();
        for request in &requests {
            let request = Request {
                path: request.path.replace("rev=", &format!("rev={rev}")),
                ..request.clone()
            };
            let answer = send(client, &request);
            assert!(
                matches!(answer.status, 200 | 201 | 206),
                "{}: {}",
                request.path,
                answer.text()
            );
            let policy = answer.header("content-security-policy");
            assert_eq!(policy, Some("sandbox"), "{}", request.path);
        }
        // What operators say of it counts.
        configure(client, "csp/attachments_header_value", "default-src 'none'");
        configure(client, "csp/showlist_header_value", "sandbox; default-src 'none'");
        for (path, policy) in [
            ("/db/doc/page/x.html", "default-src 'none'"),
            ("/db/_design/d/_show/s", "sandbox; default-src 'none'"),
            ("/db/_design/d/_list/l/v", "sandbox; default-src 'none'"),
        ] {
            let answer = send(client, &Request::new("GET", path));
            assert_eq!(answer.header("content-security-policy"), Some(policy), "{path}");
        }
        // Nor does a script that ran anyway get at the session.
        let login = Request::new("POST", "/_session").json(r#"{"name":"admin","password":"pass"}"#);
        let answer = send(
            client,
            &login.header("Authorization", &format!("Basic {}", base64(b"admin:pass"))),
        );
        assert!(answer.header("set-cookie").expect("a cookie").contains("; HttpOnly"));
    });
}
