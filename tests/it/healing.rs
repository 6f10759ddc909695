//! Three real nodes on loopback of which some are killed, miss things, and come back.

use std::thread;
use std::time::{Duration, Instant};

use settee_tests::ask::{contents, get, put, status, wait_for};
use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;

use crate::program;

/// No request takes longer, whatever happens to one node.
const SLOWEST: Duration = Duration::from_secs(2);

#[test]
fn a_node_that_was_killed_costs_nothing_and_comes_back_equal() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/db?q=4&n=3", "").status, 201);
    for victim in [2, 1, 0] {
        cluster.nodes()[victim].kill();
        for number in 0..60 {
            let survivor = (victim + 1 + number % 2) % 3;
            let began = Instant::now();
            let answer = put(&mut clients[survivor], &format!("/db/{victim}-{number}"), "1");
            assert_eq!(answer.status, 201, "{}", answer.text());
            assert!(began.elapsed() < SLOWEST, "a write took {:?}", began.elapsed());
        }
        cluster.nodes()[victim].restart().expect("a process");
        cluster.nodes()[victim].wait_until_up().expect("a node");
        let expected = contents(&mut clients[(victim + 1) % 3], "/db");
        wait_for(|| (contents(&mut clients[victim], "/db") == expected).then_some(()));
        // It reaches the others; that they reach it again too is what the next loss needs.
        cluster.wait_until_joined().expect("a whole cluster");
    }
}

#[test]
fn a_node_that_slept_through_a_deletion_never_shows_the_old_documents() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    for name in ["/gone", "/again"] {
        assert_eq!(put(&mut clients[0], name, "").status, 201);
        assert_eq!(put(&mut clients[0], &format!("{name}/old"), "1").status, 201);
    }
    cluster.nodes()[2].kill();
    for name in ["/gone", "/again"] {
        let deleted = clients[0].send(&Request::new("DELETE", name)).expect("an answer");
        assert!([200, 202].contains(&deleted.status), "{}", deleted.text());
    }
    let created = put(&mut clients[0], "/again", "");
    assert!([201, 202].contains(&created.status), "{}", created.text());
    assert_eq!(put(&mut clients[0], "/again/new", "2").status, 201);
    cluster.nodes()[2].restart().expect("a process");
    cluster.nodes()[2].wait_until_up().expect("a node");
    wait_for(|| {
        assert_ne!(status(&mut clients[2], "/again/old"), 200, "a deleted document came back");
        let gone = status(&mut clients[2], "/gone") == 404;
        (gone && status(&mut clients[2], "/again/new") == 200).then_some(())
    });
}

#[test]
fn a_node_that_is_alone_goes_on_with_documents_and_says_what_it_cannot_do() {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/db?n=3", "").status, 201);
    assert_eq!(put(&mut clients[0], "/db/before", "1").status, 201);
    for other in [1, 2] {
        cluster.nodes()[other].kill();
    }
    let accepted = wait_for(|| {
        let answer = put(&mut clients[0], "/db/alone", "2");
        (answer.status != 409).then_some(answer.status)
    });
    assert_eq!(accepted, 202);
    assert_eq!(get(&mut clients[0], "/db/before")["n"], 1);
    assert_eq!(get(&mut clients[0], "/db/alone")["n"], 2);
    let refused = put(&mut clients[0], "/other", "");
    assert_eq!(refused.status, 503, "{}", refused.text());
    for other in [1, 2] {
        cluster.nodes()[other].restart().expect("a process");
    }
    cluster.wait_until_joined().expect("a whole cluster");
    let expected = contents(&mut clients[0], "/db");
    for client in &mut clients {
        wait_for(|| (contents(client, "/db") == expected).then_some(()));
    }
    wait_for(|| [201, 412].contains(&put(&mut clients[2], "/other", "").status).then_some(()));
}

#[test]
fn racing_clients_leave_one_winner_and_no_conflict() {
    let cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    assert_eq!(put(&mut clients[0], "/race?q=2&n=3", "").status, 201);
    for round in 0..20 {
        let path = format!("/race/doc-{round}");
        let race = |client: &Client| {
            let (mut client, path) = (client.again(), path.clone());
            thread::spawn(move || put(&mut client, &path, "1").status)
        };
        let racers: Vec<_> = clients.iter().chain(&clients).map(race).collect();
        let mut won: Vec<u16> = racers.into_iter().map(|it| it.join().expect("a racer")).collect();
        won.sort_unstable();
        assert_eq!(won, [201, 409, 409, 409, 409, 409], "round {round}");
        let doc = get(&mut clients[0], &format!("{path}?conflicts=true"));
        assert_eq!(doc.get("_conflicts"), None);
    }
}
