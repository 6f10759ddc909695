//! JSON Web Tokens, as CouchDB's `jwtf` takes them: [`Jwt`] is what is configured, and says whom a
//! token speaks for. Pure. Never makes tokens, and never believes one without a signature.

mod claims;
mod keys;
mod pem;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use settee_model::config::Config;

use crate::auth::{Handler, User};
use crate::error::Error;
pub use claims::list;
use claims::{Required, RolesClaim, malformed};
use keys::{Algorithm, Keys};

/// What tokens must be like, and what their signatures are checked with.
#[derive(Clone, Debug)]
pub struct Jwt {
    keys: Keys,
    /// `None` if nobody can make sense of it.
    required: Option<Required>,
    roles: RolesClaim,
}

impl Jwt {
    /// Reads what is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Jwt {
            keys: Keys::from_config(config),
            required: Required::from_config(config),
            roles: RolesClaim::from_config(config),
        }
    }

    /// Whom a token speaks for. `now` in seconds since 1970.
    ///
    /// # Errors
    /// 400 for what is no token, or none of ours; 401 for one that does not hold now, or for nobody;
    /// 404 if it lacks what should hold the roles; 500 if the configuration makes no sense.
    pub fn user(&self, token: &str, now: u64) -> Result<User, Error> {
        let required = self.required.as_ref().ok_or_else(|| {
            Error::Internal("misconfigured_server", "JWT is not configured correctly".into())
        })?;
        let claims = self.believed(token, required, now)?;
        let roles = self.roles.roles(&claims)?;
        let name = claims.get("sub").and_then(Value::as_str);
        let name = name.ok_or_else(|| Error::Unauthorized("Token missing sub claim.".into()))?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err(malformed());
        }
        let handler = Some(Handler::Jwt.name());
        Ok(User { name: Some(name.to_owned()), roles, handler })
    }

    /// The claims of a token, once nothing speaks against them.
    fn believed(&self, token: &str, required: &Required, now: u64) -> Result<Value, Error> {
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (head, payload) = message.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        let head = object(head)?;
        match head.get("typ") {
            None if required.typ => {
                return Err(Error::bad_request("Missing typ header parameter"));
            }
            Some(typ) if typ != "JWT" => {
                return Err(Error::bad_request("Invalid typ header parameter"));
            }
            _ => {}
        }
        let algorithm = match head.get("alg") {
            None => return Err(Error::bad_request("Missing alg header parameter")),
            Some(name) => name.as_str().and_then(Algorithm::parse),
        };
        let algorithm =
            algorithm.ok_or_else(|| Error::bad_request("Invalid alg header parameter"))?;
        let claims = object(payload)?;
        required.check(&claims, now)?;
        let key = match head.get("kid") {
            None if required.kid => return Err(Error::bad_request("Missing kid claim")),
            None => "_default",
            Some(name) => name.as_str().ok_or_else(|| Error::bad_request("Unknown kid"))?,
        };
        // A signature that cannot be read is as good as a wrong one.
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        self.keys.check(algorithm, key, message.as_bytes(), &signature)?;
        Ok(claims)
    }
}

fn object(part: &str) -> Result<Value, Error> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed())?;
    let value = settee_model::json::value(&json).map_err(|_| malformed())?;
    if value.is_object() { Ok(value) } else { Err(Error::bad_request("Not an object")) }
}

#[cfg(test)]
mod tests;
