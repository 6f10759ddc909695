//! From a batch of changes to the rows of each map: reads the documents, runs the maps, encodes. Done on
//! as many threads as there are cores; never writes.

use settee_engine::Snapshot;
use settee_engine::index::DocRows;
use settee_engine::shard::Change;

use super::build::BuildError;
use super::document::put_document;
use super::mapper::{Program, Runner};

/// Rows of each map, in the order of the program's maps.
pub(super) type MapRows = Vec<Vec<DocRows>>;

/// The rows of documents that changed; none of those that are deleted.
pub(super) fn rows_of(
    snapshot: &Snapshot,
    program: &Program,
    runner: &mut Runner,
    changes: &[Change],
) -> Result<MapRows, BuildError> {
    let options = &program.definition().options;
    let mut rows: MapRows = vec![Vec::with_capacity(changes.len()); program.len()];
    let mut docs = Vec::with_capacity(changes.len());
    runner.text.clear();
    for change in changes {
        if !options.include_design && change.id.as_str().starts_with("_design/") {
            continue;
        }
        match change.leaves.first().filter(|winner| !winner.deleted).and_then(|leaf| leaf.body) {
            Some(body) => {
                let record = snapshot.record(body)?;
                let start = runner.text.len();
                put_document(&mut runner.text, change, &record, options.local_seq);
                docs.push((change.id.clone(), start..runner.text.len()));
            }
            None => rows.iter_mut().for_each(|rows| rows.push(DocRows::none(change.id.clone()))),
        }
    }
    program.map(runner, &docs, &mut rows)?;
    Ok(rows)
}
