//! A cluster of settee processes of a test's own, on loopback or on a network of its own: joined by
//! a seed list, each node with a data directory that outlives it. Knows the program's command line
//! and HTTP only.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Request};
use crate::net::Net;
use crate::server::{Server, Setup, free_port};

/// How long nodes may take to find each other.
const JOIN_LIMIT: Duration = Duration::from_secs(90);
/// How long nodes see each other before that is believed.
const STEADY: Duration = Duration::from_secs(1);
/// Where nodes are reached that have a host of their own: by clients, and by each other.
const PORTS: (u16, u16) = (5984, 9100);

/// A running cluster.
pub struct Cluster {
    nodes: Vec<Server>,
    net: Option<Net>,
    _data: TempDir,
}

/// How nodes come to life that are to become a cluster.
#[derive(Clone, Debug)]
pub struct Forming {
    /// The order of the starts.
    pub order: Vec<usize>,
    /// Rest after each.
    pub rests: Vec<Duration>,
    /// The order in which each node lists the seeds, which are all nodes.
    pub seeds: Vec<Vec<usize>>,
}

impl Forming {
    /// All at once, with the same list.
    #[must_use]
    pub fn usual(nodes: usize) -> Forming {
        let order: Vec<usize> = (0..nodes).collect();
        Forming { rests: vec![Duration::ZERO; nodes], seeds: vec![order.clone(); nodes], order }
    }
}

/// Where a node is.
struct Place {
    host: Ipv4Addr,
    port: u16,
    mesh: u16,
    namespace: Option<String>,
}

impl Place {
    fn loopback() -> io::Result<Place> {
        let (port, mesh) = (free_port()?, free_port()?);
        Ok(Place { host: Ipv4Addr::LOCALHOST, port, mesh, namespace: None })
    }

    fn of(net: &Net, node: usize) -> Place {
        let ((port, mesh), namespace) = (PORTS, Some(net.namespace(node)));
        Place { host: net.host(node), port, mesh, namespace }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.mesh)
    }
}

impl Cluster {
    /// Starts so many nodes on loopback and waits until each knows all.
    ///
    /// # Errors
    /// When they do not come up, or do not find each other.
    pub fn start(program: &Path, nodes: usize) -> io::Result<Cluster> {
        Cluster::form(program, &Forming::usual(nodes))
    }

    /// The same, each on a host of its own between which links can be cut.
    ///
    /// # Errors
    /// When they do not come up, or do not find each other, or namespaces are not allowed here.
    pub fn start_on_net(program: &Path, nodes: u8) -> io::Result<Cluster> {
        let net = Net::new(nodes)?;
        let places: Vec<_> = (0..usize::from(nodes)).map(|node| Place::of(&net, node)).collect();
        let forming = Forming::usual(places.len());
        let mut cluster = Cluster::launch(program, &places, Some(&forming), &forming)?;
        cluster.net = Some(net);
        cluster.wait_until_joined()?;
        Ok(cluster)
    }

    /// Starts nodes on loopback in a way and waits until each knows all.
    ///
    /// # Errors
    /// When they do not come up, or do not find each other.
    pub fn form(program: &Path, forming: &Forming) -> io::Result<Cluster> {
        let places = forming.order.iter().map(|_| Place::loopback());
        let places: Vec<_> = places.collect::<io::Result<_>>()?;
        let mut cluster = Cluster::launch(program, &places, Some(forming), forming)?;
        cluster.wait_until_joined()?;
        Ok(cluster)
    }

    /// Starts nodes that know nothing of each other.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn start_apart(program: &Path, nodes: usize) -> io::Result<Cluster> {
        let places: Vec<_> = (0..nodes).map(|_| Place::loopback()).collect::<io::Result<_>>()?;
        let mut cluster = Cluster::launch(program, &places, None, &Forming::usual(nodes))?;
        cluster.nodes.iter_mut().try_for_each(Server::wait_until_up)?;
        Ok(cluster)
    }

    /// Starts nodes in an order, with seeds if they are to have some.
    fn launch(
        program: &Path,
        places: &[Place],
        seeds: Option<&Forming>,
        starts: &Forming,
    ) -> io::Result<Cluster> {
        let data = tempfile::tempdir()?;
        let setup = |(node, place): (usize, &Place)| Setup {
            program: program.into(),
            data: data.path().join(format!("node{}", node + 1)),
            host: place.host,
            port: place.port,
            namespace: place.namespace.clone(),
            arguments: vec!["--mesh".to_owned(), place.address()],
            environment: environment(places, node, seeds),
        };
        let setups: Vec<_> = places.iter().enumerate().map(setup).collect();
        let mut started: Vec<Option<Server>> = setups.iter().map(|_| None).collect();
        for (&node, rest) in starts.order.iter().zip(&starts.rests) {
            if let (Some(place), Some(setup)) = (started.get_mut(node), setups.get(node)) {
                *place = Some(Server::launch(setup.clone())?);
                std::thread::sleep(*rest);
            }
        }
        let nodes = started.into_iter().flatten().collect();
        Ok(Cluster { nodes, net: None, _data: data })
    }

    /// The nodes.
    pub fn nodes(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// The network, if it has one of its own.
    pub fn net(&mut self) -> Option<&mut Net> {
        self.net.as_mut()
    }

    /// A client for each node, in their order.
    #[must_use]
    pub fn clients(&self) -> Vec<Client> {
        self.nodes.iter().map(Server::client).collect()
    }

    /// Has a node start next time under another name, and at other ports of loopback.
    ///
    /// # Errors
    /// When there is no such node, or there are no ports.
    pub fn rename(&mut self, node: usize, name: &str) -> io::Result<()> {
        let place = Place::loopback()?;
        let missing = || io::Error::other("there is no such node");
        let setup = self.nodes.get_mut(node).ok_or_else(missing)?.setup();
        setup.port = place.port;
        setup.arguments = vec!["--mesh".to_owned(), place.address()];
        let named = setup.environment.iter_mut().filter(|(key, _)| key == "NODENAME");
        named.for_each(|(_, value)| name.clone_into(value));
        Ok(())
    }

    /// Waits until all nodes see each other, and go on doing so for a while: a link that was cut a
    /// moment ago may seem whole and then fail.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_until_steady(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let mut whole = Instant::now();
        while whole.elapsed() < STEADY {
            if !self.nodes.iter().all(|node| knows(node, self.nodes.len())) {
                whole = Instant::now();
            }
            if began.elapsed() > JOIN_LIMIT {
                return Err(io::Error::other("the nodes lose each other again and again"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Waits until every node says that all are members and there.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_until_joined(&mut self) -> io::Result<()> {
        let count = self.nodes.len();
        for node in &mut self.nodes {
            node.wait_until_up()?;
            let began = Instant::now();
            while !knows(node, count) {
                if began.elapsed() > JOIN_LIMIT {
                    let members = members(&mut node.client());
                    return Err(io::Error::other(format!("they did not join: {members}")));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

fn environment(places: &[Place], node: usize, forming: Option<&Forming>) -> Vec<(String, String)> {
    let host = places.get(node).map_or(Ipv4Addr::LOCALHOST, |place| place.host);
    let mut set = vec![("NODENAME".to_owned(), format!("node{}@{host}", node + 1))];
    if let Some(listed) = forming.and_then(|forming| forming.seeds.get(node)) {
        let seeds = listed.iter().filter_map(|seed| places.get(*seed)).map(Place::address);
        let seeds: Vec<_> = seeds.collect();
        set.push(("COUCHDB_ERLANG_COOKIE".to_owned(), "a secret of tests".to_owned()));
        set.push(("SETTEE_SEEDLIST".to_owned(), seeds.join(",")));
    }
    set
}

/// Whether a node says that so many are members and there.
fn knows(node: &Server, count: usize) -> bool {
    let members = members(&mut node.client());
    let named = |list: &str| members.get(list).and_then(Value::as_array).map(Vec::len);
    named("all_nodes") == Some(count) && named("cluster_nodes") == Some(count)
}

fn members(client: &mut Client) -> Value {
    let answer = client.send(&Request::new("GET", "/_membership"));
    answer.ok().and_then(|answer| answer.json().ok()).unwrap_or_default()
}
