//! Clients race on the same documents through three nodes and leave no conflict. `RACE` says for how
//! many seconds.

use std::thread::sleep;
use std::time::Duration;

use settee_tests::ask::put;
use settee_tests::cluster::Cluster;
use settee_tests::given;
use settee_tests::race::race;

use crate::program;

#[test]
fn clients_that_race_leave_no_conflict() {
    let seconds = given("RACE", 10);
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    assert_eq!(put(&mut cluster.clients()[0], "/race?q=2&n=3", "").status, 201);
    let raced = race(&mut cluster, "/race", |_| sleep(Duration::from_secs(seconds)));
    eprintln!("{seconds} s: {raced}");
    assert_eq!(raced.unknown.iter().sum::<usize>(), 0, "{raced:?}");
}
