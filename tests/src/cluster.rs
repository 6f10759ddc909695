//! A cluster of settee processes of a test's own, on loopback: joined by a seed list, each node
//! with a data directory that outlives it. Knows the program's command line and HTTP only.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Request};
use crate::server::{Server, Setup, free_port};

/// How long nodes may take to find each other.
const JOIN_LIMIT: Duration = Duration::from_secs(30);

/// A running cluster.
pub struct Cluster {
    nodes: Vec<Server>,
    _data: TempDir,
}

impl Cluster {
    /// Starts so many nodes and waits until each knows all.
    ///
    /// # Errors
    /// When they do not come up, or do not find each other.
    pub fn start(program: &Path, nodes: usize) -> io::Result<Cluster> {
        let order: Vec<usize> = (0..nodes).collect();
        Cluster::start_in(program, &order, Duration::ZERO)
    }

    /// The same; the nodes are started in this order, with a rest between.
    ///
    /// # Errors
    /// When they do not come up, or do not find each other.
    pub fn start_in(program: &Path, order: &[usize], rest: Duration) -> io::Result<Cluster> {
        let data = tempfile::tempdir()?;
        let ports = free_ports(order.len())?;
        let seeds: Vec<_> = ports.iter().map(|(_, mesh)| format!("127.0.0.1:{mesh}")).collect();
        let known = vec![
            ("COUCHDB_ERLANG_COOKIE".to_owned(), "a secret of tests".to_owned()),
            ("SETTEE_SEEDLIST".to_owned(), seeds.join(",")),
        ];
        let mut cluster = Cluster::launch(program, order, &ports, known, rest, data)?;
        cluster.wait_until_joined()?;
        Ok(cluster)
    }

    /// Starts nodes that know nothing of each other.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn start_apart(program: &Path, nodes: usize) -> io::Result<Cluster> {
        let ports = free_ports(nodes)?;
        let (order, data): (Vec<usize>, _) = ((0..nodes).collect(), tempfile::tempdir()?);
        let mut cluster =
            Cluster::launch(program, &order, &ports, Vec::new(), Duration::ZERO, data)?;
        cluster.nodes.iter_mut().try_for_each(Server::wait_until_up)?;
        Ok(cluster)
    }

    fn launch(
        program: &Path,
        order: &[usize],
        ports: &[(u16, u16)],
        known: Vec<(String, String)>,
        rest: Duration,
        data: TempDir,
    ) -> io::Result<Cluster> {
        let setup = |number: usize, (port, mesh): (u16, u16)| Setup {
            program: program.into(),
            data: directory(data.path(), number),
            port,
            arguments: vec!["--mesh".to_owned(), format!("127.0.0.1:{mesh}")],
            environment: {
                let name = ("NODENAME".to_owned(), format!("node{}@127.0.0.1", number + 1));
                [vec![name], known.clone()].concat()
            },
        };
        let setups: Vec<_> =
            ports.iter().enumerate().map(|(number, ports)| setup(number, *ports)).collect();
        let mut started: Vec<Option<Server>> = setups.iter().map(|_| None).collect();
        for &number in order {
            if let (Some(place), Some(setup)) = (started.get_mut(number), setups.get(number)) {
                *place = Some(Server::launch(setup.clone())?);
                std::thread::sleep(rest);
            }
        }
        let nodes = started.into_iter().flatten().collect();
        Ok(Cluster { nodes, _data: data })
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// A client for each node, in their order.
    #[must_use]
    pub fn clients(&self) -> Vec<Client> {
        self.nodes.iter().map(Server::client).collect()
    }

    /// Waits until every node says that all are members and there.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_until_joined(&mut self) -> io::Result<()> {
        let count = self.nodes.len();
        let mut said = Vec::new();
        for node in &mut self.nodes {
            node.wait_until_up()?;
            let began = Instant::now();
            loop {
                let members = members(&mut node.client());
                let named = |list: &str| members.get(list).and_then(Value::as_array).map(Vec::len);
                let all = |list: &str| named(list) == Some(count);
                if all("all_nodes") && all("cluster_nodes") {
                    break;
                }
                if began.elapsed() > JOIN_LIMIT {
                    said.push(members.to_string());
                    return Err(io::Error::other(format!("they did not join: {said:?}")));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// Ports for clients and for the mesh of so many nodes.
fn free_ports(nodes: usize) -> io::Result<Vec<(u16, u16)>> {
    (0..nodes).map(|_| Ok((free_port()?, free_port()?))).collect()
}

fn directory(data: &Path, number: usize) -> PathBuf {
    data.join(format!("node{}", number + 1))
}

fn members(client: &mut Client) -> Value {
    let answer = client.send(&Request::new("GET", "/_membership"));
    answer.ok().and_then(|answer| answer.json().ok()).unwrap_or_default()
}
