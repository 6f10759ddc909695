//! A settee process of a test's own: started on a free port with a fresh data directory, killed
//! when dropped. Knows the program's command line and nothing of its inside.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::client::{Client, Request};

/// How long a start may take before the test fails.
const START_LIMIT: Duration = Duration::from_secs(90);

/// How long it may take to end when it is asked to.
const END_LIMIT: Duration = Duration::from_secs(90);

/// Lines for requests say nothing that a test did not know; a test of theirs sets it otherwise.
const QUIET: &str = "info,settee::access=off,openraft=off";
/// Below what systems give to outgoing connections.
const PORTS: Range<u64> = 10_000..32_000;

/// How a server is started, each time anew.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its data directory, kept from start to start.
    pub data: PathBuf,
    /// Where clients reach it.
    pub host: Ipv4Addr,
    /// And at which port.
    pub port: u16,
    /// The network namespace that it runs in; this process' own if there is none.
    pub namespace: Option<String>,
    /// More of the command line.
    pub arguments: Vec<String>,
    /// More of the environment.
    pub environment: Vec<(String, String)>,
}

/// A running server.
pub struct Server {
    process: Child,
    setup: Setup,
}

impl Server {
    /// Starts `program` over `data` (kept, so that a test can start it again) and waits until it
    /// answers. The administrator is `admin` with the password `pass`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(program: &Path, data: &Path) -> io::Result<Self> {
        Server::start_with(program, data, &[])
    }

    /// The same with more in its environment.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_with(
        program: &Path,
        data: &Path,
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let mut server = Server::launch(Setup {
            program: program.into(),
            data: data.into(),
            host: Ipv4Addr::LOCALHOST,
            port: free_port()?,
            namespace: None,
            arguments: Vec::new(),
            environment: environment.iter().map(owned).collect(),
        })?;
        server.wait_until_up()?;
        Ok(server)
    }

    /// Starts a server and does not wait for it.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn launch(setup: Setup) -> io::Result<Self> {
        Ok(Server { process: spawn(&setup)?, setup })
    }

    /// Where clients reach it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.setup.port
    }

    /// `http://admin:pass@HOST:PORT`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://admin:pass@{}:{}", self.setup.host, self.setup.port)
    }

    /// How it is started next time.
    pub fn setup(&mut self) -> &mut Setup {
        &mut self.setup
    }

    /// The process' id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Bytes of memory that it holds, where the system tells.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        self.told("VmRSS:")
    }

    /// The most bytes of memory that it held since it was started.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        self.told("VmHWM:")
    }

    fn told(&self, what: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(what))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    /// Files and connections that it has open, where the system tells.
    #[must_use]
    pub fn open_files(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).ok()?.count())
    }

    /// A client for it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.base())
    }

    /// Ends the process at once (SIGKILL) and starts it again over the same data.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn kill_and_restart(&mut self) -> io::Result<()> {
        self.kill();
        self.restart()?;
        self.wait_until_up()
    }

    /// Starts a server that was killed, and does not wait for it.
    ///
    /// # Errors
    /// When the program is gone.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process = spawn(&self.setup)?;
        Ok(())
    }

    /// Ends the process at once.
    pub fn kill(&mut self) {
        // Fails only when it ended by itself already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Sends the process a signal, by name: `STOP`, `CONT`, `TERM`.
    ///
    /// # Errors
    /// When it is not running.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status()?;
        if sent.success() { Ok(()) } else { Err(io::Error::other("there is no such process")) }
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not end well, or not in time.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal("TERM")?;
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            match self.process.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(io::Error::other(format!("settee ended: {status}"))),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(io::Error::other("settee did not end"))
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer in time.
    pub fn wait_until_up(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let up = self.client().send(&Request::new("GET", "/_up"));
            if up.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("settee ended: {status}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("settee did not come up"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody uses right now, of those that the system gives to no outgoing connection: such
/// a one would keep a server from coming back to its port.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(std::process::id())));
    let ports = PORTS.end - PORTS.start;
    for _ in 0..ports {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % ports;
        let port = u16::try_from(PORTS.start + next).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// The program under test: `SETTEE_PROGRAM`, or the one that was built with the tests.
#[must_use]
pub fn program(built: &str) -> PathBuf {
    std::env::var_os("SETTEE_PROGRAM").map_or_else(|| built.into(), PathBuf::from)
}

/// Lets this process, and servers that it starts, have as many files open as the system permits;
/// how many those are.
///
/// # Errors
/// When the system does not let it.
pub fn raise_files() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

fn spawn(setup: &Setup) -> io::Result<Child> {
    let mut command = match &setup.namespace {
        // It becomes the program: the process is the program's own.
        Some(namespace) => {
            let mut ip = Command::new("ip");
            ip.args(["netns", "exec", namespace]).arg(&setup.program);
            ip
        }
        None => Command::new(&setup.program),
    };
    let (host, port) = (setup.host.to_string(), setup.port.to_string());
    command
        .args(["serve", "--bind", &host, "--port", &port, "--data"])
        .arg(&setup.data)
        .args(&setup.arguments)
        .env("COUCHDB_USER", "admin")
        .env("COUCHDB_PASSWORD", "pass")
        .env_remove("COUCHDB_SECRET")
        .env("SETTEE_LOG", QUIET)
        .envs(setup.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
}
