//! [`NewPasswords`]: how passwords are kept from now on, and what they must be like. Pure; deriving is
//! slow on purpose, so never call [`NewPasswords::derive`] on a thread that serves requests.

use settee_model::config::Config;

use crate::auth::password::Verifier;
use crate::auth::prf::Prf;
use crate::auth::requirements::Requirements;
use crate::error::Error;

/// `[chttpd_auth] iterations` if nobody says.
const USUAL_ITERATIONS: u32 = 600_000;

/// What the configuration says about new passwords.
#[derive(Clone, Debug)]
pub struct NewPasswords {
    /// `[chttpd_auth] password_scheme`; `None` if it is none that is known.
    scheme: Option<Scheme>,
    /// `[chttpd_auth] pbkdf2_prf`
    prf: Prf,
    /// `[chttpd_auth] iterations`
    iterations: u32,
    /// `[chttpd_auth] password_regexp`; `None` if nobody can make sense of it.
    requirements: Option<Requirements>,
}

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Simple,
    Pbkdf2,
}

impl NewPasswords {
    /// Reads what is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let text = |key| config.get("chttpd_auth", key);
        NewPasswords {
            scheme: match text("password_scheme").unwrap_or("pbkdf2") {
                "simple" => Some(Scheme::Simple),
                "pbkdf2" => Some(Scheme::Pbkdf2),
                _ => None,
            },
            prf: text("pbkdf2_prf").and_then(Prf::parse).unwrap_or(Prf::Sha256),
            iterations: config.parsed("chttpd_auth", "iterations", USUAL_ITERATIONS).max(1),
            requirements: Requirements::parse(text("password_regexp").unwrap_or_default()),
        }
    }

    /// Whether a password may be set.
    ///
    /// # Errors
    /// 400 for one that is not what it must be, 403 if the configuration makes no sense.
    pub fn check(&self, password: &str) -> Result<(), Error> {
        let Some(requirements) = self.requirements.as_ref().filter(|_| self.scheme.is_some())
        else {
            tracing::error!("password_scheme or password_regexp of [chttpd_auth] makes no sense");
            return Err(Error::Forbidden("Server cannot hash passwords at this time.".into()));
        };
        requirements.check(password).map_err(|reason| Error::BadRequest(reason.into()))
    }

    /// What a password will be checked against.
    #[must_use]
    pub fn derive(&self, password: &str, salt: &str) -> Verifier {
        match self.scheme {
            Some(Scheme::Simple) => Verifier::simple(password, salt),
            _ => Verifier::derive(password, salt, self.prf, self.iterations),
        }
    }

    /// Rounds of passwords that somebody else derived, at most, if nobody says: what a login may cost is
    /// not left to whom it is for.
    #[must_use]
    pub fn most_iterations(&self) -> u32 {
        self.iterations.saturating_mul(10).max(10_000_000)
    }

    /// The same of passwords that users derive themselves: twice what one costs that is derived here.
    #[must_use]
    pub fn most_own_iterations(&self) -> u32 {
        self.iterations.max(USUAL_ITERATIONS).saturating_mul(2)
    }

    /// Whether a verifier is kept in this way.
    #[must_use]
    pub fn made(&self, verifier: &Verifier) -> bool {
        match self.scheme {
            None => true,
            Some(Scheme::Simple) => verifier.prf().is_none(),
            Some(Scheme::Pbkdf2) => {
                verifier.prf() == Some(self.prf) && verifier.iterations() == self.iterations
            }
        }
    }
}
