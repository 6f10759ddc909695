//! A disk that gets full under load, on a file system of the test's own: edits are refused, reading and
//! deleting go on, a kill of the full server loses nothing, and edits go on as soon as there is room.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use settee_tests::ask::{get, put_json, status, wait_for};
use settee_tests::client::{Client, Request, Response};
use settee_tests::dice::Dice;
use settee_tests::orders::document;
use settee_tests::server::Server;

use crate::program;

/// All that the disk has, in MiB, and what of it somebody else takes first.
const DISK: usize = 160;
const BALLAST: usize = 48;
/// Connections that write at once.
const WRITERS: usize = 4;
/// The error, spelled as CouchDB spells it.
const FULL: &str = "insufficent_storage";
/// Longer than the server waits until it looks again whether there is room.
const REST: Duration = Duration::from_secs(7);
/// Length of every tenth document's attachment: it goes to the file ahead of its edit.
const LARGE: usize = 100_000;

/// A file system in memory with a limit; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Disk {
        let size = format!("size={DISK}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "settee-tests"]).arg(at);
        assert!(mount.status().expect("mount").success(), "mounting takes root");
        Disk(at.into())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Who still has a file of it open does not keep it from going.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_edits_and_nothing_else() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::mount(place.path());
    let ballast = disk.0.join("ballast");
    let mut server = Server::start(&program(), &disk.0.join("data")).expect("a server");
    let mut client = server.client();
    assert_eq!(put_json(&mut client, "/full?q=2", "").status, 201);
    let map = r#"function (doc) { emit(doc.number, null); }"#;
    let design = json!({ "views": { "by_number": { "map": map } } }).to_string();
    assert_eq!(put_json(&mut client, "/full/_design/d", &design).status, 201);
    assert_eq!(put_json(&mut client, "/full/spare", &document(0)).status, 201);
    get(&mut client, "/full/_design/d/_view/by_number");
    fs::write(&ballast, vec![1; BALLAST << 20]).expect("room");

    let written = fill_up(&server);
    eprintln!("{} documents fitted", written.len());
    refuses_edits(&mut client);
    serves_all(&mut client, &written);
    get(&mut client, "/full/_design/d/_view/by_number?update=false&limit=10");
    let spare = get(&mut client, "/full/spare");
    let rev = spare["_rev"].as_str().expect("a revision");
    let deletion = Request::new("DELETE", &format!("/full/spare?rev={rev}"));
    assert_eq!(client.send(&deletion).expect("an answer").status, 200);

    server.kill_and_restart().expect("a restart on a full disk");
    let mut client = server.client();
    serves_all(&mut client, &written);
    assert_eq!(status(&mut client, "/full/spare"), 404);

    fs::remove_file(&ballast).expect("a ballast");
    wait_for(|| (put_json(&mut client, "/full/after", "{}").status == 201).then_some(()));
    assert_eq!(put_large(&mut client, "after-large", 1).status, 201);
    let rows = get(&mut client, "/full/_design/d/_view/by_number?limit=0")["total_rows"].clone();
    assert_eq!(rows, json!(written.len() + 2));
    server.kill_and_restart().expect("a restart");
    let mut client = server.client();
    serves_all(&mut client, &written);
    assert_eq!(status(&mut client, "/full/after"), 200);
}

/// Writes until the disk is full and stays so: what the log and replaced pages took comes back now and
/// then. The numbers of what was acknowledged, by id.
fn fill_up(server: &Server) -> BTreeMap<String, usize> {
    let mut written = BTreeMap::new();
    for round in 0.. {
        let more = fill(server, round);
        if more.is_empty() {
            break;
        }
        written.extend(more);
        thread::sleep(REST);
    }
    written
}

/// Writes until each writer was refused.
fn fill(server: &Server, round: usize) -> BTreeMap<String, usize> {
    let writer = |writer: usize| {
        let mut client = server.client();
        let mut written = BTreeMap::new();
        for turn in 0.. {
            let (id, number) = (format!("doc-{round}-{writer}-{turn}"), writer * 10_000_000 + turn);
            let answer = match turn % 10 {
                0 => put_large(&mut client, &id, number),
                _ => put_json(&mut client, &format!("/full/{id}"), &document(number)),
            };
            if answer.status != 201 {
                is_refusal(&answer);
                break;
            }
            written.insert(id, number);
        }
        written
    };
    thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|number| scope.spawn(move || writer(number))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
    })
}

/// A document with an attachment of its own, which no compression makes smaller.
fn put_large(client: &mut Client, id: &str, number: usize) -> Response {
    let mut request = Request::new("PUT", &format!("/full/{id}/file"));
    request = request.header("Content-Type", "application/octet-stream");
    request.body = Some(large(number));
    client.send(&request).expect("an answer")
}

fn large(number: usize) -> Vec<u8> {
    let mut dice = Dice::of(number as u64);
    (0..LARGE).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)).collect()
}

fn is_refusal(answer: &Response) {
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert_eq!(answer.json().expect("JSON")["error"], FULL);
}

fn refuses_edits(client: &mut Client) {
    is_refusal(&put_json(client, "/full/more", "{}"));
    is_refusal(&put_large(client, "more-large", 1));
    let inline = r#"{"_attachments":{"small":{"content_type":"a/b","data":"aGVsbG8="}}}"#;
    is_refusal(&put_json(client, "/full/more-small", inline));
    let many =
        Request::new("POST", "/full/_bulk_docs").json(r#"{"docs":[{"_id":"x"},{"_id":"y"}]}"#);
    let many = client.send(&many).expect("an answer");
    assert_eq!(many.status, 201, "{}", many.text());
    let rows = many.json().expect("JSON");
    let errors: Vec<&Value> =
        rows.as_array().expect("rows").iter().map(|row| &row["error"]).collect();
    assert_eq!(errors, [FULL; 2]);
}

fn serves_all(client: &mut Client, written: &BTreeMap<String, usize>) {
    for (id, number) in written {
        if number % 10 == 0 {
            let file = Request::new("GET", &format!("/full/{id}/file"));
            let file = client.send(&file).expect("an answer");
            assert!(file.status == 200 && file.body == large(*number), "{id}");
        } else {
            assert_eq!(get(client, &format!("/full/{id}"))["number"], json!(number), "{id}");
        }
    }
    let rows = get(client, "/full/_all_docs?limit=0")["total_rows"].as_u64();
    assert!(rows > Some(written.len() as u64), "{rows:?}");
    let changes = get(client, "/full/_changes");
    assert!(changes["results"].as_array().is_some_and(|all| all.len() > written.len()));
}
