//! What becomes of the bytes that a client sends: compressed or not, counted, with their digests.
//! Done once whatever the number of copies. Never does IO.

use std::mem;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use settee_model::doc::{AttContent, Chunk, Encoding};

use super::UploadOptions;
use super::gzip::Encoder;
use crate::Error;

/// Takes an attachment as it comes and gives it as it is stored.
pub(super) struct Digest {
    client_gzip: bool,
    /// The server's own compression, and the digest of what went into it.
    gzip: Option<(Encoder, Md5)>,
    stored_md5: Md5,
    length: u64,
    stored_length: u64,
}

/// What is known of all bytes.
pub(super) struct Digested {
    encoding: Encoding,
    length: u64,
    stored_length: u64,
    md5: [u8; 16],
    /// MD5 of the bytes as they came in.
    pub(super) identity_md5: [u8; 16],
}

impl Digest {
    pub(super) fn new(options: UploadOptions) -> Digest {
        let client_gzip = options.encoding == Encoding::Gzip;
        let level = options.compress.filter(|level| !client_gzip && (1..=9).contains(level));
        Digest {
            client_gzip,
            gzip: level.map(|level| (Encoder::new(level), Md5::new())),
            stored_md5: Md5::new(),
            length: 0,
            stored_length: 0,
        }
    }

    /// Whether it works for long on each byte.
    pub(super) fn compresses(&self) -> bool {
        self.gzip.is_some()
    }

    /// Takes bytes; gives what is to be stored of them by now.
    pub(super) fn take(&mut self, pieces: Vec<Bytes>) -> Result<Vec<Bytes>, Error> {
        self.length += length(&pieces);
        let stored = match &mut self.gzip {
            None => pieces,
            Some((encoder, identity_md5)) => {
                let mut encoded = Vec::new();
                for piece in &pieces {
                    identity_md5.update(piece);
                    encoder.push(piece, &mut encoded)?;
                }
                // An encoder that has given nothing yet gives no empty piece either.
                if encoded.is_empty() { Vec::new() } else { vec![encoded.into()] }
            }
        };
        self.store(&stored);
        Ok(stored)
    }

    fn store(&mut self, stored: &[Bytes]) {
        self.stored_length += length(stored);
        stored.iter().for_each(|bytes| self.stored_md5.update(bytes));
    }

    /// Takes the last bytes; gives the rest of what is to be stored.
    pub(super) fn finish(mut self, pieces: Vec<Bytes>) -> Result<(Vec<Bytes>, Digested), Error> {
        let mut stored = self.take(pieces)?;
        let mut identity_md5 = None;
        if let Some((mut encoder, md5)) = mem::take(&mut self.gzip) {
            let mut encoded = Vec::new();
            encoder.finish(&mut encoded)?;
            let rest = [encoded.into()];
            self.store(&rest);
            stored.extend(rest);
            identity_md5 = Some(md5.finalize().into());
        }
        let by_gzip = identity_md5.is_some() || self.client_gzip;
        let md5 = self.stored_md5.finalize().into();
        let digested = Digested {
            encoding: if by_gzip { Encoding::Gzip } else { Encoding::Identity },
            length: self.length,
            stored_length: self.stored_length,
            md5,
            identity_md5: identity_md5.unwrap_or(md5),
        };
        Ok((stored, digested))
    }
}

impl Digested {
    /// Whether chunks are as long as what was digested.
    pub(super) fn fills(&self, chunks: &[Chunk]) -> bool {
        chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>() == self.stored_length
    }

    /// What lies in those chunks.
    pub(super) fn content(&self, chunks: Vec<Chunk>) -> AttContent {
        let Digested { encoding, length, stored_length, md5, .. } = *self;
        AttContent { encoding, length, stored_length, md5, chunks }
    }
}

/// How long all of them are together.
pub(super) fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::super::gzip::Decoder;
    use super::*;

    const PLAIN: UploadOptions = UploadOptions { encoding: Encoding::Identity, compress: None };

    /// All that is stored of a text that comes in pieces of that length, and what is known of it.
    fn digest(text: &[u8], piece: usize, options: UploadOptions) -> (Vec<u8>, Digested) {
        let mut digest = Digest::new(options);
        let mut stored = Vec::new();
        for piece in text.chunks(piece) {
            stored.extend(digest.take(vec![Bytes::copy_from_slice(piece)]).unwrap());
        }
        let (rest, digested) = digest.finish(vec![Bytes::from_static(b"end")]).unwrap();
        stored.extend(rest);
        (stored.concat(), digested)
    }

    #[test]
    fn bytes_are_stored_as_they_come_or_compressed_whatever_the_pieces() {
        let text: Vec<u8> = (0..50_000u32).flat_map(|n| (n / 9).to_le_bytes()).collect();
        let whole = [text.as_slice(), b"end"].concat();
        let md5: [u8; 16] = Md5::digest(&whole).into();
        for piece in [7, 10_007, 1 << 20] {
            let (stored, known) = digest(&text, piece, PLAIN);
            assert!(stored == whole);
            assert_eq!((known.identity_md5, known.md5), (md5, md5));
            let content = known.content(Vec::new());
            assert_eq!((content.length, content.stored_length), (200_003, 200_003));

            let (stored, known) =
                digest(&text, piece, UploadOptions { compress: Some(6), ..PLAIN });
            let content = known.content(Vec::new());
            assert_eq!((content.encoding, known.identity_md5), (Encoding::Gzip, md5));
            assert_eq!(content.md5, <[u8; 16]>::from(Md5::digest(&stored)));
            assert_eq!((content.length, content.stored_length), (200_003, stored.len() as u64));
            assert!(content.stored_length < content.length / 2);
            let (mut decoder, mut input, mut decoded) =
                (Decoder::new(), Bytes::from(stored), Vec::new());
            while !decoder.ended() {
                decoded.extend_from_slice(&decoder.piece(&mut input).unwrap());
            }
            assert!(decoded == whole);
        }
    }

    #[test]
    fn what_a_client_compressed_is_not_compressed_again() {
        let options = UploadOptions { encoding: Encoding::Gzip, compress: Some(6) };
        let (stored, known) = digest(b"no gzip at all, but nobody looks yet", 5, options);
        assert_eq!(stored, b"no gzip at all, but nobody looks yetend");
        assert_eq!(known.md5, known.identity_md5);
        assert_eq!(known.content(Vec::new()).encoding, Encoding::Gzip);
    }
}
