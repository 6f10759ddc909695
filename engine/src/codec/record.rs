//! The value of a revision in `bodies` and in the log: attachments' metadata, then the body's JSON
//! text to the end. Never looks into the JSON.

use bytes::Bytes;
use settee_model::doc::{AttContent, Attachment, Chunk, DocRecord, Encoding};
use settee_model::varint;

use super::Malformed;
use super::reader::Reader;

const VERSION: u8 = 1;

/// Appends the encoding of a record.
pub(crate) fn encode(out: &mut Vec<u8>, record: &DocRecord) {
    out.push(VERSION);
    varint::put(out, record.atts.len() as u64);
    for att in &record.atts {
        varint::put_bytes(out, att.name.as_bytes());
        varint::put_bytes(out, att.content_type.as_bytes());
        varint::put(out, att.revpos);
        put_content(out, &att.content);
    }
    out.extend_from_slice(&record.body);
}

fn put_content(out: &mut Vec<u8>, content: &AttContent) {
    out.push(match content.encoding {
        Encoding::Identity => 0,
        Encoding::Gzip => 1,
    });
    varint::put(out, content.length);
    varint::put(out, content.stored_length);
    out.extend_from_slice(&content.md5);
    varint::put(out, content.chunks.len() as u64);
    for chunk in &content.chunks {
        out.extend_from_slice(&chunk.hash);
        varint::put(out, u64::from(chunk.length));
    }
}

/// Reads a record; the body shares the memory of `bytes`.
pub(crate) fn decode(bytes: &Bytes) -> Result<DocRecord, Malformed> {
    let mut reader = Reader::new(bytes);
    let atts = read_atts(&mut reader)?;
    Ok(DocRecord { atts, body: bytes.slice_ref(reader.rest()) })
}

/// Reads the attachments of a record and leaves its body as it is.
pub(crate) fn split(bytes: &[u8]) -> Result<(Vec<Attachment>, &[u8]), Malformed> {
    let mut reader = Reader::new(bytes);
    Ok((read_atts(&mut reader)?, reader.rest()))
}

fn read_atts(reader: &mut Reader<'_>) -> Result<Vec<Attachment>, Malformed> {
    if reader.byte()? != VERSION {
        return Err(Malformed("unknown version of a record"));
    }
    let count = reader.count()?;
    (0..count).map(|_| read_att(reader)).collect()
}

fn read_att(reader: &mut Reader<'_>) -> Result<Attachment, Malformed> {
    Ok(Attachment {
        name: reader.text()?.to_owned(),
        content_type: reader.text()?.to_owned(),
        revpos: reader.varint()?,
        content: read_content(reader)?,
    })
}

fn read_content(reader: &mut Reader<'_>) -> Result<AttContent, Malformed> {
    let encoding = match reader.byte()? {
        0 => Encoding::Identity,
        1 => Encoding::Gzip,
        _ => return Err(Malformed("unknown encoding of an attachment")),
    };
    let length = reader.varint()?;
    let stored_length = reader.varint()?;
    let md5 = reader.array()?;
    let count = reader.count()?;
    let chunks = (0..count).map(|_| read_chunk(reader)).collect::<Result<_, _>>()?;
    Ok(AttContent { encoding, length, stored_length, md5, chunks })
}

fn read_chunk(reader: &mut Reader<'_>) -> Result<Chunk, Malformed> {
    let hash = reader.array()?;
    let length = reader.varint()?;
    let length = u32::try_from(length).map_err(|_| Malformed("chunk too large"))?;
    Ok(Chunk { hash, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> DocRecord {
        let content = AttContent {
            encoding: Encoding::Gzip,
            length: 7_000_000_000,
            stored_length: 123,
            md5: [7; 16],
            chunks: vec![Chunk { hash: [9; 32], length: 123 }],
        };
        let name = "a/b.txt".to_owned();
        let att = Attachment { name, content_type: "text/plain".into(), revpos: 3, content };
        DocRecord { atts: vec![att], body: Bytes::from_static(b"{\"a\":1}") }
    }

    #[test]
    fn comes_back() {
        for record in [sample(), DocRecord { atts: vec![], body: Bytes::from_static(b"{}") }] {
            let mut out = Vec::new();
            encode(&mut out, &record);
            assert_eq!(decode(&out.into()), Ok(record));
        }
    }

    #[test]
    fn no_cut_is_a_panic_or_another_attachment() {
        let mut out = Vec::new();
        encode(&mut out, &sample());
        for len in 0..out.len() - sample().body.len() {
            assert!(split(&out[..len]).is_err());
        }
    }
}
