//! What a node tells of itself: `_stats`, `_system`, `_prometheus`, `_smoosh/status`, `_versions`;
//! `_restart`, and `_reload_query_servers`. Numbers come from the counters, the coordinator, the
//! runtime and the process. Counts nothing itself.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use settee_cluster::info::{Load, TaskKind};

use crate::context::{App, Ctx};
use crate::error::Error;
use crate::handlers::view;
use crate::process::Numbers;
use crate::reply::Reply;
use crate::stats::{self, Gauge, Metric, Present, stats};

/// `_stats`, or what is at a place in it: `null` where nothing is.
pub fn metrics(ctx: &Ctx, path: &[&str]) -> Reply {
    let all = stats::tree(&counted(&ctx.app, ctx.app.process.numbers()));
    let place = path.iter().try_fold(&all, |place, name| place.as_object()?.get(*name));
    json(place.unwrap_or(&Value::Null))
}

fn counted(app: &App, process: Numbers) -> Vec<Metric> {
    stats().metrics(|gauge| match gauge {
        Gauge::OpenDatabases => Some(app.cluster.load().open_shards),
        Gauge::OpenFiles => Some(process.open_files),
        Gauge::Followers => Some(Present::followers()),
    })
}

/// `_system`
pub fn system(ctx: &Ctx) -> Reply {
    let (process, load) = (ctx.app.process.numbers(), ctx.app.cluster.load());
    let (queued, alive) = tasks();
    json(&json!({
        "uptime": stats().uptime().as_secs(),
        "memory": {
            "other": process.resident.saturating_sub(process.own + process.code),
            "atom": 0,
            "atom_used": 0,
            "processes": process.own,
            "processes_used": process.own,
            "binary": 0,
            "code": process.code,
            "ets": 0,
        },
        "run_queue": queued,
        "run_queue_dirty_cpu": 0,
        "ets_table_count": 0,
        "context_switches": process.context_switches,
        "reductions": 0,
        "garbage_collection_count": 0,
        "words_reclaimed": 0,
        "io_input": process.read,
        "io_output": process.written,
        "os_proc_count": 0,
        "stale_proc_count": 0,
        "process_count": alive,
        "message_queues": {
            "couch_file": {},
            "couch_db_updater": {},
            "compactions": load.compactions_waiting,
        },
        "distribution": {},
        "distribution_events": {},
    }))
}

/// Tasks that wait for a thread, and those that there are.
fn tasks() -> (u64, u64) {
    let runtime = tokio::runtime::Handle::current().metrics();
    (runtime.global_queue_depth() as u64, runtime.num_alive_tasks() as u64)
}

/// `_prometheus`
pub fn prometheus(app: &App) -> Reply {
    let process = app.process.numbers();
    let members = app.cluster.members();
    let (queued, alive) = tasks();
    let one = |value: u64| vec![(None, value as f64)];
    let kinds = [
        ("total", process.resident),
        ("processes", process.own),
        ("code", process.code),
        ("system", process.resident.saturating_sub(process.own)),
    ];
    let memory = kinds.map(|(kind, bytes)| (Some(("memory_type", kind)), bytes as f64));
    let nodes = [("cluster_nodes", members.cluster_nodes), ("all_nodes", members.all_nodes)];
    let nodes = nodes.map(|(which, nodes)| (Some(("nodes", which)), nodes.len() as f64));
    let uptime = vec![(None, stats().uptime().as_secs_f64())];
    let cpu = vec![(None, process.cpu_seconds)];
    let load = app.cluster.load();
    let more = [
        ("uptime_seconds", "gauge", "couchdb uptime", uptime),
        ("membership", "gauge", "count of nodes in the cluster", nodes.to_vec()),
        ("compactions_waiting", "gauge", "compactions to be done", one(load.compactions_waiting)),
        ("erlang_memory_bytes", "gauge", "memory of the process", memory.to_vec()),
        ("erlang_processes", "gauge", "tasks that there are", one(alive)),
        ("erlang_scheduler_queues", "gauge", "tasks that wait for a thread", one(queued)),
        (
            "erlang_context_switches_total",
            "counter",
            "times that a thread made way for another",
            one(process.context_switches),
        ),
        ("erlang_io_recv_bytes_total", "counter", "bytes that were read", one(process.read)),
        ("erlang_io_sent_bytes_total", "counter", "bytes that were written", one(process.written)),
        ("process_cpu_seconds_total", "counter", "time of all cores that was used", cpu),
        ("process_threads", "gauge", "threads of the process", one(process.threads)),
    ];
    let text = stats::text(&counted(app, process), &more);
    Reply::bytes(StatusCode::OK, text).header(CONTENT_TYPE, "text/plain; version=2.0")
}

/// `_smoosh/status`: what is compacted and what waits for it. There is one queue for all.
pub fn smoosh(ctx: &Ctx) -> Reply {
    let tasks = ctx.app.cluster.active_tasks();
    let running = tasks.iter().filter(|task| task.kind == TaskKind::Compaction).count();
    let Load { compactions_waiting, .. } = ctx.app.cluster.load();
    let channel =
        |waiting: u64, active: usize| json!({"waiting": waiting, "starting": 0, "active": active});
    let none = channel(0, 0);
    json(&json!({"channels": {
        "index_cleanup": none,
        "ratio_dbs": channel(compactions_waiting, running),
        "ratio_views": none,
        "slack_dbs": none,
        "slack_views": none,
        "upgrade_dbs": none,
        "upgrade_views": none,
    }}))
}

/// `_versions`: what functions run on and what orders keys, as far as clients look at it.
pub fn versions() -> Reply {
    json(&json!({
        "javascript_engine": { "name": "quickjs-ng" },
        "collation_driver": { "name": "icu4x", "collator_version": view::COLLATOR },
    }))
}

/// `_restart`: answered before it is done.
pub fn restart(ctx: &Ctx) -> Reply {
    tracing::warn!(user = ctx.user.name.as_deref().unwrap_or_default(), "asked to restart");
    ctx.app.process.restart();
    Reply::ok(StatusCode::OK)
}

/// `_reload_query_servers`: an engine is always one of a design document as it is now, so that there
/// is nothing to be loaded again.
///
/// # Errors
/// 415.
pub fn reload_functions(ctx: &Ctx) -> Result<Reply, Error> {
    ctx.require_json()?;
    Ok(Reply::ok(StatusCode::OK))
}

fn json(value: &Value) -> Reply {
    Reply::json(StatusCode::OK, value.to_string())
}
