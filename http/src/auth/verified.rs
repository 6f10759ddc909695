//! [`Verified`]: passwords that were checked of late, so that a request costs no key derivation.
//! Keeps keyed hashes only, under a key that lives as long as the process.

use quick_cache::sync::Cache;

use crate::auth::derivations::Derivations;
use crate::auth::lockout::Attempt;
use crate::auth::password::Verifier;
use crate::error::Error;
use crate::stats::{Counter, stats};

/// How many passwords are remembered.
const CAPACITY: usize = 10_000;

/// Checked passwords.
#[derive(Debug)]
pub struct Verified {
    key: [u8; 32],
    known: Cache<[u8; 32], ()>,
    derivations: Derivations,
}

/// What comes of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is theirs.
    Right,
    /// It is not.
    Wrong,
    /// Not looked at: the peer failed too often.
    Refused,
}

impl Verified {
    /// Nothing is known yet. `key` is secret and random.
    #[must_use]
    pub fn new(key: [u8; 32], derivations: Derivations) -> Self {
        Verified { key, known: Cache::new(CAPACITY), derivations }
    }

    /// Whether `password` is what `verifier` checks. Derived once for each pair, whoever else asks
    /// meanwhile; a wrong one is derived anew each time, and counts.
    ///
    /// # Errors
    /// 503 if too many logins are under way.
    pub async fn check(
        &self,
        password: &str,
        verifier: &Verifier,
        attempt: Attempt<'_>,
    ) -> Result<Verdict, Error> {
        if attempt.refused() {
            return Ok(Verdict::Refused);
        }
        let key = self.key_of(password, verifier, attempt.account());
        let derive = async {
            let turn = self.derivations.turn().await.map_err(Err)?;
            // Others may have failed while this one waited.
            if attempt.refused() {
                return Err(Ok(Verdict::Refused));
            }
            let (verifier, password) = (verifier.clone(), password.to_owned());
            if turn.run(move || verifier.matches(&password)).await.map_err(Err)? {
                return Ok(());
            }
            attempt.failed();
            Err(Ok(Verdict::Wrong))
        };
        match self.known.get_or_insert_async(&key, derive).await {
            Ok(()) => {
                stats().count(Counter::HashedFast);
                Ok(Verdict::Right)
            }
            Err(other) => other,
        }
    }

    fn key_of(&self, password: &str, verifier: &Verifier, name: &str) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_keyed(&self.key);
        for part in [name, &verifier.to_admin()] {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hash.update(password.as_bytes());
        *hash.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use settee_model::config::Config;

    use crate::auth::lockout::{Lockout, Rule};
    use crate::auth::prf::Prf;

    fn rule(threshold: u32) -> Rule {
        let mut config = Config::default();
        config.set("chttpd_auth_lockout", "threshold", &threshold.to_string());
        Rule::from_config(&config)
    }

    #[tokio::test]
    async fn derives_once_for_a_right_password() {
        let (verified, lockout) =
            (Verified::new([7; 32], Derivations::of_half_the_cores()), Lockout::new(100));
        let attempt = lockout.attempt([127, 0, 0, 1].into(), "ann", "", rule(9));
        let verifier = Verifier::derive("secret", "salt", Prf::Sha256, 20_000);
        assert_eq!(verified.check("wrong", &verifier, attempt).await, Ok(Verdict::Wrong));
        let began = Instant::now();
        assert_eq!(verified.check("secret", &verifier, attempt).await, Ok(Verdict::Right));
        let first = began.elapsed();
        let began = Instant::now();
        assert_eq!(verified.check("secret", &verifier, attempt).await, Ok(Verdict::Right));
        assert!(began.elapsed() * 10 < first);
        let other = Verifier::derive("other", "salt", Prf::Sha256, 1);
        assert_eq!(verified.check("secret", &other, attempt).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn guesses_at_the_same_time_count_one_by_one() {
        let (verified, lockout) =
            (Verified::new([7; 32], Derivations::of_half_the_cores()), Lockout::new(100));
        let attempt = lockout.attempt([127, 0, 0, 1].into(), "ann", "", rule(2));
        let verifier = Verifier::derive("secret", "salt", Prf::Sha256, 1000);
        let guess = |text| verified.check(text, &verifier, attempt);
        let verdicts: [_; 6] =
            tokio::join!(guess("a"), guess("b"), guess("c"), guess("d"), guess("e"), guess("f"))
                .into();
        let wrong = verdicts.iter().filter(|verdict| **verdict == Ok(Verdict::Wrong)).count();
        // As many more may be under way as there are turns.
        let turns = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1);
        assert!((2..2 + turns).contains(&wrong), "{verdicts:?}");
        assert_eq!(verified.check("secret", &verifier, attempt).await, Ok(Verdict::Refused));
    }
}
