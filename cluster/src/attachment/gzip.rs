//! gzip by pieces, with zlib's own encoder and header, so that equal content gets the digest that
//! CouchDB gives it. Never does IO.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::Error;

/// zlib's window of 32 KiB, as a power of two.
const WINDOW_BITS: u8 = 15;
/// Room that is made for output at a time.
const OUTPUT: usize = 128 * 1024;

/// Compresses a stream.
pub(crate) struct Encoder(Compress);

impl Encoder {
    /// `level` from 1 to 9.
    pub(crate) fn new(level: u32) -> Self {
        Encoder(Compress::new_gzip(Compression::new(level.clamp(1, 9)), WINDOW_BITS))
    }

    /// Compresses more bytes; what comes of them so far is appended to `output`.
    pub(crate) fn push(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        while !input.is_empty() {
            output.reserve(OUTPUT);
            let before = self.0.total_in();
            self.0
                .compress_vec(input, output, FlushCompress::None)
                .map_err(|_| Error::BadEncoding)?;
            input = rest(input, self.0.total_in() - before);
        }
        Ok(())
    }

    /// Appends what is left, and the trailer.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> Result<(), Error> {
        loop {
            output.reserve(OUTPUT);
            let status = self
                .0
                .compress_vec(&[], output, FlushCompress::Finish)
                .map_err(|_| Error::BadEncoding)?;
            if status == Status::StreamEnd {
                return Ok(());
            }
        }
    }
}

/// Decompresses a stream.
pub(crate) struct Decoder {
    stream: Decompress,
    ended: bool,
    more: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder { stream: Decompress::new_gzip(WINDOW_BITS), ended: false, more: false }
    }

    /// Decompresses a piece of `input`, which is advanced by what was read, to a piece of bounded
    /// size. What follows the end of the stream is passed over.
    pub(crate) fn piece(&mut self, input: &mut Bytes) -> Result<Bytes, Error> {
        let mut output = Vec::with_capacity(OUTPUT);
        while !self.ended && output.len() < output.capacity() {
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress_vec(input, &mut output, FlushDecompress::None)
                .map_err(|_| Error::BadEncoding)?;
            self.ended = status == Status::StreamEnd;
            *input = input.slice_ref(rest(input, self.stream.total_in() - before.0));
            if before == (self.stream.total_in(), self.stream.total_out()) {
                break;
            }
        }
        self.more = !self.ended && output.len() == output.capacity();
        if self.ended {
            input.clear();
        }
        Ok(output.into())
    }

    /// Whether there may be more to give although all input was read.
    pub(crate) fn has_more(&self) -> bool {
        self.more
    }

    /// Whether the trailer was seen and was right.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

fn rest(input: &[u8], read: u64) -> &[u8] {
    usize::try_from(read).ok().and_then(|read| input.get(read..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;
    use md5::Digest;

    use super::*;

    fn encode(level: u32, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut output) = (Encoder::new(level), Vec::new());
        for piece in pieces {
            encoder.push(piece, &mut output).unwrap();
        }
        encoder.finish(&mut output).unwrap();
        output
    }

    #[test]
    fn what_was_encoded_is_decoded_whatever_the_pieces() {
        let text: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let pieces: Vec<&[u8]> = text.chunks(10_007).collect();
        let encoded = encode(8, &pieces);
        assert_eq!(encoded, encode(8, &[&text]));
        let (mut decoder, mut decoded) = (Decoder::new(), Vec::new());
        for piece in encoded.chunks(333) {
            let mut input = Bytes::copy_from_slice(piece);
            while !input.is_empty() || decoder.has_more() {
                decoded.extend_from_slice(&decoder.piece(&mut input).unwrap());
            }
        }
        assert!(decoder.ended());
        assert!(decoded == text);
    }

    #[test]
    fn a_bomb_is_defused_piece_by_piece() {
        let mut input = Bytes::from(encode(9, &[&vec![0; 50_000_000]]));
        let (mut decoder, mut length) = (Decoder::new(), 0);
        while !input.is_empty() || decoder.has_more() {
            let piece = decoder.piece(&mut input).unwrap();
            assert!(piece.len() <= 2 * OUTPUT);
            length += piece.len();
        }
        assert_eq!(length, 50_000_000);
    }

    #[test]
    fn the_header_is_zlibs() {
        assert_eq!(encode(8, &[b""])[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn digests_are_couchdbs() {
        // What CouchDB 3.4.2 calls these attachments, of type text/plain.
        let text: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let words: Vec<String> = (0..20_000).map(|n| format!("word{}", n * 7919 % 977)).collect();
        let words = words.join(" ");
        let known: [(&[u8], &str); 4] = [
            (b"", "cCkGbCesb17xjWYNV0GXmg=="),
            (b"x", "BQ12Y6Pl9vOURwmqG1HaIA=="),
            (words.as_bytes(), "6qmAKtW3X38zkr2afHioog=="),
            (&text, "0ROo7F50AH/m8RvmdjCt9A=="),
        ];
        for (content, digest) in known {
            let md5 = md5::Md5::digest(encode(8, &[content]));
            assert_eq!(BASE64_STANDARD.encode(md5), digest);
        }
    }

    #[test]
    fn garbage_is_no_gzip() {
        let mut input = Bytes::from_static(b"not gzip");
        assert_eq!(Decoder::new().piece(&mut input), Err(Error::BadEncoding));
    }
}
