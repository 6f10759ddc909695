//! Indexes: every page of their trees, and whether each document has the rows that it is said to have and no
//! row is nobody's. What rows are summarised by is not known here, so that is not compared.

use std::ops::Bound;
use std::sync::Arc;

use super::{CACHE, Report};
use crate::Error;
use crate::index::{IndexFile, Signature};
use crate::io::Storage;
use crate::page::Cache;
use crate::shard::ShardId;
use crate::tree::{Direction, NoReduction, Tree};

/// What trees say whose summaries were made by somebody else.
const SUMMARY: &str = "node has another reduction than its parent says";

/// Checks all files below `indexes/`.
pub(super) fn check(storage: &dyn Storage, report: &mut Report) -> Result<(), Error> {
    let mut folders = vec!["indexes".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in storage.list(&folder)? {
            let path = format!("{folder}/{}", entry.name);
            if entry.is_dir {
                folders.push(path);
                continue;
            }
            let shard = folder.strip_prefix("indexes/").and_then(|id| ShardId::parse(id).ok());
            match (shard, Signature::of_file_name(&entry.name)) {
                (Some(shard), Some(_)) => check_one(storage, &shard, &path, report)?,
                _ => report.add(None, "file", Error::corrupt(&path, 0, "not an index's file")),
            }
        }
    }
    Ok(())
}

fn check_one(
    storage: &dyn Storage,
    shard: &ShardId,
    path: &str,
    report: &mut Report,
) -> Result<(), Error> {
    report.indexes += 1;
    let file = match IndexFile::open(storage, path, &Cache::new(CACHE), Arc::new(NoReduction)) {
        Ok(file) => file,
        Err(error @ Error::Corrupt { .. }) => {
            report.add(Some(shard), "header", error);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    report.bytes += file.pages.file().len()?;
    let before = report.damages.len();
    for (name, tree) in [("docs", &file.docs), ("rows", &file.rows), ("notes", &file.notes)] {
        tree.verify(&file.pages.uncached(), &mut |error| {
            if !matches!(&error, Error::Corrupt { what, .. } if *what == SUMMARY) {
                report.add(Some(shard), name, error);
            }
        });
    }
    // What cannot be read was said.
    if report.damages.len() == before
        && let Err(error) = agree(&file)
    {
        match error {
            Error::Corrupt { .. } => report.add(Some(shard), "rows", error),
            other => return Err(other),
        }
    }
    Ok(())
}

/// Whether documents and rows agree.
fn agree(file: &IndexFile) -> Result<(), Error> {
    let pages = file.pages.uncached();
    let all =
        |tree: &Tree| tree.range(&pages, (Bound::Unbounded, Bound::Unbounded), Direction::Forward);
    let wrong = |what| Err(Error::corrupt(file.pages.file().path(), 0, what));
    let mut rows = 0;
    for entry in all(&file.docs) {
        let entry = entry?;
        let keys = file.keys_of(entry.key(), entry.value())?;
        rows += keys.len() as u64;
        for key in keys {
            if file.rows.get(&pages, &key)?.is_none() {
                return wrong("a document has a row that is not there");
            }
        }
    }
    if rows != file.rows.count() {
        return wrong("there are rows that no document has");
    }
    Ok(())
}
