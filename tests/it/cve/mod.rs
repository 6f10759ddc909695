//! Every CVE of CouchDB as a test that tries its attack on a server, and is named after it. What they
//! are about is tested more deeply where it belongs: `admin`, `auth`, `front`, `hostile`, `functions`,
//! `rewrites`, `users`, and the rooms' own tests.

use std::fs;

use settee_tests::client::{Client, Request, Response};

use crate::repository;

mod compared;
mod costs;
mod doors;
mod duplicates;
mod functions;
mod growth;
mod pages;
mod paths;
mod scripts;
mod settings;

const ALL: [&str; 17] = [
    "2010_0009",
    "2010_2234",
    "2010_3854",
    "2012_5641",
    "2012_5649",
    "2012_5650",
    "2014_2668",
    "2017_12635",
    "2017_12636",
    "2018_8007",
    "2018_11769",
    "2018_17188",
    "2020_1955",
    "2021_38295",
    "2022_24706",
    "2023_26268",
    "2023_45725",
];

#[test]
fn none_is_left_out() {
    let files = fs::read_dir(repository("tests/it/cve")).expect("a folder");
    let texts = files.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text"));
    let text: String = texts.collect();
    for cve in ALL {
        assert_eq!(text.matches(&format!("\n#[test]\nfn cve_{cve}_")).count(), 1, "{cve}");
    }
}

fn send(client: &mut Client, request: &Request) -> Response {
    client.send(request).expect("an answer")
}

/// Puts what must be taken.
fn put(client: &mut Client, path: &str, body: &str) {
    let answer = settee_tests::ask::put_json(client, path, body);
    assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
}

/// Headers as a page's own form would send them, with a password that the browser remembers.
fn from_page(method: &str, path: &str, media: Option<&str>, body: &str) -> Request {
    let mut request = Request::new(method, path).header("Origin", "http://evil.example");
    request = media.into_iter().fold(request, |request, of| request.header("Content-Type", of));
    request.body = Some(body.as_bytes().to_vec());
    request
}
