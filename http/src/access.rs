//! The access log: one event for each request, when its answer is over. Says what was asked and how it
//! went, never what was in it; where such events go, and how they look, is the program's business.

use std::net::IpAddr;
use std::time::Instant;

use http::{Method, StatusCode, Uri};

use crate::auth::User;
use crate::percent::push_segment;
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
    /// Takes down what may change while it is answered; `peer` is who is shown as asking.
    #[must_use]
    pub fn new(head: &http::request::Parts, peer: IpAddr, began: Instant) -> Self {
        let named = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = named.or(head.uri.authority().map(http::uri::Authority::as_str));
        Asked {
            began,
            method: head.method.clone(),
            uri: head.uri.clone(),
            host: host.unwrap_or("undefined").to_owned(),
            peer,
        }
    }

    /// Tells of it when its answer is over, which is now unless that is a stream.
    pub fn follow(self, reply: &mut Reply, user: &User, id: &str) {
        let (status, id) = (reply.status, id.to_owned());
        let mut name = String::new();
        match user.name.as_deref() {
            Some(user) => push_segment(&mut name, user),
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
