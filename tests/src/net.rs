//! A network of a test's own: each host in a network namespace, all of them around a router in
//! another one, this process reached from there. What goes from one host to another can be dropped,
//! each way by itself, without either of them being told. Made of Linux' `ip`, which needs root;
//! gone when dropped. Knows nothing of what runs on the hosts.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Begins the names of all namespaces of tests, before the number of the process.
const NAME: &str = "settee-tests";
/// Networks that this process has made.
static MADE: AtomicUsize = AtomicUsize::new(0);
/// The router's last number in its network, and this process'.
const ROUTER: u8 = 254;
const CLIENT: u8 = 253;
/// Forwards, and does not care from where a packet comes.
const ROUTE: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
    echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter";

/// See the module.
pub struct Net {
    /// The router's namespace; the hosts' names begin with it.
    name: String,
    /// The third number of all addresses, which no other network has.
    number: u8,
    hosts: u8,
    /// From whom to whom nothing goes.
    cut: BTreeSet<(usize, usize)>,
}

impl Net {
    /// So many hosts that all reach each other and are reached from here.
    ///
    /// # Errors
    /// When namespaces are not allowed here.
    pub fn new(hosts: u8) -> io::Result<Net> {
        sweep();
        let id = std::process::id();
        let name = format!("{NAME}-{id}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        ip(&format!("netns add {name}")).map_err(|error| {
            let reason = "no network namespace can be made; that takes root and Linux' `ip`";
            io::Error::other(format!("{reason}: {error}"))
        })?;
        // From here on, dropping it takes away what there is.
        let mut net = Net { name, number: 0, hosts, cut: BTreeSet::new() };
        net.build()?;
        Ok(net)
    }

    fn build(&mut self) -> io::Result<()> {
        let name = self.name.clone();
        run(&["netns", "exec", &name, "sh", "-c", ROUTE])?;
        self.claim()?;
        let (router, client) = (self.address(ROUTER), self.address(CLIENT));
        let (device, network) = (self.device(), self.address(0));
        ip(&format!("addr add {client} peer {router} dev {device}"))?;
        ip(&format!("link set {device} up"))?;
        ip(&format!("-n {name} addr add {router} peer {client} dev client"))?;
        ip(&format!("-n {name} link set client up"))?;
        ip(&format!("route add {network}/24 via {router}"))?;
        for host in 0..usize::from(self.hosts) {
            let (space, ip_of) = (self.namespace(host), self.host(host));
            ip(&format!("netns add {space}"))?;
            ip(&format!("-n {name} link add host{host} type veth peer name eth0 netns {space}"))?;
            ip(&format!("-n {name} addr add {router} peer {ip_of} dev host{host}"))?;
            ip(&format!("-n {name} link set host{host} up"))?;
            ip(&format!("-n {space} addr add {ip_of} peer {router} dev eth0"))?;
            ip(&format!("-n {space} link set lo up"))?;
            ip(&format!("-n {space} link set eth0 up"))?;
            ip(&format!("-n {space} route add default via {router}"))?;
        }
        Ok(())
    }

    /// Takes a network that nobody else has, by the name of its device.
    fn claim(&mut self) -> io::Result<()> {
        let mut refused = io::Error::other("no network is free");
        for _ in 0..=u8::MAX {
            let (device, name) = (self.device(), &self.name);
            match ip(&format!("link add {device} type veth peer name client netns {name}")) {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
            self.number = self.number.wrapping_add(1);
        }
        Err(refused)
    }

    fn device(&self) -> String {
        format!("settee{}", self.number)
    }

    /// In the networks that are set aside for measuring.
    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, last)
    }

    /// Where a host is reached.
    #[must_use]
    pub fn host(&self, host: usize) -> Ipv4Addr {
        self.address(u8::try_from(host + 1).unwrap_or(CLIENT))
    }

    /// The namespace of a host, for `ip netns exec`.
    #[must_use]
    pub fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// From now on nothing that one host sends arrives at another. Neither of them is told.
    ///
    /// # Errors
    /// When the router cannot be told.
    pub fn cut(&mut self, from: usize, to: usize) -> io::Result<()> {
        if self.cut.insert((from, to)) {
            self.rule("add", from, to)?;
        }
        Ok(())
    }

    /// From now on everything arrives.
    ///
    /// # Errors
    /// When the router cannot be told.
    pub fn heal(&mut self) -> io::Result<()> {
        let cut = std::mem::take(&mut self.cut);
        cut.into_iter().try_for_each(|(from, to)| self.rule("del", from, to))
    }

    fn rule(&self, change: &str, from: usize, to: usize) -> io::Result<()> {
        let (from, to) = (self.host(from), self.host(to));
        ip(&format!("-n {} rule {change} from {from} to {to} blackhole", self.name))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // What was not made yet cannot be taken away. Devices go with their namespaces.
        for host in 0..usize::from(self.hosts) {
            let _ = ip(&format!("netns del {}", self.namespace(host)));
        }
        let _ = ip(&format!("netns del {}", self.name));
    }
}

/// Takes away what processes left behind that were killed.
fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    for name in listed.lines().filter_map(|line| line.split(' ').next()) {
        let process = name.strip_prefix(NAME).and_then(|rest| rest.split('-').nth(1));
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Its devices go with it.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

fn ip(words: &str) -> io::Result<()> {
    run(&words.split(' ').collect::<Vec<_>>())
}

fn run(words: &[&str]) -> io::Result<()> {
    let done = Command::new("ip").args(words).output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(io::Error::other(format!("ip {}: {}", words.join(" "), said.trim())))
}
