//! What copies ask each other to become equal. What differs is found elsewhere (see `sync::compare`).

use settee_engine::shard::{LocalDoc, PurgeInfo, PurgeRequest};
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use super as wire;
use crate::Error;
use crate::shard::point::Point;
use crate::sync::ask::{Answer, Ask, Family, Found, Head, Leaves, Locals, Part, Span};

impl wire::SyncAsk {
    pub(crate) fn new(shard: String, ask: &Ask) -> wire::SyncAsk {
        use wire::sync_ask::Kind;
        let kind = match ask {
            Ask::Head(node) => Kind::Head(*node),
            Ask::Since(seq) => Kind::Since(*seq),
            Ask::Within(span) => Kind::Within(span.into()),
            Ask::Ends(ids) => {
                let ids = ids.iter().map(|id| id.as_str().into()).collect();
                Kind::Ends(wire::DocIds { ids })
            }
            Ask::Purges(since) => Kind::Purges(*since),
            Ask::Docs(docs) => Kind::Docs(wire::DocRevs { docs: wire::each(docs) }),
            Ask::Digest(family, span, parts) => {
                let locals = *family == Family::Locals;
                Kind::Digest(wire::DigestAsk { locals, span: Some(span.into()), parts: *parts })
            }
            Ask::Locals(span) => Kind::Locals(span.into()),
        };
        wire::SyncAsk { shard, kind: Some(kind) }
    }

    pub(crate) fn ask(self) -> Result<Ask, Error> {
        use wire::sync_ask::Kind;
        Ok(match wire::need(self.kind, "question of a copy")? {
            Kind::Head(node) => Ask::Head(node),
            Kind::Since(seq) => Ask::Since(seq),
            Kind::Within(span) => Ask::Within(span.into()),
            Kind::Ends(wire::DocIds { ids }) => {
                Ask::Ends(ids.iter().map(|id| DocId::trusted(id)).collect())
            }
            Kind::Purges(since) => Ask::Purges(since),
            Kind::Docs(wire::DocRevs { docs }) => Ask::Docs(wire::all(docs)?),
            Kind::Digest(wire::DigestAsk { locals, span, parts }) => {
                let family = if locals { Family::Locals } else { Family::Docs };
                Ask::Digest(family, span.unwrap_or_default().into(), parts)
            }
            Kind::Locals(span) => Ask::Locals(span.into()),
        })
    }
}

impl From<&Span> for wire::Span {
    fn from(span: &Span) -> wire::Span {
        let text = |id: &DocId| id.as_str().into();
        wire::Span {
            after: span.after.as_ref().map(text),
            through: span.through.as_ref().map(text),
        }
    }
}

impl From<wire::Span> for Span {
    fn from(span: wire::Span) -> Span {
        let id = |text: String| DocId::trusted(&text);
        Span { after: span.after.map(id), through: span.through.map(id) }
    }
}

impl From<&(DocId, Rev)> for wire::DocRev {
    fn from((id, rev): &(DocId, Rev)) -> wire::DocRev {
        wire::DocRev { id: id.as_str().into(), rev: Some(rev.into()) }
    }
}

impl TryFrom<wire::DocRev> for (DocId, Rev) {
    type Error = Error;

    fn try_from(doc: wire::DocRev) -> Result<(DocId, Rev), Error> {
        Ok((DocId::trusted(&doc.id), wire::need(doc.rev, "revision")?.into()))
    }
}

impl From<&Answer> for wire::SyncAnswer {
    fn from(answer: &Answer) -> wire::SyncAnswer {
        use wire::sync_answer::Kind;
        let kind = match answer {
            Answer::Head(head) => Kind::Head(wire::SyncHead {
                end: Some(head.end.into()),
                purge_seq: head.purge_seq,
                oldest_purge: head.oldest_purge,
                pulled: head.pulled.map(wire::Point::from),
            }),
            Answer::Leaves(Leaves { docs, through, more }) => Kind::Leaves(wire::Leaves {
                docs: wire::each(docs),
                through: *through,
                more: *more,
            }),
            Answer::Purges(purges) => Kind::Purges(wire::PurgeInfos { purges: wire::each(purges) }),
            Answer::Docs(docs) => Kind::Docs(wire::MaybeDocs { docs: wire::each(docs) }),
            Answer::Digest(parts) => Kind::Parts(wire::Parts { parts: wire::each(parts) }),
            Answer::Locals(Locals { docs, more }) => {
                Kind::Locals(wire::LocalDocs { docs: wire::each(docs), more: *more })
            }
        };
        wire::SyncAnswer { kind: Some(kind) }
    }
}

impl TryFrom<wire::SyncAnswer> for Answer {
    type Error = Error;

    fn try_from(answer: wire::SyncAnswer) -> Result<Answer, Error> {
        use wire::sync_answer::Kind;
        Ok(match wire::need(answer.kind, "answer of a copy")? {
            Kind::Head(wire::SyncHead { end, purge_seq, oldest_purge, pulled }) => {
                let (end, pulled) = (wire::point(end), pulled.map(Point::from));
                Answer::Head(Head { end, purge_seq, oldest_purge, pulled })
            }
            Kind::Leaves(wire::Leaves { docs, through, more }) => {
                Answer::Leaves(Leaves { docs: wire::each(docs), through, more })
            }
            Kind::Purges(wire::PurgeInfos { purges }) => Answer::Purges(wire::all(purges)?),
            Kind::Docs(wire::MaybeDocs { docs }) => Answer::Docs(wire::all(docs)?),
            Kind::Parts(wire::Parts { parts }) => Answer::Digest(wire::all(parts)?),
            Kind::Locals(wire::LocalDocs { docs, more }) => {
                Answer::Locals(Locals { docs: wire::each(docs), more })
            }
        })
    }
}

impl From<&Found> for wire::MaybeDoc {
    fn from(found: &Found) -> wire::MaybeDoc {
        let doc = match found {
            Found::Doc(doc) => Some(wire::Doc::from(&**doc)),
            Found::Gone | Found::Damaged => None,
        };
        wire::MaybeDoc { doc, damaged: matches!(found, Found::Damaged) }
    }
}

impl TryFrom<wire::MaybeDoc> for Found {
    type Error = Error;

    fn try_from(found: wire::MaybeDoc) -> Result<Found, Error> {
        Ok(match found {
            wire::MaybeDoc { doc: Some(doc), .. } => Found::Doc(Box::new(doc.try_into()?)),
            wire::MaybeDoc { damaged: true, .. } => Found::Damaged,
            wire::MaybeDoc { .. } => Found::Gone,
        })
    }
}

impl From<&PurgeInfo> for wire::PurgeInfo {
    fn from(purge: &PurgeInfo) -> wire::PurgeInfo {
        let PurgeRequest { uuid, id, revs } = &purge.request;
        let uuid = bytes::Bytes::copy_from_slice(uuid);
        let request = wire::Purge { uuid, id: id.as_str().into(), revs: wire::each(revs) };
        wire::PurgeInfo { purge_seq: purge.purge_seq, request: Some(request) }
    }
}

impl TryFrom<wire::PurgeInfo> for PurgeInfo {
    type Error = Error;

    fn try_from(purge: wire::PurgeInfo) -> Result<PurgeInfo, Error> {
        let wire::Purge { uuid, id, revs } = wire::need(purge.request, "a purge")?;
        let (uuid, id) = (uuid.to_vec().into(), DocId::trusted(&id));
        let request = PurgeRequest { uuid, id, revs: wire::each(revs) };
        Ok(PurgeInfo { purge_seq: purge.purge_seq, request })
    }
}

impl From<&Part> for wire::Part {
    fn from(part: &Part) -> wire::Part {
        wire::Part {
            through: part.through.as_ref().map(|id| id.as_str().into()),
            count: part.count,
            digest: bytes::Bytes::copy_from_slice(&part.digest),
        }
    }
}

impl TryFrom<wire::Part> for Part {
    type Error = Error;

    fn try_from(part: wire::Part) -> Result<Part, Error> {
        Ok(Part {
            through: part.through.map(|id| DocId::trusted(&id)),
            count: part.count,
            digest: wire::digest(&part.digest, "digest of a part")?,
        })
    }
}

impl From<&(DocId, LocalDoc)> for wire::LocalDoc {
    fn from((id, doc): &(DocId, LocalDoc)) -> wire::LocalDoc {
        wire::LocalDoc { id: id.as_str().into(), rev: doc.rev, body: doc.body.clone() }
    }
}

impl From<wire::LocalDoc> for (DocId, LocalDoc) {
    fn from(doc: wire::LocalDoc) -> (DocId, LocalDoc) {
        (DocId::trusted(&doc.id), LocalDoc { rev: doc.rev, body: doc.body })
    }
}
