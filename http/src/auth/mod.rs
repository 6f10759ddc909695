//! Who asks, and what they may do. [`authenticate`] answers the first question, by the handlers that
//! are configured and in their order; `access` and `security` the second. Never reads a request's body:
//! logging in by one is `handlers::session`'s.

pub mod access;
mod accounts;
pub mod cookie;
mod derivations;
mod handler;
mod jwt;
mod lockout;
mod new_passwords;
pub mod password;
pub mod prf;
mod proxy;
mod requirements;
pub mod secrets;
pub mod security;
mod settings;
mod totp;
mod upgrades;
mod user;
mod verified;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

pub use accounts::{Account, Accounts, ID_PREFIX, Proof};
pub use handler::Handler;
pub use new_passwords::NewPasswords;
pub use proxy::Proxy;
pub use settings::AuthSettings;
pub use user::User;

use crate::context::is_secure;
use crate::error::Error;
use crate::peer::Peer;
use crate::route::{Endpoint, Method, ServerEndpoint};
use crate::settings::Settings;

/// Who asks, as far as they proved it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name and roles; without name for who proved nothing.
    pub user: Arc<User>,
    /// A fresh cookie to send along, if the one that came grows old.
    pub refresh: Option<String>,
}

impl From<Arc<User>> for Identity {
    fn from(user: Arc<User>) -> Self {
        Identity { user, refresh: None }
    }
}

/// Finds out who asks.
///
/// # Errors
/// 400 for credentials that are none; 401 for wrong ones, or none where some are needed.
pub async fn authenticate(
    accounts: &Accounts,
    settings: &Settings,
    headers: &HeaderMap,
    peer: Peer,
    asked: (&Endpoint, Method),
) -> Result<Identity, Error> {
    for handler in &settings.auth.handlers {
        let found = match handler {
            Handler::Cookie => by_cookie(accounts, settings, headers, peer).await?,
            Handler::Default => match basic_credentials(headers)? {
                Some((name, password)) => {
                    let proof = Proof { password: &password, token: None };
                    let account = accounts.check(settings, &name, proof, peer).await?;
                    Some(account.by_password.clone().into())
                }
                None => None,
            },
            Handler::Proxy => by_proxy(settings, headers),
            Handler::Jwt => by_token(settings, headers)?,
        };
        if let Some(identity) = found {
            return Ok(identity);
        }
    }
    if needs_somebody(settings, asked) {
        return Err(Error::Unauthorized("Authentication required.".into()));
    }
    Ok(accounts.nobody().into())
}

/// Whether the settings want a name for this. Anybody may try to log in.
fn needs_somebody(settings: &Settings, (endpoint, method): (&Endpoint, Method)) -> bool {
    let always = settings.auth.require_valid_user;
    let except_up = settings.auth.require_valid_user_except_for_up;
    match endpoint {
        Endpoint::Server(ServerEndpoint::Session) if method == Method::Post => false,
        Endpoint::Server(ServerEndpoint::Up) => always && !except_up,
        _ => always || except_up,
    }
}

/// Seconds for which a cookie that is not proven may be one that another node has just made, after a
/// change of its user that is not known here yet.
const FRESH: u64 = 60;

async fn by_cookie(
    accounts: &Accounts,
    settings: &Settings,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Option<Identity>, Error> {
    let sent = headers.get_all(COOKIE).iter().map(|sent| String::from_utf8_lossy(sent.as_bytes()));
    let sent = sent.collect::<Vec<_>>().join(", ");
    let Some(cookie) = cookie::find(&sent) else { return Ok(None) };
    let claim = cookie::Claim::parse(&cookie)?;
    let (auth, now) = (&settings.auth, unix_time());
    let mut found = accounts.find(settings, &claim.name).await?;
    let ends = claim.made().and_then(|made| made.checked_add(auth.timeout));
    let Some(left) = ends.and_then(|ends| ends.checked_sub(now)).filter(|&left| left > 0) else {
        return Ok(None);
    };
    let proof = |account: &Account| {
        let mut believed = auth.secrets.believed(now);
        believed.find(|secret| claim.proven(&session_key(secret, account), &auth.hash_algorithms))
    };
    let fresh = claim.made().is_some_and(|made| made.abs_diff(now) <= FRESH);
    if fresh && found.as_deref().and_then(proof).is_none() {
        found = accounts.find_anew(settings, &claim.name).await?;
    }
    let Some(account) = found else { return Ok(None) };
    let Some(secret) = proof(&account) else { return Ok(None) };
    let old = left.saturating_mul(10) < auth.timeout.saturating_mul(9)
        || auth.secrets.current() != Some(secret);
    let secure = || is_secure(settings, headers, peer);
    let refresh = if old { session_cookie(settings, &account, now, secure()) } else { None };
    Ok(Some(Identity { user: account.by_cookie.clone(), refresh }))
}

fn session_key(secret: &str, account: &Account) -> Vec<u8> {
    [secret.as_bytes(), account.verifier.salt().as_bytes()].concat()
}

/// The `Set-Cookie` of a new session; none if there is no secret to prove it with.
#[must_use]
pub fn session_cookie(
    settings: &Settings,
    account: &Account,
    now: u64,
    secure: bool,
) -> Option<String> {
    let auth = &settings.auth;
    let key = session_key(auth.secrets.current()?, account);
    let name = account.by_cookie.name.as_deref().unwrap_or_default();
    let value = cookie::make(name, now, &key, auth.new_hash());
    Some(cookie::set_cookie(&value, now, &auth.cookie, secure))
}

fn by_proxy(settings: &Settings, headers: &HeaderMap) -> Option<Identity> {
    let auth = &settings.auth;
    let user = auth.proxy.user(headers, &auth.secrets, &auth.hash_algorithms, unix_time())?;
    Some(Arc::new(user).into())
}

/// Who has a token in an `Authorization: Bearer` header.
fn by_token(settings: &Settings, headers: &HeaderMap) -> Result<Option<Identity>, Error> {
    let Some(token) = authorization(headers, "Bearer ") else { return Ok(None) };
    let user = settings.auth.jwt.user(token, unix_time())?;
    Ok(Some(Arc::new(user).into()))
}

/// Name and password of an `Authorization: Basic` header. `_` and `_` are nobody's, for clients
/// that want to be rid of a browser's.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, Error> {
    let Some(encoded) = authorization(headers, "Basic ") else { return Ok(None) };
    let plain = STANDARD
        .decode(encoded.replace([' ', '\t'], ""))
        .map_err(|_| Error::bad_request("Authorization header has invalid base64 value"))?;
    let plain = String::from_utf8_lossy(&plain);
    Ok(match plain.split_once(':') {
        None | Some(("_", "_")) => None,
        Some((name, password)) => Some((name.to_owned(), password.to_owned())),
    })
}

/// What follows the scheme in the `Authorization` header. Of several the first counts.
fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(headers.get(AUTHORIZATION)?.as_bytes()).ok()?;
    value.strip_prefix(scheme)
}

/// Seconds since 1970.
#[must_use]
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
