//! The frame around a page's payload: kind, codec, lengths, checksum (docs/format.md section 3).
//! Pure; never reads a file.

use std::cell::RefCell;

use bytes::Bytes;
use lz4_flex::block;

/// Bytes before the payload.
pub const HEADER: usize = 16;

const MAGIC: [u8; 2] = *b"SP";
const RAW: u8 = 0;
const LZ4: u8 = 1;

thread_local! {
    /// The compressor's hash table, several KiB that need not be allocated for each page.
    static TABLE: RefCell<block::CompressTable> = RefCell::new(block::CompressTable::default());
}

/// Appends the frame of `payload`; it is not valid before [`seal`].
pub fn encode(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[kind, RAW]);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    if !compress_into(out, payload) {
        out.extend_from_slice(payload);
    } else if let Some(codec) = out.get_mut(start + 3) {
        *codec = LZ4;
    }
    let stored = (out.len() - start - HEADER) as u32;
    put(out, start + 4, stored);
}

/// Writes the checksum into a frame that will stand at `offset` of its file.
pub fn seal(frame: &mut [u8], offset: u64) {
    let crc = checksum(frame, offset);
    put(frame, 12, crc);
}

/// Appends the compressed payload unless that saves less than one eighth.
fn compress_into(out: &mut Vec<u8>, payload: &[u8]) -> bool {
    let start = out.len();
    out.resize(start + block::get_maximum_output_size(payload.len()), 0);
    let compressed = match out.get_mut(start..) {
        Some(room) => TABLE.with_borrow_mut(|table| {
            block::compress_into_with_table(payload, room, table).unwrap_or(usize::MAX)
        }),
        None => usize::MAX,
    };
    let worthwhile = !payload.is_empty() && compressed <= payload.len() - payload.len() / 8;
    out.truncate(start + if worthwhile { compressed } else { 0 });
    worthwhile
}

fn put(out: &mut [u8], at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn checksum(frame: &[u8], offset: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(frame.get(..12).unwrap_or_default());
    hasher.update(frame.get(HEADER..).unwrap_or_default());
    hasher.finalize()
}

fn number(frame: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

/// Checks a frame that was read from `offset` and unpacks its payload; else says what is wrong.
pub fn decode(frame: Bytes, kind: u8, offset: u64) -> Result<Bytes, &'static str> {
    const SHORT: &str = "page is cut short";
    if frame.get(..2) != Some(&MAGIC) {
        return Err("no page here");
    }
    let stored = number(&frame, 4).ok_or(SHORT)? as usize;
    let raw = number(&frame, 8).ok_or(SHORT)? as usize;
    if frame.len() != HEADER + stored {
        return Err("page has another length than its pointer");
    }
    if number(&frame, 12).ok_or(SHORT)? != checksum(&frame, offset) {
        return Err("page checksum differs");
    }
    if frame.get(2) != Some(&kind) {
        return Err("page is of another kind");
    }
    match frame.get(3) {
        Some(&RAW) if raw == stored => Ok(frame.slice(HEADER..)),
        Some(&LZ4) => match block::decompress(frame.get(HEADER..).ok_or(SHORT)?, raw) {
            Ok(payload) if payload.len() == raw => Ok(payload.into()),
            _ => Err("page does not decompress"),
        },
        _ => Err("page has an unknown codec"),
    }
}
