//! Callers that have proved themselves: their tokens, as long as they are in use. Bounded: whoever
//! has been silent for longest has to prove itself again. Checks no proofs: that is done before a
//! session begins (see `greet`).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::handshake::NodeIdentity;

/// Sessions that are kept. A peer has one for each of its connections.
const SESSIONS: usize = 1024;

type Token = [u8; 32];

/// The sessions of a node.
pub(crate) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_token: HashMap<Token, Session>,
    /// Counts uses.
    clock: u64,
}

struct Session {
    caller: Arc<NodeIdentity>,
    used: u64,
}

impl Sessions {
    pub(crate) fn new() -> Sessions {
        Sessions(Mutex::default())
    }

    /// Begins a session.
    pub(crate) fn begin(&self, token: Token, caller: NodeIdentity) {
        let mut kept = self.0.lock();
        kept.clock += 1;
        let used = kept.clock;
        kept.by_token.insert(token, Session { caller: Arc::new(caller), used });
        if kept.by_token.len() > SESSIONS {
            let oldest = kept.by_token.iter().min_by_key(|(_, session)| session.used);
            if let Some(token) = oldest.map(|(token, _)| *token) {
                kept.by_token.remove(&token);
            }
        }
    }

    /// Who calls with a token. Tokens are codes that nobody can aim at, so looking them up by their
    /// hash tells nothing about others.
    pub(crate) fn caller(&self, token: &[u8]) -> Option<Arc<NodeIdentity>> {
        let token = Token::try_from(token).ok()?;
        let mut kept = self.0.lock();
        kept.clock += 1;
        let now = kept.clock;
        let session = kept.by_token.get_mut(&token)?;
        session.used = now;
        Some(session.caller.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silent_session_makes_room() {
        let sessions = Sessions::new();
        let token = |number: usize| {
            let mut token = [0; 32];
            token[..8].copy_from_slice(&number.to_be_bytes());
            token
        };
        let node =
            |number: usize| NodeIdentity { name: number.to_string(), uuid: [0; 16], epoch: 0 };
        (0..SESSIONS).for_each(|number| sessions.begin(token(number), node(number)));
        assert_eq!(sessions.caller(&token(0)).as_deref(), Some(&node(0)));
        sessions.begin(token(SESSIONS), node(SESSIONS));
        assert_eq!(sessions.caller(&token(1)), None);
        for kept in [0, 2, SESSIONS] {
            assert_eq!(sessions.caller(&token(kept)).as_deref(), Some(&node(kept)));
        }
        assert_eq!(sessions.caller(b"short"), None);
    }
}
