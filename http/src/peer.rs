//! [`Peer`] and [`asker`]: who asks, by address. Two things want to know it. Whoever guesses passwords
//! is held to account for that: only the other end of the connection will do, or what an operator's
//! proxy says in the header that `[chttpd] peer_header` names. Any client can send `X-Forwarded-For`,
//! and who could choose an address could guess for ever, or have others shut out. The log shows more:
//! without `peer_header`, what a proxy of this network says in `X-Forwarded-For`, as CouchDB's does.
//! Nothing is decided by that, and behind a proxy all lines would show the proxy. Never looks at what
//! is asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether what is said is secured by TLS.
    pub secure: bool,
}

impl Peer {
    /// Its address without the port.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Who is held to account.
    pub peer: Peer,
    /// Whom the log shows.
    pub shown: IpAddr,
}

/// Who asks what came with these headers from there; `peer_header` is the one that is believed.
#[must_use]
pub fn asker(peer_header: Option<&HeaderName>, headers: &HeaderMap, peer: Peer) -> Asker {
    match peer_header {
        Some(name) => {
            let address = said(name, headers).map(|ip| SocketAddr::new(ip, peer.address.port()));
            let peer = Peer { address: address.unwrap_or(peer.address), ..peer };
            Asker { peer, shown: peer.ip() }
        }
        None => Asker { peer, shown: forwarded(headers, peer.ip()).unwrap_or(peer.ip()) },
    }
}

/// Where there are several, one may be somebody else's.
fn said(name: &HeaderName, headers: &HeaderMap) -> Option<IpAddr> {
    let mut said = headers.get_all(name).iter();
    let (Some(ip), None) = (said.next(), said.next()) else { return None };
    ip.to_str().ok()?.trim().parse().ok()
}

/// For whom a proxy asks, if it is one of this network: the last that is named was named by it.
fn forwarded(headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
    if !is_near(peer) {
        return None;
    }
    let all = headers.get_all("x-forwarded-for").iter().next_back()?;
    all.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

fn is_near(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        // What carriers have between them and their customers (RFC 6598).
        IpAddr::V4(peer) if peer.octets()[0] == 100 => (64..128).contains(&peer.octets()[1]),
        IpAddr::V4(peer) => peer.is_private() || peer.is_loopback(),
        IpAddr::V6(peer) => peer.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::headers;

    const NAME: HeaderName = HeaderName::from_static("x-real-ip");

    fn peer(ip: &str) -> Peer {
        Peer { address: SocketAddr::new(ip.parse().unwrap(), 80), secure: false }
    }

    #[test]
    fn a_header_says_who_asks_if_it_is_configured() {
        let proxy = peer("10.0.0.1");
        let all = [("x-forwarded-for", "5.6.7.8"), ("x-real-ip", "1.2.3.4")];
        let asker = |sent: &[_]| asker(Some(&NAME), &headers(sent), proxy);
        let one = peer("1.2.3.4");
        assert_eq!(asker(&all), Asker { peer: one, shown: one.ip() });
        let twice = [all[1], ("x-real-ip", "5.6.7.8")];
        for odd in [&[][..], &twice, &all[..1], &[("x-real-ip", "1.2.3.4, 5.6.7.8")]] {
            assert_eq!(asker(odd), Asker { peer: proxy, shown: proxy.ip() }, "{odd:?}");
        }
    }

    #[test]
    fn without_it_what_anybody_can_send_is_shown_and_decides_nothing() {
        for (address, sent, shown) in [
            ("10.0.0.1", &["1.2.3.4, 5.6.7.8"][..], "5.6.7.8"),
            ("127.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("192.168.1.1", &["9.9.9.9", "1.2.3.4"], "1.2.3.4"),
            ("::ffff:172.16.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("100.64.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("100.63.0.1", &["1.2.3.4"], "100.63.0.1"),
            ("::1", &["2001:db8::1"], "2001:db8::1"),
            ("9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
            ("10.0.0.1", &["1.2.3.4 [notice] x"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            let sent: Vec<_> = sent.iter().map(|value| ("x-forwarded-for", *value)).collect();
            let asker = asker(None, &headers(&sent), peer(address));
            assert_eq!(asker.peer, peer(address), "{sent:?}");
            assert_eq!(asker.shown.to_string(), shown, "{address} {sent:?}");
        }
    }
}
