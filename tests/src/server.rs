//! A settee process of a test's own: started on a free port with a fresh data directory, killed
//! when dropped. Knows the program's command line and nothing of its inside.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Client, Request};

/// How long a start may take before the test fails.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server.
pub struct Server {
    process: Child,
    program: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Server {
    /// Starts `program` over `data` (kept, so that a test can start it again) and waits until it
    /// answers. The administrator is `admin` with the password `pass`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(program: &Path, data: &Path) -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = spawn(program, data, port)?;
        let mut server = Server { process, program: program.into(), data: data.into(), port };
        server.wait_until_up()?;
        Ok(server)
    }

    /// `http://admin:pass@127.0.0.1:PORT`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://admin:pass@127.0.0.1:{}", self.port)
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
        self.process = spawn(&self.program, &self.data, self.port)?;
        self.wait_until_up()
    }

    /// Ends the process at once.
    pub fn kill(&mut self) {
        // Fails only when it ended by itself already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn wait_until_up(&mut self) -> io::Result<()> {
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

fn spawn(program: &Path, data: &Path, port: u16) -> io::Result<Child> {
    Command::new(program)
        .args(["serve", "--bind", "127.0.0.1", "--port", &port.to_string(), "--data"])
        .arg(data)
        .env("COUCHDB_USER", "admin")
        .env("COUCHDB_PASSWORD", "pass")
        .env_remove("COUCHDB_SECRET")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
}
