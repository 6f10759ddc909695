//! Documents on their way in and out, and what a writer says about them. Never parses a body; ids
//! are taken as they come.

use settee_engine::shard::{
    Batch, Decision, LocalDoc, LocalEdit, LocalReplica, Made, Outcome, PurgeRequest, Write,
};
use settee_model::doc::{DocEdit, DocRecord, StoredDoc};
use settee_model::docid::DocId;
use settee_model::edit::EditError;

use super as wire;
use crate::Error;
use crate::rows::DocRow;

impl From<&StoredDoc> for wire::Doc {
    fn from(doc: &StoredDoc) -> wire::Doc {
        wire::Doc {
            id: doc.id.as_str().into(),
            revs: Some((&doc.revs).into()),
            deleted: doc.deleted,
            body: doc.record.body.clone(),
            atts: wire::each(&doc.record.atts),
        }
    }
}

impl TryFrom<wire::Doc> for StoredDoc {
    type Error = Error;

    fn try_from(doc: wire::Doc) -> Result<StoredDoc, Error> {
        Ok(StoredDoc {
            id: DocId::trusted(&doc.id),
            revs: wire::need(doc.revs, "revisions of a document")?.try_into()?,
            deleted: doc.deleted,
            record: DocRecord { atts: wire::all(doc.atts)?, body: doc.body },
        })
    }
}

impl From<&DocRow> for wire::DocRow {
    fn from(row: &DocRow) -> wire::DocRow {
        wire::DocRow {
            id: row.id.as_str().into(),
            rev: Some((&row.rev).into()),
            deleted: row.deleted,
            doc: row.doc.as_ref().map(wire::Doc::from),
            conflicts: wire::each(&row.conflicts),
        }
    }
}

impl TryFrom<wire::DocRow> for DocRow {
    type Error = Error;

    fn try_from(row: wire::DocRow) -> Result<DocRow, Error> {
        Ok(DocRow {
            id: DocId::trusted(&row.id),
            rev: wire::need(row.rev, "revision of a row")?.into(),
            deleted: row.deleted,
            doc: row.doc.map(StoredDoc::try_from).transpose()?,
            conflicts: wire::each(row.conflicts),
        })
    }
}

impl From<&DocEdit> for wire::DocEdit {
    fn from(edit: &DocEdit) -> wire::DocEdit {
        wire::DocEdit {
            id: edit.id.as_str().into(),
            revs: Some((&edit.revs).into()),
            deleted: edit.deleted,
            body: edit.body.clone(),
            atts: wire::each(&edit.atts),
        }
    }
}

impl TryFrom<wire::DocEdit> for DocEdit {
    type Error = Error;

    fn try_from(edit: wire::DocEdit) -> Result<DocEdit, Error> {
        Ok(DocEdit {
            id: DocId::trusted(&edit.id),
            revs: wire::need(edit.revs, "revisions of an edit")?.try_into()?,
            deleted: edit.deleted,
            body: edit.body,
            atts: wire::all(edit.atts)?,
        })
    }
}

impl From<&Write> for wire::Write {
    fn from(write: &Write) -> wire::Write {
        use wire::write::Kind;
        let kind = match write {
            Write::Interactive(edit) => Kind::Interactive(edit.into()),
            Write::Replicated(edit) => Kind::Replicated(edit.into()),
            Write::Following { edit, purges } => {
                let (edit, purges) = (Some(edit.into()), purges.clone());
                Kind::Following(wire::Following { edit, purges })
            }
            Write::Local(LocalEdit { id, rev, body }) => {
                let (id, rev, body) = (id.as_str().into(), *rev, body.clone());
                Kind::Local(wire::LocalEdit { id, rev, body })
            }
            Write::LocalReplica(LocalReplica { id, doc: LocalDoc { rev, body } }) => {
                let (id, rev, body) = (id.as_str().into(), Some(*rev), Some(body.clone()));
                Kind::LocalReplica(wire::LocalEdit { id, rev, body })
            }
            Write::Purge(PurgeRequest { uuid, id, revs }) => {
                let uuid = bytes::Bytes::copy_from_slice(uuid);
                Kind::Purge(wire::Purge { uuid, id: id.as_str().into(), revs: wire::each(revs) })
            }
            Write::Property { name, value } => {
                Kind::Property(wire::Property { name: name.clone(), value: value.clone() })
            }
        };
        wire::Write { kind: Some(kind) }
    }
}

impl TryFrom<wire::Write> for Write {
    type Error = Error;

    fn try_from(write: wire::Write) -> Result<Write, Error> {
        use wire::write::Kind;
        Ok(match wire::need(write.kind, "kind of a write")? {
            Kind::Interactive(edit) => Write::Interactive(edit.try_into()?),
            Kind::Replicated(edit) => Write::Replicated(edit.try_into()?),
            Kind::Following(wire::Following { edit, purges }) => {
                let edit = wire::need(edit, "edit of a decision")?.try_into()?;
                Write::Following { edit, purges }
            }
            Kind::Local(wire::LocalEdit { id, rev, body }) => {
                Write::Local(LocalEdit { id: DocId::trusted(&id), rev, body })
            }
            Kind::LocalReplica(wire::LocalEdit { id, rev, body }) => {
                let doc = LocalDoc { rev: rev.unwrap_or(0), body: body.unwrap_or_default() };
                Write::LocalReplica(LocalReplica { id: DocId::trusted(&id), doc })
            }
            Kind::Purge(wire::Purge { uuid, id, revs }) => Write::Purge(PurgeRequest {
                uuid: uuid.as_ref().into(),
                id: DocId::trusted(&id),
                revs: wire::each(revs),
            }),
            Kind::Property(wire::Property { name, value }) => Write::Property { name, value },
        })
    }
}

impl wire::WriteAsk {
    pub(crate) fn new(shard: String, batch: &Batch) -> wire::WriteAsk {
        let Batch { writes, revs_limit, purge_infos_limit, partition_limit, purges_known } = batch;
        wire::WriteAsk {
            shard,
            writes: wire::each(writes),
            revs_limit: *revs_limit,
            purge_infos_limit: *purge_infos_limit,
            partition_limit: *partition_limit,
            purges_known: *purges_known,
        }
    }

    pub(crate) fn batch(self) -> Result<Batch, Error> {
        let wire::WriteAsk {
            writes,
            revs_limit,
            purge_infos_limit,
            partition_limit,
            purges_known,
            ..
        } = self;
        let writes = wire::all(writes)?;
        Ok(Batch { writes, revs_limit, purge_infos_limit, partition_limit, purges_known })
    }
}

impl From<Outcome> for wire::Outcome {
    fn from(outcome: Outcome) -> wire::Outcome {
        use wire::outcome::Kind;
        let kind = match outcome {
            Outcome::Written(rev) => Kind::Written((&rev).into()),
            Outcome::Unchanged(rev) => Kind::Unchanged((&rev).into()),
            Outcome::Failed(error) => Kind::Failed(error.into()),
            Outcome::Purged(revs) => Kind::Purged(revs.as_slice().into()),
            Outcome::Set => Kind::Set(wire::Nothing {}),
        };
        wire::Outcome { kind: Some(kind) }
    }
}

impl TryFrom<wire::Outcome> for Outcome {
    type Error = Error;

    fn try_from(outcome: wire::Outcome) -> Result<Outcome, Error> {
        use wire::outcome::Kind;
        Ok(match wire::need(outcome.kind, "kind of an outcome")? {
            Kind::Written(rev) => Outcome::Written(rev.into()),
            Kind::Unchanged(rev) => Outcome::Unchanged(rev.into()),
            Kind::Failed(error) => Outcome::Failed(error.try_into()?),
            Kind::Purged(list) => Outcome::Purged(wire::each(list.revs)),
            Kind::Set(_) => Outcome::Set,
        })
    }
}

impl From<Decision> for wire::Decision {
    fn from(decision: Decision) -> wire::Decision {
        let made = |made: Option<Made>| {
            let made = made.map(|Made { path, revpos, purges }| {
                let path = Some((&path).into());
                wire::Made { path, revpos, purges }
            });
            wire::MaybeMade { made }
        };
        wire::Decision {
            outcomes: wire::each(decision.outcomes),
            made: decision.made.into_iter().map(made).collect(),
        }
    }
}

impl TryFrom<wire::Decision> for Decision {
    type Error = Error;

    fn try_from(decision: wire::Decision) -> Result<Decision, Error> {
        let made = |made: wire::Made| {
            let path = wire::need(made.path, "path of a decision")?.try_into()?;
            Ok::<_, Error>(Made { path, revpos: made.revpos, purges: made.purges })
        };
        let made = decision.made.into_iter().map(|maybe| maybe.made.map(made).transpose());
        let made = made.collect::<Result<Vec<_>, _>>()?;
        let outcomes: Vec<Outcome> = wire::all(decision.outcomes)?;
        if made.len() != outcomes.len() {
            return Err(wire::malformed("a decision"));
        }
        Ok(Decision { outcomes, made })
    }
}

impl From<EditError> for wire::EditError {
    fn from(error: EditError) -> wire::EditError {
        use wire::edit_error::Kind;
        let nothing = wire::Nothing {};
        let kind = match error {
            EditError::Conflict => Kind::Conflict(nothing),
            EditError::MissingStub { id, name } => {
                Kind::MissingStub(wire::StubName { id: id.as_str().into(), name })
            }
            EditError::DuplicateAttachments => Kind::DuplicateAttachments(nothing),
            EditError::RevRequired => Kind::RevRequired(nothing),
            EditError::BadLocalRev => Kind::BadLocalRev(nothing),
            EditError::PartitionOverflow(id) => Kind::PartitionOverflow(id.as_str().into()),
            EditError::Forbidden(reason) => Kind::Forbidden(reason),
            EditError::Unauthorized(reason) => Kind::Unauthorized(reason),
        };
        wire::EditError { kind: Some(kind) }
    }
}

impl TryFrom<wire::EditError> for EditError {
    type Error = Error;

    fn try_from(error: wire::EditError) -> Result<EditError, Error> {
        use wire::edit_error::Kind;
        Ok(match wire::need(error.kind, "kind of a refusal")? {
            Kind::Conflict(_) => EditError::Conflict,
            Kind::MissingStub(wire::StubName { id, name }) => {
                EditError::MissingStub { id: DocId::trusted(&id), name }
            }
            Kind::DuplicateAttachments(_) => EditError::DuplicateAttachments,
            Kind::RevRequired(_) => EditError::RevRequired,
            Kind::BadLocalRev(_) => EditError::BadLocalRev,
            Kind::PartitionOverflow(id) => EditError::PartitionOverflow(DocId::trusted(&id)),
            Kind::Forbidden(reason) => EditError::Forbidden(reason),
            Kind::Unauthorized(reason) => EditError::Unauthorized(reason),
        })
    }
}
