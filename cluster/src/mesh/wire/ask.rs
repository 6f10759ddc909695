//! Questions about documents and their answers, apart from scans (see `feed`). Whether there is an
//! answer to each question is checked in `remote`.

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;

use super as wire;
use crate::Error;
use crate::docs::{
    BulkGet, Facts, IdRevs, OpenOptions, OpenedDoc, RevResult, RevStatus, Revs, RevsDiff,
};
use crate::info::Sizes;
use crate::shard::state::ShardState;

impl wire::OpenAsk {
    pub(crate) fn new(shard: String, id: &DocId, options: &OpenOptions) -> wire::OpenAsk {
        let rev = options.rev.as_ref().map(wire::Rev::from);
        let OpenOptions { latest, deleted, history, facts, .. } = *options;
        wire::OpenAsk { shard, id: id.as_str().into(), rev, latest, deleted, history, facts }
    }

    pub(crate) fn options(self) -> (DocId, OpenOptions) {
        let wire::OpenAsk { id, rev, latest, deleted, history, facts, .. } = self;
        let rev = rev.map(Into::into);
        (DocId::trusted(&id), OpenOptions { rev, latest, deleted, history, facts, r: None })
    }
}

impl From<OpenedDoc> for wire::Opened {
    fn from(opened: OpenedDoc) -> wire::Opened {
        let doc = Some((&opened.doc).into());
        wire::Opened { doc, facts: opened.facts.map(wire::Facts::from) }
    }
}

impl TryFrom<wire::Opened> for OpenedDoc {
    type Error = Error;

    fn try_from(opened: wire::Opened) -> Result<OpenedDoc, Error> {
        let doc = wire::need(opened.doc, "an opened document")?.try_into()?;
        Ok(OpenedDoc { doc, facts: opened.facts.map(Facts::try_from).transpose()? })
    }
}

impl From<Facts> for wire::Facts {
    fn from(facts: Facts) -> wire::Facts {
        let info = |(rev, status): &(settee_model::rev::Rev, RevStatus)| {
            let status = match status {
                RevStatus::Available => wire::RevStatus::Available,
                RevStatus::Missing => wire::RevStatus::Missing,
                RevStatus::Deleted => wire::RevStatus::Deleted,
            };
            wire::RevInfo { rev: Some(rev.into()), status: status.into() }
        };
        wire::Facts {
            revs_info: facts.revs_info.iter().map(info).collect(),
            conflicts: wire::each(&facts.conflicts),
            deleted_conflicts: wire::each(&facts.deleted_conflicts),
            local_seq: facts.local_seq,
        }
    }
}

impl TryFrom<wire::Facts> for Facts {
    type Error = Error;

    fn try_from(facts: wire::Facts) -> Result<Facts, Error> {
        let info = |info: wire::RevInfo| {
            let status = match info.status() {
                wire::RevStatus::Available => RevStatus::Available,
                wire::RevStatus::Missing => RevStatus::Missing,
                wire::RevStatus::Deleted => RevStatus::Deleted,
            };
            Ok((wire::need(info.rev, "revision of a fact")?.into(), status))
        };
        Ok(Facts {
            revs_info: facts.revs_info.into_iter().map(info).collect::<Result<_, Error>>()?,
            conflicts: wire::each(facts.conflicts),
            deleted_conflicts: wire::each(facts.deleted_conflicts),
            local_seq: facts.local_seq,
        })
    }
}

impl From<&BulkGet> for wire::RevisionsLine {
    fn from(line: &BulkGet) -> wire::RevisionsLine {
        let revs = match &line.revs {
            Revs::All => None,
            Revs::Some(revs) => Some(revs.as_slice().into()),
        };
        wire::RevisionsLine { id: line.id.as_str().into(), revs }
    }
}

impl From<wire::RevisionsLine> for BulkGet {
    fn from(line: wire::RevisionsLine) -> BulkGet {
        let revs = line.revs.map_or(Revs::All, |list| Revs::Some(wire::each(list.revs)));
        BulkGet { id: DocId::trusted(&line.id), revs }
    }
}

impl From<Vec<RevResult>> for wire::RevResults {
    fn from(results: Vec<RevResult>) -> wire::RevResults {
        use wire::rev_result::Kind;
        let result = |result: &RevResult| {
            let kind = match result {
                RevResult::Found(doc) => Kind::Found(doc.into()),
                RevResult::Missing(rev) => Kind::Missing(rev.into()),
            };
            wire::RevResult { kind: Some(kind) }
        };
        wire::RevResults { results: results.iter().map(result).collect() }
    }
}

impl TryFrom<wire::RevResults> for Vec<RevResult> {
    type Error = Error;

    fn try_from(results: wire::RevResults) -> Result<Vec<RevResult>, Error> {
        use wire::rev_result::Kind;
        let result = |result: wire::RevResult| match wire::need(result.kind, "a revision")? {
            Kind::Found(doc) => Ok(RevResult::Found(StoredDoc::try_from(doc)?)),
            Kind::Missing(rev) => Ok(RevResult::Missing(rev.into())),
        };
        results.results.into_iter().map(result).collect()
    }
}

impl From<&IdRevs> for wire::IdRevs {
    fn from(asked: &IdRevs) -> wire::IdRevs {
        wire::IdRevs { id: asked.id.as_str().into(), revs: wire::each(&asked.revs) }
    }
}

impl From<wire::IdRevs> for IdRevs {
    fn from(asked: wire::IdRevs) -> IdRevs {
        IdRevs { id: DocId::trusted(&asked.id), revs: wire::each(asked.revs) }
    }
}

impl From<&RevsDiff> for wire::RevsDiffLine {
    fn from(diff: &RevsDiff) -> wire::RevsDiffLine {
        wire::RevsDiffLine {
            id: diff.id.as_str().into(),
            missing: wire::each(&diff.missing),
            possible_ancestors: wire::each(&diff.possible_ancestors),
        }
    }
}

impl From<wire::RevsDiffLine> for RevsDiff {
    fn from(diff: wire::RevsDiffLine) -> RevsDiff {
        RevsDiff {
            id: DocId::trusted(&diff.id),
            missing: wire::each(diff.missing),
            possible_ancestors: wire::each(diff.possible_ancestors),
        }
    }
}

impl From<ShardState> for wire::ShardState {
    fn from(state: ShardState) -> wire::ShardState {
        let ShardState { doc_count, del_count, sizes, end, purge_seq, compacting } = state;
        let Sizes { file, active, external } = sizes;
        wire::ShardState {
            doc_count,
            del_count,
            file,
            active,
            external,
            end: Some(end.into()),
            purge_seq,
            compacting,
        }
    }
}

impl From<wire::ShardState> for ShardState {
    fn from(state: wire::ShardState) -> ShardState {
        ShardState {
            doc_count: state.doc_count,
            del_count: state.del_count,
            sizes: Sizes { file: state.file, active: state.active, external: state.external },
            end: wire::point(state.end),
            purge_seq: state.purge_seq,
            compacting: state.compacting,
        }
    }
}
