//! Replays every recorded conversation against a fresh server and expects the recorded answers.

use std::fs;

use settee_tests::conversation;
use settee_tests::server::Server;

use crate::{program, repository};

#[test]
fn answers_equal_the_recorded_ones() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(&program(), data.path()).expect("a server");
    let mut files: Vec<_> = fs::read_dir(repository("tests/conformance/recordings"))
        .expect("recordings")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let (mut exchanges_total, mut failures) = (0, Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).expect("a recording");
        let exchanges = conversation::from_text(&text).expect("a recording");
        exchanges_total += exchanges.len();
        let differences = conversation::replay(&server.base(), &exchanges).expect("answers");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        failures.extend(differences.into_iter().map(|d| format!("{name} {d}")));
    }
    assert!(exchanges_total > 0, "no recordings found");
    assert!(
        failures.is_empty(),
        "{} of {exchanges_total} answers differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
