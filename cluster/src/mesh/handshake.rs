//! What two nodes must say to believe each other: versions both speak, and proofs of the cluster
//! secret over everything that was said. The caller proves first, so a stranger who calls learns
//! nothing but why it is refused. Pure; the messages travel in `greet` and `peer`.

use super::secret::{self, Secret};
use super::wire;
use crate::raft::{NodeId, node_id};

/// Bytes of a nonce.
pub(crate) const NONCE: usize = 32;

/// The versions of the protocol that a node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: u32,
    /// The newest.
    pub newest: u32,
}

/// The versions that this build speaks. An incompatible change makes a new one; the oldest moves
/// on only when no supported release needs it any more.
pub const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

/// Why a node does not speak with another; the texts are what the other one is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this node speaks mesh versions {} to {}, not {} to {}",
        .ours.oldest, .ours.newest, .theirs.oldest, .theirs.newest)]
    Version { ours: Versions, theirs: Versions },
    #[error("the cluster secret is not the one of this node")]
    Secret,
    #[error("malformed handshake: {0}")]
    Malformed(&'static str),
    #[error("this node may not call itself")]
    Itself,
}

/// Whether a call failed because it was this node that was called.
pub(crate) fn is_itself(error: &crate::Error) -> bool {
    let said = Refusal::Itself.to_string();
    matches!(error, crate::Error::Unreachable(text) if text.ends_with(&said))
}

impl Versions {
    /// The newest version that both speak.
    pub(crate) fn agree(self, theirs: Versions) -> Result<u32, Refusal> {
        let newest = self.newest.min(theirs.newest);
        if newest >= self.oldest.max(theirs.oldest) {
            Ok(newest)
        } else {
            Err(Refusal::Version { ours: self, theirs })
        }
    }

    pub(crate) fn contains(self, version: u32) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }
}

/// Who a node is. Its identity is the uuid of its data directory; name and address may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its name, as `_membership` shows it.
    pub name: String,
    /// What it is known by for ever.
    pub uuid: [u8; 16],
    /// Grows with every start.
    pub epoch: u64,
}

impl From<&NodeIdentity> for wire::Node {
    fn from(node: &NodeIdentity) -> wire::Node {
        let uuid = bytes::Bytes::copy_from_slice(&node.uuid);
        wire::Node { name: node.name.clone(), uuid, epoch: node.epoch }
    }
}

impl NodeIdentity {
    /// Whether it is the member of this id.
    pub(crate) fn is(&self, id: NodeId) -> bool {
        let uuid = u128::from_be_bytes(self.uuid);
        // The file with the uuid may have been written by hand.
        [format!("{uuid:032x}"), format!("{uuid:032X}")].iter().any(|uuid| node_id(uuid) == id)
    }

    pub(crate) fn of(node: Option<wire::Node>) -> Result<NodeIdentity, Refusal> {
        let node = node.ok_or(Refusal::Malformed("no node"))?;
        let uuid = <[u8; 16]>::try_from(node.uuid.as_ref());
        let uuid = uuid.map_err(|_| Refusal::Malformed("uuid"))?;
        Ok(NodeIdentity { name: node.name, uuid, epoch: node.epoch })
    }
}

/// What was said in a handshake before anybody proved anything.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub(crate) version: u32,
    /// What the caller said that it speaks: an attacker must not make it speak an older one.
    pub(crate) offered: Versions,
    pub(crate) caller: NodeIdentity,
    pub(crate) caller_nonce: [u8; NONCE],
    pub(crate) node_nonce: [u8; NONCE],
}

impl Transcript {
    /// What the caller proves itself with.
    pub(crate) fn caller_proof(&self, secret: &Secret) -> [u8; 32] {
        self.code(secret, b"settee mesh caller", None)
    }

    /// What the node answers with.
    pub(crate) fn node_proof(&self, secret: &Secret, node: &NodeIdentity) -> [u8; 32] {
        self.code(secret, b"settee mesh node", Some(node))
    }

    /// The name of the session that follows; both make it, it does not travel in the handshake.
    pub(crate) fn token(&self, secret: &Secret, node: &NodeIdentity) -> [u8; 32] {
        self.code(secret, b"settee mesh session", Some(node))
    }

    /// Whether the caller knows the secret.
    pub(crate) fn admit(&self, secret: &Secret, proof: &[u8]) -> Result<(), Refusal> {
        accept(secret::same(&self.caller_proof(secret), proof))
    }

    /// Whether the node knows it.
    pub(crate) fn believe(
        &self,
        secret: &Secret,
        node: &NodeIdentity,
        proof: &[u8],
    ) -> Result<(), Refusal> {
        accept(secret::same(&self.node_proof(secret, node), proof))
    }

    fn code(&self, secret: &Secret, role: &[u8], node: Option<&NodeIdentity>) -> [u8; 32] {
        let Versions { oldest, newest } = self.offered;
        let versions = [self.version, oldest, newest].map(u32::to_be_bytes);
        let epochs = [self.caller.epoch, node.map_or(0, |node| node.epoch)].map(u64::to_be_bytes);
        secret.code(&[
            role,
            versions.as_flattened(),
            epochs.as_flattened(),
            &self.caller.uuid,
            self.caller.name.as_bytes(),
            node.map_or(&[], |node| &node.uuid),
            node.map_or(&[], |node| node.name.as_bytes()),
            &self.caller_nonce,
            &self.node_nonce,
        ])
    }
}

fn accept(good: bool) -> Result<(), Refusal> {
    if good { Ok(()) } else { Err(Refusal::Secret) }
}

/// Bytes that nobody can guess.
pub(crate) fn nonce() -> Result<[u8; NONCE], Refusal> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| Refusal::Malformed("no randomness"))?;
    Ok(nonce)
}

pub(crate) fn nonce_of(bytes: &[u8]) -> Result<[u8; NONCE], Refusal> {
    bytes.try_into().map_err(|_| Refusal::Malformed("nonce"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(oldest: u32, newest: u32) -> Versions {
        Versions { oldest, newest }
    }

    #[test]
    fn the_newest_version_of_both_is_spoken() {
        let table = [
            ((1, 1), (1, 1), Some(1)),
            ((1, 3), (2, 5), Some(3)),
            ((2, 5), (1, 3), Some(3)),
            ((1, 2), (2, 2), Some(2)),
            ((3, 4), (1, 2), None),
            ((1, 2), (3, 4), None),
            // A span that ends before it begins speaks nothing.
            ((1, 9), (5, 4), None),
        ];
        for (ours, theirs, agreed) in table {
            let result = span(ours.0, ours.1).agree(span(theirs.0, theirs.1));
            assert_eq!(result.ok(), agreed, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn this_build_speaks_version_one() {
        assert_eq!(VERSIONS.agree(span(1, 1)), Ok(1));
        assert!(VERSIONS.agree(span(0, 0)).is_err());
        let beyond = VERSIONS.newest + 1;
        let refusal = VERSIONS.agree(span(beyond, beyond)).unwrap_err().to_string();
        assert_eq!(refusal, "this node speaks mesh versions 1 to 1, not 2 to 2");
    }

    fn transcript() -> Transcript {
        Transcript {
            version: 1,
            offered: VERSIONS,
            caller: NodeIdentity { name: "a@one".into(), uuid: [1; 16], epoch: 5 },
            caller_nonce: [3; NONCE],
            node_nonce: [4; NONCE],
        }
    }

    #[test]
    fn proofs_cover_all_that_was_said() {
        let secret = Secret::new("mellon").unwrap();
        let node = NodeIdentity { name: "b@two".into(), uuid: [2; 16], epoch: 7 };
        let proof = transcript().caller_proof(&secret);
        assert_eq!(transcript().admit(&secret, &proof), Ok(()));
        type Change = fn(&mut Transcript);
        let changes: [Change; 7] = [
            |said| said.version = 2,
            |said| said.offered.newest = 9,
            |said| said.caller.name.push('x'),
            |said| said.caller.uuid = [9; 16],
            |said| said.caller.epoch = 6,
            |said| said.caller_nonce = [9; NONCE],
            |said| said.node_nonce = [9; NONCE],
        ];
        let (back, token) =
            (transcript().node_proof(&secret, &node), transcript().token(&secret, &node));
        for change in changes {
            let mut said = transcript();
            change(&mut said);
            assert_eq!(said.admit(&secret, &proof), Err(Refusal::Secret));
            assert_eq!(said.believe(&secret, &node, &back), Err(Refusal::Secret));
            assert_ne!(said.token(&secret, &node), token);
        }
        let other = Secret::new("Monster").unwrap();
        assert_eq!(transcript().admit(&other, &proof), Err(Refusal::Secret));
        assert_eq!(transcript().admit(&secret, &proof[..31]), Err(Refusal::Secret));
        assert_eq!(transcript().admit(&secret, &[]), Err(Refusal::Secret));
        // No proof stands for another.
        assert_eq!(transcript().admit(&secret, &back), Err(Refusal::Secret));
        assert_eq!(transcript().believe(&secret, &node, &proof), Err(Refusal::Secret));
    }

    #[test]
    fn there_is_no_empty_secret_no_known_one_and_none_is_printed() {
        for none in ["", " ", "\n\t", "monster", " monster\n"] {
            assert!(Secret::new(none).is_err(), "{none:?}");
        }
        let secret = Secret::new(" mellon\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.code(&[b"x"]), Secret::new("mellon").unwrap().code(&[b"x"]));
        assert_ne!(secret.code(&[b"ab", b"c"]), secret.code(&[b"a", b"bc"]));
    }
}
