//! The frame around all handlers, over real connections: heads, users, limits, configuration,
//! shutting down. The server runs in the process, over a disk in memory.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

mod connections;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use settee_cluster::Cluster;
use settee_engine::Engine;
use settee_engine::io::SimStorage;
use settee_http::auth::password::Verifier;
use settee_http::auth::prf::Prf;
use settee_http::process::Unknown;
use settee_http::{App, ConfigFiles, Listener, Patience, random};
use settee_model::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Configuration in memory. Saving in the section `slow` takes as long as the other lock is held.
struct Memory(Mutex<Config>, Arc<Mutex<()>>);

impl ConfigFiles for Memory {
    fn load(&self) -> Result<Config, String> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, section: &str, key: &str, value: Option<&str>) -> Result<(), String> {
        let _slow = (section == "slow").then(|| self.1.lock().unwrap());
        let mut config = self.0.lock().unwrap();
        match value {
            Some(value) => config.set(section, key, value),
            None => config.remove(section, key),
        }
        Ok(())
    }
}

struct Server {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
    slow: Arc<Mutex<()>>,
    _dir: tempfile::TempDir,
}

/// An answer, its head's names in lower case.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

const ADMIN: &str = "Basic YWRtaW46cGFzcw==";

impl Server {
    async fn start() -> Self {
        Self::start_with(Patience::default(), 100).await
    }

    /// A server that has so much patience, and room for so many connections.
    async fn start_with(patience: Patience, connections: usize) -> Self {
        let mut config = Config::default();
        let admin = Verifier::derive("pass", "salt", Prf::Sha256, 10).to_admin();
        config.set("admins", "admin", &admin);
        config.set("chttpd_auth", "secret", "secret");
        config.set("chttpd_auth", "iterations", "10");
        let engine = Engine::open(Arc::new(SimStorage::new()), Default::default()).unwrap();
        let settings = settee_cluster::Settings::default();
        let dir = tempfile::tempdir().unwrap();
        let home = settee_cluster::Home::new(dir.path().to_owned());
        let cluster =
            Cluster::open(engine, settings, home, Arc::new(random::hex_32)).await.unwrap();
        let slow = Arc::new(Mutex::new(()));
        let files = Box::new(Memory(Mutex::new(config.clone()), slow.clone()));
        let app = App::new(cluster, config, files, Box::new(Unknown), random::bytes());
        let app = Arc::new(app.with_patience(patience));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Listener { socket: listener, secured: None };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let task = tokio::spawn(settee_http::serve(app, vec![listener], connections, stopped));
        Server { address, stop: Some(stop), task, slow, _dir: dir }
    }

    async fn send(&self, head: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{head} HTTP/1.1\r\nHost: here:5984\r\nConnection: close\r\n");
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.exchange(&format!("{text}\r\n{body}")).await
    }

    async fn exchange(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Answer { status, headers: headers.collect(), body: body.to_owned() }
    }

    async fn admin(&self, head: &str, body: &str) -> Answer {
        let json = ("Content-Type", "application/json");
        self.send(head, &[("Authorization", ADMIN), json], body).await
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn every_answer_has_couchdbs_head() {
    let server = Server::start().await;
    let get = server.send("GET /", &[], "").await;
    assert_eq!(get.status, 200);
    assert!(get.body.starts_with("{\"couchdb\":\"Welcome\",\"version\":\"3."), "{}", get.body);
    assert!(get.body.ends_with("}\n"));
    assert!(get.header("server").unwrap().starts_with("CouchDB/3."));
    assert_eq!(get.header("cache-control"), Some("must-revalidate"));
    assert_eq!(get.header("content-type"), Some("application/json"));
    assert_eq!(get.header("x-couch-request-id").unwrap().len(), 10);
    assert_eq!(get.header("x-couchdb-body-time"), Some("0"));
    assert!(get.header("date").is_some());

    let head = server.send("HEAD /", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["content-length", "content-type", "server"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let few = server.send("GET /", &[("Prefer", "return=minimal")], "").await;
    assert_eq!(few.header("x-couch-request-id"), None);
    assert!(few.header("server").is_some());
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_modified_says_that_nothing_follows() {
    let server = Server::start().await;
    server.admin("PUT /db", "").await;
    let saved = server.admin("PUT /db/doc", "{}").await;
    let tag = saved.header("etag").unwrap();
    let head = format!("HTTP/1.1\r\nHost: here\r\nAuthorization: {ADMIN}\r\n");
    let cached = format!("/db/doc {head}If-None-Match: {tag}\r\n");
    // The connection goes on after each of them.
    let text = format!("GET {cached}\r\nHEAD {cached}\r\nGET / {head}Connection: close\r\n\r\n");
    let first = server.exchange(&text).await;
    assert_eq!((first.status, first.header("etag")), (304, Some(tag)));
    assert_eq!(first.header("content-length"), Some("0"));
    let (second, third) = first.body.split_once("\r\n\r\n").unwrap();
    assert!(second.starts_with("HTTP/1.1 304 "), "{second}");
    assert!(second.contains("Content-Length: 0"), "{second}");
    assert!(third.starts_with("HTTP/1.1 200 ") && third.contains("Welcome"), "{third}");
    server.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused_in_order() {
    let server = Server::start().await;
    for (head, status, error) in [
        ("GET /a%zz", 400, "invalid_url_encoding"),
        ("GET /_all_dbs", 401, "You are not a server admin."),
        ("PATCH /_all_dbs", 401, "You are not a server admin."),
        ("PATCH /", 405, "Only GET,HEAD allowed"),
        ("OPTIONS /_up", 405, "Only GET,HEAD allowed"),
        ("GET /nothing", 404, "Database does not exist."),
        ("PUT /new", 401, "You are not a server admin."),
    ] {
        let answer = server.send(head, &[], "").await;
        assert_eq!(answer.status, status, "{head}");
        assert!(answer.body.contains(error), "{head}: {}", answer.body);
    }
    let not_allowed = server.send("PATCH /", &[], "").await;
    assert_eq!(not_allowed.header("allow"), Some("GET,HEAD"));
    server.stop().await;
}

#[tokio::test]
async fn passwords_and_cookies_say_who_one_is() {
    let server = Server::start().await;
    assert_eq!(server.admin("GET /_all_dbs", "").await.status, 200);
    let wrong = base64::engine::general_purpose::STANDARD.encode("admin:wrong");
    let wrong = server.send("GET /", &[("Authorization", &format!("Basic {wrong}"))], "").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("Name or password is incorrect."));
    let garbled = server.send("GET /", &[("Authorization", "Basic !!!")], "").await;
    assert_eq!(garbled.status, 400);

    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let login = server.send("POST /_session", &[form], "name=admin&password=pass").await;
    assert_eq!(login.body, "{\"ok\":true,\"name\":\"admin\",\"roles\":[\"_admin\"]}\n");
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let session = server.send("GET /_session", &[("Cookie", &cookie)], "").await;
    assert_eq!(
        session.body,
        "{\"ok\":true,\"userCtx\":{\"name\":\"admin\",\"roles\":[\"_admin\"]},\"info\":\
         {\"authentication_handlers\":[\"cookie\",\"default\"],\"authenticated\":\"cookie\"}}\n"
    );
    let forged = format!("{cookie}A");
    let forged = server.send("GET /_all_dbs", &[("Cookie", &forged)], "").await;
    assert!(forged.status >= 400, "{forged:?}");

    let refused = server.send("POST /_session", &[form], "name=admin&password=x").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("set-cookie").unwrap().starts_with("AuthSession=; Version=1"));
    let away = server.send("POST /_session?next=//evil", &[form], "name=admin&password=pass").await;
    assert_eq!(away.status, 400);
    let on = server.send("POST /_session?next=/x", &[form], "name=admin&password=pass").await;
    assert_eq!((on.status, on.header("location")), (302, Some("http://here:5984/x")));
    server.stop().await;
}

#[tokio::test]
async fn who_must_log_in_is_told_how() {
    let server = Server::start().await;
    let named = server.send("GET /_all_dbs", &[("X-CouchDB-WWW-Authenticate", "Foo")], "").await;
    assert_eq!(named.header("www-authenticate"), Some("Foo"));
    let browser = server.send("GET /_all_dbs", &[("Accept", "text/html")], "").await;
    assert_eq!(browser.status, 302);
    assert_eq!(
        browser.header("location"),
        Some(
            "http://here:5984/_utils/session.html?return=%2F_all_dbs&reason=You%20are%20not%20a\
             %20server%20admin."
        )
    );
    for (key, up) in [("require_valid_user", 401), ("require_valid_user_except_for_up", 200)] {
        let path = format!("/_node/_local/_config/chttpd/{key}");
        assert_eq!(server.admin(&format!("PUT {path}"), "\"true\"").await.status, 200);
        assert_eq!(server.send("GET /", &[], "").await.status, 401, "{key}");
        assert_eq!(server.send("GET /_session", &[], "").await.status, 401, "{key}");
        assert_eq!(server.send("GET /_up", &[], "").await.status, up, "{key}");
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let login = server.send("POST /_session", &[form], "name=admin&password=pass").await;
        assert_eq!(login.status, 200, "{key}");
        assert_eq!(server.admin(&format!("DELETE {path}"), "").await.body, "\"true\"\n");
        assert_eq!(server.send("GET /", &[], "").await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn configuration_is_read_and_changed() {
    let server = Server::start().await;
    let value = "/_node/_local/_config/foo/bar";
    for (head, body, status, answer) in [
        (format!("GET {value}"), "", 404, "unknown_config_value"),
        (format!("PUT {value}"), "\"1\"", 200, "\"\"\n"),
        (format!("PUT {value}"), "\" 2 \"", 200, "\"1\"\n"),
        (format!("GET {value}"), "", 200, "\"2\"\n"),
        (format!("PUT {value}"), "2", 400, "a JSON string expected"),
        (format!("PUT {value}"), "{", 400, "invalid UTF-8 JSON"),
        (format!("PUT {value}"), "\"a\\nb\"", 400, "Invalid configuration value"),
        ("GET /_node/_local/_config/foo".to_owned(), "", 200, "{\"bar\":\"2\"}\n"),
        (format!("DELETE {value}"), "", 200, "\"2\"\n"),
        (format!("DELETE {value}"), "", 404, "unknown_config_value"),
        ("PUT /_node/_local/_config/daemons/x".to_owned(), "\"1\"", 403, "blacklisted"),
        ("POST /_node/_local/_config/_reload".to_owned(), "", 200, "{\"ok\":true}\n"),
        ("GET /_node/nobody/_config".to_owned(), "", 404, "no such node: nobody"),
    ] {
        let got = server.admin(&head, body).await;
        assert_eq!(got.status, status, "{head}");
        assert!(got.body.contains(answer), "{head}: {}", got.body);
    }
    // A new administrator can log in, and their password is not to be read.
    let put = server.admin("PUT /_node/_local/_config/admins/ann", "\"secret\"").await;
    assert_eq!(put.status, 200);
    let kept = server.admin("GET /_node/_local/_config/admins/ann", "").await.body;
    assert!(kept.starts_with("\"-pbkdf2:sha256-"), "{kept}");
    let json = ("Content-Type", "application/json");
    let body = "{\"name\":\"ann\",\"password\":\"secret\"}";
    assert_eq!(server.send("POST /_session", &[json], body).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn quotes_may_come_as_they_are() {
    let server = Server::start().await;
    let pipelined = "GET /_all_dbs?startkey=\"_r\"&endkey=\"_z\" HTTP/1.1\r\nHost: x\r\n";
    let answer = server
        .exchange(&format!("{pipelined}Authorization: {ADMIN}\r\nConnection: close\r\n\r\n"))
        .await;
    assert_eq!((answer.status, answer.body.contains("[]")), (200, true), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn bodies_have_limits() {
    let server = Server::start().await;
    let limit = "PUT /_node/_local/_config/chttpd/max_http_request_size";
    assert_eq!(server.admin(limit, "\"100\"").await.status, 200);
    let large = format!("\"{}\"", "x".repeat(200));
    let refused = server.admin("PUT /_node/_local/_config/foo/bar", &large).await;
    assert_eq!(refused.status, 413);
    assert!(refused.body.contains("\"error\":\"too_large\""));
    let missing = server.admin("PUT /_node/_local/_config/foo/bar", "").await;
    assert!(missing.body.contains("Missing request body"), "{}", missing.body);
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_finishes_what_it_began() {
    let server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let address = server.address;
    tokio::time::timeout(Duration::from_secs(3), server.stop()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_setting_is_set_although_its_client_leaves() {
    let server = Server::start().await;
    let slow = server.slow.clone();
    let (held, begun) = oneshot::channel();
    let (let_go, gone) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _slow = slow.lock().unwrap();
        held.send(()).unwrap();
        gone.recv().unwrap();
    });
    begun.await.unwrap();
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let put = format!(
        "PUT /_node/_local/_config/slow/a HTTP/1.1\r\nHost: here\r\nAuthorization: {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 3\r\n\r\n\"1\""
    );
    client.write_all(put.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The next one waits for its turn.
    let next = server.admin("PUT /_node/_local/_config/slow/b", "\"2\"");
    let (next, ()) = tokio::join!(next, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let_go.send(()).unwrap();
    });
    assert_eq!(next.status, 200, "{}", next.body);
    holder.join().unwrap();
    let shown = server.admin("GET /_node/_local/_config/slow", "").await.body;
    assert_eq!(shown, "{\"a\":\"1\",\"b\":\"2\"}\n");
    server.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_the_password_of_another() {
    let server = Server::start().await;
    let rounds = server.admin("PUT /_node/_local/_config/chttpd_auth/iterations", "\"1000000\"");
    assert_eq!(rounds.await.status, 200);
    let slow = server.admin("PUT /_node/_local/_config/admins/ann", "\"secret\"");
    let quick = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = server.admin("PUT /_node/_local/_config/foo/bar", "\"1\"").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    tokio::select! {
        biased;
        answer = slow => panic!("it came first: {answer:?}"),
        () = quick => {}
    }
    server.stop().await;
}
