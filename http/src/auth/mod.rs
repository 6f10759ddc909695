//! Who asks, and what they may do. [`authenticate`] answers the first question, in the order of
//! CouchDB's handlers (cookie, then basic, then nobody); `access` and `security` the second.

pub mod access;
mod accounts;
pub mod cookie;
mod derivations;
mod lockout;
mod new_passwords;
pub mod password;
mod requirements;
pub mod security;
mod settings;
mod upgrades;
mod user;
mod verified;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

pub use accounts::{Account, Accounts, ID_PREFIX};
pub use new_passwords::NewPasswords;
pub use settings::AuthSettings;
pub use user::User;

use crate::context::Peer;
use crate::error::Error;
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
    if let Some(identity) = by_cookie(accounts, settings, headers).await? {
        return Ok(identity);
    }
    if let Some((name, password)) = basic_credentials(headers)? {
        let account = accounts.check(settings, &name, &password, peer).await?;
        return Ok(Identity { user: account.by_password.clone(), refresh: None });
    }
    if needs_somebody(settings, asked) {
        return Err(Error::Unauthorized("Authentication required.".into()));
    }
    Ok(Identity { user: accounts.nobody(), refresh: None })
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

async fn by_cookie(
    accounts: &Accounts,
    settings: &Settings,
    headers: &HeaderMap,
) -> Result<Option<Identity>, Error> {
    let mut sent = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let Some(cookie) = sent.find_map(cookie::find) else { return Ok(None) };
    let claim = cookie::Claim::parse(cookie)?;
    let auth = &settings.auth;
    let Some(account) = accounts.find(settings, &claim.name).await? else { return Ok(None) };
    let now = unix_time();
    let ends = claim.made().and_then(|made| made.checked_add(auth.timeout));
    let Some(left) = ends.and_then(|ends| ends.checked_sub(now)).filter(|&left| left > 0) else {
        return Ok(None);
    };
    let key = session_key(&auth.secret, &account);
    if auth.secret.is_empty() || !claim.proven(&key, &auth.hash_algorithms) {
        return Ok(None);
    }
    let old = left.saturating_mul(10) < auth.timeout.saturating_mul(9);
    let refresh = old.then(|| session_cookie(settings, &account, now));
    Ok(Some(Identity { user: account.by_cookie.clone(), refresh }))
}

fn session_key(secret: &str, account: &Account) -> Vec<u8> {
    [secret.as_bytes(), account.verifier.salt().as_bytes()].concat()
}

/// The `Set-Cookie` of a new session.
#[must_use]
pub fn session_cookie(settings: &Settings, account: &Account, now: u64) -> String {
    let auth = &settings.auth;
    let key = session_key(&auth.secret, account);
    let name = account.by_cookie.name.as_deref().unwrap_or_default();
    let value = cookie::make(name, now, &key, auth.new_hash());
    cookie::set_cookie(&value, now, &auth.cookie)
}

/// Name and password of an `Authorization: Basic` header. `_` and `_` are nobody's, for clients
/// that want to be rid of a browser's.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, Error> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let Some(encoded) = value.as_bytes().strip_prefix(b"Basic ") else { return Ok(None) };
    let plain = STANDARD
        .decode(encoded)
        .map_err(|_| Error::bad_request("Authorization header has invalid base64 value"))?;
    let plain = String::from_utf8_lossy(&plain);
    Ok(match plain.split_once(':') {
        None | Some(("_", "_")) => None,
        Some((name, password)) => Some((name.to_owned(), password.to_owned())),
    })
}

/// Seconds since 1970.
#[must_use]
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
