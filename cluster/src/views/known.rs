//! Design documents whose views were asked for lately: their definition, the compiled functions and
//! the indexes that are open. Bounded; what nobody asked for longest is forgotten. Two databases
//! never share an entry, nor two design documents, so that no context of functions is shared.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use settee_engine::index::Signature;
use settee_engine::{Index, ShardId};
use settee_query::js::{self, Log};
use settee_query::view::{
    Definition, DefinitionError, MapDef, Programs, Reduce, Reducing, Setup, View,
};

use crate::Error;

/// Design documents that are kept in mind.
const KEPT: usize = 256;

/// Tells design documents apart by all that their views depend on.
pub(crate) type Hash = [u8; 32];

/// A design document as far as its views depend on it.
#[derive(Clone, Debug)]
pub struct DesignDoc {
    /// With `_design/`.
    pub id: String,
    /// JSON in stored form, without `_` members.
    pub body: Bytes,
    /// Whether its database is partitioned.
    pub partitioned: bool,
    hash: Hash,
}

impl DesignDoc {
    /// A design document of a database that is partitioned or not.
    #[must_use]
    pub fn new(id: &str, body: Bytes, partitioned: bool) -> DesignDoc {
        let mut hash = blake3::Hasher::new();
        hash.update(&[u8::from(partitioned)]);
        hash.update(&(id.len() as u64).to_le_bytes());
        hash.update(id.as_bytes());
        hash.update(&body);
        let hash = *hash.finalize().as_bytes();
        DesignDoc { id: id.to_owned(), body, partitioned, hash }
    }

    /// What others may know it by.
    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// What it defines.
    ///
    /// # Errors
    /// [`Error::Script`] for a language that is not spoken.
    pub fn definition(&self) -> Result<Definition, Error> {
        Definition::of(&self.id, &self.body, self.partitioned).map_err(|error| match error {
            DefinitionError::UnknownLanguage(name) => {
                let reason = serde_json::Value::from(name).to_string();
                let error = "unknown_query_language".into();
                Error::Script(js::Error::Thrown { error, reason })
            }
        })
    }
}

/// An index, and its plan at that time.
type AsItWas = (Weak<Index>, Bytes);

/// The views of a design document of one database.
pub(crate) struct Known {
    ddoc: Arc<DesignDoc>,
    definition: Arc<Definition>,
    setup: Setup,
    programs: Programs,
    /// Not for keeping them open; with plans that have all reduces.
    open: Mutex<HashMap<ShardId, Vec<AsItWas>>>,
    /// Shards whose indexes were up to date once.
    ready: Mutex<HashSet<ShardId>>,
    /// Shards whose indexes are brought up to date although nobody waits for that.
    later: Mutex<HashSet<ShardId>>,
    /// What the design document was before, as long as its indexes may serve.
    before: Mutex<Option<Arc<Known>>>,
}

impl Known {
    fn new(ddoc: Arc<DesignDoc>, setup: Setup) -> Result<Known, Error> {
        let definition = Arc::new(ddoc.definition()?);
        let programs = Programs::new(definition.clone(), setup.clone());
        Ok(Known {
            ddoc,
            definition,
            setup,
            programs,
            open: Mutex::default(),
            ready: Mutex::default(),
            later: Mutex::default(),
            before: Mutex::default(),
        })
    }

    pub(crate) fn ddoc(&self) -> &Arc<DesignDoc> {
        &self.ddoc
    }

    pub(crate) fn hash(&self) -> Hash {
        self.ddoc.hash
    }

    /// What it defines.
    pub(crate) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// A view, and its map.
    pub(super) fn view(&self, name: &str) -> Result<(&View, &MapDef), Error> {
        let view = self.definition.view(name);
        let found = view.and_then(|view| Some((view, self.definition.map_of(view)?)));
        found.ok_or(Error::NotFound { deleted: false })
    }

    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A reduce, ready to run.
    pub(crate) fn reducing(&self, reduce: &Reduce) -> Reducing {
        Reducing::new(reduce.clone(), &self.setup)
    }

    /// The indexes of all maps, if they are open and carry what they did.
    pub(super) fn open(&self, shard: &ShardId) -> Option<Vec<Arc<Index>>> {
        let open = self.open.lock();
        let as_it_was = |(index, plan): &AsItWas| {
            index.upgrade().filter(|index| index.snapshot().plan() == plan)
        };
        open.get(shard)?.iter().map(as_it_was).collect()
    }

    /// The indexes of a shard are up to date.
    pub(super) fn set_ready(&self, shard: &ShardId) {
        let mut ready = self.ready.lock();
        if ready.contains(shard) {
            return;
        }
        ready.insert(shard.clone());
        let mut before = self.before.lock();
        let serves = |before: &Arc<Known>| !before.ready.lock().is_subset(&ready);
        let done = if before.as_ref().is_some_and(serves) { None } else { before.take() };
        drop((before, ready));
        // With all of its engines.
        drop(done);
    }

    /// Somebody wants the indexes of a shard to be brought up to date later; `false` if somebody else
    /// has seen to that.
    pub(super) fn begin_later(&self, shard: &ShardId) -> bool {
        self.later.lock().insert(shard.clone())
    }

    pub(super) fn end_later(&self, shard: &ShardId) {
        self.later.lock().remove(shard);
    }

    fn is_ready(&self, shard: &ShardId) -> bool {
        self.ready.lock().contains(shard)
    }

    /// What the design document was before, if its indexes of a shard show more than those of now.
    pub(super) fn before(&self, shard: &ShardId) -> Option<Arc<Known>> {
        if self.is_ready(shard) {
            return None;
        }
        self.before.lock().clone().filter(|before| before.is_ready(shard))
    }

    /// What may serve until a newer one is ready: this one, if it ever was.
    fn for_newer(self: &Arc<Self>) -> Option<Arc<Known>> {
        let before = self.before.lock().take();
        if self.ready.lock().is_empty() { before } else { Some(self.clone()) }
    }

    pub(super) fn opened(&self, shard: &ShardId, indexes: &[Arc<Index>]) {
        let as_it_is =
            |index: &Arc<Index>| (Arc::downgrade(index), index.snapshot().plan().clone());
        let weak = indexes.iter().map(as_it_is).collect();
        self.open.lock().insert(shard.clone(), weak);
    }

    /// Puts its reduces of a map into a list, and those that it has taken the place of and that may
    /// still serve.
    fn add_reduces(&self, map: Signature, list: &mut Vec<Reduce>) {
        let of_map = self.definition.maps.iter().filter(|of| of.signature == map);
        list.extend(of_map.flat_map(|of| of.reduces.iter().cloned()));
        let before = self.before.lock().clone();
        if let Some(before) = before {
            before.add_reduces(map, list);
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// By database, as the names of its shards end, and hash; with when it was asked for last.
    entries: HashMap<(String, Hash), (Arc<Known>, u64)>,
    /// The newest hash of each design document that is kept.
    newest: HashMap<(String, String), Hash>,
    clock: u64,
}

impl Shelf {
    pub(super) fn get(&self, instance: &str, hash: &[u8]) -> Option<Arc<Known>> {
        let hash = hash.try_into().ok()?;
        let mut kept = self.0.lock();
        kept.clock += 1;
        let clock = kept.clock;
        let (known, used) = kept.entries.get_mut(&(instance.to_owned(), hash))?;
        *used = clock;
        Some(known.clone())
    }

    /// Makes it with what functions need, given where they log.
    pub(super) fn get_or(
        &self,
        instance: &str,
        ddoc: &Arc<DesignDoc>,
        setup: impl FnOnce(Log) -> Setup,
    ) -> Result<Arc<Known>, Error> {
        if let Some(known) = self.get(instance, &ddoc.hash) {
            return Ok(known);
        }
        let known = Arc::new(Known::new(ddoc.clone(), setup(log(instance, &ddoc.id)))?);
        Ok(self.0.lock().add(instance, known))
    }

    /// What design documents of a database reduce the rows of a map by, as far as they are in mind.
    pub(super) fn reduces_of(&self, instance: &str, map: Signature) -> Vec<Reduce> {
        let newest = self.0.lock().newest(instance);
        let mut list = Vec::new();
        newest.iter().for_each(|known| known.add_reduces(map, &mut list));
        list
    }

    /// Lets nothing of a database serve any more that design documents were before.
    pub(super) fn forget_before(&self, instance: &str) {
        let kept = self.0.lock();
        let of = kept.entries.iter().filter(|((name, _), _)| name == instance);
        of.for_each(|(_, (known, _))| *known.before.lock() = None);
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.0.lock() = Kept::default();
    }
}

impl Kept {
    /// The design documents of a database.
    fn newest(&self, instance: &str) -> Vec<Arc<Known>> {
        let here = self.newest.iter().filter(|((of, _), _)| of == instance);
        let entries = here.filter_map(|((of, _), hash)| self.entries.get(&(of.clone(), *hash)));
        entries.map(|(known, _)| known.clone()).collect()
    }

    /// Keeps one, unless somebody else was faster.
    fn add(&mut self, instance: &str, known: Arc<Known>) -> Arc<Known> {
        let (clock, hash) = (self.clock, known.hash());
        let name = (instance.to_owned(), known.ddoc.id.clone());
        let older = self.newest.insert(name, hash).filter(|older| *older != hash);
        let older = older.and_then(|older| self.entries.get(&(instance.to_owned(), older)));
        let before = older.and_then(|(older, _)| older.for_newer());
        let entry = self.entries.entry((instance.to_owned(), hash));
        let known = entry.or_insert((known, clock)).0.clone();
        if before.is_some() {
            *known.before.lock() = before;
        }
        if self.entries.len() > KEPT {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.entries.remove(&oldest);
                self.newest.retain(|(of, _), hash| *of != oldest.0 || *hash != oldest.1);
            }
        }
        known
    }
}

/// What functions log goes where the server's own lines go.
fn log(instance: &str, ddoc: &str) -> Log {
    let (database, ddoc) = (instance.to_owned(), ddoc.to_owned());
    Arc::new(move |line: &str| tracing::info!(database, ddoc, "{line}"))
}
