//! A cluster forms whatever the order of starts (`FORMINGS` says how often that is tried), and a node
//! that comes back under another name and address is the same node.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use settee_tests::ask::{contents, get, put, status, wait_for};
use settee_tests::cluster::{Cluster, Forming};
use settee_tests::dice::Dice;
use settee_tests::given;

use crate::program;

/// Longest rest between two starts, in milliseconds.
const REST: usize = 1500;

fn formings() -> usize {
    given("FORMINGS", 3)
}

/// Forms so many clusters; `lists` is how nodes list the seeds.
fn form(dice: &mut Dice, lists: impl Fn(&mut Dice) -> Vec<Vec<usize>>) {
    let count = formings();
    let mut longest = Duration::ZERO;
    for number in 0..count {
        let (order, seeds) = (dice.order(3), lists(dice));
        // Now and then all at once.
        let most = if number % 4 == 0 { 1 } else { REST };
        let rests = (0..3).map(|_| Duration::from_millis(dice.below(most) as u64)).collect();
        let forming = Forming { order, rests, seeds };
        let begun = Instant::now();
        let cluster = Cluster::form(&program(), &forming);
        let cluster = cluster.unwrap_or_else(|error| panic!("{number}, {forming:?}: {error}"));
        longest = longest.max(begun.elapsed());
        // It is one cluster, not several that have heard of each other.
        let mut clients = cluster.clients();
        let made = put(&mut clients[number % 3], "/db", "");
        assert_eq!(made.status, 201, "{forming:?}: {}", made.text());
        assert!(clients.iter_mut().all(|client| status(client, "/db") == 200), "{forming:?}");
        let uuid = |client| get(client, "/")["uuid"].clone();
        let uuids: Vec<Value> = clients.iter_mut().map(uuid).collect();
        assert!(uuids.windows(2).all(|two| two[0] == two[1]), "{forming:?}: {uuids:?}");
    }
    eprintln!("{count} of {count} clusters formed, within {longest:?} of the first start");
}

#[test]
fn it_forms_whatever_the_order_of_starts() {
    form(&mut Dice::of_the_day(), |_| vec![vec![0, 1, 2]; 3]);
}

#[test]
fn it_forms_whatever_the_order_of_seeds() {
    form(&mut Dice::of_the_day(), |dice| (0..3).map(|_| dice.order(3)).collect());
}

#[test]
fn a_node_that_comes_back_under_another_name_is_the_same_node() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/db?q=2&n=3", "").status, 201);
    for victim in [2, 0, 1] {
        let before = put(&mut clients[(victim + 1) % 3], &format!("/db/before-{victim}"), "1");
        assert_eq!(before.status, 201);
        cluster.nodes()[victim].kill();
        let missed = put(&mut clients[(victim + 1) % 3], &format!("/db/missed-{victim}"), "2");
        assert_eq!(missed.status, 201, "{}", missed.text());
        let name = format!("moved{victim}@localhost");
        cluster.rename(victim, &name).expect("another place");
        cluster.nodes()[victim].restart().expect("a process");
        cluster.nodes()[victim].wait_until_up().expect("a node");
        clients = cluster.clients();
        let names = wait_for(|| {
            let mut members = clients.iter_mut().map(|client| get(client, "/_membership"));
            let first = members.next()?;
            let same =
                members.all(|other| other == first) && first["all_nodes"] == first["cluster_nodes"];
            let names = first["cluster_nodes"].as_array().expect("names").clone();
            (same && names.contains(&json!(name))).then_some(names)
        });
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(!names.contains(&json!(format!("node{}@127.0.0.1", victim + 1))), "{names:?}");
        // Its copies are the same ones, and it is one of three again.
        let shards = get(&mut clients[0], "/db/_shards")["shards"].clone();
        for (range, nodes) in shards.as_object().expect("ranges") {
            assert!(nodes.as_array().expect("nodes").contains(&json!(name)), "{range}: {nodes}");
        }
        let expected = contents(&mut clients[(victim + 1) % 3], "/db");
        wait_for(|| (contents(&mut clients[victim], "/db") == expected).then_some(()));
        let other = (victim + 2) % 3;
        cluster.nodes()[other].kill();
        for asked in [victim, (victim + 1) % 3] {
            let path = format!("/db/after-{victim}-{asked}");
            let after = wait_for(|| {
                let answer = put(&mut clients[asked], &path, "3");
                (answer.status != 202).then_some(answer)
            });
            assert!([201, 409].contains(&after.status), "{}", after.text());
        }
        cluster.nodes()[other].restart().expect("a process");
        cluster.wait_until_joined().expect("a whole cluster");
    }
}
