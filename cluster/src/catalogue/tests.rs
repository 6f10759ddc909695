//! Who places databases, and what a node does when that changes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use settee_engine::ShardId;
use settee_model::docid::DbName;

use super::member::{Member, member_key, member_of};
use super::meta::{DbMeta, created_of, database_key, database_of};
use super::placement::{Candidate, place, widen};
use super::plan::{Plan, strays};
use crate::Error;
use crate::raft::NodeId;

fn meta(name: &str, created: u64) -> DbMeta {
    DbMeta::new(DbName::trusted(name), created, false, vec![vec![1, 2], vec![2, 1]])
}

#[test]
fn new_copies_are_filled_first() {
    let mut meta = meta("a", 1);
    assert!(meta.widen(3, &nodes(&["", "", ""], &[])));
    let filling = |meta: &DbMeta| -> Vec<Vec<NodeId>> {
        meta.shards.iter().map(|place| place.filling.clone()).collect()
    };
    assert_eq!(filling(&meta), [vec![3], vec![3]]);
    let range = meta.shards[0].range.clone();
    meta.set_filling(&range, 3, false);
    assert_eq!(filling(&meta), [vec![], vec![3]]);
    meta.set_filling(&range, 9, true);
    assert_eq!(filling(&meta), [vec![], vec![3]], "it has no copy");
}

#[test]
fn metadata_comes_back() {
    let mut meta = meta("a/b", 1_700_000_000);
    meta.shards[0].nodes = vec![u64::MAX, 1];
    meta.shards[0].filling = vec![u64::MAX];
    let key = database_key(&meta.name);
    assert_eq!(DbMeta::decode(&key, &meta.encode()), Some(meta.clone()));
    meta.security = Some(Bytes::from_static(br#"{"members":{"roles":["\"x"]}}"#));
    (meta.partitioned, meta.revs_limit, meta.purged_infos_limit) = (true, 5, 6);
    assert_eq!(DbMeta::decode(&key, &meta.encode()), Some(meta.clone()));
    assert_eq!(DbMeta::decode("node/a", &meta.encode()), None);
    assert_eq!(DbMeta::decode(&key, b"{}"), None);
    let (address, zone) = ("h:9100".to_owned(), Some("z".to_owned()));
    let member = Member { name: "couchdb@h".into(), address, zone, uuid: "u".into() };
    assert_eq!(Member::decode(&member.encode()), Some(member));
    assert_eq!(member_of(&member_key(u64::MAX - 1)), Some(u64::MAX - 1));
    assert_eq!(member_of("node/x"), None);
}

#[test]
fn a_shard_knows_its_database() {
    let name = "a/b.1700000000";
    let id = &meta(name, 1_800_000_000).shard_ids().unwrap()[1];
    assert_eq!(id.as_str(), "80000000-ffffffff/a/b.1700000000.1800000000");
    assert_eq!((database_of(id), created_of(id)), (Some(name), Some(1_800_000_000)));
    assert_eq!(database_of(&ShardId::parse("_meta").unwrap()), None);
}

fn nodes(zones: &[&str], away: &[u64]) -> Vec<Candidate> {
    let node = |(id, zone): (usize, &&str)| {
        let (id, zone) = (id as u64 + 1, Some((*zone).to_owned()).filter(|zone| !zone.is_empty()));
        Candidate { id, zone, live: !away.contains(&id) }
    };
    zones.iter().enumerate().map(node).collect()
}

#[test]
fn owners_take_turns() {
    let three = nodes(&["", "", ""], &[]);
    let owners = place(3, 3, None, &three, 0).unwrap();
    assert_eq!(owners, [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
    assert_eq!(place(1, 9, None, &three, 1).unwrap(), [[2, 3, 1]], "no more copies than nodes");
    assert_eq!(place(2, 1, None, &nodes(&[""], &[1]), 7).unwrap(), [[1], [1]]);
    // Nodes that are away are passed over as long as there are others.
    assert_eq!(place(2, 2, None, &nodes(&["", "", ""], &[2]), 0).unwrap(), [[1, 3], [3, 1]]);
    assert_eq!(place(1, 3, None, &nodes(&["", "", ""], &[2]), 0).unwrap(), [[1, 2, 3]]);
}

#[test]
fn more_nodes_take_more_copies() {
    let mut ranges = vec![vec![1], vec![1]];
    assert!(!widen(&mut ranges, 3, &nodes(&[""], &[])));
    assert!(widen(&mut ranges, 3, &nodes(&["", "", "", ""], &[3])));
    assert_eq!(ranges, [vec![1, 2, 4], vec![1, 2, 4]]);
    assert!(!widen(&mut ranges, 3, &nodes(&["", "", "", ""], &[])), "there are enough");
}

#[test]
fn zones_get_what_the_rule_says() {
    let five = nodes(&["a", "b", "a", "b", "b"], &[]);
    assert_eq!(place(2, 3, Some("a:1,b:2"), &five, 0).unwrap(), [[1, 2, 4], [3, 4, 5]]);
    assert_eq!(place(1, 3, Some("a:9"), &five, 0).unwrap(), [[1, 3]]);
    for (rule, reason) in [
        ("c:1", "no_nodes_in_zone"),
        ("a:1,c:1", "no_nodes_in_zone"),
        ("a", "The `placement` value should be in a format `zone:n`."),
        ("a:x", "The `placement` value should be in a format `zone:n`."),
    ] {
        let refused = place(1, 3, Some(rule), &five, 0);
        assert_eq!(refused, Err(Error::BadPlacement(reason.into())), "{rule}");
    }
}

proptest! {
    #[test]
    fn copies_are_spread_evenly(count in 1usize..9, q in 1u32..20, n in 1u32..6, turn: usize) {
        let all = nodes(&vec![""; count], &[]);
        let owners = place(q, n, None, &all, turn).unwrap();
        prop_assert_eq!(owners.len(), q as usize);
        let (mut held, mut first) = (vec![0usize; count + 1], vec![0usize; count + 1]);
        for range in &owners {
            let distinct: HashSet<_> = range.iter().collect();
            prop_assert_eq!((distinct.len(), range.len()), (range.len(), count.min(n as usize)));
            range.iter().for_each(|node| held[*node as usize] += 1);
            first[range[0] as usize] += 1;
        }
        let spread = |counts: &[usize]| counts.iter().max().unwrap() - counts.iter().min().unwrap();
        prop_assert!(spread(&first[1..]) <= 1, "{:?}", owners);
        prop_assert!(spread(&held[1..]) <= count.min(n as usize), "{:?}", owners);
    }
}

#[test]
fn a_plan_says_what_has_to_be_done() {
    let shown = [meta("a", 1), meta("b", 1), meta("c", 1)];
    let known: BTreeMap<_, _> =
        shown.into_iter().map(|meta| (meta.name.clone(), Arc::new(meta))).collect();
    let plan = |steps: Vec<(&str, Option<DbMeta>)>| {
        let steps = steps.into_iter().map(|(name, state)| (DbName::trusted(name), state));
        Plan::new(&known, steps.collect())
    };
    assert_eq!(plan(vec![("a", Some(meta("a", 1)))]), Plan::default(), "nothing is new");
    let changed = DbMeta { revs_limit: 7, ..meta("a", 1) };
    let expected = Plan { changed: vec![changed.clone()], ..Plan::default() };
    assert_eq!(plan(vec![("a", Some(changed))]), expected);
    let expected = Plan { gone: vec![meta("a", 1)], ..Plan::default() };
    assert_eq!(plan(vec![("a", None)]), expected);
    let expected = Plan { made: vec![meta("a", 2)], gone: vec![meta("a", 1)], ..Plan::default() };
    assert_eq!(plan(vec![("a", None), ("a", Some(meta("a", 2)))]), expected);
    assert_eq!(plan(vec![("a", Some(meta("a", 2)))]), expected, "the end was not heard of");
    // Shards of what came and went may have been made by others.
    let expected = Plan { gone: vec![meta("d", 3)], ..Plan::default() };
    assert_eq!(plan(vec![("d", Some(meta("d", 3))), ("d", None)]), expected);
}

#[test]
fn strays_are_shards_of_no_database() {
    let (a, earlier) = (meta("a", 5).shard_ids().unwrap(), meta("a", 4).shard_ids().unwrap());
    let gone = meta("gone", 5).shard_ids().unwrap();
    let own = ShardId::parse("_own").unwrap();
    let all: Vec<_> = [&a[..], &earlier, &gone, &[own]].concat();
    assert_eq!(strays(all, &[meta("a", 5)]), [&earlier[..], &gone].concat());
}
