//! `settee check`: reads a data directory from end to end without changing it and says where it is
//! damaged: every checksum of log, headers, pages and chunks, every value, and whether what one tree
//! says of another is so. For a directory that no engine has open. Never repairs.

mod contents;
mod frames;
mod indexes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::io::Storage;
use crate::log;
use crate::page::Cache;
use crate::shard::ShardId;
use crate::shard::state::{NAMES, State, Trees};
use crate::shard::store::Store;
use contents::Contents;
use frames::Frames;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Shard files that were read.
    pub shards: u64,
    /// Index files that were read.
    pub indexes: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Documents in them, deleted ones included.
    pub docs: u64,
    /// Frames of the log.
    pub frames: u64,
    /// All that is wrong.
    pub damages: Vec<Damage>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the data directory.
    pub file: Arc<str>,
    /// Where in the file, in bytes; 0 if it is about the whole file.
    pub offset: u64,
    /// The shard, if the file is one's.
    pub shard: Option<ShardId>,
    /// Which part of the shard, e.g. `by_id`, `header`, `log`.
    pub part: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}: {}", self.file, self.offset, self.part, self.what)
    }
}

/// Memory for pages while checking; each is read about once.
const CACHE: u64 = 32 << 20;

/// Checks a data directory. `on_shard` is told each shard before it is read. An error means that
/// the directory could not be read at all; damage is in the report.
pub fn check(
    storage: &dyn Storage,
    log: &log::Options,
    on_shard: &mut dyn FnMut(&ShardId),
) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut frames = Frames::default();
    let read = log::verify(storage, &log.dir, &mut |frame| {
        report.frames += 1;
        frames.take(&frame);
        Ok(())
    });
    match read {
        Err(error @ Error::Corrupt { .. }) => report.add(None, "log", error),
        other => other?,
    }
    for path in shard_files(storage)? {
        if let Some(name) = path.strip_prefix("shards/").and_then(|name| name.strip_suffix(".kept"))
            && let Ok(id) = ShardId::parse(name)
        {
            check_kept(storage, &id, &mut frames, &mut report)?;
            continue;
        }
        match ShardId::of_file(&path) {
            Some(id) => {
                on_shard(&id);
                frames.saw(&id);
                check_shard(storage, &id, &frames, &mut report)?;
            }
            None => report.stray(&path),
        }
    }
    indexes::check(storage, &mut report)?;
    for (id, error) in frames.errors() {
        report.add(Some(id), "log", error);
    }
    for id in frames.without_file() {
        let missing = Error::Missing { file: id.file().into() };
        report.add(Some(id), "file", missing);
    }
    Ok(report)
}

/// All files below `shards/`.
pub(crate) fn shard_files(storage: &dyn Storage) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    let mut folders = vec!["shards".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in storage.list(&folder)? {
            let path = format!("{folder}/{}", entry.name);
            let list = if entry.is_dir { &mut folders } else { &mut files };
            list.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads the frames that are kept for a shard; they come before its file in order of names.
fn check_kept(
    storage: &dyn Storage,
    id: &ShardId,
    frames: &mut Frames,
    report: &mut Report,
) -> Result<(), Error> {
    match storage.open(&id.kept_file()).and_then(|file| log::apart::read(&*file)) {
        Ok(kept) => {
            report.frames += kept.len() as u64;
            frames.take_kept(id, &kept);
        }
        Err(error @ Error::Corrupt { .. }) => report.add(Some(id), "kept", error),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn check_shard(
    storage: &dyn Storage,
    id: &ShardId,
    frames: &Frames,
    report: &mut Report,
) -> Result<(), Error> {
    report.shards += 1;
    let (store, opened) = match Store::open(storage, &id.file(), &Cache::new(CACHE)) {
        Ok(opened) => opened,
        Err(error @ Error::Corrupt { .. }) => {
            report.add(Some(id), "header", error);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let header = opened.header;
    report.bytes += store.pages.file().len()?;
    if let Some(error) = frames.judge(id, header.epoch, header.counters.number, opened.torn) {
        report.add(Some(id), "header", error);
    }
    let trees = Trees::open(header.roots);
    let pages = store.pages.uncached();
    let before = report.damages.len();
    for (tree, name) in trees.each().into_iter().zip(NAMES.each()) {
        tree.verify(&pages, &mut |error| report.add(Some(id), name, error));
    }
    let intact = report.damages.len() == before;
    let state =
        State { epoch: header.epoch, counters: header.counters, trees, store: Arc::new(store) };
    report.docs += state.trees.by_id.count();
    Contents { state: &state, intact }.check(&mut |part, error| report.add(Some(id), part, error))
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty()
    }

    fn add(&mut self, shard: Option<&ShardId>, part: &'static str, error: Error) {
        let (file, offset, what) = match error {
            Error::Corrupt { file, offset, what } => (file, offset, what.to_owned()),
            Error::Missing { file } => (file, 0, "the file is missing".to_owned()),
            other => (shard.map_or("".into(), |id| id.file().into()), 0, other.to_string()),
        };
        let damage = Damage { file, offset, shard: shard.cloned(), part, what };
        if !self.damages.contains(&damage) {
            self.damages.push(damage);
        }
    }

    fn stray(&mut self, path: &str) {
        self.add(None, "file", Error::corrupt(path, 0, "not a shard's file"));
    }
}
