//! Bad input gets an error and loses nothing: the server answers the next request, and the
//! document that was there is still there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use settee_tests::client::{Client, Request, Response};
use settee_tests::server::Server;

use crate::with_server;

/// A server with a document that must still be there in the end.
fn with_kept(test: impl FnOnce(&Server, &mut Client)) {
    with_server(|server, client| {
        expect(client, Request::new("PUT", "/hostile?q=2"), 201);
        expect(client, Request::new("PUT", "/hostile/kept").json(r#"{"kept":true}"#), 201);
        test(server, client);
        let kept = expect(client, Request::new("GET", "/hostile/kept"), 200);
        assert_eq!(kept.json().expect("JSON")["kept"], true);
    });
}

fn expect(client: &mut Client, request: Request, status: u16) -> Response {
    let answer = client.send(&request).expect("an answer");
    assert_eq!(answer.status, status, "{} {}: {}", request.method, request.path, answer.text());
    answer
}

/// Sends bytes as they are and returns what came back before the connection was closed.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let address = server.base().rsplit('@').next().expect("an address").to_owned();
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    // The server may have refused and closed before all was sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn documents_that_are_none_are_refused() {
    with_kept(|_, client| {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(9 << 20));
        let bodies: [(&[u8], u16); 12] = [
            (b"", 400),
            (b"{", 400),
            (b"null", 400),
            (b"[1,2]", 400),
            (b"{\"a\":1}{\"b\":2}", 400),
            (b"{\"a\":\"\xff\xfe\"}", 400),
            (b"{\"a\":\"\\ud800\"}", 400),
            (b"{\"a\":01}", 400),
            (b"{\"_attachments\":{\"x\":{\"data\":\"!!!\"}}}", 400),
            (b"{\"_nonsense\":1}", 400),
            (deep.as_bytes(), 400),
            (huge.as_bytes(), 413),
        ];
        for (body, status) in bodies {
            let mut request = Request::new("PUT", "/hostile/doc").json("");
            request.body = Some(body.to_vec());
            let answer = client.send(&request).expect("an answer");
            let start: Vec<u8> = body.iter().copied().take(40).collect();
            let shown = String::from_utf8_lossy(&start);
            assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        }
        expect(client, Request::new("GET", "/hostile/doc"), 404);
    });
}

#[test]
fn paths_lead_nowhere_else() {
    with_kept(|_, client| {
        for path in [
            "/../../etc/passwd",
            "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/..%5c..%5cwindows",
            "/_utils/../../../etc/passwd",
            "/_utils/%2e%2e/%2e%2e/etc/passwd",
            "/hostile/..%2f..%2fetc%2fpasswd",
            "/hostile/kept/../../etc",
            "/hostile%00/kept",
            "/hostile/%ff%fe",
            "/hostile/_design/../../x",
            "//hostile//none",
        ] {
            let answer = client.send(&Request::new("GET", path)).expect("an answer");
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
            assert!(!answer.text().contains("root:"), "{path}");
        }
        for name in ["..%2f..%2fevil", "%2e%2e", "a%2f..%2f..%2fb", "_evil", "a%00b"] {
            let answer = client.send(&Request::new("PUT", &format!("/{name}"))).expect("an answer");
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        }
    });
}

#[test]
fn absurd_numbers_are_refused_or_harmless() {
    with_kept(|_, client| {
        for (path, status) in [
            ("/_uuids?count=99999999999999999999", 400),
            ("/hostile/_all_docs?limit=99999999999999999999", 200),
            ("/hostile/_all_docs?skip=99999999999999999999", 200),
            ("/hostile/_changes?limit=99999999999999999999", 400),
            ("/hostile/_changes?since=99999999999999999999-zzz", 400),
            ("/hostile/_changes?since=1-%00%00", 400),
            ("/hostile/kept?rev=99999999999999999999-abc", 400),
        ] {
            expect(client, Request::new("GET", path), status);
        }
        for (path, body) in [
            ("/hostile/_revs_limit", "-5"),
            ("/hostile/_revs_limit", "1e400"),
            ("/hostile/_purged_infos_limit", "99999999999999999999999"),
        ] {
            let answer = client.send(&Request::new("PUT", path).json(body)).expect("an answer");
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        }
    });
}

#[test]
fn broken_http_is_answered_or_closed() {
    with_kept(|server, client| {
        let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
        let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(100_000));
        for bytes in [
            b"\x00\x01\x02\x03\r\n\r\n".as_slice(),
            b"GET\r\n\r\n",
            b"PUT /hostile/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{",
            b"PUT /hostile/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"PUT /hostile/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"PUT /hostile/x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
            long_path.as_bytes(),
            many_headers.as_bytes(),
        ] {
            let answer = raw(server, bytes);
            let status = answer.split(' ').nth(1).unwrap_or("closed");
            assert!(status == "closed" || status.starts_with('4'), "{bytes:.60?}: {answer}");
        }
        expect(client, Request::new("GET", "/_up"), 200);
    });
}

#[test]
fn bodies_that_lie_about_themselves_are_refused() {
    with_kept(|_, client| {
        let gzip = Request::new("PUT", "/hostile/zip").json("no gzip at all");
        expect(client, gzip.header("Content-Encoding", "gzip"), 400);
        let unknown = Request::new("PUT", "/hostile/zip").json("{}");
        expect(client, unknown.header("Content-Encoding", "br"), 415);
        for body in ["", "--x", "--x\r\n\r\n", "--x\r\n\r\n{}", "--x\r\n\r\n{}\r\n--y--"] {
            let mut request = Request::new("PUT", "/hostile/mp")
                .header("Content-Type", "multipart/related; boundary=x");
            request.body = Some(body.as_bytes().to_vec());
            let answer = client.send(&request).expect("an answer");
            assert!((400..500).contains(&answer.status), "{body:?}: {}", answer.status);
        }
        expect(client, Request::new("GET", "/hostile/mp"), 404);
    });
}

#[test]
fn questions_that_cost_much_cost_nobody_else() {
    with_kept(|server, client| {
        let text = format!(r#"{{"a":"{}!","n":1}}"#, "a".repeat(50_000));
        for number in 0..50 {
            expect(client, Request::new("PUT", &format!("/hostile/x{number}")).json(&text), 201);
        }
        let deep = |open: &str, close: &str, times: usize| {
            format!(r#"{{"selector":{}{{"n":1}}{}}}"#, open.repeat(times), close.repeat(times))
        };
        let either: Vec<String> = (0..50_000).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
        let list: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
        let questions = [
            (r#"{"selector":{"a":{"$regex":"^(?=(a+)+$)b"}}}"#.to_owned(), 200),
            (r#"{"selector":{"a":{"$regex":"(a*)*(b|c)\\1$"}}}"#.to_owned(), 200),
            (format!(r#"{{"selector":{{"a":{{"$regex":"{}"}}}}}}"#, "(".repeat(30_000)), 400),
            (deep(r#"{"$and":["#, "]}", 90), 200),
            (deep(r#"{"$and":["#, "]}", 400), 400),
            (deep(r#"{"$not":"#, "}", 190), 200),
            (deep(r#"{"$not":"#, "}", 900), 400),
            (deep(r#"{"x":"#, "}", 100_000), 400),
            (format!(r#"{{"selector":{{"$or":[{}]}}}}"#, either.join(",")), 200),
            (format!(r#"{{"selector":{{"n":{{"$in":[{}]}}}}}}"#, list.join(",")), 200),
        ];
        for (question, status) in questions {
            let mut others = server.client();
            let asking = std::thread::spawn({
                let (mut client, question) = (server.client(), question.clone());
                move || client.send(&Request::new("POST", "/hostile/_find").json(&question))
            });
            while !asking.is_finished() {
                let began = std::time::Instant::now();
                expect(&mut others, Request::new("GET", "/hostile/kept"), 200);
                assert!(began.elapsed() < Duration::from_secs(5), "{question:.60}");
            }
            let answer = asking.join().expect("a thread").expect("an answer");
            assert_eq!(answer.status, status, "{question:.60}: {:.200}", answer.text());
        }
    });
}

/// A thousand times `a`.
const PACKED: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\x4b\x4c\x1c\x05\xa3\x60\x14\x0c\x77\0\0\
    \x03\xda\x38\x9a\xe8\x03\0\0";

#[test]
fn what_is_said_of_packed_bytes_cuts_off_no_document() {
    with_kept(|_, client| {
        for (length, status) in [(10, 201), (1000, 201), (5000, 201), (u64::MAX, 400)] {
            let head = format!(
                "--x\r\nContent-Type: application/json\r\n\r\n{{\"_attachments\":{{\"a\":{{\"follows\":true,\
                 \"content_type\":\"text/plain\",\"encoding\":\"gzip\",\"encoded_length\":{},\
                 \"length\":{length}}}}}}}\r\n--x\r\n\r\n",
                PACKED.len()
            );
            let path = format!("/hostile/packed{length}");
            let put = Request::new("PUT", &path);
            let mut put = put.header("Content-Type", "multipart/related; boundary=x");
            put.body = Some([head.as_bytes(), PACKED, b"\r\n--x--"].concat());
            expect(client, put, status);
            if status == 400 {
                continue;
            }
            let get = Request::new("GET", &format!("{path}?attachments=true"));
            let doc = expect(client, get.header("Accept", "application/json"), 200);
            let doc = doc.json().expect("JSON");
            let data = doc["_attachments"]["a"]["data"].as_str().expect("data");
            assert_eq!(data.len(), 1336, "{length}");
        }
    });
}

#[test]
fn no_boundary_is_longer_than_its_parts() {
    with_kept(|_, client| {
        let boundary = "-".repeat(10_000);
        let put = Request::new("PUT", "/hostile/mp");
        let media = format!("multipart/related; boundary={boundary}");
        let mut put = put.header("Content-Type", &media);
        put.body = Some(format!("--{boundary}\r\n\r\n{{}}").into_bytes());
        let refused = expect(client, put, 400);
        assert!(refused.text().contains("multipart boundary is too long"), "{}", refused.text());
    });
}

#[test]
fn a_login_leads_to_one_place() {
    with_kept(|_, client| {
        let login = |next: &str| {
            let login = Request::new("POST", &format!("/_session?next={next}"));
            login.json(r#"{"name":"admin","password":"pass"}"#)
        };
        let sent = expect(client, login("/_utils/"), 302);
        assert!(sent.header("location").expect("a place").ends_with("/_utils/"));
        let sent = expect(client, login("/%0d%0aX:y"), 302);
        assert!(sent.header("location").expect("a place").ends_with("/%0D%0AX:y"));
        assert_eq!(sent.header("x"), None);
        for next in ["//evil.example", "evil"] {
            expect(client, login(next), 400);
        }
    });
}
