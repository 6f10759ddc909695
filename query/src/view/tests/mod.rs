//! Views from documents to answers, against plain models.

mod build;
mod queries;

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use settee_engine::io::SimStorage;
use settee_engine::shard::{Batch, Outcome, Write};
use settee_engine::{Engine, Options, Shard, ShardId};
use settee_model::collate::{compare, compare_terms};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevPath};

use super::*;
use crate::js::Limits;

/// A shard with indexes of a design document.
struct Kit {
    engine: Engine,
    shard: Arc<Shard>,
    definition: Arc<Definition>,
    programs: Programs,
    setup: Setup,
    log: Arc<Mutex<Vec<String>>>,
}

fn shard_id() -> ShardId {
    ShardId::parse("00000000-ffffffff/db.1").unwrap()
}

fn engine(disk: &SimStorage) -> Engine {
    let options = Options { workers: 0, writers: 1, reserve_bytes: 0, ..Options::default() };
    Engine::open(Arc::new(disk.clone()), options).unwrap()
}

impl Kit {
    fn new(ddoc: &Value) -> Kit {
        let engine = engine(&SimStorage::new());
        engine.create_shard(&shard_id()).unwrap();
        Kit::over(engine, ddoc)
    }

    fn over(engine: Engine, ddoc: &Value) -> Kit {
        let definition = Definition::of("_design/d", ddoc.to_string().as_bytes(), false).unwrap();
        let definition = Arc::new(definition);
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = log.clone();
        let setup = Setup {
            limits: Limits { time: Duration::from_secs(2), ..Limits::default() },
            log: Arc::new(move |line| lines.lock().unwrap().push(line.to_owned())),
            ..Setup::default()
        };
        let shard = engine.shard(&shard_id()).unwrap();
        let programs = Programs::new(definition.clone(), setup.clone());
        Kit { engine, shard, definition, programs, setup, log }
    }

    fn put(&self, id: &str, rev: Option<&Rev>, body: Option<&Value>) -> Rev {
        let revs = rev.map_or_else(RevPath::default, |rev| RevPath::single(rev.clone()));
        let text = body.map_or_else(|| "{}".to_owned(), Value::to_string);
        let (id, body, atts) = (DocId::trusted(id), Bytes::from(text.clone()), Vec::new());
        let edit = DocEdit { id, revs, deleted: text == "{}", body, atts };
        match self.shard.write(Batch::of(vec![Write::Interactive(edit)])).unwrap().pop() {
            Some(Outcome::Written(rev)) => rev,
            other => panic!("{other:?}"),
        }
    }

    /// Writes new documents in one batch.
    fn put_all(&self, docs: impl Iterator<Item = (String, Value)>) {
        let write = |(id, body): (String, Value)| {
            let (id, revs) = (DocId::trusted(&id), RevPath::default());
            let body = Bytes::from(body.to_string());
            Write::Interactive(DocEdit { id, revs, deleted: false, body, atts: Vec::new() })
        };
        self.shard.write(Batch::of(docs.map(write).collect())).unwrap();
    }

    fn targets(&self) -> Vec<Target> {
        let open = |(map, def): (usize, &MapDef)| {
            let (engine, shard) = (&self.engine, &self.shard);
            let index = open_index(engine, shard, def.signature, &self.setup).unwrap();
            carry(&index, &def.reduces, Vec::new, &self.setup).unwrap();
            Target { map, index }
        };
        self.definition.maps.iter().enumerate().map(open).collect()
    }

    fn build(&self, threads: usize) -> Result<u64, BuildError> {
        let progress = Progress::default();
        let (programs, shard, targets) = (&self.programs, &*self.shard, &self.targets()[..]);
        let pace = &();
        let build = Build { programs, shard, targets, threads, pace, progress: &progress };
        build.run()?;
        Ok(progress.done.into_inner())
    }

    fn index(&self, view: &str) -> settee_engine::IndexSnapshot {
        let map = self.definition.view(view).unwrap().map;
        self.targets()[map].index.snapshot()
    }

    fn rows(&self, view: &str, range: &RowRange) -> Vec<Found> {
        Rows::of_range(&self.index(view), range).map(|row| found(&row.unwrap())).collect()
    }

    fn all(&self, view: &str) -> Vec<Found> {
        self.rows(view, &RowRange::default())
    }

    /// Answers of groups: keys and values.
    fn groups(&self, view: &str, range: &RowRange, grouping: Grouping) -> Vec<(String, String)> {
        let reduce = self.definition.view(view).unwrap().reduce.clone().unwrap();
        let groups = Groups::of_range(&self.index(view), &reduce, range, grouping).unwrap();
        self.finish(&reduce, groups)
    }

    fn finish(&self, reduce: &Reduce, groups: Groups) -> Vec<(String, String)> {
        let reducing = Reducing::new(reduce.clone(), &self.setup);
        let answer = |group: Result<GroupRow, _>| {
            let group = group.unwrap();
            let Answer::Value(value) = reducing.finish(&group.partial) else { panic!("no value") };
            (text(&group.key), text(&value))
        };
        groups.map(answer).collect()
    }
}

/// Key, id, value.
type Found = (String, String, String);

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn found(row: &ViewRow) -> Found {
    (text(&row.key), row.id().into_owned(), text(&row.value))
}

/// The order of rows in a view.
fn order(a: &Found, b: &Found) -> Ordering {
    compare(a.0.as_bytes(), b.0.as_bytes())
        .then_with(|| a.1.cmp(&b.1))
        .then_with(|| compare_terms(a.2.as_bytes(), b.2.as_bytes()))
}
