//! [`Script`]: an answer's bytes in order, with places where bytes of attachments go. It is built
//! by pure code, knows its length where that can be known, and is played piece by piece, so that
//! no attachment is ever whole in memory. Never reads an attachment.

use settee_model::doc::{AttContent, Encoding};
use settee_model::docid::DocId;

/// Text with attachments in between.
#[derive(Clone, Debug, Default)]
pub struct Script {
    done: Vec<Piece>,
    tail: Vec<u8>,
}

/// A part of a [`Script`].
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Text(Vec<u8>),
    /// An attachment.
    Att(AttPiece),
}

/// A place for an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttPiece {
    /// The document that it belongs to, which says where it lies.
    pub id: DocId,
    /// The attachment.
    pub content: AttContent,
    /// How it is to be written.
    pub form: Form,
}

/// How an attachment's bytes appear in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are stored.
    Stored,
    /// Unpacked if they are stored as gzip.
    Decoded,
    /// Unpacked, then in base64.
    Base64,
    /// From the first of these stored bytes to the one before the second.
    Range(u64, u64),
}

impl Script {
    /// A script to which about so many bytes of text will be written.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Script { done: Vec::new(), tail: Vec::with_capacity(bytes) }
    }

    /// Where text is appended.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Whether nothing was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.done.is_empty()
    }

    /// Appends text.
    pub fn push(&mut self, text: impl AsRef<[u8]>) {
        self.tail.extend_from_slice(text.as_ref());
    }

    /// Appends a place for an attachment. An empty one takes no place.
    pub fn att(&mut self, id: &DocId, content: &AttContent, form: Form) {
        if content.stored_length == 0 {
            return;
        }
        if !self.tail.is_empty() {
            self.done.push(Piece::Text(std::mem::take(&mut self.tail)));
        }
        self.done.push(Piece::Att(AttPiece { id: id.clone(), content: content.clone(), form }));
    }

    /// The text, if there is nothing else.
    ///
    /// # Errors
    /// The script itself, if attachments are part of it.
    pub fn into_text(self) -> Result<Vec<u8>, Script> {
        if self.done.is_empty() { Ok(self.tail) } else { Err(self) }
    }

    /// Its pieces in order.
    #[must_use]
    pub fn into_pieces(mut self) -> Vec<Piece> {
        if !self.tail.is_empty() {
            self.done.push(Piece::Text(self.tail));
        }
        self.done
    }

    /// Bytes in all; `None` if an attachment must be unpacked to know.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        let mut sum = self.tail.len() as u64;
        for piece in &self.done {
            sum = sum.saturating_add(match piece {
                Piece::Text(text) => text.len() as u64,
                Piece::Att(att) => att.length()?,
            });
        }
        Some(sum)
    }
}

impl AttPiece {
    fn length(&self) -> Option<u64> {
        match self.form {
            Form::Stored => Some(self.content.stored_length),
            Form::Decoded => decoded_length(&self.content),
            // What somebody says of bytes that came packed would cut off JSON, were it wrong.
            Form::Base64 if self.content.encoding == Encoding::Gzip => None,
            Form::Base64 => Some(self.content.stored_length.div_ceil(3) * 4),
            Form::Range(from, to) => Some(to - from),
        }
    }
}

/// An attachment's length once it is unpacked. Of one that came packed and alone, nobody said
/// what it was before: its two lengths are then the same.
#[must_use]
pub fn decoded_length(content: &AttContent) -> Option<u64> {
    match content.encoding {
        Encoding::Identity => Some(content.stored_length),
        Encoding::Gzip if content.length != content.stored_length => Some(content.length),
        Encoding::Gzip => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn content(length: u64, gzip: Option<u64>) -> AttContent {
        AttContent {
            encoding: if gzip.is_some() { Encoding::Gzip } else { Encoding::Identity },
            length,
            stored_length: gzip.unwrap_or(length),
            md5: [0; 16],
            chunks: Vec::new(),
        }
    }

    /// The script as text, attachments as `<form length>`.
    pub(crate) fn shown(script: Script) -> String {
        let mut out = String::new();
        for piece in script.into_pieces() {
            match piece {
                Piece::Text(text) => out.push_str(std::str::from_utf8(&text).unwrap()),
                Piece::Att(att) => {
                    out.push_str(&format!("<{:?} {}>", att.form, att.content.stored_length));
                }
            }
        }
        out
    }

    #[test]
    fn the_length_is_known_unless_gzip_hides_it() {
        let id = DocId::trusted("d");
        let mut script = Script::default();
        script.push("ab");
        assert_eq!(script.length(), Some(2));
        script.att(&id, &content(10, None), Form::Base64);
        assert_eq!(script.length(), Some(2 + 16));
        script.att(&id, &content(10, Some(30)), Form::Stored);
        script.att(&id, &content(10, Some(30)), Form::Decoded);
        script.push("z");
        assert_eq!(script.length(), Some(2 + 16 + 30 + 10 + 1));
        script.att(&id, &content(30, Some(30)), Form::Stored);
        assert_eq!(script.length(), Some(2 + 16 + 30 + 10 + 1 + 30));
        script.att(&id, &content(30, Some(30)), Form::Decoded);
        assert_eq!(script.length(), None);
        let mut claimed = Script::default();
        claimed.att(&id, &content(u64::MAX, Some(30)), Form::Base64);
        assert_eq!(claimed.length(), None);
        let text = "ab<Base64 10><Stored 30><Decoded 30>z<Stored 30><Decoded 30>";
        assert_eq!(shown(script), text);
    }

    #[test]
    fn an_empty_attachment_leaves_plain_text() {
        let mut script = Script::default();
        script.push("a");
        script.att(&DocId::trusted("d"), &content(0, None), Form::Base64);
        script.push("b");
        assert_eq!(script.into_text().unwrap(), b"ab");
    }
}
