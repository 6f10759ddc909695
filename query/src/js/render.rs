//! Functions of a design document that make responses: shows, updates, lists, rewrites. A response
//! is the JSON object that the function made; what its members mean is for who answers.

use settee_model::json::Raw;

use super::engine;
use super::text::mend;
use super::{Design, Error};

/// What an update function decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// The document to store, a JSON object; `None` if none is.
    pub doc: Option<String>,
    /// The response, a JSON object.
    pub response: String,
}

/// What a list function sent since it was last heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Parts of the body.
    pub chunks: Vec<String>,
    /// The response that the body belongs to, a JSON object with `headers` and perhaps a `code`.
    /// The first piece has one. Later ones have one when the function called `start` again; it
    /// counts if no byte of the body has been sent.
    pub response: Option<String>,
}

/// Who takes a list's pieces and has its rows has gone; the function is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Who feeds a list function. Called on the thread that runs it, and may block there: the time
/// that it takes is not counted.
pub trait ListPeer: Send {
    /// Takes a piece. Called before each row is asked for, and once at the end.
    ///
    /// # Errors
    /// [`Gone`] when nobody wants the rest.
    fn send(&mut self, piece: Piece) -> Result<(), Gone>;

    /// The next row, a JSON object; `None` after the last.
    ///
    /// # Errors
    /// [`Gone`] when there will be no more and no end.
    fn next_row(&mut self) -> Result<Option<String>, Gone>;
}

impl Design {
    /// Runs `shows.{name}` over a document, or none, and a request; gives the response.
    ///
    /// # Errors
    /// When there is no such function, it throws, or gives no response.
    pub fn show(&mut self, name: &str, doc: Option<&[u8]>, req: &[u8]) -> Result<String, Error> {
        let response: String = self.call(&["shows", name], |_, ctx| {
            let (doc, req) = (engine::parse_or_null(ctx, doc)?, engine::parse(ctx, req)?);
            engine::call(ctx, "show", (name, doc, req))
        })?;
        Ok(mend(&response).into_owned())
    }

    /// Runs `updates.{name}` over a document, or none, and a request.
    ///
    /// # Errors
    /// When there is no such function, it throws, or gives no response.
    pub fn update(&mut self, name: &str, doc: Option<&[u8]>, req: &[u8]) -> Result<Updated, Error> {
        let (doc, response) = self.call(&["updates", name], |_, ctx| {
            let (doc, req) = (engine::parse_or_null(ctx, doc)?, engine::parse(ctx, req)?);
            let made: rquickjs::Array<'_> = engine::call(ctx, "update", (name, doc, req))?;
            Ok((made.get::<Option<String>>(0)?, made.get::<String>(1)?))
        })?;
        let doc = doc.map(|doc| mend(&doc).into_owned());
        Ok(Updated { doc, response: mend(&response).into_owned() })
    }

    /// Runs `lists.{name}` over what comes before the rows (`{"total_rows":…,"offset":…}`), a
    /// request, and the rows of `peer`, who also takes what the function sends.
    ///
    /// # Errors
    /// When there is no such function, it throws, or the peer has gone. Pieces may have been sent.
    pub fn list(
        &mut self,
        name: &str,
        head: &[u8],
        req: &[u8],
        peer: Box<dyn ListPeer>,
    ) -> Result<(), Error> {
        self.call(&["lists", name], |engine, ctx| {
            let (head, req) = (engine::parse(ctx, head)?, engine::parse(ctx, req)?);
            engine.set_peer(Some(peer));
            let done = engine::call(ctx, "list", (name, head, req));
            engine.set_peer(None);
            done
        })
    }

    /// Asks the function `rewrites` where a request goes. Gives an object with some of `path`,
    /// `method`, `query`, `headers`, `body`, `code`; `None` if the function knows no way, which
    /// CouchDB answers with 404 `rewrite_error`, `Invalid path.`
    ///
    /// # Errors
    /// When there is no such function, it throws, or a member is not of its type.
    pub fn rewrite(&mut self, req: &[u8]) -> Result<Option<String>, Error> {
        let rewrite: Option<String> = self.call(&["rewrites"], |_, ctx| {
            let req = engine::parse(ctx, req)?;
            engine::call(ctx, "rewrite", (req,))
        })?;
        let Some(rewrite) = rewrite else {
            return Ok(None);
        };
        let rewrite = mend(&rewrite).into_owned();
        check_rewrite(Raw(rewrite.as_bytes()))?;
        Ok(Some(rewrite))
    }
}

fn check_rewrite(rewrite: Raw<'_>) -> Result<(), Error> {
    let bad = |reason: &str| Error::Thrown {
        error: "rewrite_error".to_owned(),
        reason: serde_json::Value::from(reason).to_string(),
    };
    for (name, value) in rewrite.members().ok_or_else(|| bad("bad rewrite"))? {
        let fits = match name.as_ref() {
            "method" | "path" | "body" => value.as_str().is_some(),
            "headers" | "query" => value.is_object(),
            "code" => value.as_u64().is_some_and(|code| (200..600).contains(&code)),
            _ => true,
        };
        if !fits {
            return Err(bad(&format!("bad {name}")));
        }
        if !matches!(name.as_ref(), "headers" | "query") {
            continue;
        }
        for (key, value) in value.members().into_iter().flatten() {
            if value.as_str().is_none() {
                let value = String::from_utf8_lossy(value.bytes());
                return Err(bad(&format!(
                    "object key/value must be strings <<\"{key}\">>={value}"
                )));
            }
        }
    }
    Ok(())
}
