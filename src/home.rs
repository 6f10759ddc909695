//! Where a node lives in its cluster, out of the command line, the environment and the configuration.
//! Opens no connection and reads no certificate: the coordinator does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use settee_cluster::mesh::{self, Secret, TlsFiles};
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
        return Err(mesh::NoSecret::Missing.into());
    }
    let address = match listen {
        Some(listen) => listen.parse().map_err(|_| format!("`{listen}` is no address and port"))?,
        None => usual(options.full_node_name().as_deref(), !seeds.is_empty()),
    };
    let must_listen = listen.is_some() || !seeds.is_empty();
    let tls = tls(set)?;
    let mesh = Some(MeshHome { must_listen, seeds, tls, ..MeshHome::new(address, secret) });
    Ok(Home { zone: set("zone").map(str::to_owned), mesh, ..Home::new(data.to_owned()) })
}

/// The certificates of a node: all of its files are named, or none is.
fn tls<'a>(set: impl Fn(&str) -> Option<&'a str>) -> Outcome<Option<TlsFiles>> {
    match ["cacert_file", "cert_file", "key_file"].map(set) {
        [None, None, None] => Ok(None),
        [Some(ca), Some(certificate), Some(key)] => {
            let (ca, certificate, key) = (ca.into(), certificate.into(), key.into());
            Ok(Some(TlsFiles { ca, certificate, key }))
        }
        _ => Err("[cluster] cacert_file, cert_file and key_file go together".into()),
    }
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
    fn certificates_come_with_their_key_and_authority() {
        let known = |known: &'static [&str]| move |key: &str| known.contains(&key).then_some("x");
        assert_eq!(tls(known(&[])).unwrap(), None);
        let all = tls(known(&["cacert_file", "cert_file", "key_file"])).unwrap();
        assert_eq!(all.unwrap().ca, Path::new("x"));
        assert!(tls(known(&["cert_file", "key_file"])).is_err());
        assert!(tls(known(&["cacert_file"])).is_err());
    }

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
