//! A small piece of work that goes everywhere (create, write, upload, checkpoint, compact, drop), run
//! again and again with a fault at each operation of the disk in turn. Afterwards the shard must hold
//! exactly what was acknowledged, and at most the one batch that was under way.

use std::sync::Arc;

use settee_model::doc::DocEdit;
use settee_model::rev::RevPath;

use super::kit::*;
use super::model::{Contents, Model, contents};
use super::random::batch;
use crate::io::{Crash, Fault, SimStorage};
use crate::shard::{Shard, Write};
use crate::{Engine, Error, Options};

/// What the shard may hold: `None` is that it is not there.
type Allowed = Vec<Option<Contents>>;

#[derive(Clone, Copy)]
enum Step {
    Create,
    /// A new revision of each of these documents, some of them with an attachment.
    Write(&'static [&'static str]),
    Local,
    Purge(&'static str),
    Checkpoint,
    Compact,
    /// Cuts off what of the log nobody needs.
    Trim,
    Drop,
    Restart,
}

const WORK: &[Step] = &[
    Step::Create,
    Step::Write(&["a", "att-brought", "b"]),
    Step::Checkpoint,
    Step::Trim,
    Step::Write(&["att-brought", "att-small", "b"]),
    Step::Local,
    Step::Checkpoint,
    Step::Write(&["att-brought", "att-large", "c"]),
    Step::Purge("a"),
    Step::Restart,
    Step::Write(&["att-brought", "b"]),
    Step::Compact,
    Step::Write(&["att-brought", "att-large", "d"]),
    Step::Checkpoint,
    Step::Write(&["b"]),
    Step::Compact,
    Step::Trim,
    Step::Restart,
    Step::Write(&["e"]),
    Step::Drop,
    Step::Trim,
    Step::Create,
    Step::Write(&["f"]),
    Step::Checkpoint,
    Step::Write(&["g"]),
];

struct Run {
    disk: SimStorage,
    engine: Engine,
    options: Options,
    model: Option<Model>,
}

impl Run {
    /// Does the work until something that must not fail fails. Answers with what the shard may hold.
    fn go(&mut self) -> Allowed {
        for step in WORK {
            let before = self.model.clone();
            if self.take(*step).is_err() {
                let mut allowed = vec![before.map(|model| model.contents())];
                allowed.push(self.model.as_ref().map(Model::contents));
                return allowed;
            }
        }
        vec![self.model.as_ref().map(Model::contents)]
    }

    /// One step. The model is changed first: a step that fails may have happened.
    fn take(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Create => {
                self.model = Some(Model::default());
                self.engine.create_shard(&shard_id()).map(|_| ())
            }
            Step::Drop => {
                self.model = None;
                self.engine.drop_shard(&shard_id())
            }
            Step::Restart => {
                self.engine = Engine::open(Arc::new(self.disk.clone()), self.options.clone())?;
                Ok(())
            }
            Step::Write(ids) => {
                let shard = self.engine.shard(&shard_id())?;
                let writes = ids.iter().map(|id| self.edit(id, &shard));
                let writes = writes.collect::<Result<Vec<_>, Error>>()?;
                self.write(&shard, writes)
            }
            Step::Local => self.write_one(local("_local/x", None, Some("{}"))),
            Step::Purge(id) => {
                let leaf = self.model.as_ref().and_then(|model| model.leaf(id, 0));
                self.write_one(purge("uuid", id, leaf.as_slice()))
            }
            // These happen in the background: whether they fail, nobody is told.
            Step::Checkpoint => self.look_after(|shard| shard.checkpoint()),
            Step::Compact => self.look_after(|shard| shard.compact_now()),
            Step::Trim => {
                let _ = self.engine.trim();
                Ok(())
            }
        }
    }

    fn look_after(&self, work: fn(&Arc<Shard>) -> Result<(), Error>) -> Result<(), Error> {
        let shard = self.engine.shard(&shard_id())?;
        let _ = work(&shard);
        Ok(())
    }

    fn edit(&self, id: &str, shard: &Arc<Shard>) -> Result<Write, Error> {
        let leaf = self.model.as_ref().and_then(|model| model.leaf(id, 0));
        let revs = leaf.as_ref().map_or_else(RevPath::default, path);
        let atts = match id {
            "att-small" => vec![try_upload(shard, "att", &[7; 10])?],
            "att-large" => vec![try_upload(shard, "att", &[7; 3000])?],
            // Other bytes each time.
            "att-brought" => vec![brought("att", noise(revs.start + 1, 700).as_bytes())],
            _ => vec![],
        };
        let made = edit(id, revs, "{\"text\":\"some text to fill the pages\"}");
        Ok(Write::Interactive(DocEdit { atts, ..made }))
    }

    fn write_one(&mut self, write: Write) -> Result<(), Error> {
        let shard = self.engine.shard(&shard_id())?;
        self.write(&shard, vec![write])
    }

    fn write(&mut self, shard: &Arc<Shard>, writes: Vec<Write>) -> Result<(), Error> {
        let expected = self.model.as_mut().unwrap().write(&writes);
        assert_eq!(shard.write(batch(writes))?, expected);
        Ok(())
    }
}

fn found(engine: &Engine) -> Option<Contents> {
    match engine.shard(&shard_id()) {
        Ok(shard) => Some(contents(&shard.snapshot())),
        Err(Error::ShardMissing { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Does the work on a disk that is going to fail. Answers with what the shard may hold, and with the
/// engine unless that did not even open.
fn work(disk: &SimStorage) -> (Allowed, Option<Engine>) {
    work_with(disk, options())
}

fn work_with(disk: &SimStorage, options: Options) -> (Allowed, Option<Engine>) {
    match Engine::open(Arc::new(disk.clone()), options.clone()) {
        Ok(engine) => {
            let mut run = Run { disk: disk.clone(), engine, options, model: None };
            (run.go(), Some(run.engine))
        }
        Err(_) => (vec![None], None),
    }
}

/// Restarts the machine and looks whether all that must be there is there and can be worked with.
fn restart(disk: &SimStorage, crash: Crash, allowed: &Allowed) {
    disk.crash(crash);
    let engine = open(disk);
    let shown = found(&engine);
    assert!(allowed.contains(&shown), "{shown:#?} is none of {allowed:#?}");
    go_on(&engine, "later");
    let shown = found(&engine);
    disk.crash(Crash::LoseAll);
    assert_eq!(found(&open(disk)), shown);
    let drafts = crate::io::Storage::list(disk, "tmp").unwrap();
    assert_eq!(drafts, [], "unfinished files are left");
}

/// Writes and compacts as if nothing had been.
fn go_on(engine: &Engine, id: &str) {
    if found(engine).is_none() {
        engine.create_shard(&shard_id()).unwrap();
    }
    let shard = engine.shard(&shard_id()).unwrap();
    put(&shard, edit(id, RevPath::default(), "{}"));
    shard.compact_now().unwrap();
}

/// The disk after the work went well.
fn untroubled() -> SimStorage {
    let disk = SimStorage::new();
    assert_eq!(work(&disk).0.len(), 1);
    disk
}

#[test]
fn power_cuts_at_every_operation_lose_nothing_that_was_acknowledged() {
    for operation in 0..untroubled().operations() {
        let sector = if operation % 2 == 0 { 512 } else { 4096 };
        let torn = Crash::Tear { sector, seed: operation };
        for crash in [Crash::LoseAll, Crash::KeepAll, torn] {
            let disk = SimStorage::new();
            disk.fail_at(operation, Fault::PowerCut);
            let (allowed, _) = work(&disk);
            restart(&disk, crash, &allowed);
        }
    }
}

#[test]
fn what_a_killed_process_left_in_memory_is_durable_before_the_log_is_cut() {
    for operation in 0..untroubled().operations() {
        let disk = SimStorage::new();
        disk.fail_at(operation, Fault::PowerCut);
        let (allowed, _) = work(&disk);
        disk.crash(Crash::KeepAll);
        let engine = open(&disk);
        engine.trim().unwrap();
        let shown = found(&engine);
        assert!(allowed.contains(&shown), "{shown:#?} is none of {allowed:#?}");
        disk.crash(Crash::LoseAll);
        assert_eq!(found(&open(&disk)), shown, "operation {operation}");
    }
}

#[test]
fn a_failure_of_any_operation_loses_nothing_that_was_acknowledged() {
    for operation in 0..untroubled().operations() {
        let disk = SimStorage::new();
        disk.fail_at(operation, Fault::Fail);
        let (allowed, _) = work(&disk);
        restart(&disk, Crash::LoseAll, &allowed);
    }
}

#[test]
fn a_failure_of_any_read_loses_nothing_that_was_acknowledged() {
    // Next to nothing is kept in memory.
    let options = || Options { cache_bytes: 1, ..options() };
    let untroubled = SimStorage::new();
    assert_eq!(work_with(&untroubled, options()).0.len(), 1);
    assert!(untroubled.reads() > 50, "only {} reads", untroubled.reads());
    for read in 0..untroubled.reads() {
        let disk = SimStorage::new();
        disk.fail_read_at(read);
        let (allowed, _) = work_with(&disk, options());
        restart(&disk, Crash::LoseAll, &allowed);
    }
}

#[test]
fn a_disk_that_is_full_at_any_operation_loses_nothing_and_is_written_to_when_there_is_room() {
    for operation in 0..untroubled().operations() {
        let disk = SimStorage::new();
        disk.fail_at(operation, Fault::Full);
        let (mut allowed, engine) = work(&disk);
        disk.set_capacity(None);
        if let Some(engine) = engine {
            engine.look_after();
            let shown = found(&engine);
            assert!(allowed.contains(&shown), "{shown:#?} is none of {allowed:#?}");
            go_on(&engine, "room");
            allowed = vec![found(&engine)];
        }
        restart(&disk, Crash::LoseAll, &allowed);
    }
}
