//! Maps that run together over the same documents, and engines for them that are kept between builds.
//! Never reads a shard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use settee_engine::index::DocRows;
use settee_model::docid::DocId;
use settee_model::json::Raw;

use super::definition::{Definition, MapSource};
use super::reduce::Setup;
use super::row::{Encoder, Order};
use super::spares::Owner;
use crate::js::{Error, Views, ViewsSource};
use crate::mango::Index as MangoIndex;

/// The maps of a design document, ready to run. To be kept as long as the design document is: its
/// engines take a while to be made, and are kept for a while when they are not used.
pub struct Programs {
    definition: Arc<Definition>,
    setup: Setup,
    /// By the maps that run together.
    programs: Mutex<HashMap<Vec<usize>, Arc<Program>>>,
}

/// Some maps of a design document.
pub struct Program {
    definition: Arc<Definition>,
    setup: Setup,
    maps: Vec<(MapSource, Order)>,
    /// Of engines that run all of the maps.
    owner: Owner,
}

/// What one thread needs to run a program.
pub(super) struct Runner {
    views: Option<Views>,
    pub(super) encoder: Encoder,
    /// Documents as JSON, one after the other.
    pub(super) text: Vec<u8>,
}

impl Programs {
    /// Makes nothing yet.
    #[must_use]
    pub fn new(definition: Arc<Definition>, setup: Setup) -> Programs {
        Programs { definition, setup, programs: Mutex::default() }
    }

    /// What is run.
    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// These maps of the definition, run together.
    pub(super) fn of(&self, maps: &[usize]) -> Arc<Program> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let program = programs.entry(maps.to_vec()).or_insert_with(|| {
            let partitioned = self.definition.options.partitioned;
            let source = |map: &usize| {
                let map = self.definition.maps.get(*map)?;
                Some((map.source.clone(), Order { partitioned, raw: map.raw }))
            };
            Arc::new(Program {
                definition: self.definition.clone(),
                setup: self.setup.clone(),
                maps: maps.iter().filter_map(source).collect(),
                owner: Owner::new(&self.setup.spares),
            })
        });
        program.clone()
    }
}

impl Program {
    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Bytes of stack that a thread needs which runs it.
    pub(super) fn stack(&self) -> usize {
        self.setup.limits.thread_stack()
    }

    /// Number of maps.
    pub(super) fn len(&self) -> usize {
        self.maps.len()
    }

    /// An engine for one thread.
    pub(super) fn runner(&self) -> Runner {
        let script = |(map, _): &(MapSource, Order)| match map {
            MapSource::Script(source) => Some(source.clone()),
            MapSource::Fields(_) => None,
        };
        let engine = || {
            let maps: Vec<String> = self.maps.iter().filter_map(script).collect();
            let lib = self.definition.options.lib.clone();
            let source = ViewsSource { maps, lib, ..ViewsSource::default() };
            let Setup { limits, log, .. } = self.setup.clone();
            Views::new(source, limits, log)
        };
        let scripted = self.maps.iter().any(|(map, _)| matches!(map, MapSource::Script(_)));
        let views = scripted.then(|| self.owner.take().unwrap_or_else(engine));
        Runner { views, encoder: Encoder::default(), text: Vec::new() }
    }

    /// Gives an engine back.
    pub(super) fn give_back(&self, runner: Runner) {
        if let Some(engine) = runner.views {
            self.owner.give(engine);
        }
    }

    /// Runs all maps over documents, each an id and the range of its JSON in the runner's text. Rows go
    /// to the end of the list of each map, document by document.
    pub(super) fn map(
        &self,
        runner: &mut Runner,
        docs: &[(DocId, std::ops::Range<usize>)],
        rows: &mut [Vec<DocRows>],
    ) -> Result<(), Error> {
        let Runner { views, encoder, text } = runner;
        let json = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
        let Some(views) = views else {
            for (id, range) in docs {
                for ((map, order), rows) in self.maps.iter().zip(&mut *rows) {
                    let MapSource::Fields(index) = map else { continue };
                    rows.push(field_rows(index.as_deref(), encoder, id, *order, json(range)));
                }
            }
            return Ok(());
        };
        let mut ids = docs.iter().map(|(id, _)| id);
        views.map(docs.iter().map(|(_, range)| json(range)), |found| {
            let Some(id) = ids.next() else { return };
            let maps = found.views().zip(&self.maps);
            for ((emitted, (_, order)), rows) in maps.zip(&mut *rows) {
                rows.push(encoder.rows(id.clone(), *order, emitted));
            }
        })
    }
}

/// The row of a document in a Mango index, if it has one.
fn field_rows(
    index: Option<&MangoIndex>,
    encoder: &mut Encoder,
    id: &DocId,
    order: Order,
    json: &[u8],
) -> DocRows {
    let key = index.and_then(|index| index.key(id.as_str(), json));
    let row = key.iter().map(|key| (Raw(key), Raw(b"null")));
    encoder.rows(id.clone(), order, row)
}
