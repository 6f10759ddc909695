//! Writing: edits and purges go to the copies of their ranges, as one batch for each range (see
//! `spread`), and are answered in the order they came in. Whether an edit is a conflict is decided
//! by the copies, not here.

use settee_engine::shard::{Batch, Outcome, PurgeRequest, Write};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::edit::{self, EditError};
use settee_model::rev::Rev;

use super::spread;
use crate::database::Database;
use crate::docs::{EditMode, EditResult, IdRevs, PurgeResult, UpdateOptions};
use crate::join::join_all;
use crate::quorum::acks::{Acked, majority};
use crate::{DbMeta, Error, ring};

/// A write on its way to its shard, or the reason why it is not sent at all.
enum Job {
    Send(DocId, Box<Write>),
    Refuse(DocId, EditError),
}

impl Job {
    fn id(&self) -> &DocId {
        match self {
            Job::Send(id, _) | Job::Refuse(id, _) => id,
        }
    }

    fn of_edit(edit: DocEdit, mode: EditMode) -> Job {
        let id = edit.id.clone();
        if id.is_local() {
            return match edit::local_base(&edit.revs, edit.deleted) {
                Ok(rev) => {
                    let body = (!edit.deleted).then_some(edit.body);
                    let local = settee_engine::shard::LocalEdit { id: id.clone(), rev, body };
                    Job::Send(id, Box::new(Write::Local(local)))
                }
                Err(error) => Job::Refuse(id, error),
            };
        }
        let write = match mode {
            EditMode::Interactive => Write::Interactive(edit),
            EditMode::Replicated => Write::Replicated(edit),
        };
        Job::Send(id, Box::new(write))
    }
}

/// Writes edits; one result for each.
pub(crate) async fn update(
    database: &Database,
    edits: Vec<DocEdit>,
    mode: EditMode,
    options: UpdateOptions,
) -> Result<Vec<EditResult>, Error> {
    let jobs = edits.into_iter().map(|edit| Job::of_edit(edit, mode)).collect();
    let outcomes = write(database, jobs, options).await?;
    let result = |(outcome, accepted)| EditResult { result: rev_of(outcome), accepted };
    Ok(outcomes.into_iter().map(result).collect())
}

fn rev_of(outcome: Result<Outcome, Error>) -> Result<Rev, Error> {
    match outcome? {
        Outcome::Written(rev) | Outcome::Unchanged(rev) => Ok(rev),
        Outcome::Failed(error) => Err(error.into()),
        Outcome::Purged(_) | Outcome::Set => Err(unexpected()),
    }
}

/// Purges; one result for each request. `new_id` names requests for ever.
pub(crate) async fn purge(
    database: &Database,
    requests: Vec<IdRevs>,
    options: UpdateOptions,
    new_id: &(dyn Fn() -> String + Send + Sync),
) -> Result<Vec<PurgeResult>, Error> {
    let job = |IdRevs { id, revs }: IdRevs| {
        let uuid = new_id().into_bytes().into();
        Job::Send(id.clone(), Box::new(Write::Purge(PurgeRequest { uuid, id, revs })))
    };
    let outcomes = write(database, requests.into_iter().map(job).collect(), options).await?;
    let result = |(outcome, accepted)| {
        let result = match outcome {
            Ok(Outcome::Purged(revs)) => Ok(revs),
            Ok(Outcome::Failed(error)) => Err(error.into()),
            Ok(_) => Err(unexpected()),
            Err(error) => Err(error),
        };
        PurgeResult { result, accepted }
    };
    Ok(outcomes.into_iter().map(result).collect())
}

fn unexpected() -> Error {
    Error::Storage("a shard's writer answered something else than it was asked".into())
}

async fn write(
    database: &Database,
    jobs: Vec<Job>,
    options: UpdateOptions,
) -> Result<Vec<Acked>, Error> {
    let meta = database.meta();
    let parts = database.ring().split(jobs, Job::id);
    if let [only] = parts.as_slice() {
        // A request to one shard fails as a whole, with the shard's own reason.
        database.copies(only.shard)?;
    }
    let send = |part: ring::Part<Job>| {
        let meta = &meta;
        async move {
            let results = write_part(database, meta, part.shard, part.items, options).await;
            (part.places, results)
        }
    };
    let mut parts = join_all(parts.into_iter().map(send)).await;
    // That there is no room is the answer to each edit, as in CouchDB.
    let fails = |error: &Error| !matches!(error, Error::Full(_));
    if parts.iter().all(|(_, results)| results.as_ref().err().is_some_and(fails)) {
        return parts.pop().map_or(Ok(Vec::new()), |(_, results)| results);
    }
    // Where some shards could do it and others not, each edit has its own result.
    let spread = |(places, results): (Vec<usize>, Result<Vec<Acked>, Error>)| {
        let count = places.len();
        let results = results
            .unwrap_or_else(|error| (0..count).map(|_| (Err(error.clone()), false)).collect());
        (places, results)
    };
    Ok(ring::join(parts.into_iter().map(spread).collect()))
}

/// Writes what goes to one shard.
async fn write_part(
    database: &Database,
    meta: &DbMeta,
    shard: usize,
    jobs: Vec<Job>,
    options: UpdateOptions,
) -> Result<Vec<Acked>, Error> {
    let copies = database.copies(shard)?;
    let mut refused = Vec::new();
    let mut writes = Vec::with_capacity(jobs.len());
    for (place, job) in jobs.into_iter().enumerate() {
        match job {
            Job::Send(_, write) => writes.push(*write),
            Job::Refuse(_, error) => refused.push((place, error)),
        }
    }
    let batch = Batch {
        writes,
        revs_limit: meta.revs_limit,
        purge_infos_limit: meta.purged_infos_limit,
        partition_limit: options.max_partition_size.filter(|_| meta.partitioned),
        purges_known: None,
    };
    let wanted =
        options.w.map_or(majority(copies.len()), |w| usize::try_from(w).unwrap_or(usize::MAX));
    let copies = spread::Copies { all: copies, full: database.full(shard) };
    let mut results = spread::send(copies, batch, wanted, database.lacking()).await?;
    for (place, error) in refused {
        results.insert(place.min(results.len()), (Ok(Outcome::Failed(error)), false));
    }
    Ok(results)
}
