//! Scans of views: what they ask for and what their steps bring. Also what is asked of indexes
//! apart from rows. Never compiles a function.

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::index::{Position, Signature};
use settee_query::view::{Behind, Grouping, RowRange, ViewRow};

use super as wire;
use super::feed::{IndexStep, NotYet, RowsStep, head};
use crate::Error;
use crate::info::Sizes;
use crate::rows::DocRow;
use crate::shard::rows::{RowBatch, ShardHead};
use crate::shard::view::{AskedKeys, ViewEntry, ViewScan};
use crate::views::{DesignDoc, IndexAsk, IndexState, Update};

impl From<&DesignDoc> for wire::DesignDoc {
    fn from(ddoc: &DesignDoc) -> wire::DesignDoc {
        let DesignDoc { id, body, partitioned, .. } = ddoc;
        wire::DesignDoc { id: id.clone(), body: body.clone(), partitioned: *partitioned }
    }
}

impl From<wire::DesignDoc> for DesignDoc {
    fn from(ddoc: wire::DesignDoc) -> DesignDoc {
        DesignDoc::new(&ddoc.id, ddoc.body, ddoc.partitioned)
    }
}

pub(crate) fn signature_to(signature: &Signature) -> Bytes {
    Bytes::copy_from_slice(&signature.0)
}

pub(crate) fn signature_from(bytes: &Bytes) -> Result<Signature, Error> {
    let bytes = bytes[..].try_into().map_err(|_| wire::malformed("a signature"))?;
    Ok(Signature(bytes))
}

impl wire::ViewScan {
    /// With the `whole` design document, or only its hash.
    pub(crate) fn new(shard: String, scan: &ViewScan, whole: bool) -> wire::ViewScan {
        use wire::view_scan::{Group, Update as Wire};
        let range = &scan.range;
        wire::ViewScan {
            shard,
            hash: Bytes::copy_from_slice(&scan.ddoc.hash()),
            ddoc: whole.then(|| (&*scan.ddoc).into()),
            view: scan.view.clone(),
            group: scan.reduce.map(|grouping| match grouping {
                Grouping::Whole => Group::Whole(wire::Nothing {}),
                Grouping::Exact => Group::Exact(wire::Nothing {}),
                Grouping::Level(level) => Group::Level(level as u64),
            }),
            start: range.start.clone(),
            start_id: range.start_id.clone(),
            end: range.end.clone(),
            end_id: range.end_id.clone(),
            exclusive_end: range.exclusive_end,
            descending: range.descending,
            raw: range.raw,
            partition: range.partition.clone(),
            behind: range.behind.as_ref().map(|behind| match behind {
                Behind::Row { order, place } => {
                    wire::Behind { order: order.clone(), place: Some(place.clone()) }
                }
                Behind::Group(order) => wire::Behind { order: order.clone(), place: None },
            }),
            keys: scan.keys.as_ref().map(|keys| wire::Keys { keys: keys.keys().to_vec() }),
            keys_done: scan.keys_done,
            include_docs: scan.include_docs,
            conflicts: scan.conflicts,
            update: match scan.update {
                Update::True => Wire::Now,
                Update::False => Wire::Never,
                Update::Lazy => Wire::Later,
            }
            .into(),
            index: scan.index.as_ref().map(signature_to),
            at_least: scan.at_least.map(wire::IndexPosition::from),
        }
    }

    /// The scan, of a design document that is in it or known.
    pub(crate) fn scan(self, ddoc: Arc<DesignDoc>) -> Result<ViewScan, Error> {
        use wire::view_scan::{Group, Update as Wire};
        let update = match self.update() {
            Wire::Now => Update::True,
            Wire::Never => Update::False,
            Wire::Later => Update::Lazy,
        };
        let index = self.index.as_ref().map(signature_from).transpose()?;
        Ok(ViewScan {
            ddoc,
            view: self.view,
            reduce: self.group.map(|group| match group {
                Group::Whole(_) => Grouping::Whole,
                Group::Exact(_) => Grouping::Exact,
                Group::Level(level) => {
                    Grouping::Level(usize::try_from(level).unwrap_or(usize::MAX))
                }
            }),
            range: RowRange {
                start: self.start,
                start_id: self.start_id,
                end: self.end,
                end_id: self.end_id,
                exclusive_end: self.exclusive_end,
                descending: self.descending,
                raw: self.raw,
                partition: self.partition,
                behind: self.behind.map(|wire::Behind { order, place }| match place {
                    Some(place) => Behind::Row { order, place },
                    None => Behind::Group(order),
                }),
            },
            keys: self.keys.map(|keys| AskedKeys::new(keys.keys)),
            keys_done: self.keys_done,
            include_docs: self.include_docs,
            conflicts: self.conflicts,
            update,
            index,
            at_least: self.at_least.map(Position::from),
        })
    }
}

impl RowsStep for wire::ViewAnswer {
    type Row = ViewEntry;

    fn new(head: Option<ShardHead>, batch: RowBatch<ViewEntry>) -> wire::ViewAnswer {
        let row = |ViewEntry { row, doc, turn }: ViewEntry| wire::ViewRow {
            order: row.order,
            sort: row.sort as u64,
            key: row.key,
            value: row.value,
            number: row.number,
            doc: doc.map(|doc| (&*doc).into()),
            place: turn,
        };
        wire::ViewAnswer {
            head: head.map(wire::RowsHead::from),
            rows: batch.rows.into_iter().map(row).collect(),
            ended: batch.ended,
            ..wire::ViewAnswer::default()
        }
    }

    fn take_head(&mut self) -> Result<ShardHead, Error> {
        head(self.head.take())
    }

    fn batch(self) -> Result<RowBatch<ViewEntry>, Error> {
        let row = |row: wire::ViewRow| {
            let doc = row.doc.map(DocRow::try_from).transpose()?.map(Box::new);
            let sort = usize::try_from(row.sort).unwrap_or(usize::MAX);
            let wire::ViewRow { order, key, value, number, place, .. } = row;
            Ok(ViewEntry { row: ViewRow { order, sort, key, value, number }, doc, turn: place })
        };
        let rows = self.rows.into_iter().map(row).collect::<Result<_, Error>>()?;
        Ok(RowBatch { rows, ended: self.ended })
    }

    fn is_beat(&self) -> bool {
        self.beat
    }

    fn not_yet(&self) -> Option<NotYet> {
        let building = self.building.map(|at| NotYet::Building(at.into()));
        building.or(self.unknown.then_some(NotYet::Unknown))
    }
}

impl IndexStep for wire::ViewAnswer {
    fn building(at_least: Position) -> wire::ViewAnswer {
        wire::ViewAnswer { building: Some(at_least.into()), ..wire::ViewAnswer::default() }
    }
}

impl wire::IndexAsk {
    pub(crate) fn new(shard: String, ask: &IndexAsk) -> wire::IndexAsk {
        use wire::index_ask::Kind;
        let kind = match ask {
            IndexAsk::State(ddoc) => Kind::State((&**ddoc).into()),
            IndexAsk::Compact(ddoc) => Kind::Compact((&**ddoc).into()),
            IndexAsk::Keep(kept) => {
                let signatures = kept.iter().map(signature_to).collect();
                Kind::Keep(wire::Signatures { signatures })
            }
        };
        wire::IndexAsk { shard, kind: Some(kind) }
    }

    pub(crate) fn ask(self) -> Result<IndexAsk, Error> {
        use wire::index_ask::Kind;
        Ok(match wire::need(self.kind, "question about indexes")? {
            Kind::State(ddoc) => IndexAsk::State(Arc::new(ddoc.into())),
            Kind::Compact(ddoc) => IndexAsk::Compact(Arc::new(ddoc.into())),
            Kind::Keep(kept) => {
                let kept = kept.signatures.iter().map(signature_from);
                IndexAsk::Keep(kept.collect::<Result<_, Error>>()?)
            }
        })
    }
}

impl From<IndexState> for wire::IndexState {
    fn from(state: IndexState) -> wire::IndexState {
        let IndexState { pending, update_seq, purge_seq, sizes, building, compacting, waiting } =
            state;
        let Sizes { file, active, external } = sizes;
        wire::IndexState {
            pending,
            update_seq,
            purge_seq,
            file,
            active,
            external,
            building,
            compacting,
            waiting,
        }
    }
}

impl From<wire::IndexState> for IndexState {
    fn from(state: wire::IndexState) -> IndexState {
        let wire::IndexState { file, active, external, .. } = state;
        IndexState {
            pending: state.pending,
            update_seq: state.update_seq,
            purge_seq: state.purge_seq,
            sizes: Sizes { file, active, external },
            building: state.building,
            compacting: state.compacting,
            waiting: state.waiting,
        }
    }
}
