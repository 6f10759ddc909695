//! Where a node lives in its cluster, out of the command line, the environment and the configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use settee_cluster::mesh::{self, Secret};
use settee_cluster::{Home, MeshHome};
use settee_model::config::Config;

use crate::args::Serve;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How other nodes reach this one. They do not as long as there is no secret.
pub fn home(options: &Serve, data: &Path, config: &Config) -> Outcome<Home> {
    let set = |key: &str| config.get("cluster", key).filter(|value| !value.trim().is_empty());
    let listen = options.mesh.as_deref().or(set("mesh"));
    let seeds: Vec<_> = set("seedlist").into_iter().map(str::to_owned).collect();
    let secret = set("secret").map(Secret::new).transpose()?;
    if secret.is_none() && !seeds.is_empty() {
        return Err(mesh::NoSecret.into());
    }
    let address = match listen {
        Some(listen) => listen.parse().map_err(|_| format!("`{listen}` is no address and port"))?,
        None => usual(options.full_node_name().as_deref(), !seeds.is_empty()),
    };
    let must_listen = listen.is_some() || !seeds.is_empty();
    let mesh = Some(MeshHome { must_listen, seeds, ..MeshHome::new(address, secret) });
    Ok(Home { data: data.to_owned(), zone: set("zone").map(str::to_owned), mesh })
}

/// Where a node listens that nobody told: on loopback, unless it has a name that others may call it
/// by, or others to call.
fn usual(name: Option<&str>, has_seeds: bool) -> SocketAddr {
    let host = name.and_then(|name| name.split_once('@')).map(|(_, host)| host);
    let is_local =
        |host: &str| host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let local = host.is_none_or(is_local) && !has_seeds;
    let ip = if local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    SocketAddr::from((ip, mesh::PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_name_for_others_listens_on_loopback() {
        for (name, seeds, expected) in [
            (None, false, "127.0.0.1:9100"),
            (Some("couchdb@127.0.0.1"), false, "127.0.0.1:9100"),
            (Some("couchdb@localhost"), false, "127.0.0.1:9100"),
            (Some("couchdb@db1.example"), false, "0.0.0.0:9100"),
            (None, true, "0.0.0.0:9100"),
        ] {
            assert_eq!(usual(name, seeds).to_string(), expected, "{name:?} {seeds}");
        }
    }
}
