//! One node of three is lost again and again under load: the others go on, nothing that was
//! acknowledged is lost, and the node is equal to the others soon after it is back. What happens to
//! links needs networks, and has tests of its own (`tests/chaos`).

use std::time::Duration;

use settee_tests::cluster::Cluster;
use settee_tests::fault::Fault;
use settee_tests::rounds::Rounds;

use crate::program;

#[test]
fn one_node_of_three_may_be_lost_at_any_time() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut rounds = Rounds::begin(&cluster);
    for (victim, fault) in Fault::OF_PROCESSES.into_iter().enumerate() {
        rounds.round(&mut cluster, fault, &[victim]);
    }
    rounds.round(&mut cluster, Fault::Restart, &[0, 1, 2]);
    let report = rounds.end(&mut cluster);
    eprintln!("{report}");
    // Unoptimised programs on a busy machine prove nothing about two seconds.
    report.judge(Duration::from_secs(10));
}
