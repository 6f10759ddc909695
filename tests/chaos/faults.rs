//! One node of three suffers faults of all kinds in turn, for `MINUTES` or `FAULTS` rounds, whatever
//! comes first.

use std::time::{Duration, Instant};

use settee_tests::cluster::Cluster;
use settee_tests::fault::Fault;
use settee_tests::given;
use settee_tests::rounds::Rounds;

use crate::program;

const NODES: u8 = 3;
/// No request takes longer.
const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn one_node_of_three_suffers_every_fault() {
    let limit = Duration::from_secs(60 * given("MINUTES", 60));
    let (begun, rounds_most) = (Instant::now(), given("FAULTS", usize::MAX));
    let mut cluster = Cluster::start_on_net(&program(), NODES).expect("a cluster");
    let mut rounds = Rounds::begin(&cluster);
    for turn in 0.. {
        if rounds.done() >= rounds_most || begun.elapsed() > limit {
            break;
        }
        let (fault, victim) = (turn % Fault::ALL.len(), (turn / Fault::ALL.len()) % 3);
        rounds.round(&mut cluster, Fault::ALL[fault], &[victim]);
        if fault + 1 == Fault::ALL.len() {
            // All nodes are restarted one after the other, as for a new version.
            rounds.round(&mut cluster, Fault::Restart, &[0, 1, 2]);
        }
    }
    let report = rounds.end(&mut cluster);
    eprintln!("{report}");
    report.judge(PATIENCE);
}
