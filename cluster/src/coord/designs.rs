//! The design documents of a database as most copies of each range have them: no copy that is late
//! hides one. Who asks says what is wanted of each; bodies are held a batch at a time. Remembers
//! nothing: `crate::designs` does.

use std::collections::{BTreeMap, BTreeSet};

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use super::agree::{others, wanted};
use super::docs;
use super::reads::first;
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::docs::OpenOptions;
use crate::join::try_join_all;
use crate::local::QUICK;
use crate::rows::{DocRow, Namespace};
use crate::shard::rows::{RowScan, design_range};

/// Documents that copies disagree on and that are read at once.
const AT_ONCE: usize = 16;

/// What `keep` makes of each design document, in the order of their ids.
pub(crate) async fn design_docs<T: Send>(
    database: &Database,
    keep: impl Fn(StoredDoc) -> Option<T> + Sync,
) -> Result<Vec<T>, Error> {
    database.live()?;
    let shards = (0..database.ranges()).map(|shard| of_shard(database, shard, &keep));
    let mut found: Vec<(DocId, T)> = try_join_all(shards).await?.into_iter().flatten().collect();
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found.into_iter().map(|(_, kept)| kept).collect())
}

/// Those of one range. One copy gives them whole, others say which revisions they have.
async fn of_shard<T: Send>(
    database: &Database,
    shard: usize,
    keep: &(impl Fn(StoredDoc) -> Option<T> + Sync),
) -> Result<Vec<(DocId, T)>, Error> {
    let whole = |row: DocRow| (row.id, row.rev, row.doc.and_then(keep));
    let (near, own) = first(database, shard, |copy| list(copy, true, whole)).await?;
    let own = own?;
    let more = wanted(database, shard, None)? - 1;
    let named = |row: DocRow| (row.id, row.rev);
    let others = others(database, shard, &near, more, |copy| list(copy, false, named)).await?;
    let others: Vec<Vec<(DocId, Rev)>> =
        others.into_iter().filter_map(|(_, named)| named.ok()).collect();
    let ours = own.iter().map(|(id, rev, _)| (id, rev));
    let doubtful: Vec<DocId> = doubtful(ours, &others).into_iter().cloned().collect();
    let sure = |(id, _, kept): (DocId, Rev, Option<T>)| {
        kept.filter(|_| doubtful.binary_search(&id).is_err()).map(|kept| (id, kept))
    };
    let mut found: Vec<(DocId, T)> = own.into_iter().filter_map(sure).collect();
    for some in doubtful.chunks(AT_ONCE) {
        let opened = try_join_all(some.iter().map(|id| open(database, id))).await?;
        let kept = |(id, doc): (&DocId, Option<StoredDoc>)| Some((id.clone(), keep(doc?)?));
        found.extend(some.iter().zip(opened).filter_map(kept));
    }
    Ok(found)
}

/// All that a copy has.
async fn list<R>(
    copy: ShardCopy,
    include_docs: bool,
    each: impl Fn(DocRow) -> R,
) -> Result<Vec<R>, Error> {
    let (namespace, range) = (Namespace::Design, design_range());
    let scan = RowScan { namespace, range, descending: false, include_docs, conflicts: false };
    let mut rows = copy.rows(scan, QUICK).await?;
    let mut listed = Vec::new();
    loop {
        let batch = rows.next().await?;
        listed.extend(batch.rows.into_iter().map(&each));
        if batch.ended {
            return Ok(listed);
        }
    }
}

/// Of which documents not all say the same, in order.
fn doubtful<'a>(
    own: impl Iterator<Item = (&'a DocId, &'a Rev)>,
    others: &'a [Vec<(DocId, Rev)>],
) -> BTreeSet<&'a DocId> {
    let mut said: BTreeMap<(&DocId, &Rev), usize> = BTreeMap::new();
    let theirs = others.iter().flatten().map(|(id, rev)| (id, rev));
    own.chain(theirs).for_each(|named| *said.entry(named).or_default() += 1);
    said.into_iter().filter(|(_, by)| *by <= others.len()).map(|((id, _), _)| id).collect()
}

/// A document as it is now, if it is there.
async fn open(database: &Database, id: &DocId) -> Result<Option<StoredDoc>, Error> {
    match docs::open(database, id, OpenOptions::default()).await {
        Ok(opened) => Ok(Some(opened.doc)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
