//! Feeds of changes that have nothing to give for long: their clients hear that they live.

use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::json;
use settee_tests::client::{Client, Request, read_chunk};
use settee_tests::cluster::Cluster;

use crate::{program, with_server};

fn put(client: &mut Client, path: &str, body: &str) {
    let made = client.send(&Request::new("PUT", path).json(body)).expect("an answer");
    assert_eq!(made.status, 201, "{path}: {}", made.text());
}

/// All that comes until the end of a body in pieces.
fn rest(stream: &mut impl BufRead) -> String {
    let mut all = Vec::new();
    loop {
        let piece = read_chunk(stream).expect("a piece");
        if piece.is_empty() {
            return String::from_utf8_lossy(&all).into_owned();
        }
        all.extend_from_slice(&piece);
    }
}

#[test]
fn a_filter_that_takes_its_time_keeps_no_client_in_the_dark() {
    with_server(|_, client| {
        let slow =
            "function() { for (var end = Date.now() + 400; Date.now() < end;); return false }";
        put(client, "/db?q=1", "");
        put(client, "/db/_design/f", &json!({"filters": {"slow": slow}}).to_string());
        for n in 0..14 {
            put(client, &format!("/db/{n}"), "{}");
        }
        for feed in ["continuous", "normal"] {
            let path = format!("/db/_changes?filter=f/slow&heartbeat=500&feed={feed}");
            let began = Instant::now();
            let (head, mut stream) = client.open_feed(&Request::new("GET", &path)).expect("a head");
            let first = read_chunk(&mut stream).expect("a piece");
            assert_eq!((head.status, first.last()), (200, Some(&b'\n')));
            let heard = began.elapsed();
            assert!(heard < Duration::from_secs(4), "{feed}: {heard:?}");
            if feed == "normal" {
                let body = [first, rest(&mut stream).into_bytes()].concat();
                let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                assert_eq!((&body["results"], &body["pending"]), (&json!([]), &json!(0)));
                assert!(began.elapsed() > heard + Duration::from_secs(1), "{:?}", began.elapsed());
            }
        }
    });
}

#[test]
fn a_feed_with_nothing_to_give_begins() {
    with_server(|_, client| {
        put(client, "/db", "");
        for (feed, opening) in
            [("continuous", ""), ("eventsource", ""), ("longpoll", "{\"results\":[\n")]
        {
            for path in ["/db/_changes?since=now&", "/_db_updates?since=now&"] {
                let path = format!("{path}feed={feed}");
                let began = Instant::now();
                let (head, mut stream) =
                    client.open_feed(&Request::new("GET", &path)).expect("a head");
                let first = read_chunk(&mut stream).expect("a piece");
                assert_eq!(
                    (head.status, first),
                    (200, format!("{opening}\n").into_bytes()),
                    "{path}"
                );
                assert!(began.elapsed() < Duration::from_secs(20), "{path}");
            }
        }
    });
}

#[test]
fn a_feed_ends_with_its_database() {
    with_server(|_, client| {
        for feed in ["continuous", "longpoll"] {
            put(client, "/db", "");
            let path = format!("/db/_changes?since=now&feed={feed}");
            let (_, mut stream) = client.open_feed(&Request::new("GET", &path)).expect("a head");
            read_chunk(&mut stream).expect("its beginning");
            let gone = client.send(&Request::new("DELETE", "/db")).expect("an answer");
            assert_eq!(gone.status, 200, "{}", gone.text());
            assert!(rest(&mut stream).contains("\"last_seq\":"), "{feed}");
        }
    });
}

#[test]
fn a_filter_that_fails_among_the_first_changes_is_an_error() {
    with_server(|_, client| {
        let picky = "function(doc) { if (doc.bad) throw 'no'; return true }";
        put(client, "/db?q=1", "");
        put(client, "/db/_design/f", &json!({"filters": {"picky": picky}}).to_string());
        for n in 0..200 {
            put(client, &format!("/db/{n}"), "{}");
        }
        put(client, "/db/bad", "{\"bad\":true}");
        let path = "/db/_changes?filter=f/picky&since=";
        let ask = |client: &mut Client, since: &str| {
            client.send(&Request::new("GET", &format!("{path}{since}")))
        };
        let changes = client.send(&Request::new("GET", "/db/_changes")).expect("an answer");
        let changes: serde_json::Value = serde_json::from_slice(&changes.body).expect("JSON");
        let near = changes["results"][199]["seq"].as_str().expect("a sequence");
        let refused = ask(client, near).expect("an answer");
        assert_eq!(refused.status, 500, "{}", refused.text());
        assert!(ask(client, "0").is_err(), "what was begun is broken off");
    });
}

/// Of commits on other nodes nobody tells: they are asked again and again.
#[test]
fn feeds_over_other_nodes_keep_time() {
    let cluster = Cluster::start(&program(), 3).expect("a cluster");
    for client in &mut cluster.clients() {
        if client.send(&Request::new("GET", "/db")).expect("an answer").status == 404 {
            put(client, "/db?q=2&n=1", "");
        }
        let began = Instant::now();
        let ends = Request::new("GET", "/db/_changes?feed=continuous&timeout=1500");
        let ended = client.send(&ends).expect("an answer");
        let took = began.elapsed();
        assert!(ended.text().starts_with("\n{\"last_seq\""), "{}", ended.text());
        assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&took), "{took:?}");
        let beats = Request::new("GET", "/db/_changes?feed=continuous&heartbeat=1200");
        let (_, mut stream) = client.open_feed(&beats).expect("a head");
        for _ in 0..2 {
            assert_eq!(read_chunk(&mut stream).expect("a piece"), b"\n");
        }
    }
}
