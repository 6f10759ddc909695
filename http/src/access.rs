//! The access log: one event for each request, when its answer is over. Says what was asked and how it
//! went, never what was in it; where such events go, and how they look, is the program's business.

use std::net::IpAddr;
use std::time::Instant;

use http::{HeaderMap, Method, StatusCode, Uri};

use crate::auth::User;
use crate::context::{Peer, push_encoded};
use crate::reply::{Ended, Reply, ReplyBody};

/// The events' target.
pub const TARGET: &str = "settee::access";

/// Whether anybody wants to know.
pub fn wanted() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::INFO)
}

/// A request as the log shows it.
pub struct Asked {
    began: Instant,
    method: Method,
    /// As it came, whatever design documents made of it.
    uri: Uri,
    host: String,
    peer: IpAddr,
}

impl Asked {
    /// Takes down what may change while it is answered.
    #[must_use]
    pub fn new(head: &http::request::Parts, peer: Peer, began: Instant) -> Self {
        let named = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = named.or(head.uri.authority().map(http::uri::Authority::as_str));
        Asked {
            began,
            method: head.method.clone(),
            uri: head.uri.clone(),
            host: host.unwrap_or("undefined").to_owned(),
            peer: client(&head.headers, peer.ip()),
        }
    }

    /// Tells of it when its answer is over, which is now unless that is a stream.
    pub fn follow(self, reply: &mut Reply, user: &User, id: &str) {
        let (status, id) = (reply.status, id.to_owned());
        let mut name = String::new();
        match user.name.as_deref() {
            Some(user) => push_encoded(&mut name, user),
            None => name.push_str("undefined"),
        }
        match &mut reply.body {
            ReplyBody::Full(_) => self.tell(&name, &id, status, Ended::Whole),
            ReplyBody::Stream(stream) => {
                stream.when_over(Box::new(move |ended| self.tell(&name, &id, status, ended)));
            }
        }
    }

    fn tell(&self, user: &str, id: &str, status: StatusCode, ended: Ended) {
        let target = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let ended = match ended {
            Ended::Whole => "ok",
            Ended::BrokenOff => "aborted",
        };
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: TARGET,
            id,
            host = self.host.as_str(),
            peer = %self.peer,
            user,
            method = self.method.as_str(),
            path = target,
            status = status.as_u16(),
            ended,
            ms,
        );
    }
}

/// Who asks, as a proxy says it, if it is one of this network.
fn client(headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let near = match peer {
        IpAddr::V4(peer) => peer.is_private() || peer.is_loopback(),
        IpAddr::V6(peer) => peer.is_loopback(),
    };
    let forwarded = headers.get("x-forwarded-for").filter(|_| near);
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    last.and_then(|last| last.trim().parse().ok()).unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_of_this_network_speaks_for_others() {
        for (peer, forwarded, shown) in [
            ("10.0.0.1", "1.2.3.4, 5.6.7.8", "5.6.7.8"),
            ("127.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("::1", "2001:db8::1", "2001:db8::1"),
            ("9.9.9.9", "1.2.3.4", "9.9.9.9"),
            ("10.0.0.1", "1.2.3.4 [notice] x", "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            assert_eq!(client(&headers, peer.parse().unwrap()).to_string(), shown);
        }
    }
}
