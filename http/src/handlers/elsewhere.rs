//! `/_node/{node}/…` for another node than the one that was asked. Who asks and what they may was
//! checked on this one; the question then goes there, with the few headers that matter, and its answer
//! back. Both are a line of JSON and the body behind it. A request's credentials stay here: the other
//! node does not ask again.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use settee_cluster::{Answering, Desk, Error as Failure, LONGEST};

use crate::body::RequestBody;
use crate::context::{App, Ctx};
use crate::error::Error;
use crate::handlers::node;
use crate::headers;
use crate::peer::Peer;
use crate::query::Query;
use crate::reply::Reply;
use crate::route::Method;

/// Headers of a request that mean something there.
const SENT: [&str; 5] =
    ["host", "x-couch-persist", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-ssl"];

/// Has another node answer what is asked of it; `path` is what follows its name.
///
/// # Errors
/// 404 for a name that no node has, 412 for a node that is away, 413 for a body above 1 MiB.
pub async fn ask(ctx: &mut Ctx, node: &str, path: &[&str]) -> Result<Reply, Error> {
    if !ctx.app.cluster.members().cluster_nodes.iter().any(|name| name == node) {
        return Err(node::unknown(node));
    }
    let question = question(ctx, path).await?;
    if question.len() > LONGEST {
        return Err(Error::TooLarge);
    }
    match ctx.app.cluster.ask_desk(node, question.into()).await {
        Ok(answer) => read_answer(&answer).ok_or_else(strange),
        Err(Failure::NotFound { .. }) => Err(node::unknown(node)),
        Err(Failure::Unreachable(_)) => Err(Error::NodeDown(format!("{node} is down"))),
        Err(error) => Err(error.into()),
    }
}

async fn question(ctx: &mut Ctx, path: &[&str]) -> Result<Vec<u8>, Error> {
    let sent = SENT.iter().filter_map(|name| Some((*name, ctx.header(*name)?)));
    let head = json!({
        "method": ctx.method.name(),
        "path": path,
        "query": ctx.uri.query(),
        "headers": sent.collect::<Vec<_>>(),
        "client": ctx.peer.address.to_string(),
        "secure": ctx.peer.secure,
    });
    let body = match ctx.method {
        Method::Put => {
            ctx.body.limit_to(LONGEST as u64);
            ctx.body.json().await?
        }
        _ => Bytes::new(),
    };
    Ok(written(&head, &body))
}

/// Answers the questions of other nodes.
pub struct FrontDesk(Weak<App>);

impl FrontDesk {
    /// Opens one, for as long as the front is there.
    pub fn open(app: &Arc<App>) {
        app.cluster.open_desk(Arc::new(FrontDesk(Arc::downgrade(app))));
    }
}

impl Desk for FrontDesk {
    fn answer(&self, question: Bytes) -> Answering {
        let app = self.0.upgrade();
        Box::pin(async move {
            let app = app.ok_or(Failure::Closing)?;
            let reply = answer(app, &question).await.unwrap_or_else(Reply::from);
            Ok(write_answer(reply).await.into())
        })
    }
}

async fn answer(app: Arc<App>, question: &Bytes) -> Result<Reply, Error> {
    let (head, body) = read(question).ok_or_else(strange)?;
    let text = |name: &str| head.get(name).and_then(Value::as_str);
    let client = text("client").and_then(|client| client.parse::<SocketAddr>().ok());
    let headers = head.get("headers").map(headers).unwrap_or_default();
    let settings = app.settings();
    let mut ctx = Ctx {
        user: app.accounts.nobody(),
        method: Method::parse(text("method").unwrap_or_default()),
        head: false,
        uri: http::Uri::from_static("/"),
        query: text("query").map(Query::parse).transpose()?.unwrap_or_default(),
        body: RequestBody::from_bytes(&HeaderMap::new(), body, LONGEST as u64),
        headers,
        settings,
        rewrites: 0,
        peer: Peer {
            address: client.ok_or_else(strange)?,
            secure: head.get("secure").and_then(Value::as_bool) == Some(true),
        },
        app,
    };
    let path = head.get("path").and_then(Value::as_array).ok_or_else(strange)?;
    let path: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
    node::here(&mut ctx, &path).await
}

async fn write_answer(reply: Reply) -> Vec<u8> {
    let body = match Limited::new(reply.body, LONGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            tracing::warn!(error, "an answer to another node was not sent");
            let error = Error::Internal("error", "The answer is too long to be sent.".into());
            return Box::pin(write_answer(Reply::from(error))).await;
        }
    };
    let sent = reply.headers.iter();
    let sent = sent.filter_map(|(name, value)| Some((name.as_str(), headers::text(value)?)));
    let sent: Vec<_> = sent.collect();
    written(&json!({"status": reply.status.as_u16(), "headers": sent}), &body)
}

fn read_answer(answer: &Bytes) -> Option<Reply> {
    let (head, body) = read(answer)?;
    let status = head.get("status").and_then(Value::as_u64)?;
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    let mut reply = Reply::bytes(status, body);
    reply.headers = headers(head.get("headers")?);
    Some(reply)
}

fn written(head: &Value, body: &[u8]) -> Vec<u8> {
    let mut out = head.to_string().into_bytes();
    out.push(b'\n');
    out.extend_from_slice(body);
    out
}

fn read(text: &Bytes) -> Option<(Value, Bytes)> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let head = serde_json::from_slice(text.get(..end)?).ok()?;
    Some((head, text.slice(end + 1..)))
}

fn headers(pairs: &Value) -> HeaderMap {
    let header = |pair: &Value| -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?);
        Some((name.parse().ok()?, value.parse().ok()?))
    };
    pairs.as_array().into_iter().flatten().filter_map(header).collect()
}

fn strange() -> Error {
    Error::Internal("error", "The nodes do not understand each other.".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_comes_back_as_it_was() {
        let reply = Reply::json(StatusCode::CREATED, "{\"a\":\n1}").etag("\"x\"");
        let (status, headers) = (reply.status, reply.headers.clone());
        let back = read_answer(&write_answer(reply).await.into()).unwrap();
        assert_eq!((back.status, &back.headers), (status, &headers));
        assert_eq!(&back.body.collect().await.unwrap().to_bytes()[..], b"{\"a\":\n1}\n");
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_an_error() {
        let reply = Reply::bytes(StatusCode::OK, vec![b'x'; LONGEST + 1]);
        let back = read_answer(&write_answer(reply).await.into()).unwrap();
        assert_eq!(back.status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for text in ["", "{}", "\n", "{}\n", "{\"status\":1,\"headers\":[]}\n", "[1]\n"] {
            assert!(read_answer(&Bytes::from_static(text.as_bytes())).is_none(), "{text:?}");
        }
    }
}
