//! What this node answers others about Raft and membership, and whom it has answer the rest. Until it
//! knows its own metadata it says that it is starting. Checks no caller: the mesh has done so.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use settee_model::docid::DbName;

use super::Whereabouts;
use super::join::admit;
use super::talk::{Answer, Ask, Message};
use crate::catalogue::{Book, Member};
use crate::mesh::{NodeIdentity, RaftAnswer, RaftPort};
use crate::node::Node;
use crate::steps::uninterrupted;
use crate::{Desk, Error, LONGEST};

/// How long another node may wait until this one shows what was agreed on.
pub(crate) const SHOW: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Default)]
pub(crate) struct Port {
    known: OnceLock<(Arc<Book>, Arc<Whereabouts>)>,
    node: OnceLock<Weak<Node>>,
    desk: OnceLock<Arc<dyn Desk>>,
}

impl Port {
    /// From now on it answers for this book.
    pub(crate) fn open(&self, book: Arc<Book>, me: Arc<Whereabouts>) {
        // Set once, at the start.
        let _ = self.known.set((book, me));
    }

    /// From now on there is a node that serves databases.
    pub(crate) fn serve(&self, node: Weak<Node>) {
        let _ = self.node.set(node);
    }

    /// From now on this desk answers the fronts of other nodes.
    pub(crate) fn open_desk(&self, desk: Arc<dyn Desk>) {
        let _ = self.desk.set(desk);
    }

    async fn ask_desk(&self, question: Bytes) -> Result<Bytes, Error> {
        let starting = || Error::Unreachable("this node is starting".into());
        let desk = self.desk.get().cloned().ok_or_else(starting)?;
        if question.len() > LONGEST {
            return Err(Error::BadRequest("no node answers questions that long".into()));
        }
        // What was begun is not left half done because the node that asked is gone.
        uninterrupted(async move { desk.answer(question).await }).await
    }

    fn serving(&self) -> Result<Arc<Node>, Error> {
        self.node.get().and_then(Weak::upgrade).ok_or(Error::Closing)
    }

    async fn answer(&self, message: Bytes) -> Result<Bytes, Error> {
        let (book, me) = self.known.get().ok_or(Error::Closing)?;
        match Message::decode(message)? {
            Message::Raft(message) => Ok(book.store().answer(message).await),
            Message::Ask(ask) => Ok(self.tell(book, me.now(), ask).await?.encode()),
        }
    }

    async fn tell(&self, book: &Book, member: Arc<Member>, ask: Ask) -> Result<Answer, Error> {
        match ask {
            Ask::Who => {
                let store = book.store();
                let (id, group) = (store.id(), store.group());
                Ok(Answer::Who { id, member: (*member).clone(), group })
            }
            Ask::Join { id, member } => {
                admit(book, id, &member).await?;
                if let Some(node) = self.node.get().and_then(Weak::upgrade) {
                    // It is a member whether this succeeds or not.
                    tokio::spawn(async move {
                        if let Err(error) = node.spread().await {
                            tracing::warn!(%error, "system databases got no more copies");
                        }
                    });
                }
                Ok(Answer::Done)
            }
            Ask::Met { node } => {
                self.serving()?.scheduler().peer_up(node);
                Ok(Answer::Done)
            }
            Ask::Shows { revision } => {
                book.show_soon(revision, SHOW).await?;
                Ok(Answer::Done)
            }
            Ask::Behind { shards } => {
                self.serving()?.hear_of(&shards);
                Ok(Answer::Done)
            }
            Ask::Front { question } => Ok(Answer::Front { answer: self.ask_desk(question).await? }),
            Ask::Designs { database } => {
                self.serving()?.marks().changed(&DbName::trusted(&database));
                Ok(Answer::Done)
            }
            Ask::Yield => {
                let node = self.serving()?;
                uninterrupted(async move { node.give_up().await }).await?;
                Ok(Answer::Done)
            }
        }
    }
}

impl RaftPort for Port {
    fn call<'a>(&'a self, _: &'a NodeIdentity, bytes: Bytes) -> RaftAnswer<'a> {
        Box::pin(self.answer(bytes))
    }
}
