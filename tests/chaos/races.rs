//! Clients race while nodes are lost: the owner's side has its quorum, so there is no conflict.
//! `RACE` says for how many seconds.

use std::thread::sleep;
use std::time::{Duration, Instant};

use settee_tests::ask::{get, put};
use settee_tests::cluster::Cluster;
use settee_tests::fault::Fault;
use settee_tests::given;
use settee_tests::race::race;

use crate::program;

/// Between two faults.
const REST: Duration = Duration::from_secs(1);

#[test]
fn clients_that_race_while_a_follower_is_lost_leave_no_conflict() {
    let mut cluster = Cluster::start_on_net(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/race?q=2&n=3", "").status, 201);
    let shards = get(&mut clients[0], "/race/_shards")["shards"].clone();
    let owners = shards.as_object().expect("ranges").values();
    let owners: Vec<_> = owners.map(|nodes| nodes[0].as_str().expect("a name")).collect();
    let owns = |node: &usize| {
        let name = format!("node{}@", node + 1);
        owners.iter().any(|owner| owner.starts_with(&name))
    };
    let lost = (0..3).find(|node| !owns(node)).expect("a node that owns nothing");
    let limit = Duration::from_secs(given("RACE", 60));
    let mut faults = 0;
    let raced = race(&mut cluster, "/race", |cluster| {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            for fault in [Fault::Kill, Fault::Stop, Fault::Restart] {
                sleep(REST);
                cluster.inflict(fault, lost).expect("a fault");
                sleep(REST);
                cluster.heal(fault, lost).expect("a node that comes back");
                faults += 1;
            }
        }
    });
    eprintln!("{limit:?}, {faults} faults: {raced}");
}
