//! Rows or groups of a view in one shard copy, step by step, in the order in which they are merged with
//! those of other shards. Builds no index, and finishes no reduction: see `views` and `coord::combined`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use settee_engine::index::{Position, Signature};
use settee_engine::{IndexSnapshot, Snapshot};
use settee_model::docid::DocId;
use settee_model::json::Raw;
use settee_query::js;
use settee_query::view::{
    Behind, Definition, Grouping, Groups, Keys, RowRange, Rows, View, ViewRow,
};

use super::point::Point;
use super::rows::{RowBatch, ShardHead};
use super::{Fault, Watch, rows};
use crate::Error;
use crate::quorum::merge::Keyed;
use crate::rows::DocRow;
use crate::streams::{Resume, Scanner};
use crate::views::{DesignDoc, Update};

/// Bytes after which a batch is full.
const BATCH_BYTES: usize = 256 * 1024;
/// Rows after which a batch is full.
const BATCH_ROWS: usize = 512;
/// Rows between two looks at the clock, if each is quickly found.
const LOOK: usize = 16;

/// What of a view to give.
#[derive(Clone, Debug)]
pub(crate) struct ViewScan {
    pub(crate) ddoc: Arc<DesignDoc>,
    pub(crate) view: String,
    pub(crate) reduce: Option<Grouping>,
    pub(crate) range: RowRange,
    pub(crate) keys: Option<AskedKeys>,
    /// Keys whose rows were given already.
    pub(crate) keys_done: u32,
    pub(crate) include_docs: bool,
    pub(crate) conflicts: bool,
    pub(crate) update: Update,
    /// Where the index must be if it is brought up to date; none: at the end of the shard.
    pub(crate) at_least: Option<Position>,
    /// The index that gave the rows before, which those that follow must come from, too.
    pub(crate) index: Option<Signature>,
}

/// Keys in the order in which they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct AskedKeys {
    keys: Arc<[Bytes]>,
    /// Where each key stands last. As in CouchDB, that is what rows of several shards are merged by.
    last: Arc<[u32]>,
}

impl AskedKeys {
    pub(crate) fn new(keys: Vec<Bytes>) -> AskedKeys {
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let places = keys.iter().enumerate().map(|(place, key)| (key.clone(), number(place)));
        let places: HashMap<Bytes, u32> = places.collect();
        let last = keys.iter().map(|key| places.get(key).copied().unwrap_or(0)).collect();
        AskedKeys { keys: keys.into(), last }
    }

    pub(crate) fn keys(&self) -> &[Bytes] {
        &self.keys
    }

    fn last(&self, number: u32) -> u32 {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        self.last.get(place).copied().unwrap_or(number)
    }
}

/// A row or a group on its way.
#[derive(Clone, Debug)]
pub(crate) struct ViewEntry {
    /// Of a group: what stands for the groups' order, and the partial result for a value.
    pub(crate) row: ViewRow,
    /// With `include_docs`: the document of the row's id, if it is there and the value names no other.
    pub(crate) doc: Option<Box<DocRow>>,
    /// Where keys were asked for: what it is merged by.
    pub(crate) turn: Option<Bytes>,
}

impl Keyed for ViewEntry {
    fn key(&self) -> &[u8] {
        match &self.turn {
            Some(turn) => turn,
            // Groups have no ids.
            None if self.row.sort == 0 => &self.row.order,
            None => self.row.place(),
        }
    }
}

impl Resume for ViewScan {
    type Row = ViewEntry;

    fn begun(&mut self, head: &ShardHead) {
        self.index = head.index;
    }

    fn go_behind(&mut self, entry: &ViewEntry) {
        self.range.behind = Some(match self.reduce {
            None => Behind::row(&entry.row),
            Some(_) => Behind::Group(entry.row.order.clone()),
        });
        self.keys_done = match self.reduce {
            None => entry.row.number,
            Some(_) => entry.row.number.saturating_add(1),
        };
    }
}

impl ViewScan {
    /// The view in the definition of its design document.
    pub(crate) fn view_of<'a>(&self, definition: &'a Definition) -> Result<&'a View, Error> {
        definition.view(&self.view).ok_or(Error::NotFound { deleted: false })
    }

    /// A row with what it is merged by. Rows of given keys come key by key, whatever the direction.
    fn entry(&self, row: ViewRow, doc: Option<Box<DocRow>>) -> ViewEntry {
        let turn = self.keys.as_ref().map(|keys| {
            let (turn, own) = match self.reduce {
                None => (keys.last(row.number), row.place()),
                Some(_) => (row.number, &row.order[..]),
            };
            let turn = if self.range.descending { u32::MAX - turn } else { turn };
            [&turn.to_be_bytes()[..], own].concat().into()
        });
        ViewEntry { row, doc, turn }
    }

    fn rest_of_keys(&self) -> Option<Keys> {
        let done = usize::try_from(self.keys_done).unwrap_or(usize::MAX);
        Some(Keys::behind(self.keys.as_ref()?.keys.clone(), done))
    }
}

/// A scan under way.
pub(crate) struct ViewScanner {
    scan: ViewScan,
    walk: Walk,
    /// For documents.
    snapshot: Snapshot,
}

enum Walk {
    Rows(Box<Rows>),
    Groups(Box<Groups>),
}

impl ViewScanner {
    /// Over an index that was brought up to date as the scan asks for.
    pub(crate) fn new(
        snapshot: Snapshot,
        index: &IndexSnapshot,
        view: &View,
        scan: ViewScan,
    ) -> Result<ViewScanner, Fault> {
        let (range, keys) = (&scan.range, scan.rest_of_keys());
        let walk = match (scan.reduce, &view.reduce, keys) {
            (None, _, None) => Walk::Rows(Box::new(Rows::of_range(index, range))),
            (None, _, Some(keys)) => Walk::Rows(Box::new(Rows::of_keys(index, range, keys))),
            (Some(grouping), Some(reduce), keys) => {
                if let Some((error, reason)) = Groups::failure(index, reduce)? {
                    let reason = serde_json::Value::from(reason).to_string();
                    return Err(Error::Script(js::Error::Thrown { error, reason }).into());
                }
                let groups = match keys {
                    None => Groups::of_range(index, reduce, range, grouping),
                    Some(keys) => Groups::of_keys(index, reduce, range, keys),
                };
                // Somebody else has the index carry other reduces meanwhile.
                Walk::Groups(Box::new(groups.ok_or(Error::Overloaded)?))
            }
            (Some(_), None, _) => return Err(Error::NotFound { deleted: false }.into()),
        };
        Ok(ViewScanner { scan, walk, snapshot })
    }

    fn next_row(&mut self) -> Result<Option<ViewRow>, Fault> {
        let done = self.scan.keys_done;
        let row = match &mut self.walk {
            Walk::Rows(rows) => rows.try_next()?,
            Walk::Groups(groups) => groups.try_next()?.map(|group| ViewRow {
                order: group.order,
                sort: 0,
                key: group.key,
                value: group.partial,
                number: group.number,
            }),
        };
        Ok(row.map(|row| ViewRow { number: row.number.saturating_add(done), ..row }))
    }

    /// The document of a row, unless its value names another one.
    fn doc(&self, row: &ViewRow) -> Result<Option<Box<DocRow>>, Fault> {
        if !self.scan.include_docs || linked(&row.value).is_some() {
            return Ok(None);
        }
        let id = DocId::trusted(&row.id());
        let found = rows::of_keys(&self.snapshot, &[id], true, self.scan.conflicts)?;
        Ok(found.into_iter().next().flatten().filter(|row| row.doc.is_some()).map(Box::new))
    }
}

impl Scanner<ViewEntry> for ViewScanner {
    /// The next rows, `most` of them at most, at least one if there is one.
    fn step(&mut self, most: usize) -> Result<RowBatch<ViewEntry>, Fault> {
        let most = most.clamp(1, BATCH_ROWS);
        let mut rows = Vec::with_capacity(most.min(64));
        let mut bytes = 0;
        let watch = Watch::start();
        let slow = self.scan.include_docs || matches!(self.walk, Walk::Groups(_));
        while rows.len() < most && bytes < BATCH_BYTES {
            let looks = slow || rows.len() % LOOK == 0;
            if looks && !rows.is_empty() && watch.is_time() {
                break;
            }
            let Some(row) = self.next_row()? else { return Ok(RowBatch { rows, ended: true }) };
            bytes += row.order.len() + row.key.len() + row.value.len();
            let doc = self.doc(&row)?;
            bytes +=
                doc.as_ref().and_then(|doc| doc.doc.as_ref()).map_or(0, |d| d.record.body.len());
            rows.push(self.scan.entry(row, doc));
        }
        Ok(RowBatch { rows, ended: false })
    }
}

/// The member `_id` of a row's value: the document that is to be included in place of the row's own.
pub(crate) fn linked(value: &[u8]) -> Option<Raw<'_>> {
    if !value.starts_with(b"{") {
        return None;
    }
    Raw(value).get("_id")
}

/// What precedes the rows of a scan.
pub(crate) fn head(index: &IndexSnapshot, scan: &ViewScan) -> Result<ShardHead, Fault> {
    let position = index.position();
    let end = Point { life: position.epoch, seq: position.update_seq };
    let of = scan.index;
    if scan.reduce.is_some() {
        return Ok(ShardHead { total: 0, offset: 0, end, index: of });
    }
    let total = index.count();
    let offset = match &scan.keys {
        None => Rows::offset(index, &scan.range)?,
        Some(keys) => Rows::offset_of_keys(index, &scan.range, Keys::behind(keys.keys.clone(), 0))?,
    };
    Ok(ShardHead { total, offset, end, index: of })
}
