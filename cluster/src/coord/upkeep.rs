//! Indexes of a whole database: how those of a design document stand, compaction, and the end of those that
//! no design document names any more. Goes to every copy. Builds none, and waits for no compaction.

use std::sync::Arc;

use settee_engine::index::Signature;
use settee_model::doc::StoredDoc;

use super::designs::design_docs;
use super::shards;
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::info::ViewInfo;
use crate::join::join_all;
use crate::views::{DesignDoc, IndexAsk, IndexState};

/// How the indexes of a design document stand.
pub(crate) async fn info(database: &Database, ddoc: &Arc<DesignDoc>) -> Result<ViewInfo, Error> {
    let definition = ddoc.definition()?;
    let mut info = ViewInfo { signature: definition.signature(), ..ViewInfo::default() };
    for copies in database.all_copies()? {
        let ask = |copy: &ShardCopy| {
            let (copy, ddoc) = (copy.clone(), ddoc.clone());
            async move { copy.indexes(IndexAsk::State(ddoc)).await }
        };
        let answers = join_all(copies.iter().map(ask)).await;
        let preferred = answers.iter().find_map(|answer| answer.as_ref().ok()).copied();
        let Some(preferred) = preferred else {
            let failed = answers.into_iter().find_map(Result::err);
            return Err(failed.unwrap_or(Error::Timeout));
        };
        let pending = || answers.iter().flatten().map(|state| state.pending);
        info.pending_least += pending().min().unwrap_or(0);
        info.pending_preferred += preferred.pending;
        info.pending_total += pending().sum::<u64>();
        add(&mut info, &preferred);
    }
    Ok(info)
}

fn add(info: &mut ViewInfo, state: &IndexState) {
    info.update_seq += state.update_seq;
    info.purge_seq += state.purge_seq;
    info.sizes += state.sizes;
    info.waiting_clients += state.waiting;
    info.updater_running |= state.building;
    info.compact_running |= state.compacting;
}

/// Begins to compact the indexes of a design document.
pub(crate) async fn compact(database: &Database, ddoc: &Arc<DesignDoc>) -> Result<(), Error> {
    ask_all(database, &IndexAsk::Compact(ddoc.clone())).await
}

/// Drops the indexes that no design document names.
pub(crate) async fn clean_up(database: &Arc<Database>) -> Result<(), Error> {
    let partitioned = database.meta().partitioned;
    let signatures = |doc: StoredDoc| {
        let ddoc = DesignDoc::new(doc.id.as_str(), doc.record.body, partitioned);
        // One in a language that is not spoken has none.
        let definition = ddoc.definition().ok()?;
        Some(definition.maps.iter().map(|map| map.signature).collect())
    };
    let kept: Vec<Vec<Signature>> = design_docs(database, signatures).await?;
    ask_all(database, &IndexAsk::Keep(kept.concat())).await
}

async fn ask_all(database: &Database, ask: &IndexAsk) -> Result<(), Error> {
    let ask = |copy: ShardCopy| {
        let ask = ask.clone();
        async move { copy.indexes(ask).await.map(drop) }
    };
    shards::on_majority(database.all_copies()?, ask).await.map(drop)
}
