//! `settee check`: reads all of a data directory and says where it is damaged. Changes nothing.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use settee_engine::check::check;
use settee_engine::io::RealStorage;
use settee_engine::log;

/// Verifies a data directory; fails if anything in it is damaged.
pub fn run(data: &Path) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if !data.is_dir() {
        return Err(format!("{} is no directory", data.display()).into());
    }
    let lock = data.join(crate::serve::LOCK);
    let _lock = lock.exists().then(|| crate::serve::lock(data)).transpose()?;
    let storage = RealStorage::open(data)?;
    let report = check(&storage, &log::Options::default(), &mut |_| {})?;
    let mut out = std::io::stdout().lock();
    for damage in &report.damages {
        writeln!(out, "{damage}")?;
    }
    let (shards, indexes, docs) = (report.shards, report.indexes, report.docs);
    let megabytes = report.bytes.div_ceil(1 << 20);
    write!(out, "{shards} shards and {indexes} indexes ({megabytes} MiB, {docs} documents), ")?;
    writeln!(out, "{} log frames: {} damages", report.frames, report.damages.len())?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
