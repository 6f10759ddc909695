//! What a writer makes of batches: each edit is judged against the documents as earlier edits left
//! them, and what is accepted becomes records of one log frame and changes of a workspace. The rules
//! of revisions are the model's; this is where they meet stored documents and uploads.

use bytes::Bytes;
use settee_model::doc::{AttBytes, AttSource, Chunk, DocEdit, DocRecord, Uploaded};
use settee_model::docid::DocId;
use settee_model::docinfo::{DocInfo, RevInfo};
use settee_model::edit::{self, Decided, EditError, next_local_rev};
use settee_model::rev::{Rev, RevId, RevPath};

use super::batch::{Batch, Decision, LocalEdit, LocalReplica, Made, Outcome, Write};
use super::partition::Gauge;
use super::state::State;
use super::store::Store;
use super::uploads::{Place, Uploads, name_chunk};
use super::workspace::Workspace;
use crate::Error;
use crate::codec::log::{self, FrameHead, Merge, Record};
use crate::codec::purge::PurgeRequest;
use crate::codec::{chunk, local, record};
use crate::page::Pages;

/// Turns batches into outcomes, a frame and the next state.
pub(super) struct Decider<'a> {
    head: &'a State,
    uploads: &'a Uploads,
    workspace: Workspace<'a>,
    gauge: Gauge,
    frame: Vec<u8>,
    /// Length of the frame without any record.
    empty: usize,
    /// What was made of the edits of a batch, by their places in it, if somebody wants to know.
    made: Option<Vec<(usize, Made)>>,
}

/// By which rules an edit is let in.
#[derive(Clone, Copy)]
enum Rules<'a> {
    /// Those for clients; the edit has that place in its batch.
    Interactive(usize),
    /// Those for revisions that were made elsewhere.
    Replicated,
    /// The same, where these purges of the document were known.
    Following(&'a [Bytes]),
}

/// The document that was changed last in a batch: its next change there keeps its sequence.
type Last = Option<DocId>;

impl<'a> Decider<'a> {
    /// `pages` are those of the head, read as far as the caller wants to wait for them.
    pub(super) fn new(head: &'a State, uploads: &'a Uploads, pages: Pages) -> Self {
        let mut workspace = Workspace::new(head, pages);
        workspace.begin_frame();
        let mut frame = Vec::new();
        let number = workspace.counters().number;
        log::put_head(&mut frame, FrameHead { epoch: head.epoch, number });
        let empty = frame.len();
        Decider { head, uploads, workspace, gauge: Gauge::default(), frame, empty, made: None }
    }

    /// Looks up all documents that the batches name.
    pub(super) fn load<'i>(
        &mut self,
        batches: impl Iterator<Item = &'i Batch>,
    ) -> Result<(), Error> {
        let writes = batches.flat_map(|batch| &batch.writes);
        self.workspace.load(writes.filter_map(|write| match write {
            Write::Purge(request) => Some(&request.id),
            write => write.edit().map(|edit| &edit.id),
        }))
    }

    /// Decides a batch, and says what other copies must know of it.
    pub(super) fn decide_telling(&mut self, batch: &Batch) -> Result<Decision, Error> {
        self.made = Some(Vec::new());
        let outcomes = self.decide(batch);
        let told = self.made.take().unwrap_or_default();
        let mut made = vec![None; batch.writes.len()];
        for (index, what) in told {
            made.get_mut(index).map(|place| place.replace(what));
        }
        Ok(Decision { outcomes: outcomes?, made })
    }

    /// Decides a batch; one outcome for each of its writes.
    pub(super) fn decide(&mut self, batch: &Batch) -> Result<Vec<Outcome>, Error> {
        let purged = self.workspace.counters().purge_seq;
        if batch.purges_known.is_some_and(|known| known != purged) {
            return Ok(vec![Outcome::Failed(EditError::Conflict); batch.writes.len()]);
        }
        let mut order: Vec<(usize, &Write)> = batch.writes.iter().enumerate().collect();
        order.sort_by_key(|(_, write)| write.edit().map(|edit| &edit.id));
        let mut outcomes = Vec::with_capacity(order.len());
        let mut purges = Vec::new();
        let mut last = None;
        for (index, write) in order {
            let outcome = match write {
                Write::Interactive(edit) => {
                    self.edit(edit, Rules::Interactive(index), batch, &mut last)?
                }
                Write::Replicated(edit) => self.edit(edit, Rules::Replicated, batch, &mut last)?,
                Write::Following { edit, purges } => {
                    self.edit(edit, Rules::Following(purges), batch, &mut last)?
                }
                Write::Local(edit) => self.local(edit)?,
                Write::LocalReplica(replica) => self.local_replica(replica)?,
                Write::Property { name, value } => {
                    self.set(local::property_key(name), value.clone())?;
                    Outcome::Set
                }
                Write::Purge(request) => {
                    purges.push((index, request));
                    continue;
                }
            };
            outcomes.push((index, outcome));
        }
        self.purge(purges, batch, &mut outcomes)?;
        outcomes.sort_unstable_by_key(|(index, _)| *index);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// The state that follows and the frame that leads to it; `None` if nothing changes.
    pub(super) fn finish(self) -> Result<Option<(State, Bytes)>, Error> {
        if self.frame.len() == self.empty {
            return Ok(None);
        }
        Ok(Some((self.workspace.finish()?, self.frame.into())))
    }

    fn edit(
        &mut self,
        edit: &DocEdit,
        rules: Rules<'_>,
        batch: &Batch,
        last: &mut Last,
    ) -> Result<Outcome, Error> {
        let info = self.workspace.info(&edit.id);
        let parent = |parent: &RevInfo| self.parent(parent);
        let decision = match rules {
            Rules::Interactive(_) => edit::decide_interactive(info, edit.clone(), parent)?,
            Rules::Replicated | Rules::Following(_) => {
                edit::decide_replicated(info, edit.clone(), |ancestor| self.ancestor(ancestor))?
            }
        };
        match decision {
            edit::Decision::Known(rev) => Ok(Outcome::Unchanged(rev)),
            edit::Decision::Refuse(error) => Ok(Outcome::Failed(error)),
            edit::Decision::Write(decided) => {
                match rules {
                    Rules::Interactive(place) => {
                        if let Some(limit) = batch.partition_limit
                            && self.gauge.overflows(self.head, limit, info, &decided)?
                        {
                            return Ok(Outcome::Failed(EditError::PartitionOverflow(decided.id)));
                        }
                        if let Some(made) = &mut self.made {
                            let purges = self.workspace.purges_of(&decided.id)?;
                            made.push((place, made_of(info, &decided, batch, purges)));
                        }
                    }
                    Rules::Following(known)
                        if self.workspace.purged_beside(&decided.id, known)? =>
                    {
                        return Ok(Outcome::Failed(EditError::Conflict));
                    }
                    Rules::Following(_) | Rules::Replicated => {}
                }
                let rev = decided.rev();
                self.put_uploads(edit)?;
                self.merge(decided, batch, last)?;
                Ok(rev.map_or(Outcome::Failed(EditError::RevRequired), Outcome::Written))
            }
        }
    }

    /// The record of a revision that is followed; empty if it is gone, so that it has no stubs.
    fn parent(&self, parent: &RevInfo) -> Result<DocRecord, Error> {
        let Some(body) = parent.body else { return Ok(DocRecord::default()) };
        let Some(bytes) = self.workspace.record(body)? else { return Ok(DocRecord::default()) };
        record::decode(&bytes).map_err(|damage| self.head.store.unreadable(damage))
    }

    /// The same of a revision that may have been followed long ago. The other file that may have the name
    /// lacks the attachments of such: then who sent it is asked for them.
    fn ancestor(&self, ancestor: &RevInfo) -> Result<DocRecord, Error> {
        if self.head.store.has_failed() {
            return Ok(DocRecord::default());
        }
        self.parent(ancestor)
    }

    fn merge(&mut self, decided: Decided, batch: &Batch, last: &mut Last) -> Result<(), Error> {
        let update_seq = self.workspace.counters().update_seq;
        let again = last.as_ref() == Some(&decided.id);
        let mut bytes = Vec::with_capacity(decided.record.body.len() + 16);
        record::encode(&mut bytes, &decided.record);
        *last = Some(decided.id.clone());
        self.put(Record::Merge(Merge {
            id: decided.id,
            seq: if again { update_seq } else { update_seq + 1 },
            revs_limit: batch.revs_limit,
            deleted: decided.deleted,
            path: decided.path,
            record: bytes.into(),
        }))?;
        Ok(())
    }

    fn put_uploads(&mut self, edit: &DocEdit) -> Result<(), Error> {
        edit.atts.iter().try_for_each(|att| match &att.source {
            AttSource::Uploaded(uploaded) => self.put_chunks(uploaded),
            AttSource::Stub => Ok(()),
        })
    }

    /// Gives chunks a place in the tree that have none yet.
    fn put_chunks(&mut self, uploaded: &Uploaded) -> Result<(), Error> {
        // Whoever brings them: nobody looks at them again before they are stored.
        if let AttBytes::Carried(bytes) = &uploaded.bytes
            && uploaded.content.chunks != [name_chunk(bytes)?]
        {
            return Err(Error::ChunkMismatch);
        }
        for Chunk { hash, .. } in &uploaded.content.chunks {
            // The other file that may have the name lacks what nothing referred to when it was made.
            if !self.head.store.has_failed() && self.workspace.has_chunk(hash)? {
                continue;
            }
            let place = match &uploaded.bytes {
                AttBytes::Carried(bytes) => self.brought(bytes)?,
                AttBytes::Held(_) => self.uploaded(hash)?,
            };
            self.put(Record::Chunk { hash: *hash, place })?;
        }
        Ok(())
    }

    /// The place of a chunk that comes with its edit: the log brings it there, and the next checkpoint.
    fn brought(&mut self, bytes: &Bytes) -> Result<chunk::Place, Error> {
        // After a restart another file may have the name, and something else may stand there in it.
        if self.head.store.has_failed() {
            return Ok(chunk::Place::Inline(bytes.clone()));
        }
        let extent = self.head.store.reserve(bytes)?;
        let ptr = extent.ptr();
        self.put(Record::Extent(extent))?;
        Ok(chunk::Place::Extent(ptr))
    }

    /// The place of a chunk that an upload holds.
    fn uploaded(&self, hash: &[u8; 32]) -> Result<chunk::Place, Error> {
        match self.uploads.place(hash) {
            Some(Place::Extent(store, ptr)) if self.is_there(&store) => {
                Ok(chunk::Place::Extent(ptr))
            }
            _ => Err(Error::UploadLost),
        }
    }

    /// Whether a restart is sure to find what was synced to that file.
    fn is_there(&self, store: &Store) -> bool {
        std::ptr::eq(store, &*self.head.store) && !store.has_failed()
    }

    fn local(&mut self, edit: &LocalEdit) -> Result<Outcome, Error> {
        let rev = next_local_rev(edit.rev, edit.body.is_none());
        let value = edit.body.as_ref().map(|body| local::encode_doc(rev, body).into());
        self.set(local::doc_key(&edit.id), value)?;
        Ok(Outcome::Written(local_rev(rev)))
    }

    fn local_replica(&mut self, replica: &LocalReplica) -> Result<Outcome, Error> {
        let LocalReplica { id, doc } = replica;
        let key = local::doc_key(id);
        if let Some(stored) = self.workspace.local(&key)? {
            let known = local::decode_doc(&stored);
            let known = known.map_err(|damage| self.head.store.unreadable(damage))?;
            if (known.rev, &known.body) >= (doc.rev, &doc.body) {
                return Ok(Outcome::Unchanged(local_rev(known.rev)));
            }
        }
        self.set(key, Some(local::encode_doc(doc.rev, &doc.body).into()))?;
        Ok(Outcome::Written(local_rev(doc.rev)))
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Bytes>) -> Result<(), Error> {
        self.put(Record::Local { key: key.into(), value }).map(|_| ())
    }

    /// Carries out those purges of a batch that were not carried out before, all with one record.
    fn purge(
        &mut self,
        purges: Vec<(usize, &PurgeRequest)>,
        batch: &Batch,
        outcomes: &mut Vec<(usize, Outcome)>,
    ) -> Result<(), Error> {
        let mut requests: Vec<PurgeRequest> = Vec::new();
        let mut indexes = Vec::new();
        for (index, request) in purges {
            let same =
                |other: &PurgeRequest| (&other.uuid, &other.id) == (&request.uuid, &request.id);
            let again = requests.iter().any(same);
            if again || self.workspace.has_purge(request)? {
                outcomes.push((index, Outcome::Purged(Vec::new())));
            } else {
                requests.push(request.clone());
                indexes.push(index);
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        let infos_limit = u64::from(batch.purge_infos_limit);
        let removed = self.put(Record::Purge { requests, infos_limit })?;
        outcomes.extend(indexes.into_iter().zip(removed.into_iter().map(Outcome::Purged)));
        Ok(())
    }

    fn put(&mut self, record: Record) -> Result<Vec<Vec<Rev>>, Error> {
        log::put_record(&mut self.frame, &record);
        self.workspace.carry_out(record)
    }
}

/// What other copies must know of a decision about an edit of a client, who names no more than the
/// revision that it follows. `info` is what is known of the document before the edit.
fn made_of(
    info: Option<&DocInfo>,
    decided: &Decided,
    batch: &Batch,
    purges: Vec<(u64, Bytes)>,
) -> Made {
    let mut path = decided.path.clone();
    let known = path.parent().and_then(|parent| info?.tree.path_of(&parent));
    if let Some(RevPath { ids, .. }) = known.filter(|known| known.ids.len() >= path.ids.len()) {
        path.ids.truncate(1);
        path.ids.extend(ids);
    }
    path.ids.truncate(batch.revs_limit.max(1) as usize);
    let revpos = decided.record.atts.iter().map(|att| att.revpos).collect();
    Made { path, revpos, purges: purges.into_iter().map(|(_, uuid)| uuid).collect() }
}

fn local_rev(number: u64) -> Rev {
    Rev { pos: 0, id: RevId::from_bytes(number.to_string().as_bytes()) }
}
