//! [`Prf`]: the hashes that CouchDB knows by name, in PBKDF2 and in HMAC. Pure.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// The hash inside PBKDF2 or an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prf {
    /// SHA-1, which CouchDB calls `sha`.
    Sha1,
    /// `sha224`
    Sha224,
    /// `sha256`
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`
    Sha512,
}

impl Prf {
    /// CouchDB's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Prf::Sha1 => "sha",
            Prf::Sha224 => "sha224",
            Prf::Sha256 => "sha256",
            Prf::Sha384 => "sha384",
            Prf::Sha512 => "sha512",
        }
    }

    /// Reads CouchDB's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Prf::Sha1, Prf::Sha224, Prf::Sha256, Prf::Sha384, Prf::Sha512];
        all.into_iter().find(|prf| prf.name() == name)
    }

    /// PBKDF2, as hexadecimal digits. Slow on purpose.
    #[must_use]
    pub fn derive(self, password: &[u8], salt: &[u8], iterations: u32) -> String {
        let mut key = [0; 64];
        let length = match self {
            Prf::Sha1 => 20,
            Prf::Sha224 => 28,
            Prf::Sha256 => 32,
            Prf::Sha384 => 48,
            Prf::Sha512 => 64,
        };
        let key = key.get_mut(..length).unwrap_or_default();
        // The only error is a key of an invalid length, and HMAC takes any.
        let _ = match self {
            Prf::Sha1 => pbkdf2::pbkdf2::<Hmac<Sha1>>(password, salt, iterations, key),
            Prf::Sha224 => pbkdf2::pbkdf2::<Hmac<Sha224>>(password, salt, iterations, key),
            Prf::Sha256 => pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, iterations, key),
            Prf::Sha384 => pbkdf2::pbkdf2::<Hmac<Sha384>>(password, salt, iterations, key),
            Prf::Sha512 => pbkdf2::pbkdf2::<Hmac<Sha512>>(password, salt, iterations, key),
        };
        hex(key)
    }

    /// HMAC.
    #[must_use]
    pub fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Prf::Sha1 => keyed::<Hmac<Sha1>>(key, message),
            Prf::Sha224 => keyed::<Hmac<Sha224>>(key, message),
            Prf::Sha256 => keyed::<Hmac<Sha256>>(key, message),
            Prf::Sha384 => keyed::<Hmac<Sha384>>(key, message),
            Prf::Sha512 => keyed::<Hmac<Sha512>>(key, message),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so the error never comes; no mac would match nothing.
    let Ok(mac) = <M as hmac::digest::KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
