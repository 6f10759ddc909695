//! Users that strangers try to harm: whoever they write about, administrators log in, and nobody becomes
//! somebody else.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use settee_tests::ask::{configure, get, wait_for};
use settee_tests::base64;
use settee_tests::client::{Client, Request};
use sha1::Sha1;

use crate::with_server;

fn basic(user: &str) -> String {
    format!("Basic {}", base64(user.as_bytes()))
}

/// Asks as somebody, or as nobody.
fn ask(client: &mut Client, user: Option<&str>, request: Request) -> (u16, Value) {
    let proof = user.map_or("none".to_owned(), basic);
    let answer = client.send(&request.header("Authorization", &proof)).expect("an answer");
    (answer.status, answer.json().unwrap_or_default())
}

/// A server whose `_users` is everybody's, with Ann in it.
pub fn with_users(test: impl FnOnce(&mut Client)) {
    with_server(|_, client| {
        configure(client, "couchdb/default_security", "everyone");
        configure(client, "chttpd_auth/iterations", "10");
        // The server may have made its own, of which only administrators are members.
        client.send(&Request::new("DELETE", "/_users")).expect("an answer");
        assert_eq!(client.send(&Request::new("PUT", "/_users")).expect("an answer").status, 201);
        assert_eq!(ask(client, None, sign_up("ann", &json!({"password": "x"}))).0, 201);
        assert_eq!(ask(client, Some("ann:x"), Request::new("GET", "/_session")).0, 200);
        test(client);
    });
}

fn user(name: &str, more: &Value) -> Value {
    let id = format!("org.couchdb.user:{name}");
    let mut doc = json!({"_id": id, "name": name, "type": "user", "roles": []});
    for (key, value) in more.as_object().expect("an object") {
        doc[key] = value.clone();
    }
    doc
}

fn sign_up(name: &str, more: &Value) -> Request {
    Request::new("POST", "/_users").json(&user(name, more).to_string())
}

fn bulk(docs: &[Value], new_edits: bool) -> Request {
    let body = json!({"docs": docs, "new_edits": new_edits});
    Request::new("POST", "/_users/_bulk_docs").json(&body.to_string())
}

#[test]
fn strangers_cannot_lock_people_out() {
    with_users(|client| {
        let revs = [json!({"_rev": "1-a"}), json!({"_rev": "1-b"})];
        for name in ["ann", "admin"] {
            let docs = revs.each_ref().map(|rev| user(name, rev));
            assert_eq!(ask(client, None, bulk(&docs, false)).0, 403, "{name}");
            assert_eq!(ask(client, Some("ann:x"), bulk(&docs, false)).0 / 100, 4, "{name}");
        }
        assert_eq!(ask(client, Some("ann:x"), Request::new("GET", "/_session")).0, 200);
        // However such conflicts come to be, administrators can mend them.
        let docs = revs.each_ref().map(|rev| user("admin", rev));
        let admin = Some("admin:pass");
        assert_eq!(ask(client, admin, bulk(&docs, false)).0, 201);
        let conflicts = ask(
            client,
            admin,
            Request::new("GET", "/_users/org.couchdb.user:admin?conflicts=true"),
        );
        assert_eq!(conflicts.1["_conflicts"], json!(["1-a"]));
    });
}

#[test]
fn nobody_becomes_somebody_else() {
    with_users(|client| {
        let path = "/_users/org.couchdb.user:ann";
        let (_, ann) = ask(client, Some("admin:pass"), Request::new("GET", path));
        let rev = ann["_rev"].as_str().expect("a revision").to_owned();
        let theirs = user("ann", &json!({"_rev": rev, "password": "mine"})).to_string();
        let put = || Request::new("PUT", path).json(&theirs);
        assert_eq!(ask(client, Some("ann:x"), sign_up("bob", &json!({"password": "y"}))).0, 404);
        assert_eq!(ask(client, None, sign_up("bob", &json!({"password": "y"}))).0, 201);
        for (who, expected) in [(None, 403), (Some("bob:y"), 404)] {
            assert_eq!(ask(client, who, put()).0, expected, "{who:?}");
            let delete = Request::new("DELETE", &format!("{path}?rev={rev}"));
            assert_eq!(ask(client, who, delete).0, 404, "{who:?}");
            let att = Request::new("PUT", &format!("{path}/a?rev={rev}")).json("1");
            assert_eq!(ask(client, who, att).0, 404, "{who:?}");
            assert_eq!(ask(client, who, Request::new("GET", path)).0, 404, "{who:?}");
        }
        for odd in [json!({"name": ["ann"]}), json!({"roles": ["_admin"]}), json!({"roles": "x"})] {
            assert_eq!(ask(client, None, sign_up("odd", &odd)).0, 403, "{odd}");
        }
        assert_eq!(ask(client, Some("ann:x"), Request::new("GET", "/_session")).0, 200);
    });
}

#[test]
fn a_login_costs_what_the_server_says() {
    with_users(|client| {
        let many: Vec<Value> =
            (0..9).map(|n| user(&format!("u{n}"), &json!({"password": "x"}))).collect();
        assert_eq!(ask(client, None, bulk(&many, true)).0, 403);
        let dear = json!({
            "password_scheme": "pbkdf2", "salt": "s", "derived_key": "00", "iterations": 999_999_999,
        });
        assert_eq!(ask(client, None, sign_up("dear", &dear)).0, 403);
        assert_eq!(ask(client, Some("admin:pass"), sign_up("dear", &dear)).0, 201);
        let (status, answer) = ask(client, Some("dear:x"), Request::new("GET", "/_session"));
        assert_eq!(status, 403, "{answer}");
    });
}

/// Derivations of passwords so far: quick ones, for what is known already, and slow ones.
fn derivations(client: &mut Client) -> [u64; 2] {
    let path = |name| format!("/_node/_local/_stats/couchdb/password_hashing_{name}");
    ["fast", "slow"].map(|name| get(client, &path(name))["value"].as_u64().expect("a number"))
}

#[test]
fn one_derivation_is_paid_for_a_password_and_one_for_each_wrong_one() {
    with_users(|client| {
        assert_eq!(ask(client, None, sign_up("bob", &json!({"password": "x"}))).0, 201);
        for (proof, status, cost) in
            [("bob:no", 401, [0, 1]), ("bob:x", 200, [1, 1]), ("bob:x", 200, [1, 0])]
        {
            let before = derivations(client);
            let session = Request::new("GET", "/_session");
            assert_eq!(ask(client, Some(proof), session).0, status, "{proof}");
            let [fast, slow] = derivations(client);
            // Who reads the numbers proves who they are, too.
            assert_eq!([fast - before[0] - 2, slow - before[1]], cost, "{proof}");
        }
    });
}

#[test]
fn how_far_the_server_has_come_is_not_for_users_to_say() {
    with_users(|client| {
        let put = || Request::new("PUT", "/_users/_local/couch_peruser");
        let far = json!({"prefix": "userdb-", "seq": "99-x"}).to_string();
        for who in [None, Some("ann:x")] {
            assert_eq!(ask(client, who, put().json(&far)).0, 403, "{who:?}");
        }
        // What no server has kept there means that all begins anew.
        assert_eq!(ask(client, Some("admin:pass"), put().json(&far)).0, 201);
        configure(client, "couch_peruser/enable", "true");
        let path = "/userdb-616e6e";
        wait_for(|| {
            let found = ask(client, Some("ann:x"), Request::new("GET", path));
            (found.0 == 200).then_some(())
        });
    });
}

#[test]
fn a_changed_or_purged_user_counts_at_once() {
    with_users(|client| {
        let path = "/_users/org.couchdb.user:ann";
        let session = || Request::new("GET", "/_session");
        let (_, ann) = ask(client, Some("ann:x"), Request::new("GET", path));
        let changed = user("ann", &json!({"_rev": ann["_rev"], "password": "new"}));
        let put = Request::new("PUT", path).json(&changed.to_string());
        let (status, saved) = ask(client, Some("ann:x"), put);
        assert_eq!(status, 201);
        assert_eq!(ask(client, Some("ann:x"), session()).0, 401);
        assert_eq!(ask(client, Some("ann:new"), session()).0, 200);
        // New passwords are kept otherwise now: so is this one, once it was used.
        configure(client, "chttpd_auth/iterations", "11");
        let began = Instant::now();
        assert_eq!(ask(client, Some("ann:new"), session()).0, 200);
        let kept = wait_for(|| {
            let (_, ann) = ask(client, Some("ann:new"), Request::new("GET", path));
            (ann["iterations"] == 11).then_some(ann)
        });
        assert_ne!(kept["_rev"], saved["rev"]);
        // But not with every login: who edits the document meanwhile would meet conflicts.
        configure(client, "chttpd_auth/iterations", "12");
        assert_eq!(ask(client, Some("ann:new"), session()).0, 200);
        thread::sleep(Duration::from_millis(300));
        let (_, again) = ask(client, Some("ann:new"), Request::new("GET", path));
        if began.elapsed() < Duration::from_secs(4) {
            assert_eq!(again["_rev"], kept["_rev"]);
        }
        let kept = again;
        let purge = json!({ "org.couchdb.user:ann": [kept["_rev"]] }).to_string();
        let purge = Request::new("POST", "/_users/_purge").json(&purge);
        assert_eq!(ask(client, Some("admin:pass"), purge).0, 201);
        assert_eq!(ask(client, Some("ann:new"), session()).0, 401);
    });
}

/// The number of RFC 6238 for `key` now.
fn number_of(key: &[u8]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key");
    mac.update(&(now.as_secs() / 30).to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let offset = usize::from(mac[19] & 15);
    let four = u32::from_be_bytes(mac[offset..offset + 4].try_into().expect("four bytes"));
    format!("{:06}", (four & 0x7fff_ffff) % 1_000_000)
}

#[test]
fn a_second_factor_is_wanted_where_there_is_one() {
    with_users(|client| {
        let eve = json!({"password": "x", "totp": {"key": "GEZDGNBVGY3TQOJQ"}});
        assert_eq!(ask(client, None, sign_up("eve", &eve)).0, 201);
        assert_eq!(ask(client, Some("eve:x"), Request::new("GET", "/_session")).0, 401);
        let mut log_in = |password: &str, token: Option<&str>| {
            let mut said = json!({"name": "eve", "password": password});
            if let Some(token) = token {
                said["token"] = json!(token);
            }
            ask(client, None, Request::new("POST", "/_session").json(&said.to_string())).0
        };
        let number = number_of(b"1234567890");
        assert_eq!(log_in("x", None), 401);
        assert_eq!(log_in("x", Some("")), 401);
        assert_eq!(log_in("y", Some(&number)), 401);
        assert_eq!(log_in("x", Some(&number)), 200);
    });
}

#[test]
fn no_password_is_kept_in_clear() {
    with_users(|client| {
        for path in ["/_users/_local/x", "/_users/_local/org.couchdb.user:ann"] {
            let put = Request::new("PUT", path).json(r#"{"password":"secret"}"#);
            assert_eq!(client.send(&put).expect("an answer").status, 201);
            let kept = get(client, path);
            assert!(kept.get("password").is_none() && kept.get("derived_key").is_some(), "{kept}");
        }
    });
}
