//! [`Patience`]: how long is waited for the other end of a connection, in all that it can keep
//! waiting. Connections are few ([`crate::serve`] is told how many), so one that does nothing must
//! not keep its place. Never measures anything itself.

use std::time::Duration;

/// Times after which a connection, or what it asked, is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until it is agreed on how what is said is secured.
    pub handshake: Duration,
    /// Until the first bytes tell which protocol is spoken.
    pub beginning: Duration,
    /// Between requests, and until the head of a request has come. CouchDB waits as long.
    pub idle: Duration,
    /// Until something of an answer is taken.
    pub answer: Duration,
    /// For the next piece of a request's body.
    pub body: Duration,
    /// The same, of a request of nobody known.
    pub stranger: Duration,
    /// How long a client of HTTP/2 says nothing before it is asked whether it is there; it has the
    /// time for answers to say so, as it may have to take what was sent before.
    pub ping: Duration,
    /// For answers under way when a connection is closed; feeds would go on for ever.
    pub farewell: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Patience {
            handshake: seconds(20),
            beginning: seconds(60),
            idle: seconds(300),
            answer: seconds(300),
            body: seconds(300),
            stranger: seconds(60),
            ping: seconds(60),
            farewell: seconds(3),
        }
    }
}
