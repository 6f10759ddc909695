//! [`Keys`]: what signatures of tokens are checked with, `[jwt_keys]`. Each kind of key has a type and
//! a place of its own, so that no key is ever used for an algorithm of another kind. Pure.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{self, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey};
use settee_model::config::Config;

use crate::auth::jwt::pem::{self, PublicKey};
use crate::error::Error;

/// All keys, by their names.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    hmac: Named<Secret>,
    rsa: Named<Rsa>,
    ec: Named<Ec>,
    okp: Named<Ed25519>,
}

/// A key that makes no sense tells why when it is asked for.
type Named<K> = HashMap<String, Result<K, &'static str>>;

#[derive(Clone)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Clone, Debug)]
struct Rsa(Vec<u8>);

#[derive(Clone, Debug)]
struct Ec {
    curve: Curve,
    point: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

#[derive(Clone, Debug)]
struct Ed25519(Vec<u8>);

/// How a token is signed.
#[derive(Clone, Copy, Debug)]
pub enum Algorithm {
    /// `HS…`: who checks it could have made it.
    Hmac(hmac::Algorithm),
    /// `RS…`
    Rsa(&'static RsaParameters),
    /// `ES…`, which names the curve, too.
    Ec(EcAlgorithm),
    /// `EdDSA`, which CouchDB does not know.
    Ed25519,
}

/// ECDSA with one curve and one hash.
#[derive(Clone, Copy, Debug)]
pub struct EcAlgorithm {
    curve: Curve,
    check: &'static EcdsaVerificationAlgorithm,
}

impl Algorithm {
    /// Reads the name that a token gives; `None` if it is none of those that are believed.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let ec = |curve, check| Algorithm::Ec(EcAlgorithm { curve, check });
        Some(match name {
            "HS256" => Algorithm::Hmac(hmac::HMAC_SHA256),
            "HS384" => Algorithm::Hmac(hmac::HMAC_SHA384),
            "HS512" => Algorithm::Hmac(hmac::HMAC_SHA512),
            "RS256" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Algorithm::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            "ES256" => ec(Curve::P256, &signature::ECDSA_P256_SHA256_FIXED),
            "ES384" => ec(Curve::P384, &signature::ECDSA_P384_SHA384_FIXED),
            "EdDSA" => Algorithm::Ed25519,
            _ => return None,
        })
    }
}

impl Keys {
    /// Reads what is configured: `hmac:`, `rsa:`, `ec:` and `okp:`, each with the name of a key.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let mut keys = Keys::default();
        for (name, value) in config.section("jwt_keys") {
            let Some((kind, id)) = name.split_once(':') else { continue };
            let id = id.to_owned();
            match kind {
                "hmac" => drop(keys.hmac.insert(id, secret(value))),
                "rsa" => drop(keys.rsa.insert(id, rsa(value))),
                "ec" => drop(keys.ec.insert(id, ec(value))),
                "okp" => drop(keys.okp.insert(id, ed25519(value))),
                _ => {}
            }
        }
        keys
    }

    /// Checks a signature with the key of this name.
    ///
    /// # Errors
    /// 400 if there is no such key, or if it did not make the signature.
    pub fn check(
        &self,
        algorithm: Algorithm,
        id: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let checked = match algorithm {
            Algorithm::Hmac(hash) => {
                let key = hmac::Key::new(hash, &found(&self.hmac, id)?.0);
                // In constant time.
                let checked = hmac::verify(&key, message, signature);
                return checked.map_err(|_| Error::bad_request("Bad HMAC"));
            }
            Algorithm::Rsa(parameters) => {
                let key = found(&self.rsa, id)?;
                UnparsedPublicKey::new(parameters, &key.0).verify(message, signature)
            }
            Algorithm::Ec(EcAlgorithm { curve, check }) => {
                let key = found(&self.ec, id)?;
                if key.curve != curve {
                    return Err(Error::bad_request("Bad signature"));
                }
                UnparsedPublicKey::new(check, &key.point).verify(message, signature)
            }
            Algorithm::Ed25519 => {
                let key = found(&self.okp, id)?;
                UnparsedPublicKey::new(&signature::ED25519, &key.0).verify(message, signature)
            }
        };
        checked.map_err(|_| Error::bad_request("Bad signature"))
    }
}

fn found<'a, K>(keys: &'a Named<K>, id: &str) -> Result<&'a K, Error> {
    match keys.get(id) {
        None => Err(Error::bad_request("Unknown kid")),
        Some(Err(reason)) => Err(Error::bad_request(*reason)),
        Some(Ok(key)) => Ok(key),
    }
}

const INVALID: &str = "Not a valid key";

fn secret(value: &str) -> Result<Secret, &'static str> {
    let plain: String = value.split_whitespace().collect();
    // Anybody can sign with an empty one.
    let key = STANDARD.decode(plain).ok().filter(|key| !key.is_empty());
    key.map(Secret).ok_or(INVALID)
}

fn rsa(value: &str) -> Result<Rsa, &'static str> {
    match pem::read(value).ok_or(INVALID)? {
        PublicKey::Rsa(key) => Ok(Rsa(key)),
        _ => Err("not an RSA public key"),
    }
}

fn ec(value: &str) -> Result<Ec, &'static str> {
    match pem::read(value).ok_or(INVALID)? {
        PublicKey::P256(point) => Ok(Ec { curve: Curve::P256, point }),
        PublicKey::P384(point) => Ok(Ec { curve: Curve::P384, point }),
        _ => Err("not an EC public key"),
    }
}

fn ed25519(value: &str) -> Result<Ed25519, &'static str> {
    match pem::read(value).ok_or(INVALID)? {
        PublicKey::Ed25519(key) => Ok(Ed25519(key)),
        _ => Err("not an Ed25519 public key"),
    }
}
