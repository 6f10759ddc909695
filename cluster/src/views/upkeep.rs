//! What is asked of the indexes of a copy apart from their rows: how they stand, that they be compacted, that
//! those be dropped which no design document names any more. Brings none up to date.

use std::collections::HashSet;
use std::sync::Arc;

use settee_engine::index::Signature;
use settee_engine::{Index, Shard};
use settee_query::view::Groups;

use super::{DesignDoc, Known};
use crate::Error;
use crate::catalogue::instance_of;
use crate::info::Sizes;
use crate::local::LocalCopy;
use crate::steps;

/// A question about the indexes of a copy.
#[derive(Clone, Debug)]
pub(crate) enum IndexAsk {
    /// How those of a design document stand.
    State(Arc<DesignDoc>),
    /// Compact those of a design document; answered when that is asked for.
    Compact(Arc<DesignDoc>),
    /// Drop all but these.
    Keep(Vec<Signature>),
}

/// How the indexes of a design document stand in a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexState {
    /// Changes that are in the shard and not in all indexes.
    pub(crate) pending: u64,
    pub(crate) update_seq: u64,
    pub(crate) purge_seq: u64,
    pub(crate) sizes: Sizes,
    pub(crate) building: bool,
    pub(crate) compacting: bool,
    /// Who waits for a build.
    pub(crate) waiting: u64,
}

impl LocalCopy {
    /// Answers, or does as asked.
    pub(crate) async fn indexes(&self, ask: IndexAsk) -> Result<IndexState, Error> {
        let shard = self.shard().await?;
        match ask {
            IndexAsk::Keep(signatures) => self.keep(shard, signatures).await,
            IndexAsk::State(ddoc) => {
                let (known, indexes) = self.opened(&shard, &ddoc).await?;
                let waiting = self.views().waiting(&shard, &known);
                let state = steps::blocking(move || state(&shard, &indexes)).await?;
                Ok(IndexState { waiting, building: waiting > 0, ..state })
            }
            IndexAsk::Compact(ddoc) => {
                let (_, indexes) = self.opened(&shard, &ddoc).await?;
                // Whoever asks does not wait for the end.
                indexes.iter().for_each(Index::ask_for_compaction);
                Ok(IndexState::default())
            }
        }
    }

    async fn opened(
        &self,
        shard: &Arc<Shard>,
        ddoc: &Arc<DesignDoc>,
    ) -> Result<(Arc<Known>, Vec<Arc<Index>>), Error> {
        let known = self.views().known(instance_of(shard.id()), ddoc)?;
        let indexes = self.views().as_they_are(shard, &known).await?;
        Ok((known, indexes))
    }

    async fn keep(&self, shard: Arc<Shard>, kept: Vec<Signature>) -> Result<IndexState, Error> {
        self.views().forget_before(instance_of(shard.id()));
        let copy = self.clone();
        steps::blocking(move || {
            let kept: HashSet<Signature> = kept.into_iter().collect();
            for signature in copy.engine().indexes(shard.id())? {
                // What is being built may be of a design document that came after the list was made.
                if !kept.contains(&signature) && !copy.views().building(&shard).contains(&signature)
                {
                    copy.engine().drop_index(shard.id(), signature)?;
                }
            }
            Ok(IndexState::default())
        })
        .await
    }
}

fn state(shard: &Shard, indexes: &[Arc<Index>]) -> Result<IndexState, Error> {
    let snapshot = shard.snapshot();
    let end = (snapshot.update_seq(), snapshot.purge_seq());
    let mut state = IndexState { update_seq: end.0, purge_seq: end.1, ..IndexState::default() };
    for index in indexes {
        let view = index.snapshot();
        let at = view.position();
        let known = at.epoch == snapshot.epoch();
        state.update_seq = state.update_seq.min(if known { at.update_seq } else { 0 });
        state.purge_seq = state.purge_seq.min(if known { at.purge_seq } else { 0 });
        let sizes = index.sizes()?;
        let (file, active) = (sizes.file, sizes.active);
        state.sizes += Sizes { file, active, external: Groups::external(&view)? };
        state.compacting |= index.compacting();
    }
    state.pending = end.0 - state.update_seq;
    Ok(state)
}
