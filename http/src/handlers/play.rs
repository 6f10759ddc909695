//! Plays a [`Script`]: its text and the bytes of its attachments go to the client one after the
//! other, at the client's pace. Holds one piece of one attachment at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use settee_cluster::Db;

use crate::error::Error;
use crate::render::{AttPiece, Form, Piece, Script};
use crate::reply::{Reply, Sink};

/// Writes a script out.
///
/// # Errors
/// An attachment that cannot be read.
pub async fn play(db: &Db, script: Script, sink: &mut Sink) -> Result<(), Error> {
    for piece in script.into_pieces() {
        match piece {
            Piece::Text(text) => sink.send(text).await,
            Piece::Att(att) => play_att(db, att, sink).await?,
        }
    }
    Ok(())
}

async fn play_att(db: &Db, att: AttPiece, sink: &mut Sink) -> Result<(), Error> {
    let (range, decode) = match att.form {
        Form::Stored => (None, false),
        Form::Decoded | Form::Base64 => (None, true),
        Form::Range(from, to) => (Some(from..to), false),
    };
    let mut bytes = db.read_attachment(&att.id, &att.content, range, decode);
    let mut base64 = (att.form == Form::Base64).then(Base64::default);
    while let Some(piece) = bytes.next().await {
        match &mut base64 {
            None => sink.send(piece?).await,
            Some(base64) => sink.send(base64.encode(&piece?)).await,
        }
    }
    if let Some(base64) = base64 {
        sink.send(base64.end()).await;
    }
    Ok(())
}

/// A script as an answer of JSON; the newline at the end is added.
pub fn json_reply(db: &Db, status: StatusCode, mut script: Script) -> Reply {
    match script.into_text() {
        Ok(text) => return Reply::json(status, text),
        Err(other) => script = other,
    }
    script.push("\n");
    stream_reply(db, status, script)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "must-revalidate")
}

/// A script as an answer of any kind.
pub fn stream_reply(db: &Db, status: StatusCode, script: Script) -> Reply {
    let length = script.length();
    match script.into_text() {
        Ok(text) => Reply::bytes(status, text),
        Err(script) => {
            let db = db.clone();
            Reply::stream(
                status,
                length,
                |mut sink| async move { play(&db, script, &mut sink).await },
            )
        }
    }
}

/// Base64 of bytes that come in pieces: what does not fill three bytes waits for the next.
#[derive(Default)]
struct Base64 {
    waiting: Vec<u8>,
}

impl Base64 {
    fn encode(&mut self, bytes: &[u8]) -> Bytes {
        let fill = if self.waiting.is_empty() { 0 } else { 3 - self.waiting.len() };
        let (first, rest) = bytes.split_at(fill.min(bytes.len()));
        self.waiting.extend_from_slice(first);
        let (whole, left) = rest.split_at(rest.len() - rest.len() % 3);
        let mut out = String::with_capacity(bytes.len() / 3 * 4 + 4);
        if self.waiting.len() == 3 {
            STANDARD.encode_string(&self.waiting, &mut out);
            self.waiting.clear();
        }
        STANDARD.encode_string(whole, &mut out);
        self.waiting.extend_from_slice(left);
        out.into()
    }

    fn end(self) -> String {
        STANDARD.encode(self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn base64_does_not_depend_on_the_pieces(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9)
        ) {
            let mut base64 = Base64::default();
            let mut out = Vec::new();
            for piece in &pieces {
                out.extend_from_slice(&base64.encode(piece));
            }
            out.extend_from_slice(base64.end().as_bytes());
            prop_assert_eq!(String::from_utf8(out).unwrap(), STANDARD.encode(pieces.concat()));
        }
    }
}
