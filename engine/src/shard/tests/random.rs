//! Random work on a shard, with checkpoints, compactions and restarts between, against the model.

use std::sync::Arc;

use proptest::prelude::*;
use settee_model::doc::DocEdit;

use super::kit::*;
use super::model::{LIMIT, Model, contents};
use crate::io::{Crash, SimStorage};
use crate::shard::{Batch, Shard, Write};
use crate::{Engine, Snapshot};

/// One write, still without what depends on the moment.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Edit { doc: u8, leaf: u8, deleted: bool, body: u16, att: Option<u16> },
    Replicate { doc: u8, start: u8, ids: [u8; 3], deleted: bool },
    Follow { doc: u8, start: u8, knows: u8 },
    Local { doc: u8, rev: Option<u8>, body: Option<u8> },
    Purge { uuid: u8, doc: u8, leaf: u8 },
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Plan>),
    Checkpoint,
    Compact,
    Crash,
    Kill,
    Close,
    Look,
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let att = prop::option::weighted(0.3, prop_oneof![Just(5u16), Just(100), Just(3000)]);
    prop_oneof![
        6 => (0..8u8, 0..3u8, prop::bool::weighted(0.2), any::<u16>(), att)
            .prop_map(|(doc, leaf, deleted, body, att)| Plan::Edit { doc, leaf, deleted, body, att }),
        3 => (0..8u8, 1..5u8, [b'a'..b'd', b'a'..b'd', b'a'..b'd'], prop::bool::weighted(0.2))
            .prop_map(|(doc, start, ids, deleted)| Plan::Replicate { doc, start, ids, deleted }),
        1 => (0..8u8, 1..5u8, 0..3u8).prop_map(|(doc, start, knows)| Plan::Follow { doc, start, knows }),
        1 => (0..3u8, prop::option::of(0..9u8), prop::option::weighted(0.7, any::<u8>()))
            .prop_map(|(doc, rev, body)| Plan::Local { doc, rev, body }),
        1 => (0..20u8, 0..8u8, 0..3u8).prop_map(|(uuid, doc, leaf)| Plan::Purge { uuid, doc, leaf }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(plan(), 1..8).prop_map(Step::Write),
        3 => Just(Step::Checkpoint),
        2 => Just(Step::Compact),
        1 => Just(Step::Crash),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
        1 => Just(Step::Look),
    ]
}

impl Plan {
    /// The write, for a shard that holds what the model holds.
    pub(crate) fn write(&self, model: &Model, shard: &Arc<Shard>) -> Write {
        let name = |doc: &u8| format!("doc-{doc}");
        match self {
            Plan::Edit { doc, leaf, deleted, body, att } => {
                let id = name(doc);
                let leaf = model.leaf(&id, usize::from(*leaf)).filter(|_| body % 5 > 0);
                let revs = leaf.as_ref().map(path).unwrap_or_default();
                let text =
                    format!("{{\"n\":{body},\"pad\":\"{}\"}}", "x".repeat(usize::from(body % 900)));
                let bytes = |size: &u16| vec![*doc; usize::from(*size)];
                // Small ones come with the edit.
                let attach = |size: &u16| match size {
                    ..=64 => brought("att", &bytes(size)),
                    _ => upload(shard, "att", &bytes(size)),
                };
                let atts = att.iter().map(attach).collect();
                Write::Interactive(DocEdit { deleted: *deleted, atts, ..edit(&id, revs, &text) })
            }
            Plan::Replicate { doc, start, ids, deleted } => {
                let ids = std::str::from_utf8(&ids[..usize::from(*start).min(3)]).unwrap();
                let revs = made_up(u64::from(*start), ids);
                let made = DocEdit { deleted: *deleted, ..edit(&name(doc), revs, "{\"r\":1}") };
                Write::Replicated(made)
            }
            Plan::Follow { doc, start, knows } => {
                let revs = made_up(u64::from(*start), &"fgh"[..usize::from(*start).min(3)]);
                let mut purges = model.purges_of(&name(doc));
                purges.truncate(usize::from(*knows));
                Write::Following { edit: edit(&name(doc), revs, "{\"f\":1}"), purges }
            }
            Plan::Local { doc, rev, body } => {
                let body = body.map(|_| "{\"l\":1}");
                local(&format!("_local/{doc}"), rev.map(u64::from), body)
            }
            Plan::Purge { uuid, doc, leaf } => {
                let id = name(doc);
                let leaf = model.leaf(&id, usize::from(*leaf));
                purge(&format!("uuid-{uuid}"), &id, leaf.as_slice())
            }
        }
    }
}

pub(crate) fn batch(writes: Vec<Write>) -> Batch {
    Batch { revs_limit: LIMIT, ..Batch::of(writes) }
}

struct World {
    disk: SimStorage,
    engine: Engine,
    model: Model,
    looks: Vec<(Snapshot, Vec<String>)>,
}

impl World {
    fn shard(&self) -> Arc<Shard> {
        self.engine.shard(&shard_id()).unwrap()
    }

    fn take(&mut self, step: Step) {
        let shard = self.shard();
        match step {
            Step::Write(plans) => {
                let writes: Vec<Write> =
                    plans.iter().map(|plan| plan.write(&self.model, &shard)).collect();
                let expected = self.model.write(&writes);
                assert_eq!(shard.write(batch(writes)).unwrap(), expected);
            }
            Step::Checkpoint => shard.checkpoint().unwrap(),
            Step::Compact => {
                // Not remembered from before a restart.
                shard.write(batch(Vec::new())).unwrap();
                shard.compact_now().unwrap();
                self.model.compact();
            }
            Step::Look => self.looks.push((shard.snapshot(), self.model.contents())),
            Step::Crash => self.restart(Some(Crash::LoseAll)),
            Step::Kill => self.restart(Some(Crash::KeepAll)),
            Step::Close => self.restart(None),
        }
        assert_eq!(contents(&self.shard().snapshot()), self.model.contents());
    }

    fn restart(&mut self, crash: Option<Crash>) {
        self.looks.clear();
        match crash {
            Some(crash) => self.disk.crash(crash),
            None => self.engine.close().unwrap(),
        }
        self.engine = open(&self.disk);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_shard_shows_what_was_written(steps in prop::collection::vec(step(), 1..40)) {
        let disk = SimStorage::new();
        let engine = open(&disk);
        engine.create_shard(&shard_id()).unwrap();
        let mut world = World { disk, engine, model: Model::default(), looks: Vec::new() };
        for step in steps {
            world.take(step);
            for (snapshot, expected) in &world.looks {
                prop_assert_eq!(&contents(snapshot), expected);
            }
        }
    }
}
