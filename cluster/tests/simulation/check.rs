//! What must hold once all has healed. Looks into the engines themselves, behind the coordinators.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use settee_engine::Engine;
use settee_engine::ShardId;
use settee_engine::shard::Which;
use settee_engine::tree::Direction;
use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;
use settee_model::rev::Rev;

use crate::clients::STAYS;
use crate::history::{Kept, NameKind, NameOp};
use crate::linear::is_linear;
use crate::world::World;

/// A document of one copy: its leaves, whether they are tombstones, and their bodies.
pub type Doc = BTreeMap<Rev, (bool, Vec<u8>)>;

/// The documents of one copy.
pub type Copy = BTreeMap<DocId, Doc>;

/// By shard, what each node that has a copy has.
pub type Copies = BTreeMap<ShardId, BTreeMap<usize, Copy>>;

fn infos(engine: &Engine, id: &ShardId) -> Vec<DocInfo> {
    let snapshot = engine.shard(id).unwrap().snapshot();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let rows = snapshot.docs(&all, Direction::Forward, Which::All);
    rows.map(|row| row.unwrap().info().unwrap()).collect()
}

fn copy(engine: &Engine, id: &ShardId) -> Copy {
    let snapshot = engine.shard(id).unwrap().snapshot();
    let doc = |info: DocInfo| {
        let leaf = |rev: Rev| {
            let leaf = info.tree.leaf(&rev).unwrap();
            let body = leaf.value.body.map(|body| snapshot.record(body).unwrap().body.to_vec());
            (rev, (leaf.value.deleted, body.unwrap_or_default()))
        };
        let leaves: Vec<_> = info.tree.leaves().iter().map(|leaf| leaf.rev()).collect();
        (info.id.clone(), leaves.into_iter().map(leaf).collect())
    };
    infos(engine, id).into_iter().map(doc).collect()
}

/// All copies of all nodes that run.
pub fn copies(world: &World) -> Copies {
    let mut copies = Copies::new();
    for node in &world.nodes {
        let Some(running) = node.running() else { continue };
        for id in running.engine.shard_ids().unwrap() {
            let copy = copy(&running.engine, &id);
            copies.entry(id).or_default().insert(node.number, copy);
        }
    }
    copies
}

/// Whether nothing is left to do: all nodes run and show the same databases, and have the same of
/// those that they hold copies of; none has shards of others.
pub fn settled(world: &World) -> bool {
    let running: Vec<_> = world.nodes.iter().filter_map(|node| node.running()).collect();
    let first = match running.first() {
        Some(first) if running.len() == world.nodes.len() => first.cluster.all_dbs(),
        _ => return false,
    };
    if running.iter().any(|running| running.cluster.all_dbs() != first) {
        return false;
    }
    let copies = copies(world);
    let wanted: usize = first.values().map(|meta| meta.shards.len()).sum();
    copies.len() == wanted
        && copies.values().all(|copies| {
            let mut each = copies.values();
            let first = each.next();
            copies.len() == 3 && each.all(|copy| Some(copy) == first)
        })
}

/// What differs, for who looks for the reason.
pub fn differences(world: &World) -> String {
    let mut text = String::new();
    for node in &world.nodes {
        let shown = node.running().map(|running| {
            let all = running.cluster.all_dbs();
            all.iter().map(|(name, meta)| format!("{name}.{}", meta.created)).collect::<Vec<_>>()
        });
        text += &format!("n{} shows {shown:?}\n", node.number);
    }
    for (shard, copies) in copies(world) {
        let ids: BTreeSet<_> = copies.values().flat_map(BTreeMap::keys).collect();
        text += &format!("{} on {:?}\n", shard.as_str(), copies.keys());
        for id in ids {
            let of = |copy: &Copy| copy.get(id).map(|doc| doc.keys().cloned().collect::<Vec<_>>());
            let each: Vec<_> = copies.iter().map(|(node, copy)| (node, of(copy))).collect();
            if each.iter().any(|(_, doc)| *doc != each[0].1) {
                text += &format!("  {id}: {each:?}\n");
            }
        }
    }
    text
}

/// What each copy knows of a document. Leaves are equal by now; of their ancestors one copy may know
/// more than another, if somebody wrote a branch without them.
type Trees = BTreeMap<DocId, Vec<DocInfo>>;

/// All that is wrong after the copies have become equal.
pub fn faults(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut trees = Trees::new();
    for running in world.nodes.iter().filter_map(|node| node.running()) {
        for id in running.engine.shard_ids().unwrap() {
            for info in infos(&running.engine, &id) {
                match id.as_str().contains(&format!("/{STAYS}.")) {
                    true => trees.entry(info.id.clone()).or_default().push(info),
                    false => stranger(&id, &info.id, &mut wrong),
                }
            }
        }
    }
    let running = world.nodes[0].running().unwrap();
    let shown = running.cluster.all_dbs();
    let shows = |name: &str| shown.keys().any(|shown| shown.as_str() == name);
    world.load.history.with(|kept| {
        names(kept, shows, &mut wrong);
        lost(kept, &trees, &mut wrong);
        risen(kept, &trees, &mut wrong);
        unseen(kept, &trees, &mut wrong);
        wrong.append(&mut kept.wrong);
    });
    wrong
}

/// Names of databases with which something was done that cannot have been.
fn names(kept: &Kept, shows: impl Fn(&str) -> bool, wrong: &mut Vec<String>) {
    for (name, ops) in &kept.names {
        let kind = if shows(name) { NameKind::Present } else { NameKind::Absent };
        let mut ops = ops.clone();
        ops.push(NameOp { kind, begun: u64::MAX - 1, ended: Some(u64::MAX) });
        if !is_linear(&ops) {
            wrong.push(format!("{name} has no order: {ops:#?}"));
        }
    }
}

/// A document of another database of the same name.
fn stranger(shard: &ShardId, doc: &DocId, wrong: &mut Vec<String>) {
    let created = shard.as_str().rsplit('.').next().unwrap();
    if !doc.as_str().starts_with(&format!("of-{created}-")) {
        wrong.push(format!("{} shows {doc} of an older database", shard.as_str()));
    }
}

/// Acknowledged writes that are nowhere.
fn lost(kept: &Kept, trees: &Trees, wrong: &mut Vec<String>) {
    for (id, rev) in &kept.writes {
        let knows = |info: &DocInfo| info.tree.get(rev).is_some();
        if !trees.get(id).is_some_and(|infos| infos.iter().any(knows)) {
            wrong.push(format!("{id} lost {rev}, which was acknowledged"));
        }
    }
}

/// Purged revisions that came back.
fn risen(kept: &Kept, trees: &Trees, wrong: &mut Vec<String>) {
    for (id, revs) in &kept.purged {
        for rev in revs {
            let has = |info: &DocInfo| info.tree.get(rev).is_some();
            if trees.get(id).is_some_and(|infos| infos.iter().any(has)) {
                wrong.push(format!("{id} has {rev} again, which was purged"));
            }
        }
    }
}

/// Documents whose end a follower of the feed was not told.
fn unseen(kept: &Kept, trees: &Trees, wrong: &mut Vec<String>) {
    for (follower, feed) in &kept.feeds {
        for (id, infos) in trees {
            let mut leaves: Vec<_> = infos[0].tree.leaves().iter().map(|leaf| leaf.rev()).collect();
            leaves.sort();
            let told = feed.last.get(id);
            if told != Some(&leaves) {
                wrong.push(format!("{follower} was told {told:?} of {id}, which has {leaves:?}"));
            }
        }
    }
}

/// Which revisions each node that runs has of a document of the database that stays: for who looks for
/// the reason of something.
pub fn watched(world: &World, id: &DocId) -> Vec<(usize, u64, Vec<Rev>)> {
    let mut found = Vec::new();
    for node in &world.nodes {
        let Some(running) = node.running() else { continue };
        for shard in running.engine.shard_ids().unwrap() {
            if !shard.as_str().contains(&format!("/{STAYS}.")) {
                continue;
            }
            let snapshot = running.engine.shard(&shard).unwrap().snapshot();
            if let Some(info) = snapshot.doc(id).unwrap() {
                let revs = info.tree.nodes().iter().map(|node| node.rev()).collect();
                found.push((node.number, snapshot.purge_seq(), revs));
            }
        }
    }
    found
}
