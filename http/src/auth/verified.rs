//! [`Verified`]: passwords that were checked of late, so that a request costs no key derivation.
//! Keeps keyed hashes only, under a key that lives as long as the process.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::auth::password::Verifier;
use crate::error::Error;

/// How many passwords are remembered.
const CAPACITY: usize = 10_000;
/// How long a login waits for its turn to derive.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checked passwords.
#[derive(Debug)]
pub struct Verified {
    key: [u8; 32],
    known: Cache<[u8; 32], ()>,
    turns: Arc<Semaphore>,
}

impl Verified {
    /// Nothing is known yet. `key` is secret and random.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Arc::new(Semaphore::new((cores / 2).max(1)));
        Verified { key, known: Cache::new(CAPACITY), turns }
    }

    /// Whether `password` is what `verifier` checks. Derived once for each pair, whoever else asks
    /// meanwhile; a wrong one is derived anew each time.
    ///
    /// # Errors
    /// 503 if too many logins are under way.
    pub async fn check(
        &self,
        name: &str,
        password: &str,
        verifier: &Verifier,
    ) -> Result<bool, Error> {
        let mut hash = blake3::Hasher::new_keyed(&self.key);
        for part in [name, verifier.salt(), verifier.key()] {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hash.update(password.as_bytes());
        let key = *hash.finalize().as_bytes();
        let derive = async {
            let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
            let Ok(Ok(_turn)) = turn else { return Err(Some(busy())) };
            let (verifier, password) = (verifier.clone(), password.to_owned());
            let derived = tokio::task::spawn_blocking(move || verifier.matches(&password)).await;
            if derived.unwrap_or(false) { Ok(()) } else { Err(None) }
        };
        match self.known.get_or_insert_async(&key, derive).await {
            Ok(()) => Ok(true),
            Err(None) => Ok(false),
            Err(Some(error)) => Err(error),
        }
    }
}

fn busy() -> Error {
    Error::Unavailable("Too many logins at a time.".into())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::auth::password::Prf;

    #[tokio::test]
    async fn derives_once_for_a_right_password() {
        let verified = Verified::new([7; 32]);
        let verifier = Verifier::derive("secret", "salt", Prf::Sha256, 20_000);
        assert_eq!(verified.check("ann", "wrong", &verifier).await, Ok(false));
        let began = Instant::now();
        assert_eq!(verified.check("ann", "secret", &verifier).await, Ok(true));
        let first = began.elapsed();
        let began = Instant::now();
        assert_eq!(verified.check("ann", "secret", &verifier).await, Ok(true));
        assert!(began.elapsed() * 10 < first);
        let other = Verifier::derive("other", "salt", Prf::Sha256, 1);
        assert_eq!(verified.check("ann", "secret", &other).await, Ok(false));
    }
}
