//! Users of a cluster: whoever is asked knows them, their sessions and their databases, whatever
//! becomes of single nodes meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use settee_tests::ask::{as_nobody, configure, get, put_json, status, wait_for};
use settee_tests::base64;
use settee_tests::client::{Client, Request};
use settee_tests::cluster::Cluster;

use crate::program;

/// How soon all nodes go by what was changed on one, on a machine that has much else to do.
const SOON: Duration = Duration::from_secs(10);

/// Three nodes that keep passwords cheaply.
fn with_three(test: impl FnOnce(&mut Cluster, &mut [Client])) {
    let mut cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    let made = put_json(&mut clients[0], "/_users", "").status;
    assert!([201, 202, 412].contains(&made), "{made}");
    for client in &mut clients {
        wait_for(|| (status(client, "/_users") == 200).then_some(()));
        configure(client, "chttpd_auth/iterations", "10");
    }
    test(&mut cluster, &mut clients);
}

fn path(name: &str) -> String {
    format!("/_users/org.couchdb.user:{name}")
}

fn database(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("/userdb-{hex}")
}

/// Writes a user until that is acknowledged: while a node is lost, some requests fail.
fn sign_up(client: &mut Client, name: &str, password: &str) {
    wait_for(|| {
        let kept = client.send(&Request::new("GET", &path(name))).ok()?;
        let rev = kept.json().ok()?["_rev"].clone();
        let mut user = json!({"name": name, "type": "user", "roles": [], "password": password});
        if rev.is_string() {
            user["_rev"] = rev;
        }
        let request = Request::new("PUT", &path(name)).json(&user.to_string());
        let answer = client.send(&request).ok()?;
        [201, 202].contains(&answer.status).then_some(())
    });
}

/// Deletes a user until that is acknowledged.
fn sign_off(client: &mut Client, name: &str) {
    wait_for(|| {
        let kept = client.send(&Request::new("GET", &path(name))).ok()?;
        if kept.status == 404 {
            return Some(());
        }
        let rev = kept.json().ok()?["_rev"].as_str()?.to_owned();
        let request = Request::new("DELETE", &format!("{}?rev={rev}", path(name)));
        client.send(&request).ok().filter(|answer| [200, 202].contains(&answer.status)).map(drop)
    });
}

/// Waits until a node shows a user's database, which is theirs and nobody else's.
fn see_database(client: &mut Client, name: &str) {
    let theirs = json!({"roles": ["_admin"], "names": [name]});
    wait_for(|| (status(client, &database(name)) == 200).then_some(()));
    let security = get(client, &format!("{}/_security", database(name)));
    assert_eq!(security, json!({"members": theirs, "admins": theirs}), "{name}");
}

#[test]
fn users_get_their_databases_whichever_node_is_lost() {
    with_three(|cluster, clients| {
        // Whichever leads hears of it.
        configure(&mut clients[2], "couch_peruser/enable", "true");
        configure(&mut clients[1], "couch_peruser/delete_dbs", "true");
        let mut users = Vec::new();
        for number in 0..6 {
            let name = format!("first-{number}");
            sign_up(&mut clients[number % 3], &name, "x");
            users.push(name);
        }
        for client in &mut *clients {
            users.iter().for_each(|name| see_database(client, name));
        }
        // One of them leads, so that whoever leads is lost once at least.
        for lost in 0..3 {
            let others = [(lost + 1) % 3, (lost + 2) % 3];
            for number in 0..8 {
                let name = format!("lost-{lost}-{number}");
                if number == 2 {
                    cluster.nodes()[lost].kill();
                }
                sign_up(&mut clients[others[number % 2]], &name, "x");
                users.push(name);
            }
            for node in others {
                users.iter().for_each(|name| see_database(&mut clients[node], name));
                let kept = get(&mut clients[node], "/_users/_local/couch_peruser");
                assert!(kept["seq"].is_string(), "{kept}");
            }
            // They go while it is away, and their databases with them.
            let gone: Vec<_> = users.drain(..3).collect();
            for (number, name) in gone.iter().enumerate() {
                sign_off(&mut clients[others[number % 2]], name);
            }
            for name in &gone {
                wait_for(|| {
                    (status(&mut clients[others[0]], &database(name)) == 404).then_some(())
                });
            }
            cluster.nodes()[lost].restart().expect("a process");
            cluster.wait_until_joined().expect("a cluster");
            users.iter().for_each(|name| see_database(&mut clients[lost], name));
            for name in &gone {
                wait_for(|| (status(&mut clients[lost], &database(name)) == 404).then_some(()));
            }
        }
        // Nothing else was made, and nothing of it is of somebody who went.
        let mut expected: Vec<_> =
            users.iter().map(|name| database(name).trim_start_matches('/').to_owned()).collect();
        expected.sort();
        for client in &mut *clients {
            let shown = get(client, "/_all_dbs?start_key=%22userdb-%22");
            assert_eq!(shown, Value::from(expected.clone()));
        }
    });
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{name}:{password}").as_bytes()))
}

/// Who a node says that somebody is, and the status of its answer.
fn who(client: &mut Client, header: &str, value: &str) -> (u16, Value) {
    let answer = as_nobody(client, "GET", "/_session", &[(header, value)]);
    let session = answer.json().expect("JSON");
    (answer.status, session["userCtx"]["name"].clone())
}

/// The cookie of a new session.
fn log_in(client: &mut Client, name: &str, password: &str) -> String {
    let body = json!({"name": name, "password": password}).to_string();
    let request = Request::new("POST", "/_session").header("Authorization", "none").json(&body);
    let answer = client.send(&request).expect("an answer");
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split_once(';'));
    cookie.expect("a cookie").0.to_owned()
}

/// Waits until something is so, for as long as all nodes may take to hear of a change.
fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    wait_for(|| so().then_some(()));
    assert!(began.elapsed() < SOON, "{what}: after {:?}", began.elapsed());
}

#[test]
fn a_login_on_one_node_is_one_on_all() {
    with_three(|_, clients| {
        sign_up(&mut clients[0], "ann", "first");
        for node in 0..3 {
            // What was acknowledged on one node is known on the others at once.
            assert_eq!(who(&mut clients[node], "Authorization", &basic("ann", "first")).0, 200);
            let cookie = log_in(&mut clients[node], "ann", "first");
            for other in &mut *clients {
                assert_eq!(who(other, "Cookie", &cookie), (200, json!("ann")));
            }
        }
        for changed in 0..3 {
            let (old, new) = (format!("old-{changed}"), format!("new-{changed}"));
            sign_up(&mut clients[changed], "ann", &old);
            let session = log_in(&mut clients[changed], "ann", &old);
            for client in &mut *clients {
                assert_eq!(who(client, "Authorization", &basic("ann", &old)).0, 200);
            }
            sign_up(&mut clients[changed], "ann", &new);
            // The new password and its sessions count everywhere at once.
            let fresh = log_in(&mut clients[changed], "ann", &new);
            for client in &mut *clients {
                assert_eq!(who(client, "Cookie", &fresh), (200, json!("ann")));
                assert_eq!(who(client, "Authorization", &basic("ann", &new)).0, 200);
            }
            // The old ones end where it was changed, and soon everywhere.
            let own = &mut clients[changed];
            assert_eq!(who(own, "Authorization", &basic("ann", &old)).0, 401);
            assert_eq!(who(own, "Cookie", &session).1, Value::Null);
            for client in &mut *clients {
                soon("an old password", || {
                    who(client, "Authorization", &basic("ann", &old)).0 == 401
                });
                soon("an old session", || who(client, "Cookie", &session).1 == Value::Null);
            }
        }
        // Who is deleted is soon nobody.
        let session = log_in(&mut clients[1], "ann", "new-2");
        sign_off(&mut clients[2], "ann");
        for client in &mut *clients {
            soon("a deleted user", || who(client, "Cookie", &session).1 == Value::Null);
        }
    });
}

#[test]
fn administrators_and_secrets_are_those_of_all_nodes() {
    with_three(|cluster, clients| {
        configure(&mut clients[1], "admins/eve", "apple");
        for client in &mut *clients {
            soon("an administrator", || {
                who(client, "Authorization", &basic("eve", "apple")) == (200, json!("eve"))
            });
        }
        let session = log_in(&mut clients[2], "eve", "apple");
        for client in &mut *clients {
            assert_eq!(who(client, "Cookie", &session).1, "eve");
        }
        // The secret has an old name, which is the same one's.
        configure(&mut clients[0], "couch_httpd_auth/secret", "of all nodes");
        for client in &mut *clients {
            for section in ["chttpd_auth", "couch_httpd_auth"] {
                let path = format!("/_node/_local/_config/{section}/secret");
                soon("a secret", || get(client, &path) == "of all nodes");
            }
            assert_eq!(who(client, "Cookie", &session).1, "eve", "the secret before is believed");
        }
        let session = log_in(&mut clients[0], "eve", "apple");
        cluster.nodes()[1].kill_and_restart().expect("a process");
        cluster.wait_until_joined().expect("a cluster");
        for client in &mut *clients {
            assert_eq!(who(client, "Cookie", &session).1, "eve");
        }
        for path in ["admins/eve", "couch_httpd_auth/secret", "chttpd_auth/secret_before"] {
            let request = Request::new("DELETE", &format!("/_node/_local/_config/{path}"));
            assert_eq!(clients[2].send(&request).expect("an answer").status, 200, "{path}");
        }
        for client in &mut *clients {
            soon("a deleted secret", || {
                status(client, "/_node/_local/_config/chttpd_auth/secret") == 404
            });
            assert_eq!(who(client, "Cookie", &session).1, Value::Null);
            soon("a former administrator", || {
                who(client, "Authorization", &basic("eve", "apple")).0 == 401
            });
        }
    });
}

#[test]
fn the_administrator_of_the_environment_is_the_same_on_all_nodes() {
    let cluster = Cluster::start(&program(), 3).expect("a cluster");
    let mut clients = cluster.clients();
    soon("a session on all nodes", || {
        let cookie = log_in(&mut clients[0], "admin", "pass");
        let admin = (200, json!("admin"));
        clients[1..].iter_mut().all(|client| who(client, "Cookie", &cookie) == admin)
    });
}
