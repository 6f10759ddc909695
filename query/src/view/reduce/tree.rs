//! What the nodes of an index's tree carry: the number of rows, the bytes that clients see of them, and
//! a partial result of each reduce. Which reduces these are is the index's plan. Never runs a map.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use settee_engine::index::Signature;
use settee_engine::tree::{Entries, Reducer};
use settee_engine::{Engine, Error, Index, IndexSnapshot, Shard};
use settee_model::varint;

use super::worn::Worn;
use super::{Input, Reduce, Reducing, Setup, made};
use crate::view::row::split_value;

/// All reduces that share the rows of an index.
pub(in crate::view) struct Composite {
    reduces: Vec<Worn>,
}

/// What a node carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::view) struct Carried {
    /// Rows.
    pub(in crate::view) rows: usize,
    /// Bytes of keys and values as clients see them.
    pub(in crate::view) external: usize,
    /// Partial results, in the order of the plan; none if there are no rows.
    pub(in crate::view) parts: Vec<Bytes>,
}

/// Attempts to have an index carry what is wanted.
const ATTEMPTS: usize = 8;

fn malformed() -> Error {
    Error::Reduce { what: "rows of an index are malformed".into() }
}

impl Carried {
    fn encode(&self) -> Bytes {
        let size: usize = self.parts.iter().map(|part| part.len() + 3).sum();
        let mut out = Vec::with_capacity(size + 8);
        varint::put(&mut out, self.rows as u64);
        varint::put(&mut out, self.external as u64);
        self.parts.iter().for_each(|part| varint::put_bytes(&mut out, part));
        out.into()
    }

    /// What the root carries: all rows.
    pub(in crate::view) fn of(index: &IndexSnapshot) -> Result<Carried, Error> {
        let all = index.reduce(&(Bound::Unbounded, Bound::Unbounded))?;
        Carried::decode(&all).ok_or_else(|| index.corrupt("a reduction is malformed"))
    }

    pub(in crate::view) fn decode(bytes: &Bytes) -> Option<Carried> {
        let mut rest: &[u8] = bytes;
        let rows = varint::take_len(&mut rest)?;
        let external = varint::take_len(&mut rest)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            parts.push(bytes.slice_ref(varint::take_bytes(&mut rest)?));
        }
        Some(Carried { rows, external, parts })
    }
}

impl Composite {
    /// The reduces of a plan.
    fn of(plan: &[u8], setup: &Setup) -> Result<Composite, Error> {
        let sources = read_plan(plan).ok_or_else(malformed)?;
        Composite::trying(&sources, sources.len(), setup)
    }

    /// The reduces of these sources, of which those behind the first `proven` are tried on.
    fn trying(sources: &[String], proven: usize, setup: &Setup) -> Result<Composite, Error> {
        let worn = |(place, source): (usize, &String)| {
            let reduce = Reduce::parse(source).ok_or_else(malformed)?;
            Ok(Worn::new(Reducing::new(reduce, setup), place >= proven))
        };
        let reduces = sources.iter().enumerate().map(worn).collect::<Result<_, Error>>()?;
        Ok(Composite { reduces })
    }
}

impl Reducer for Composite {
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error> {
        let mut rows = Vec::with_capacity(entries.len());
        let mut external = 0;
        for (order, stored) in entries {
            let (sort, key, value) = split_value(stored).ok_or_else(malformed)?;
            external += key.len() + value.len();
            rows.push(Input { order, sort, key, value });
        }
        let part = |worn: &Worn| worn.run(|reduce| Ok(reduce.rows(&rows)?.encode()));
        let parts = self.reduces.iter().map(part).collect::<Result<_, Error>>()?;
        Ok(Carried { rows: rows.len(), external, parts }.encode())
    }

    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        let mut sum = Carried::default();
        let mut each: Vec<Vec<Bytes>> = vec![Vec::with_capacity(parts.len()); self.reduces.len()];
        for part in parts {
            let carried = Carried::decode(part).ok_or_else(malformed)?;
            if carried.rows == 0 {
                continue;
            }
            sum.rows += carried.rows;
            sum.external += carried.external;
            for (list, part) in each.iter_mut().zip(carried.parts) {
                list.push(part);
            }
        }
        if sum.rows > 0 {
            let combine =
                |(worn, parts): (&Worn, &Vec<Bytes>)| worn.run(|reduce| reduce.combine(parts));
            sum.parts =
                self.reduces.iter().zip(&each).map(combine).collect::<Result<_, Error>>()?;
        }
        Ok(sum.encode())
    }
}

/// The sources in a plan.
fn read_plan(mut plan: &[u8]) -> Option<Vec<String>> {
    let mut sources = Vec::new();
    while !plan.is_empty() {
        let source = varint::take_bytes(&mut plan)?;
        sources.push(std::str::from_utf8(source).ok()?.to_owned());
    }
    Some(sources)
}

fn write_plan(sources: &[String]) -> Bytes {
    let mut plan = Vec::new();
    for source in sources {
        varint::put_bytes(&mut plan, source.as_bytes());
    }
    plan.into()
}

/// The place of a reduce in a plan.
pub(in crate::view) fn place_in(plan: &[u8], reduce: &Reduce) -> Option<usize> {
    let source = reduce.source();
    read_plan(plan)?.iter().position(|found| *found == source)
}

/// Opens a map's index of a shard as it is, or makes it. Which reduces it carries is another question:
/// see [`lacks`] and [`carry`].
///
/// # Errors
/// [`Error::ShardMissing`] if the shard was dropped.
pub fn open_index(
    engine: &Engine,
    shard: &Shard,
    signature: Signature,
    setup: &Setup,
) -> Result<Arc<Index>, Error> {
    let reducers = |plan: &[u8]| Ok(Arc::new(Composite::of(plan, setup)?) as Arc<dyn Reducer>);
    engine.index(shard, signature, &reducers)
}

/// Whether an index does not carry one of these reduces.
#[must_use]
pub fn lacks(index: &Index, reduces: &[Reduce]) -> bool {
    let view = index.snapshot();
    reduces.iter().any(|reduce| place_in(view.plan(), reduce).is_none())
}

/// Has an index carry these reduces. If it lacks one, it is summarised anew, together with those that
/// it has and that `others` still name: that reads all of its rows.
///
/// # Errors
/// [`Error::Reduce`] for one that it lacks and that cannot be run to its end: the index stays as it was.
/// [`Error::IndexDropped`] if it was dropped.
pub fn carry(
    index: &Index,
    reduces: &[Reduce],
    others: impl Fn() -> Vec<Reduce>,
    setup: &Setup,
) -> Result<(), Error> {
    let wanted: Vec<String> = reduces.iter().map(Reduce::source).collect();
    // Somebody else may add others at the same time; then one of both tries again.
    for _ in 0..ATTEMPTS {
        let mut sources = read_plan(index.snapshot().plan()).ok_or_else(malformed)?;
        if wanted.iter().all(|source| sources.contains(source)) {
            return Ok(());
        }
        let others: Vec<String> = others().iter().map(Reduce::source).collect();
        sources.retain(|source| wanted.contains(source) || others.contains(source));
        let proven = sources.len();
        for source in &wanted {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        let reducer = Arc::new(Composite::trying(&sources, proven, setup)?);
        index.replan(write_plan(&sources), reducer.clone())?;
        reducer.reduces.iter().for_each(Worn::keep);
    }
    Err(Error::Overloaded)
}

/// Has an index carry no longer what it could not make: who wants that has it tried again. Reads all rows
/// if there is such a reduce.
///
/// # Errors
/// [`Error::IndexDropped`] if it was dropped.
pub fn forsake(index: &Index, setup: &Setup) -> Result<(), Error> {
    let view = index.snapshot();
    let parts = Carried::of(&view)?.parts;
    let sources = read_plan(view.plan()).ok_or_else(malformed)?;
    let is_made = |part: Option<&Bytes>| part.is_none_or(|part| made(part.clone()).is_ok());
    let in_place = sources.iter().enumerate().filter(|(place, _)| is_made(parts.get(*place)));
    let kept: Vec<String> = in_place.map(|(_, source)| source.clone()).collect();
    if kept.len() == sources.len() {
        return Ok(());
    }
    index.replan(write_plan(&kept), Arc::new(Composite::trying(&kept, kept.len(), setup)?))
}
