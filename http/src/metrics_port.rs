//! [`serve_metrics`]: the port of `[prometheus] additional_port`, which tells numbers to whoever can
//! reach it, and nothing else. So it is bound to loopback unless the configuration says otherwise.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::SERVER;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::context::App;
use crate::handlers::stats;
use crate::reply::{Reply, ReplyBody};
use crate::server::pause_after;

/// Connections at once; further ones wait.
const CONNECTIONS: usize = 16;
/// How long a connection may last: each scrape can make its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers until it is dropped.
pub async fn serve_metrics(app: Arc<App>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    // Whoever takes longer is broken off.
                    let _ = timeout(PATIENCE, connection(app, stream)).await;
                    drop(permit);
                });
            }
            Err(error) => pause_after(error).await,
        }
    }
}

async fn connection(app: Arc<App>, stream: TcpStream) {
    let service = service_fn(move |request| answer(app.clone(), request));
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).title_case_headers(true);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection for metrics broken off");
    }
}

async fn answer(
    app: Arc<App>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let path = request.uri().path();
    let node = path.strip_prefix("/_node/").and_then(|rest| rest.strip_suffix("/_prometheus"));
    let mut reply = match node {
        Some(node) if node == "_local" || node == app.cluster.node_name() => {
            stats::prometheus(&app)
        }
        _ => Reply::json(StatusCode::NOT_FOUND, r#"{"error":"not_found","reason":""}"#),
    };
    reply.headers.insert(SERVER, app.settings().server_header.clone());
    Ok(reply.into())
}
