//! Puts what the recordings asked into folders of seeds for the fuzz targets, one for each target:
//! `seeds RECORDINGS OUT`. Existing files stay.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use settee_tests::client::Request;
use settee_tests::conversation;

/// Longer ones make a fuzzer slow.
const LONGEST: usize = 16 << 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [recordings, out] = args.as_slice() else {
        return fail("usage: seeds RECORDINGS OUT");
    };
    match collect(Path::new(recordings), Path::new(out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn collect(recordings: &Path, out: &Path) -> io::Result<()> {
    for entry in fs::read_dir(recordings)? {
        let text = fs::read_to_string(entry?.path())?;
        for exchange in conversation::from_text(&text)? {
            for (target, seed) in seeds(&exchange.step.request) {
                keep(&out.join(target), &seed)?;
            }
        }
    }
    Ok(())
}

/// What a request is a seed for.
fn seeds(request: &Request) -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = vec![("url", request.path.clone().into_bytes())];
    let since = request.path.split(['?', '&']).find_map(|part| part.strip_prefix("since="));
    seeds.extend(since.map(|since| ("sequences", since.as_bytes().to_vec())));
    let Some(body) = &request.body else { return seeds };
    let media = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some((_, value)) = media.filter(|(_, value)| value.starts_with("multipart/")) {
        // The target knows one boundary only.
        let boundary = value.split("boundary=").nth(1).unwrap_or_default().trim_matches('"');
        let body = String::from_utf8_lossy(body).replace(&format!("--{boundary}"), "--b");
        seeds.push(("multipart", body.into_bytes()));
        return seeds;
    }
    seeds.push(("texts", body.clone()));
    seeds.push(("document", body.clone()));
    let value = serde_json::from_slice::<Value>(body).unwrap_or_default();
    seeds.extend(value.get("selector").map(|selector| {
        ("selectors", format!("{selector}\n{{\"a\":[1,{{\"b\":\"x\"}}],\"_id\":\"a\"}}").into())
    }));
    let documents = value.get("docs").and_then(Value::as_array).into_iter().flatten();
    seeds.extend(documents.map(|document| ("document", document.to_string().into_bytes())));
    seeds
}

fn keep(folder: &Path, seed: &[u8]) -> io::Result<()> {
    if seed.len() > LONGEST {
        return Ok(());
    }
    let mut name = DefaultHasher::new();
    seed.hash(&mut name);
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{:016x}", name.finish())), seed)
}

fn fail(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}
