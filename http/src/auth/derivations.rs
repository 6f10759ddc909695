//! [`Derivations`]: key derivations off the threads that serve requests, no more at a time than leave
//! cores for everybody else. Knows no account and no algorithm.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::auth::new_passwords::NewPasswords;
use crate::auth::password::Verifier;
use crate::error::Error;
use crate::stats::{Counter, stats};

/// How long somebody waits for their turn to derive.
const PATIENCE: Duration = Duration::from_secs(20);

/// Turns to derive; clones share them.
#[derive(Clone, Debug)]
pub struct Derivations {
    turns: Arc<Semaphore>,
}

impl Derivations {
    /// So many turns.
    #[must_use]
    pub fn new(turns: usize) -> Self {
        Derivations { turns: Arc::new(Semaphore::new(turns)) }
    }

    /// As many turns as half of the cores.
    #[must_use]
    pub fn of_half_the_cores() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((cores / 2).max(1))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 if too many are waiting.
    pub async fn turn(&self) -> Result<Turn, Error> {
        match tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit }),
            _ => Err(Error::Unavailable("Too many passwords are being derived.".into())),
        }
    }

    /// Derives what a new password will be checked against.
    ///
    /// # Errors
    /// As [`Derivations::turn`].
    pub async fn derive(
        &self,
        kept: &NewPasswords,
        password: &str,
        salt: String,
    ) -> Result<Verifier, Error> {
        let (kept, password) = (kept.clone(), password.to_owned());
        self.turn().await?.run(move || kept.derive(&password, &salt)).await
    }
}

/// Somebody's turn.
pub struct Turn {
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Turn {
    /// Does what is slow.
    ///
    /// # Errors
    /// 503 if the server shuts down.
    pub async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        stats().count(Counter::HashedSlow);
        // The turn goes along: who asked may leave, the work goes on.
        let done = tokio::task::spawn_blocking(move || (work(), self));
        let closing = |_| Error::Unavailable("The server is shutting down".into());
        done.await.map(|(value, _)| value).map_err(closing)
    }
}
