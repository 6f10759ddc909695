//! `settee serve`: from a data directory to a server that listens, and back again at a signal or when
//! it is to begin anew. Brings the rooms together and answers no request itself.

use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use settee_cluster::{Cluster, CreateOptions, Error, SYSTEM};
use settee_engine::io::RealStorage;
use settee_engine::{Engine, Options};
use settee_http::{App, ConfigFiles, FrontDesk, Listener, Secured, Site, random};
use settee_model::config::Config;
use settee_model::docid::DbName;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::admins::{self, Told};
use crate::args::Serve;
use crate::files::Chain;
use crate::handles::{self, Shares};
use crate::home;
use crate::log::Log;
use crate::memory;
use crate::process;
use crate::site::Folder;
use crate::tls::{self, Seen};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Serves until a signal says stop.
pub fn run(options: Serve) -> Outcome<ExitCode> {
    let usual = options.data.as_deref().unwrap_or(Path::new(DATA));
    let mut chain = Chain::find(&options.config, usual)?;
    overrule(&mut chain, &options)?;
    let mut config = chain.load()?;
    let data = PathBuf::from(config.get("couchdb", "database_dir").unwrap_or(DATA));
    fs::create_dir_all(&data)
        .map_err(|error| format!("cannot make {}: {error}", data.display()))?;
    let _lock = lock(&data)?;
    let log = Log::start(&config, &node_name(&options))?;
    let told = admins::complete(&mut config, &options, &chain, &chain.said_last()?);
    if config.section("admins").next().is_none() {
        eprintln!("settee: {}", admins::NO_ADMIN);
        return Ok(ExitCode::FAILURE);
    }
    let functions = settee_http::Settings::from_config(&config).functions;
    // Functions run on its threads, also those that call themselves without end.
    let stack = functions.limits.thread_stack();
    let runtime = Builder::new_multi_thread().enable_all().thread_stack_size(stack).build()?;
    let end = runtime.block_on(serve(options, data, config, chain, told, &log))?;
    runtime.shutdown_background();
    match end {
        End::Stop => Ok(ExitCode::SUCCESS),
        End::Again => Err(again().into()),
    }
}

/// Why serving came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A signal said so.
    Stop,
    /// It is to begin anew.
    Again,
}

/// Becomes a new run of this program, told what this one was told. Comes back if that fails.
fn again() -> String {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_else(|| "settee".into());
    tracing::info!("beginning anew");
    let error = std::os::unix::process::CommandExt::exec(Command::new(&program).args(words));
    format!("cannot begin anew as {}: {error}", program.to_string_lossy())
}

/// The file that says that a data directory is in use, by being locked.
pub const LOCK: &str = "settee.lock";
/// Where data is kept when nothing says where.
const DATA: &str = "data";

/// Connections that may wait until they are accepted, as far as the system allows.
const BACKLOG: u32 = 4096;

/// What was said when the program was started holds, and is what `_config` shows.
fn overrule(chain: &mut Chain, options: &Serve) -> Outcome<()> {
    if let Some(data) = &options.data {
        let data = std::path::absolute(data)?;
        chain.overrule("couchdb", "database_dir", data.to_string_lossy().into_owned());
    }
    if let Some(bind) = &options.bind {
        chain.overrule("chttpd", "bind_address", bind.clone());
    }
    if let Some(port) = options.port {
        chain.overrule("chttpd", "port", port.to_string());
    }
    if let Some(secret) = options.secret.as_ref().filter(|secret| !secret.is_empty()) {
        chain.overrule("chttpd_auth", "secret", secret.clone());
    }
    if let Some(seeds) = options.seedlist.as_ref().filter(|seeds| !seeds.is_empty()) {
        chain.overrule("cluster", "seedlist", seeds.clone());
    }
    if let Some(secret) = options.cluster_secret() {
        chain.overrule("cluster", "secret", secret.to_owned());
    }
    Ok(())
}

/// Two servers over one directory would destroy it.
pub fn lock(data: &Path) -> Outcome<File> {
    let path = data.join(LOCK);
    let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another settee has {} open", data.display()).into())
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

async fn serve(
    options: Serve,
    data: PathBuf,
    config: Config,
    chain: Chain,
    told: Told,
    log: &Log,
) -> Outcome<End> {
    let mut stop = Box::pin(stop_signal()?);
    let ports = Ports::open(&config)?;
    let shares = shares(&config);
    let engine_options = engine_options(&config, shares);
    let home = home::home(&options, &data, &config)?;
    let engine = tokio::task::spawn_blocking(move || {
        Engine::open(Arc::new(RealStorage::open(data)?), engine_options)
    });
    let engine = engine.await??;
    let settings = cluster_settings(&options, &config);
    let opening = Cluster::open(engine, settings, home, Arc::new(random::hex_32));
    let cluster = tokio::select! {
        cluster = opening => cluster?,
        // It may wait for its seeds for ever; nobody was promised anything yet.
        () = &mut stop => return Ok(End::Stop),
    };
    let fauxton = options.fauxton.as_deref().and_then(fauxton);
    let version = fauxton.as_ref().and_then(Folder::version);
    let site = fauxton.map(|folder| Site::new(Arc::new(folder))).unwrap_or_default();
    let sharing = admins::share(cluster.clone(), told);
    let asked_again = Arc::new(Notify::new());
    let process = Box::new(process::Own::new(asked_again.clone()));
    let app = App::new(cluster.clone(), config, Box::new(chain), process, random::bytes());
    let app = Arc::new(app.with_site(site));
    FrontDesk::open(&app);
    let security = app.settings().default_security.clone();
    let create = CreateOptions { security: Some(security), ..CreateOptions::default() };
    make_system_databases(&cluster, &create).await?;
    let watcher = tokio::spawn(settee_http::users::watch(app.clone()));
    tokio::spawn(settee_http::users::per_user::watch(app.clone()));
    tokio::spawn(settee_http::follow_common(app.clone()));
    tokio::spawn(sharing);
    tokio::spawn(log.follow(app.config.changes()));
    ports.announce(version.as_deref())?;
    let Ports { clients, secured, metrics } = ports;
    if let Some((secured, seen)) = secured {
        tokio::spawn(tls::follow(secured, seen, app.config.changes()));
    }
    let metrics = metrics.map(|port| tokio::spawn(settee_http::serve_metrics(app.clone(), port)));
    let mut end = End::Stop;
    let ended = async {
        tokio::select! {
            () = stop => {}
            () = asked_again.notified() => end = End::Again,
        }
    };
    settee_http::serve(app, clients, shares.connections, ended).await?;
    watcher.abort();
    metrics.iter().for_each(JoinHandle::abort);
    tracing::info!("closing");
    cluster.close().await?;
    Ok(end)
}

/// Where the program listens.
struct Ports {
    clients: Vec<Listener>,
    /// What certificates are worth, for those who renew them.
    secured: Option<(watch::Sender<Secured>, Seen)>,
    /// Of those who read numbers and nothing else.
    metrics: Option<TcpListener>,
}

impl Ports {
    fn open(config: &Config) -> Outcome<Ports> {
        let secured = tls::start(config)?;
        let plain = listen(address(config)?, config)?;
        let mut clients = vec![Listener { socket: plain, secured: None }];
        if let Some((secured, _)) = &secured {
            let socket = listen(secured_address(config)?, config)?;
            clients.push(Listener { socket, secured: Some(secured.subscribe()) });
        }
        let metrics = metrics_address(config)?.map(|at| listen(at, config)).transpose()?;
        Ok(Ports { clients, secured, metrics })
    }

    /// Tells whoever started the program where it is.
    fn announce(&self, fauxton: Option<&str>) -> Outcome<()> {
        for listener in &self.clients {
            let scheme = if listener.secured.is_some() { "https" } else { "http" };
            let url = format!("{scheme}://{}", listener.socket.local_addr()?);
            if let Some(version) = fauxton {
                eprintln!("Fauxton {version} is at {url}/_utils/");
            }
            eprintln!("settee is ready at {url}");
        }
        Ok(())
    }
}

/// The files of the web interface; without them the server does all else.
fn fauxton(path: &Path) -> Option<Folder> {
    let opened = Folder::open(path);
    opened.inspect_err(|error| tracing::warn!(%error, path = %path.display(), "no Fauxton")).ok()
}

/// Done when the system, or whoever sits before it, wants the program to end.
fn stop_signal() -> Outcome<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn listen(address: SocketAddr, config: &Config) -> Outcome<TcpListener> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(config.parsed("chttpd", "backlog", BACKLOG))
    };
    let listening: std::io::Result<TcpListener> = open();
    listening.map_err(|error| format!("cannot listen at {address}: {error}").into())
}

fn address(config: &Config) -> Outcome<SocketAddr> {
    at(config.get("chttpd", "bind_address"), config.parsed("chttpd", "port", 5984))
}

/// At the same address as everything else, if nothing else is said.
fn secured_address(config: &Config) -> Outcome<SocketAddr> {
    let bind = config.get("ssl", "bind_address").or(config.get("chttpd", "bind_address"));
    at(bind, config.parsed("ssl", "port", 6984))
}

/// Where numbers are told to whoever asks, if they are.
fn metrics_address(config: &Config) -> Outcome<Option<SocketAddr>> {
    if !config.boolean("prometheus", "additional_port", false) {
        return Ok(None);
    }
    let port = config.parsed("prometheus", "port", 17986);
    at(config.get("prometheus", "bind_address"), port).map(Some)
}

fn at(bind: Option<&str>, port: u16) -> Outcome<SocketAddr> {
    let bind = match bind.unwrap_or("127.0.0.1") {
        "any" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        bind => bind.trim_matches(['[', ']']),
    };
    let ip = bind.parse().map_err(|_| format!("`{bind}` is no address to listen at"))?;
    Ok(SocketAddr::new(ip, port))
}

/// Files and connections that may be open at once.
fn shares(config: &Config) -> Shares {
    let open_shards = config.parsed("settee", "open_shards", Options::default().open_shards);
    let connections = config.parsed("chttpd", "max_connections", 16_384);
    let handles = handles::raise();
    let shares = handles::share(handles, open_shards, connections);
    if shares != (Shares { open_shards, connections }) {
        tracing::warn!(handles, ?shares, "the system lets few files be open");
    }
    shares
}

fn engine_options(config: &Config, shares: Shares) -> Options {
    let defaults = memory::budgets();
    let bytes = |key: &str, default: u64| {
        let megabytes = config.limit("settee", key, None);
        megabytes.map_or(default, |megabytes| megabytes.saturating_mul(1 << 20))
    };
    Options {
        cache_bytes: bytes("cache_mb", defaults.cache_bytes),
        dirty_bytes: bytes("dirty_mb", defaults.dirty_bytes),
        log_bytes: bytes("log_mb", defaults.log_bytes),
        open_shards: shares.open_shards,
        ..defaults
    }
}

fn node_name(options: &Serve) -> String {
    options.full_node_name().unwrap_or_else(|| settee_cluster::Settings::default().node_name)
}

fn cluster_settings(options: &Serve, config: &Config) -> settee_cluster::Settings {
    let defaults = settee_cluster::Settings::default();
    let timeout = defaults.request_timeout_ms;
    settee_cluster::Settings {
        node_name: node_name(options),
        layout: settee_http::Settings::from_config(config).layout,
        request_timeout_ms: config
            .limit("fabric", "request_timeout", Some(timeout))
            .unwrap_or(u64::MAX),
        ..defaults
    }
}

async fn make_system_databases(cluster: &Cluster, options: &CreateOptions) -> Outcome<()> {
    let there = cluster.all_dbs();
    let missing = SYSTEM.map(DbName::trusted).into_iter().filter(|name| !there.contains_key(name));
    for name in missing {
        match cluster.create_db(&name, options.clone()).await {
            Ok(_) | Err(Error::DatabaseExists) => {}
            // It serves what it has; somebody has made them, or will.
            Err(Error::NoMajority | Error::Timeout) => {
                tracing::warn!(database = name.as_str(), "not known, and not made now");
            }
            Err(error) => return Err(format!("cannot make {}: {error}", name.as_str()).into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use settee_model::config::table;

    use super::*;

    #[test]
    fn what_nobody_sets_is_as_the_list_says() {
        let told = |config: &Config| {
            let shares = shares(config);
            let options = engine_options(config, shares);
            format!("{shares:?} {} {}", options.log_bytes, options.open_shards)
        };
        let usual = told(&Config::default());
        for (section, key, default) in table::defaults() {
            let mut config = Config::default();
            config.set(section, key, default);
            assert_eq!(told(&config), usual, "{section}/{key} = {default}");
        }
    }

    #[test]
    fn addresses_have_names() {
        for (bind, address) in
            [(None, "127.0.0.1:7"), (Some("any"), "0.0.0.0:7"), (Some("[::1]"), "[::1]:7")]
        {
            let said = at(bind, 7).map(|address| address.to_string());
            assert_eq!(said.ok().as_deref(), Some(address));
        }
        assert!(at(Some("nowhere"), 7).is_err());
    }
}
