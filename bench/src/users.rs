//! Rows about who asks: the same reads as nobody, and as a user with a cookie or a password, and what
//! a login costs. The user is made once for each side, the database that is read is open to all.

use std::io;

use serde_json::json;
use settee_tests::base64;
use settee_tests::client::{ANONYMOUS, Request};
use settee_tests::orders::id;

use crate::load::closed_loop;
use crate::rows::Bench;

const USER: &str = "/_users/org.couchdb.user:bench";
const PASSWORD: &str = "a password of some length";

/// How a reader says who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    Nothing,
    /// By a session's cookie.
    Cookie,
    /// By name and password in every request.
    Password,
}

impl Bench {
    /// Reads by id of clients that prove who they are with each request.
    pub fn reads_as(&mut self, proof: Proof, clients: usize) -> io::Result<Option<f64>> {
        self.prepare_user()?;
        let (name, value) = match proof {
            Proof::Nothing => ("Authorization", ANONYMOUS.to_owned()),
            Proof::Cookie => ("Cookie", self.log_in()?),
            Proof::Password => {
                let said = format!("bench:{PASSWORD}");
                ("Authorization", format!("Basic {}", base64(said.as_bytes())))
            }
        };
        let docs = self.docs;
        let next = |worker: usize, n: usize| {
            let number = (n * clients + worker).wrapping_mul(7919) % docs;
            let read = Request::new("GET", &format!("/bench_read/{}", id(number)));
            let read = read.header(name, &value);
            // A cookie alone: clients here send the administrator's password otherwise.
            if proof == Proof::Cookie { read.header("Authorization", ANONYMOUS) } else { read }
        };
        closed_loop(&self.addresses, clients, self.seconds, next, |r| r.status == 200).map(Some)
    }

    /// Logins of clients that know the password.
    pub fn logins(&mut self, clients: usize) -> io::Result<Option<f64>> {
        self.prepare_user()?;
        let next = |_: usize, _: usize| log_in();
        closed_loop(&self.addresses, clients, self.seconds, next, |r| r.status == 200).map(Some)
    }

    /// Makes the user, if there is none yet, and opens the database that is read.
    fn prepare_user(&mut self) -> io::Result<()> {
        let open =
            json!({"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}});
        let security = Request::new("PUT", "/bench_read/_security").json(&open.to_string());
        self.expect(&security, 200)?;
        if self.nodes.send(&Request::new("GET", USER))?.status == 200 {
            return Ok(());
        }
        let user = json!({"name": "bench", "type": "user", "roles": [], "password": PASSWORD});
        self.expect(&Request::new("PUT", USER).json(&user.to_string()), 201).map(drop)
    }

    /// The cookie of a new session.
    fn log_in(&mut self) -> io::Result<String> {
        let answer = self.nodes.send(&log_in())?;
        let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        cookie.map(str::to_owned).ok_or_else(|| io::Error::other(answer.text()))
    }
}

fn log_in() -> Request {
    let body = json!({"name": "bench", "password": PASSWORD}).to_string();
    Request::new("POST", "/_session").header("Authorization", ANONYMOUS).json(&body)
}
