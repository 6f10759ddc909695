//! Records what a server answers to the conversations in `tests/conformance/scripts`:
//! `record BASE_URL OUT_DIR SCRIPT…`. Any CouchDB-compatible server can be asked.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use settee_tests::{conversation, script};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [base, out, scripts @ ..] = args.as_slice() else {
        return fail("usage: record BASE_URL OUT_DIR SCRIPT…");
    };
    for path in scripts {
        if let Err(error) = record(base, Path::new(out), Path::new(path)) {
            return fail(&format!("{path}: {error}"));
        }
    }
    ExitCode::SUCCESS
}

fn record(base: &str, out: &Path, path: &Path) -> io::Result<()> {
    let steps = script::parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)?;
    let exchanges = conversation::record(base, &steps)?;
    let name = path.file_stem().ok_or_else(|| io::Error::other("no file name"))?;
    let file = out.join(name).with_extension("jsonl");
    std::fs::create_dir_all(out)?;
    std::fs::write(&file, conversation::to_text(&exchanges))?;
    writeln!(io::stderr(), "{}: {} exchanges", file.display(), exchanges.len())
}

fn fail(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}
