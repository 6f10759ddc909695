//! What must hold once all has healed. Looks into the engines themselves, behind the coordinators.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use settee_engine::shard::{LocalDoc, Which};
use settee_engine::tree::Direction;
use settee_engine::{Engine, ShardId};
use settee_model::doc::Attachment;
use settee_model::docid::DocId;
use settee_model::docinfo::{DocInfo, RevInfo};
use settee_model::rev::{Rev, RevId};

use crate::clients::STAYS;
use crate::guest::GUEST;
use crate::history::{Kept, NameKind, NameOp};
use crate::linear::is_linear;
use crate::node::{Node, host, name};
use crate::world::World;

/// A document of one copy: its leaves; of a `_local/` document its revision `0-N`.
pub type Doc = BTreeMap<Rev, Leaf>;

/// What a leaf holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    deleted: bool,
    body: Bytes,
    /// Names and contents of attachments.
    files: Vec<(String, Vec<u8>)>,
}

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
    let file = |att: Attachment| {
        let chunks = att.content.chunks.iter();
        (att.name, chunks.flat_map(|chunk| snapshot.chunk(chunk).unwrap()).collect())
    };
    let doc = |info: DocInfo| {
        let leaf = |rev: Rev| {
            let RevInfo { deleted, body, .. } = *info.tree.leaf(&rev).unwrap().value;
            let record = body.map(|body| snapshot.record(body).unwrap()).unwrap_or_default();
            let files = record.atts.into_iter().map(file).collect();
            (rev, Leaf { deleted, body: record.body, files })
        };
        let leaves: Vec<_> = info.tree.leaves().iter().map(|leaf| leaf.rev()).collect();
        (info.id.clone(), leaves.into_iter().map(leaf).collect())
    };
    let mut docs: Copy = infos(engine, id).into_iter().map(doc).collect();
    let all = (Bound::Unbounded, Bound::Unbounded);
    for local in snapshot.locals(&all, Direction::Forward) {
        let (id, LocalDoc { rev, body }) = local.unwrap();
        let leaf = Leaf { body, ..Leaf::default() };
        docs.insert(id, Doc::from([(local_rev(rev), leaf)]));
    }
    docs
}

/// The revision `0-N`.
pub fn local_rev(number: u64) -> Rev {
    Rev { pos: 0, id: RevId::from_bytes(number.to_string().as_bytes()) }
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
    let guest = &world.load.guest;
    let members = world.members();
    let running: Vec<_> = members.iter().filter_map(|node| node.running()).collect();
    let first = match running.first() {
        Some(first) if running.len() == members.len() => first.cluster.all_dbs(),
        _ => return false,
    };
    let names = |members: &[Arc<Node>]| members.iter().map(|node| name(node.number)).collect();
    let names: Vec<String> = names(&members);
    if (guest.goes.is_some() && members.len() > 3)
        || running.iter().any(|running| running.cluster.members().cluster_nodes != names)
    {
        return false;
    }
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
    let copies = copies(world);
    let running = world.nodes[0].running().unwrap();
    let shown = running.cluster.all_dbs();
    let shows = |name: &str| shown.keys().any(|shown| shown.as_str() == name);
    world.load.history.with(|kept| {
        names(kept, shows, &mut wrong);
        lost(kept, &trees, &mut wrong);
        risen(kept, &trees, &mut wrong);
        unseen(kept, &trees, world.load.guest.stays(), &mut wrong);
        contents(kept, &copies, &mut wrong);
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

/// Files that are not what was uploaded, and `_local/` documents that are older than what was
/// acknowledged.
fn contents(kept: &Kept, copies: &Copies, wrong: &mut Vec<String>) {
    let stays = |(shard, _): &(&ShardId, _)| shard.as_str().contains(&format!("/{STAYS}."));
    let docs = || copies.iter().filter(stays).flat_map(|(_, copies)| copies.values().flatten());
    for (id, doc) in docs() {
        for (rev, leaf) in doc {
            let Some(bytes) = kept.files.get(&(id.clone(), rev.clone())) else { continue };
            if leaf.files.iter().all(|(_, file)| file != bytes) {
                wrong.push(format!("{id} {rev} has not the file that it was written with"));
            }
        }
    }
    for (id, least) in &kept.locals {
        let number = |rev: &Rev| std::str::from_utf8(rev.id.as_bytes()).unwrap().parse().unwrap();
        let found = docs().filter(|(known, _)| *known == id);
        let newest: Option<u64> = found.flat_map(|(_, doc)| doc.keys()).map(number).max();
        if newest.is_none_or(|newest| newest < *least) {
            wrong.push(format!("{id} is {newest:?}, and 0-{least} was acknowledged"));
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
fn unseen(kept: &Kept, trees: &Trees, stays: bool, wrong: &mut Vec<String>) {
    // Who is gone was told nothing any more.
    let stays = |follower: &&String| stays || !follower.starts_with(&host(GUEST));
    for (follower, feed) in kept.feeds.iter().filter(|(follower, _)| stays(follower)) {
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
        for shard in running.engine.shard_ids().unwrap_or_default() {
            if !shard.as_str().contains(&format!("/{STAYS}.")) {
                continue;
            }
            // Its disk may have failed.
            let Ok(found_here) = running.engine.shard(&shard) else { continue };
            let snapshot = found_here.snapshot();
            if let Ok(Some(info)) = snapshot.doc(id) {
                let revs = info.tree.nodes().iter().map(|node| node.rev()).collect();
                found.push((node.number, snapshot.purge_seq(), revs));
            }
        }
    }
    found
}
