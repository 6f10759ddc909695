//! Ways to prove who one is: tokens, headers of proxies, cookies under a secret that changes, and a
//! server that wants to know who asks, whatever is asked.

use serde_json::{Value, json};
use settee_tests::ask::{as_nobody, configure, get, put_json, status, wait_for};
use settee_tests::base64;
use settee_tests::client::{ANONYMOUS, Client, Request, Response};

use crate::with_server;

const TOKENS: &str = include_str!("../../http/src/auth/jwt/tokens.json");

/// A server for which these settings hold, and a client that administers it.
fn with(settings: &[(&str, &str)], test: impl FnOnce(&mut Client)) {
    with_server(|_, client| {
        settings.iter().for_each(|(key, value)| configure(client, key, value));
        test(client);
    });
}

/// Who one is with these headers, and how that was proven.
fn session(client: &mut Client, headers: &[(&str, &str)]) -> (Value, Value, Value) {
    let answer = as_nobody(client, "GET", "/_session", headers);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let session = answer.json().expect("JSON");
    let user = &session["userCtx"];
    (user["name"].clone(), user["roles"].clone(), session["info"]["authenticated"].clone())
}

const JWT: &str = "{chttpd_auth, jwt_authentication_handler}";
const USUAL: &str = "{chttpd_auth, cookie_authentication_handler}, \
                     {chttpd_auth, default_authentication_handler}";

#[test]
fn tokens_are_believed_if_they_are_configured() {
    let tokens: Value = serde_json::from_str(TOKENS).expect("JSON");
    let bearer = |token: &Value| format!("Bearer {}", token.as_str().expect("a token"));
    with(&[], |client| {
        for (name, key) in tokens["keys"].as_object().expect("an object") {
            configure(client, &format!("jwt_keys/{name}"), key.as_str().expect("a key"));
        }
        let admin = bearer(&tokens["admin"]);
        let admin = [("Authorization", admin.as_str())];
        assert_eq!(session(client, &admin).0, Value::Null);
        configure(client, "chttpd/authentication_handlers", &format!("{JWT}, {USUAL}"));
        for good in tokens["good"].as_array().expect("a list") {
            let said = session(client, &[("Authorization", &bearer(&good["token"]))]);
            assert_eq!(said, (json!("ann"), json!(["dev"]), json!("jwt")), "{good}");
        }
        for bad in tokens["bad"].as_array().expect("a list") {
            let token = bearer(&bad["token"]);
            let answer = as_nobody(client, "GET", "/_session", &[("Authorization", &token)]);
            let body = answer.json().expect("JSON");
            let said = (json!(answer.status), &body["error"], &body["reason"]);
            assert_eq!(said, (bad["status"].clone(), &bad["error"], &bad["reason"]), "{bad}");
        }
        assert_eq!(session(client, &admin), (json!("root"), json!(["_admin"]), json!("jwt")));
        assert_eq!(as_nobody(client, "GET", "/_all_dbs", &admin).status, 200);
        // From here on neither passwords nor cookies are.
        configure(client, "chttpd/authentication_handlers", JWT);
        let answer = client.send(&Request::new("GET", "/_session")).expect("an answer");
        let answer = answer.json().expect("JSON");
        assert_eq!(answer["userCtx"]["name"], Value::Null);
        assert_eq!(answer["info"]["authentication_handlers"], json!(["jwt"]));
        assert_eq!(as_nobody(client, "GET", "/_all_dbs", &admin).status, 200);
    });
}

#[test]
fn a_proxy_is_believed_if_it_proves_what_it_says() {
    let proxy = format!("{{chttpd_auth, proxy_authentication_handler}}, {USUAL}");
    let settings = [
        ("chttpd_auth/secret", "a secret"),
        ("chttpd_auth/proxy_use_secret", "true"),
        ("chttpd/authentication_handlers", &proxy),
    ];
    // HMAC with SHA-256 and with SHA-1 under that secret, of `ann`.
    let tokens = [
        "b5d19d0cb7bae3a592829401a8eb67c2fc5e5417ac169f6c481a2b0e01a1e04c",
        "f2871e4419a71f8bdb74cdb4bedc41b529d58123",
    ];
    with(&settings, |client| {
        let (name, roles) = (("X-Auth-CouchDB-UserName", "ann"), ("X-Auth-CouchDB-Roles", "a, b"));
        for token in tokens {
            let said = session(client, &[name, roles, ("X-Auth-CouchDB-Token", token)]);
            assert_eq!(said, (json!("ann"), json!(["a", "b"]), json!("proxy")));
        }
        let token = ("X-Auth-CouchDB-Token", tokens[0]);
        let admin = ("X-Auth-CouchDB-Roles", "_admin");
        let other = ("X-Auth-CouchDB-UserName", "bob");
        for sent in [&[name, roles][..], &[other, roles, token], &[name, roles, admin, token]] {
            assert_eq!(session(client, sent).0, Value::Null, "{sent:?}");
        }
        configure(client, "chttpd_auth/x_auth_username", "X-Who");
        assert_eq!(session(client, &[name, token]).0, Value::Null);
        assert_eq!(session(client, &[("X-Who", "ann"), token, admin]).1, json!(["_admin"]));
        configure(client, "chttpd_auth/proxy_use_secret", "false");
        assert_eq!(session(client, &[("X-Who", "bob"), roles]).0, json!("bob"));
    });
}

/// The `AuthSession` of an answer, if it gives one.
fn cookie(answer: &Response) -> Option<String> {
    let (cookie, _) = answer.header("set-cookie")?.split_once(';')?;
    Some(cookie.to_owned())
}

fn log_in(client: &mut Client, headers: &[(&str, &str)]) -> Response {
    let body = r#"{"name":"admin","password":"pass"}"#;
    let request = Request::new("POST", "/_session").header("Authorization", ANONYMOUS).json(body);
    let request = headers.iter().fold(request, |sent, (name, value)| sent.header(name, value));
    client.send(&request).expect("an answer")
}

#[test]
fn sessions_go_on_when_the_secret_changes() {
    with(&[("chttpd_auth/secret", "one")], |client| {
        let old = cookie(&log_in(client, &[])).expect("a cookie");
        let sent = [("Cookie", old.as_str())];
        configure(client, "chttpd_auth/secret", "two");
        assert_eq!(session(client, &sent).0, json!("admin"));
        let new = cookie(&as_nobody(client, "GET", "/_session", &sent)).expect("a fresh cookie");
        let answer = as_nobody(client, "GET", "/_session", &[("Cookie", &new)]);
        assert_eq!(cookie(&answer), None);
        // Who must be rid of the old one at once says so.
        let request = Request::new("DELETE", "/_node/_local/_config/chttpd_auth/secret_before");
        assert_eq!(client.send(&request).expect("an answer").status, 200);
        assert_eq!(session(client, &sent).0, Value::Null);
        assert_eq!(session(client, &[("Cookie", &new)]).0, json!("admin"));
        // Without any secret, the next login makes one.
        let request = Request::new("DELETE", "/_node/_local/_config/chttpd_auth/secret");
        assert_eq!(client.send(&request).expect("an answer").status, 200);
        assert_eq!(session(client, &[("Cookie", &new)]).0, Value::Null);
        let made = cookie(&log_in(client, &[])).expect("a cookie");
        assert_eq!(session(client, &[("Cookie", &made)]).0, json!("admin"));
    });
}

#[test]
fn a_cookie_that_came_over_tls_stays_there() {
    with(&[("chttpd_auth/same_site", "Strict")], |client| {
        let dress = |answer: Response| answer.header("set-cookie").unwrap_or_default().to_owned();
        let plain = dress(log_in(client, &[]));
        assert!(!plain.contains("Secure") && plain.ends_with("; SameSite=Strict"), "{plain}");
        for header in [("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "on")] {
            let secure = dress(log_in(client, &[header]));
            assert!(secure.contains("; Secure; Path=/; HttpOnly; SameSite=Strict"), "{secure}");
        }
    });
}

#[test]
fn peers_that_guess_are_told_apart_by_what_is_configured() {
    with(&[("chttpd_auth_lockout/threshold", "2")], |client| {
        let wrong = format!("Basic {}", base64(b"admin:wrong"));
        let guess = |client: &mut Client, from: &str| {
            let sent = [("Authorization", wrong.as_str()), ("X-Forwarded-For", from)];
            as_nobody(client, "GET", "/", &sent).status
        };
        configure(client, "chttpd/peer_header", "X-Forwarded-For");
        assert_eq!([(); 3].map(|()| guess(client, "1.2.3.4")), [401, 401, 403]);
        assert_eq!(guess(client, "5.6.7.8"), 401);
        let request = Request::new("DELETE", "/_node/_local/_config/chttpd/peer_header");
        assert_eq!(client.send(&request).expect("an answer").status, 200);
        let all = ["1.2.3.4", "2.2.2.2", "3.3.3.3"].map(|from| guess(client, from));
        assert_eq!(all, [401, 401, 403]);
        // The administrator among them.
        assert_eq!(client.send(&Request::new("GET", "/")).expect("an answer").status, 403);
    });
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "COPY", "PATCH"];

/// A path for each route.
const PATHS: [&str; 60] = [
    "/",
    "/favicon.ico",
    "/_utils",
    "/_utils/index.html",
    "/_all_dbs",
    "/_dbs_info",
    "/_active_tasks",
    "/_uuids",
    "/_session",
    "/_db_updates",
    "/_membership",
    "/_cluster_setup",
    "/_node/_local",
    "/_node/_local/_config",
    "/_node/_local/_config/admins",
    "/_node/_local/_config/admins/admin",
    "/_node/_local/_config/_reload",
    "/_node/_local/_stats",
    "/_node/_local/_system",
    "/_node/_local/_prometheus",
    "/_node/_local/_versions",
    "/_node/_local/_restart",
    "/_replicate",
    "/_scheduler/jobs",
    "/_reshard",
    "/_up/x",
    "/_users",
    "/_users/org.couchdb.user:ann",
    "/db",
    "/db/_all_docs",
    "/db/_all_docs/queries",
    "/db/_design_docs",
    "/db/_local_docs",
    "/db/_bulk_docs",
    "/db/_bulk_get",
    "/db/_changes",
    "/db/_compact",
    "/db/_compact/d",
    "/db/_ensure_full_commit",
    "/db/_find",
    "/db/_explain",
    "/db/_index",
    "/db/_missing_revs",
    "/db/_revs_diff",
    "/db/_revs_limit",
    "/db/_purge",
    "/db/_purged_infos",
    "/db/_purged_infos_limit",
    "/db/_security",
    "/db/_shards",
    "/db/_shards/x",
    "/db/_sync_shards",
    "/db/_view_cleanup",
    "/db/_partition/p",
    "/db/doc",
    "/db/doc/att",
    "/db/_local/x",
    "/db/_design/d",
    "/db/_design/d/_view/v",
    "/db/_design/d/_rewrite/x",
];

#[test]
fn a_server_that_wants_to_know_who_asks_is_told_nothing_less() {
    with(&[], |client| {
        assert_eq!(put_json(client, "/db", "").status, 201);
        assert_eq!(put_json(client, "/db/_security", "{}").status, 200);
        for (flag, up) in [("require_valid_user", 401), ("require_valid_user_except_for_up", 200)] {
            configure(client, &format!("chttpd/{flag}"), "true");
            for path in PATHS {
                for method in METHODS {
                    let proofs = [("Authorization", "Bearer x"), ("Cookie", "AuthSession=")];
                    for sent in [&[][..], &proofs] {
                        if (method, path) != ("POST", "/_session") {
                            let status = as_nobody(client, method, path, sent).status;
                            assert_eq!(status, 401, "{method} {path} with {flag}");
                        }
                    }
                }
            }
            assert_eq!(as_nobody(client, "GET", "/_up", &[]).status, up);
            assert_eq!(as_nobody(client, "POST", "/_session", &[]).status, 415);
            assert_eq!(log_in(client, &[]).status, 200);
            assert_eq!(client.send(&Request::new("GET", "/db")).expect("an answer").status, 200);
            let path = format!("/_node/_local/_config/chttpd/{flag}");
            client.send(&Request::new("DELETE", &path)).expect("an answer");
        }
        // With both, nothing but what one of them lets through.
        configure(client, "chttpd/require_valid_user", "true");
        configure(client, "chttpd/require_valid_user_except_for_up", "true");
        assert_eq!(as_nobody(client, "GET", "/_up", &[]).status, 200);
        assert_eq!(as_nobody(client, "GET", "/db", &[]).status, 401);
        let odd = as_nobody(client, "GET", "/", &[("Authorization", "Basic !")]);
        assert_eq!(odd.status, 400, "{}", odd.text());
    });
}

fn user(name: &str) -> String {
    json!({"name": name, "type": "user", "roles": [], "password": "x"}).to_string()
}

#[test]
fn users_have_databases_of_their_own() {
    with(&[("chttpd_auth/iterations", "10"), ("couch_peruser/q", "2")], |client| {
        let path = |name: &str| format!("/_users/org.couchdb.user:{name}");
        let db = |name: &str| {
            let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("/userdb-{hex}")
        };
        // One that was there before, and one whose name somebody took.
        assert_eq!(put_json(client, &path("ann"), &user("ann")).status, 201);
        assert_eq!(put_json(client, &db("eve"), "").status, 201);
        configure(client, "couch_peruser/enable", "true");
        wait_for(|| (status(client, &db("ann")) == 200).then_some(()));
        let security = get(client, &format!("{}/_security", db("ann")));
        assert_eq!(security["admins"], json!({"roles": ["_admin"], "names": ["ann"]}));
        assert_eq!(security["members"], json!({"roles": ["_admin"], "names": ["ann"]}));
        assert_eq!(get(client, &db("ann"))["cluster"]["q"], 2);
        let basic = |name: &str| format!("Basic {}", base64(format!("{name}:x").as_bytes()));
        let ann = [("Authorization", basic("ann"))];
        let ann = ann.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(as_nobody(client, "GET", &db("ann"), &ann).status, 200);
        assert_eq!(put_json(client, &path("bob"), &user("bob")).status, 201);
        wait_for(|| (status(client, &db("bob")) == 200).then_some(()));
        assert_eq!(as_nobody(client, "GET", &db("bob"), &ann).status, 403);
        // They go, and their databases stay.
        let gone = |client: &mut Client, name: &str| {
            let rev = get(client, &path(name))["_rev"].as_str().expect("a revision").to_owned();
            let request = Request::new("DELETE", &format!("{}?rev={rev}", path(name)));
            assert_eq!(client.send(&request).expect("an answer").status, 200);
        };
        gone(client, "ann");
        let names = |client: &mut Client| {
            get(client, &format!("{}/_security", db("ann")))["members"]["names"].clone()
        };
        wait_for(|| (names(client) == json!([])).then_some(()));
        // They go, and their databases with them, but not those of others.
        configure(client, "couch_peruser/delete_dbs", "true");
        gone(client, "bob");
        wait_for(|| (status(client, &db("bob")) == 404).then_some(()));
        assert_eq!(status(client, &db("eve")), 200);
    });
}
