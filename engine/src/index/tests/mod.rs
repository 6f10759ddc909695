//! Indexes against a plain model: whatever is put in, saved, compacted, summarised anew and opened
//! again; what is left after a crash; how they end.

mod crash;
mod life;
mod random;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::rev::RevPath;

use super::*;
use crate::io::SimStorage;
use crate::shard::tests::kit::{edit, open, shard_id};
use crate::shard::{Batch, Shard, Write};
use crate::tree::{Direction, Entries};
use crate::{Engine, Error};

const SIGNATURE: Signature = Signature([7; 16]);

/// Rows of each document: sort keys and values.
type Model = BTreeMap<String, Vec<(String, String)>>;

/// Counts the entries and joins their values in order, cut to what tells errors apart; the plan says
/// how long.
struct Joined(usize);

impl Joined {
    fn cut(&self, text: String) -> Bytes {
        let skip = text.len().saturating_sub(self.0);
        text.get(skip..).unwrap_or_default().to_owned().into()
    }
}

impl Reducer for Joined {
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error> {
        Ok(self
            .cut(entries.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()))
    }

    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        Ok(self.cut(parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()))
    }
}

fn reducers(plan: &[u8]) -> Result<Arc<dyn Reducer>, Error> {
    Ok(Arc::new(Joined(plan.len())))
}

/// A shard with that many changes.
fn shard(engine: &Engine, changes: usize) -> Arc<Shard> {
    let shard = engine.create_shard(&shard_id()).unwrap();
    let edit = |n: usize| Write::Interactive(edit(&format!("doc{n}"), RevPath::default(), "{}"));
    shard.write(Batch::of((0..changes).map(edit).collect())).unwrap();
    shard
}

fn position(shard: &Shard, seq: u64) -> Position {
    Position { epoch: shard.snapshot().epoch(), update_seq: seq, purge_seq: 0 }
}

fn index(engine: &Engine, shard: &Shard) -> Arc<Index> {
    engine.index(shard, SIGNATURE, &reducers).unwrap()
}

fn doc_rows(id: &str, rows: &[(String, String)]) -> DocRows {
    let sorts: Vec<String> = rows.iter().map(|(sort, _)| format!("{sort}!")).collect();
    let mut of_doc = Vec::new();
    for (sort, (_, value)) in sorts.iter().zip(rows) {
        of_doc.push(Row { sort: sort.as_bytes(), value: value.as_bytes() });
    }
    DocRows::of(DocId::trusted(id), &mut of_doc)
}

/// All rows of a model as (sort key, id, number) and value, in order.
fn sorted(model: &Model) -> Vec<((String, String, u32), String)> {
    let mut rows = Vec::new();
    for (id, of_doc) in model {
        for (at, (sort, value)) in of_doc.iter().enumerate() {
            let equal = of_doc.iter().take(at).filter(|(other, _)| other == sort).count();
            rows.push(((format!("{sort}!"), id.clone(), equal as u32), value.clone()));
        }
    }
    rows.sort();
    rows
}

const ALL: crate::tree::KeyRange = (Bound::Unbounded, Bound::Unbounded);

fn found(snapshot: &IndexSnapshot) -> Vec<((String, String, u32), String)> {
    let row = |entry: Result<crate::tree::Entry, Error>| {
        let entry = entry.unwrap();
        let end = entry.key().iter().position(|byte| *byte == b'!').unwrap() + 1;
        let (id, number) = split_row_key(entry.key(), end).unwrap();
        let sort = String::from_utf8(entry.key()[..end].to_vec()).unwrap();
        let value = String::from_utf8(entry.value().to_vec()).unwrap();
        ((sort, id.into_owned(), number), value)
    };
    snapshot.range(ALL, Direction::Forward).map(row).collect()
}
