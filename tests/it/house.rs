//! House rules as tests: layering, a header on every module, sizes of files, no leftovers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::repository;

/// Rooms from the bottom to the top, each with the rooms that it may use.
const LAYERS: [(&str, &[&str]); 5] = [
    ("model", &[]),
    ("engine", &["settee-model"]),
    ("query", &["settee-model", "settee-engine"]),
    ("cluster", &["settee-model", "settee-engine", "settee-query"]),
    ("http", &["settee-model", "settee-query", "settee-cluster"]),
];

/// What a room must not even name.
const UNSEEN: [(&str, &[&str]); 5] = [
    ("model", &["std::fs", "std::net", "tokio", "SystemTime", "Instant::now", "async fn"]),
    ("engine", &["tokio", "hyper", "async fn", "settee_cluster", "settee_http"]),
    ("query", &["std::fs", "std::net", "tokio", "hyper", "async fn", "settee_cluster"]),
    ("cluster", &["hyper::", "http::", "settee_http"]),
    ("http", &["settee_engine", "std::fs"]),
];

/// Longest file, in lines; its tests may lie in a `tests.rs` beside it, which is not counted.
const LINES_MAX: usize = 600;

/// Words that a finished file does not hold.
const LEFTOVERS: [&str; 7] =
    ["todo!(", "unimplemented!(", "dbg!(", "TODO", "FIXME", "XXX:", "#[ignore"];

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for room in ["model", "engine", "query", "cluster", "http", "src", "tests", "bench", "fuzz"] {
        collect(&repository(room), &mut files);
    }
    assert!(files.len() > 50, "the sources are somewhere else");
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", "corpus"].contains(&name.as_str()) {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            files.push((path, text));
        }
    }
}

fn is_test(path: &Path) -> bool {
    // A program that measures is none of the room's business either.
    let outside = ["tests", "tests.rs", "examples"];
    path.components().any(|part| outside.iter().any(|name| part.as_os_str() == *name))
}

#[test]
fn rooms_use_only_what_lies_below() {
    for (room, allowed) in LAYERS {
        let manifest = fs::read_to_string(repository(room).join("Cargo.toml")).expect("a manifest");
        let needs = manifest.split("[dependencies]").nth(1).expect("dependencies");
        let needs = needs.split("\n[").next().unwrap_or_default();
        for line in needs.lines().filter(|line| line.starts_with("settee-")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(allowed.contains(&name), "{room} may not use {name}");
        }
    }
}

#[test]
fn rooms_do_not_name_what_they_must_not_see() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (room, unseen) in UNSEEN {
            if !path.starts_with(repository(room)) || is_test(&path) {
                continue;
            }
            let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
            for line in code.filter(|line| !line.trim_start().starts_with("//")) {
                let named = unseen.iter().filter(|word| line.contains(**word));
                found.extend(named.map(|word| format!("{}: {word}: {line}", path.display())));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn files_fit_in_a_head() {
    let large: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| text.lines().count() > LINES_MAX && !path.ends_with("tests.rs"))
        .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(large.is_empty(), "{}", large.join("\n"));
}

#[test]
fn nothing_is_left_over() {
    let house = Path::new("tests/it/house.rs");
    let mut found = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.ends_with(house)) {
        for (number, line) in text.lines().enumerate() {
            if LEFTOVERS.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
