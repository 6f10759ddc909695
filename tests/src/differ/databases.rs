//! The database itself: made, filled, looked at, its limits and its security; routes by methods that
//! they do not have.

use super::pool::quoted;
use super::{Maker, WRONG};
use crate::client::Request;

const ROUTES: [&str; 25] = [
    "",
    "/",
    "/_all_docs",
    "/_changes",
    "/_bulk_docs",
    "/_bulk_get",
    "/_revs_diff",
    "/_missing_revs",
    "/_security",
    "/_revs_limit",
    "/_purge",
    "/_purged_infos",
    "/_purged_infos_limit",
    "/_find",
    "/_index",
    "/_explain",
    "/_design_docs",
    "/_local_docs",
    "/_compact",
    "/_ensure_full_commit",
    "/_view_cleanup",
    "/_nothing",
    "/_design/v1/_info",
    "/_design/v1/_view/v0",
    "/_partition/p",
];

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "COPY", "OPTIONS", "PATCH", "DELETE"];

impl Maker {
    pub(super) fn create_database(&mut self) {
        self.world.partitioned = self.dice.chance(15);
        self.world.spread = self.dice.chance(20);
        let mut query =
            vec![format!("q={}", if self.world.spread { 2 + self.dice.below(3) } else { 1 })];
        if self.world.partitioned {
            query.push("partitioned=true".to_owned());
        }
        self.ask(Request::new("PUT", &self.path("", &query)));
    }

    /// Some documents to begin with, so that there is something to ask for.
    pub(super) fn fill_database(&mut self) {
        for _ in 0..3 + self.dice.below(6) {
            let id = self.new_id();
            let members = self.members();
            let path = self.path(&format!("/{}", super::pool::in_path(&id)), &[]);
            let rev = self.ask_and_keep(
                Request::new("PUT", &path).json(&format!("{{{}}}", members.join(","))),
                'r',
                "/rev",
            );
            if self.world.doc(&id).revs.is_empty() {
                self.world.edited(&id, rev, Vec::new(), false);
            }
        }
    }

    pub(super) fn database(&mut self) {
        match self.dice.below(20) {
            0..3 => self.ask(Request::new("GET", &self.path("", &[]))),
            3..5 => self.limit("/_revs_limit"),
            5 => self.limit("/_purged_infos_limit"),
            6..8 => self.security(),
            8 => self.ask(Request::new("GET", &self.path("/_purged_infos", &[]))),
            9..11 if self.world.partitioned => {
                let partition = self.dice.pick(&["p", "q", "none", "_p", ""]);
                self.ask(Request::new("GET", &self.path(&format!("/_partition/{partition}"), &[])));
            }
            11..13 => {
                let id = self.id();
                self.ask(Request::new(
                    "GET",
                    &self.path(&format!("/_design/{}/_info", super::pool::in_path(&id)), &[]),
                ));
            }
            _ => self.any_route(),
        }
    }

    fn limit(&mut self, route: &str) {
        let limit = match self.dice.chance(WRONG) {
            true => self.dice.pick(&["0", "-1", "\"5\"", "x", "1.5", "null", "{}"]).to_owned(),
            false => (1 + self.dice.below(8)).to_string(),
        };
        self.ask(Request::new("PUT", &self.path(route, &[])).json(&limit));
        self.ask(Request::new("GET", &self.path(route, &[])));
    }

    fn security(&mut self) {
        let names = self.list_of(|maker| quoted(maker.dice.pick(&["a", "é", "_admin", ""])));
        let body = match self.dice.below(8) {
            0 => self
                .dice
                .pick(&[
                    "[]",
                    "5",
                    "{\"admins\":5}",
                    "{\"members\":{\"names\":\"a\"}}",
                    "{\"members\":{\"roles\":[5]}}",
                    "{",
                ])
                .to_owned(),
            1 => "{}".to_owned(),
            2 => format!("{{\"cloudant\":{{\"a\":{names}}},\"x\":1}}"),
            // The roles of an administrator, or nobody could go on asking.
            _ => format!(
                "{{\"admins\":{{\"names\":{names},\"roles\":[\"_admin\"]}},\"members\":{{\"roles\":[\"_admin\"],\"names\":{names}}}}}"
            ),
        };
        self.ask(Request::new("PUT", &self.path("/_security", &[])).json(&body));
        self.ask(Request::new("GET", &self.path("/_security", &[])));
    }

    /// A route by some method. What deletes, compacts or cleans stays out.
    fn any_route(&mut self) {
        let (route, method) = (self.dice.pick(&ROUTES), self.dice.pick(&METHODS));
        let harmful = route.len() < 2 && method != "GET" && method != "HEAD" || method == "OPTIONS";
        let cleans = method == "POST" && ["/_compact", "/_view_cleanup"].contains(&route);
        if harmful || cleans {
            return self.ask(Request::new("GET", &self.path("/_security", &[])));
        }
        let request = Request::new(method, &self.path(route, &[]));
        let body = self.dice.pick(&["{}", "[]", "5", "\"a\"", "null", "{\"keys\":[]}"]);
        let sends = ["POST", "PUT"].contains(&method) && self.dice.chance(70);
        self.ask(if sends { request.json(body) } else { request });
    }
}
