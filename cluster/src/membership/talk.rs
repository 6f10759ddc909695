//! What nodes ask each other about membership and for their clients, and tell each other of their
//! copies and of design documents, and its bytes. Raft's own messages travel beside it, told apart by
//! their first byte. Pure.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::catalogue::Member;
use crate::raft::NodeId;

/// First byte of Raft's messages, and of the others.
const RAFT: u8 = 0;
const ASK: u8 = 1;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Who are you, and of which cluster?
    Who,
    /// Take this node in.
    Join { id: NodeId, member: Member },
    /// Leave your cluster of one, to be taken in by another.
    Yield,
    /// This node can reach you again; it may have what you lack.
    Met { node: NodeId },
    /// Say when you show what was agreed on up to a revision.
    Shows { revision: u64 },
    /// Your copies of these shards lack something that others have.
    Behind { shards: Vec<String> },
    /// Answer what this node's front asks for a client.
    Front { question: Bytes },
    /// Design documents of a database may be others than you know.
    Designs { database: String },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Who {
        id: NodeId,
        member: Member,
        /// The founder of its cluster; none if it is of none.
        group: Option<NodeId>,
    },
    Done,
    /// What the other node's front says.
    Front {
        answer: Bytes,
    },
}

/// A message on its way in.
pub(crate) enum Message {
    Raft(Bytes),
    Ask(Ask),
}

pub(crate) fn raft(message: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(message.len() + 1);
    bytes.put_u8(RAFT);
    bytes.extend_from_slice(message);
    bytes.freeze()
}

impl Ask {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_extend(self, vec![ASK]).unwrap_or_default().into()
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).unwrap_or_default().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Answer, Error> {
        postcard::from_bytes(bytes).map_err(|_| strange())
    }
}

impl Message {
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Message, Error> {
        if bytes.is_empty() {
            return Err(strange());
        }
        let rest = bytes.split_off(1);
        match bytes.first() {
            Some(&RAFT) => Ok(Message::Raft(rest)),
            Some(&ASK) => Ok(Message::Ask(postcard::from_bytes(&rest).map_err(|_| strange())?)),
            _ => Err(strange()),
        }
    }
}

fn strange() -> Error {
    Error::BadRequest("the nodes do not understand each other; are they of one version?".into())
}
