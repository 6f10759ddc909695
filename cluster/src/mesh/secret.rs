//! The cluster secret: what nodes prove to each other to know. There is none by default, and no
//! way to print one.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A shared secret, kept out of logs.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

/// The cookie that came with CouchDB's packages for years: whoever is asked for a secret tries it.
const KNOWN: &str = "monster";

/// What was set is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// There is nothing.
    #[error("the mesh needs a secret: set [cluster] secret to the same value on all nodes")]
    Missing,
    /// Everybody knows it.
    #[error("the cluster secret `monster` is known to everybody: set another one on all nodes")]
    Known,
}

impl Secret {
    /// Takes a secret; white space around it does not count.
    pub fn new(text: &str) -> Result<Secret, NoSecret> {
        let text = text.trim();
        match text {
            "" => Err(NoSecret::Missing),
            KNOWN => Err(NoSecret::Known),
            text => Ok(Secret(text.as_bytes().into())),
        }
    }

    /// Whether two secrets are the same.
    pub(crate) fn is(&self, other: &Secret) -> bool {
        same(&self.0, &other.0)
    }

    /// A code over parts that only who knows the secret can make. The parts are set off from each
    /// other by their lengths, so that no two lists of parts have the same code.
    pub(crate) fn code(&self, parts: &[&[u8]]) -> [u8; 32] {
        // Keys of any length are keys to HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 32] };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether two codes are the same, in a time that does not tell where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
