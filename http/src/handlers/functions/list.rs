//! `/{db}/_design/{ddoc}/_list/{name}/{view}`, or with another design document's name before the
//! view's: rows of a view on their way through a function. Rows go to it by the batch, and what it
//! sends leaves as it comes; the client's pace is the function's. Never holds all rows, and never gives
//! the function an attachment's bytes.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use settee_cluster::Db;
use settee_cluster::docs::OpenOptions;
use settee_cluster::functions::Kind;
use settee_cluster::rows::Rows;
use settee_cluster::views::ViewRows;
use settee_model::docid::DocId;
use settee_query::js::{self, Gone, ListPeer, Piece};
use tokio::sync::mpsc;

use super::Functions;
use super::request::{self, Content, Request};
use super::response::Response;
use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::all_docs::{self, Shape};
use crate::handlers::view;
use crate::listing::Listing;
use crate::render::Script;
use crate::reply::{Reply, ReplyBody, error_members};
use crate::route::{Method, Namespace};
use crate::users;
use crate::view_query;

/// Bytes of a body that are sent at once, if the function does not wait for rows meanwhile.
const PIECE: usize = 16 << 10;
/// Batches of rows, and pieces of the body, that wait.
const WAITING: usize = 2;

/// How long a client may take for the next piece: few functions can wait for clients at a time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the methods of a list are.
const ALLOWED: &str = "GET,POST,HEAD";

/// Answers `GET` and `POST`.
///
/// # Errors
/// 404 for what is not there, those of the view, and of the function while nothing is sent.
pub async fn answer(
    ctx: &mut Ctx,
    db: &Db,
    ddoc: &DocId,
    functions: Functions,
    rest: &[String],
) -> Result<Reply, Error> {
    // `OPTIONS` is as good as `GET` here, as in CouchDB.
    if !matches!(ctx.method, Method::Get | Method::Post | Method::Options) {
        return Err(Error::MethodNotAllowed(ALLOWED));
    }
    let (name, of, view) = match rest {
        [name, view] => (name, ddoc.clone(), view),
        [name, of, view] => (name, DocId::trusted(&format!("_design/{of}")), view),
        _ => return Err(Error::NotFoundNamed("list_error", "Invalid path.")),
    };
    let (content, listing) = asked(ctx, view == "_all_docs").await?;
    functions.require(&["lists", name])?;
    let opened = users::open_doc(ctx, db, &of, OpenOptions::default()).await?;
    let shape = all_docs::shape(&listing);
    let rows = if view == "_all_docs" {
        let query = all_docs::query(ctx, db, Namespace::All, None, listing)?;
        Source::Docs(db.all_docs(query).await?)
    } else {
        let ddoc = view::ddoc(db, opened);
        let query = view_query::of(&ddoc, &ddoc.definition()?, view, listing, &ctx.settings)?;
        view_query::check_order(&query)?;
        Source::View(db.view(query).await?)
    };
    let req = Request::new(ctx, db, None, content).await?;
    run(ctx, functions, name.clone(), req, (rows, shape)).await
}

/// What is asked of the view, and the body for the function.
async fn asked(ctx: &mut Ctx, all_docs: bool) -> Result<(Content, Listing), Error> {
    if ctx.method != Method::Post {
        let listing = match all_docs {
            true => Listing::from_query(&ctx.query)?,
            false => Listing::of_view(&ctx.query)?,
        };
        return Ok((Content::None, listing));
    }
    request::bound(ctx);
    let body = ctx.json_object().await?;
    let listing = match all_docs {
        true => Listing::from_body_and_query(&body, &ctx.query)?,
        false => Listing::of_view_body(&body, &ctx.query)?,
    };
    Ok((Content::Json(body), listing))
}

async fn run(
    ctx: &Ctx,
    functions: Functions,
    name: String,
    req: Request,
    (rows, shape): (Source, Shape),
) -> Result<Reply, Error> {
    let (give, given) = mpsc::channel(WAITING);
    let (make, made) = mpsc::channel(1);
    let (send, mut sent) = mpsc::channel(WAITING);
    let head = rows.head().to_string();
    let peer =
        Peer { rows: given, batch: Vec::new().into_iter(), out: make, next: Sent::default() };
    let feeding = tokio::spawn(feed(rows, shape, give));
    tokio::spawn(hand_over(made, send, PATIENCE));
    let listing = tokio::spawn(async move {
        let list = move |design: &mut js::Design, req: &[u8]| {
            design.list(&name, head.as_bytes(), req, Box::new(peer))
        };
        functions.run_over(Kind::List, req, list).await
    });
    let ended = async move {
        let listed = listing.await.unwrap_or(Err(Error::Timeout));
        match feeding.await.unwrap_or(Ok(())) {
            // The function was stopped because there were no more rows.
            Err(error) if listed.is_err() => Err(error),
            _ => listed,
        }
    };
    let (mut head, mut first) = (None, String::new());
    while first.is_empty() {
        let Some(piece) = sent.recv().await else { break };
        head = piece.response.or(head);
        first = piece.body;
    }
    if first.is_empty() {
        ended.await?;
        // As CouchDB has it, a response without a body has nothing of the function's.
        return Ok(Reply::bytes(StatusCode::OK, ""));
    }
    let response = Response::read(head.as_deref().unwrap_or("{}"))?;
    let (status, headers) = response.head(ctx);
    Ok(stream(status, headers, first, sent, ended))
}

fn stream(
    status: StatusCode,
    headers: HeaderMap,
    first: String,
    mut sent: mpsc::Receiver<Sent>,
    ended: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Reply {
    let mut reply = Reply::stream(status, None, |mut sink| async move {
        sink.send(first).await;
        while let Some(piece) = sent.recv().await {
            sink.send(piece.body).await;
        }
        match ended.await {
            Ok(()) => {}
            // Something was made that nobody took: it is not the end.
            Err(error @ Error::Script(js::Error::Gone)) => return Err(error),
            Err(error) => sink.send(trailer(&error)).await,
        }
        Ok(())
    });
    debug_assert!(matches!(reply.body, ReplyBody::Stream(_)));
    reply.headers = headers;
    reply
}

/// An error behind a body that was sent already.
fn trailer(error: &Error) -> Vec<u8> {
    let code = error.info().0.as_u16();
    let mut out = format!("\n{{\"code\":{code},").into_bytes();
    out.extend_from_slice(error_members(error).get(1..).unwrap_or_default());
    out.push(b'\n');
    out
}

/// Where rows come from.
enum Source {
    View(ViewRows),
    Docs(Rows),
}

impl Source {
    /// What the function is told before the rows.
    fn head(&self) -> Value {
        let mut head = serde_json::Map::new();
        let (rows, seq) = match self {
            Source::View(rows) => (rows.head().rows, rows.head().update_seq.clone()),
            Source::Docs(rows) => {
                let head = rows.head();
                (head.total_rows.zip(head.offset), head.update_seq.clone().flatten())
            }
        };
        if let Some((total, offset)) = rows {
            head.insert("total_rows".into(), total.into());
            head.insert("offset".into(), offset.into());
        }
        if let Some(seq) = seq {
            head.insert("update_seq".into(), seq.into());
        }
        Value::Object(head)
    }

    async fn next(&mut self, shape: &Shape) -> Result<Option<Vec<String>>, Error> {
        let text = |write: &dyn Fn(&mut Script)| {
            let mut script = Script::default();
            write(&mut script);
            String::from_utf8(script.into_text().unwrap_or_default()).unwrap_or_default()
        };
        Ok(match self {
            Source::View(rows) => rows.next_batch().await?.map(|rows| {
                let row = |row| text(&|script| view::write_row(script, row, &shape.view));
                rows.iter().map(row).collect()
            }),
            Source::Docs(rows) => rows.next_batch().await?.map(|rows| {
                let row = |row| text(&|script| all_docs::write_row(script, row, shape));
                rows.iter().map(row).collect()
            }),
        })
    }
}

/// Gives rows to the function as long as it takes them.
async fn feed(
    mut rows: Source,
    shape: Shape,
    give: mpsc::Sender<Option<Vec<String>>>,
) -> Result<(), Error> {
    // Attachments are named, not shown: a row is in memory whole.
    let shape = shape.without_content();
    while let Some(batch) = rows.next(&shape).await? {
        if give.send(Some(batch)).await.is_err() {
            return Ok(());
        }
    }
    // That it is the end has to be said: a channel that closes may mean that rows failed.
    let _ = give.send(None).await;
    Ok(())
}

/// Passes on what the function makes as long as somebody takes each piece in time; after that, the
/// function finds that nobody does.
async fn hand_over(mut made: mpsc::Receiver<Sent>, send: mpsc::Sender<Sent>, patience: Duration) {
    loop {
        let piece = tokio::select! {
            () = send.closed() => return,
            piece = made.recv() => piece,
        };
        let Some(piece) = piece else { return };
        if send.send_timeout(piece, patience).await.is_err() {
            return;
        }
    }
}

/// What the function sent.
#[derive(Debug, Default)]
struct Sent {
    response: Option<String>,
    body: String,
}

/// The function's side, on its own thread.
struct Peer {
    rows: mpsc::Receiver<Option<Vec<String>>>,
    batch: std::vec::IntoIter<String>,
    out: mpsc::Sender<Sent>,
    next: Sent,
}

impl Peer {
    fn flush(&mut self) -> Result<(), Gone> {
        if self.next.response.is_none() && self.next.body.is_empty() {
            return if self.out.is_closed() { Err(Gone) } else { Ok(()) };
        }
        self.out.blocking_send(std::mem::take(&mut self.next)).map_err(|_| Gone)
    }
}

impl ListPeer for Peer {
    fn send(&mut self, piece: Piece) -> Result<(), Gone> {
        self.next.response = piece.response.or(self.next.response.take());
        piece.chunks.iter().for_each(|chunk| self.next.body.push_str(chunk));
        if self.next.body.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn next_row(&mut self) -> Result<Option<String>, Gone> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            // What was sent so far shall not wait with the function.
            self.flush()?;
            match self.rows.blocking_recv() {
                Some(Some(batch)) => self.batch = batch.into_iter(),
                Some(None) => return Ok(None),
                None => return Err(Gone),
            }
        }
    }
}

impl Drop for Peer {
    /// What was sent last, however the function ended.
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_function_whose_pieces_nobody_takes_is_stopped() {
        let (make, made) = mpsc::channel(1);
        let (send, mut sent) = mpsc::channel(WAITING);
        let (_give, rows) = mpsc::channel(1);
        let passing = tokio::spawn(hand_over(made, send, Duration::from_millis(50)));
        let pieces = tokio::task::spawn_blocking(move || {
            let (batch, next) = (Vec::new().into_iter(), Sent::default());
            let mut peer = Peer { rows, batch, out: make, next };
            let chunks = vec!["x".repeat(PIECE)];
            let mut piece = || peer.send(Piece { chunks: chunks.clone(), response: None });
            std::iter::from_fn(|| piece().ok()).count()
        });
        // What waits, what is on its way, and what is being made.
        assert_eq!(pieces.await.unwrap(), WAITING + 2);
        passing.await.unwrap();
        let mut taken = 0;
        while sent.recv().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, WAITING);
    }
}
