//! Builds that are running, for `_active_tasks`. Compactions are not among them: of those the engine tells.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use settee_engine::ShardId;
use settee_query::view::Progress;

use super::DesignDoc;
use crate::info::{ActiveTask, TaskKind};

/// All that run.
#[derive(Default)]
pub(super) struct Tasks(Mutex<Vec<Arc<Running>>>);

struct Running {
    shard: ShardId,
    ddoc: Arc<DesignDoc>,
    started_on: u64,
    progress: Progress,
}

/// A build's place in the list; gone when it is dropped.
pub(super) struct Task<'a> {
    tasks: &'a Tasks,
    running: Arc<Running>,
}

impl Tasks {
    pub(super) fn begin(&self, shard: &ShardId, ddoc: &Arc<DesignDoc>, now_s: u64) -> Task<'_> {
        let running = Arc::new(Running {
            shard: shard.clone(),
            ddoc: ddoc.clone(),
            started_on: now_s,
            progress: Progress::default(),
        });
        self.0.lock().push(running.clone());
        Task { tasks: self, running }
    }

    /// Those that have something to do.
    pub(super) fn list(&self, node: &str, now_s: u64) -> Vec<ActiveTask> {
        let task = |running: &Arc<Running>| ActiveTask {
            kind: TaskKind::Indexer { design_document: running.ddoc.id.clone() },
            node: node.to_owned(),
            database: format!("shards/{}", running.shard),
            started_on: running.started_on,
            updated_on: now_s,
            changes_done: running.progress.done.load(Ordering::Relaxed),
            total_changes: running.progress.total.load(Ordering::Relaxed),
        };
        let tasks = self.0.lock().iter().map(task).collect::<Vec<_>>();
        tasks.into_iter().filter(|task| task.total_changes > 0).collect()
    }
}

impl Task<'_> {
    pub(super) fn progress(&self) -> &Progress {
        &self.running.progress
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.tasks.0.lock().retain(|other| !Arc::ptr_eq(other, &self.running));
    }
}
