//! Segments, batches and frames as bytes (docs/format.md section 1). Pure; never reads a file.

use bytes::Bytes;
use memchr::memmem;

/// Bytes before the first batch of a segment.
pub const SEGMENT_HEADER: usize = 40;
/// Bytes before the frames of a batch.
const BATCH_HEADER: usize = 28;
/// Bytes before the name in a frame.
const FRAME_HEADER: usize = 6;

const SEGMENT_MAGIC: &[u8; 8] = b"SETTEELG";
const BATCH_MAGIC: &[u8; 4] = b"SBAT";
const VERSION: u32 = 1;

/// The start of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The lsn of its first frame.
    pub first_lsn: u64,
    /// Random, so that bytes a client chose cannot look like a batch.
    pub salt: u64,
}

impl SegmentHeader {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.first_lsn.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out
    }

    /// Reads the header off the front of a segment.
    ///
    /// # Errors
    /// What is wrong.
    pub fn decode(segment: &[u8]) -> Result<SegmentHeader, &'static str> {
        const SHORT: &str = "segment is shorter than its header";
        let sealed = segment.get(..32).ok_or(SHORT)?;
        if number(segment, 32).ok_or(SHORT)? != crc32fast::hash(sealed) {
            return Err("segment header checksum differs");
        }
        if sealed.get(..8) != Some(SEGMENT_MAGIC) {
            return Err("no log segment");
        }
        if number(segment, 8) != Some(VERSION) {
            return Err("segment has an unknown version");
        }
        let first_lsn = long(segment, 16).ok_or(SHORT)?;
        let salt = long(segment, 24).ok_or(SHORT)?;
        Ok(SegmentHeader { first_lsn, salt })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Checksum of a batch header: salted, so that bytes a client chose cannot look like one.
fn header_crc(header: &[u8], salt: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(header);
    hasher.finalize()
}

/// Bytes that a frame takes.
#[must_use]
pub fn frame_size(shard: &str, payload: &[u8]) -> usize {
    FRAME_HEADER + shard.len() + payload.len()
}

/// Writes one batch into `out`, replacing what was there.
pub fn encode_batch<'a>(
    out: &mut Vec<u8>,
    salt: u64,
    first_lsn: u64,
    frames: impl Iterator<Item = (&'a str, &'a [u8])>,
) {
    out.clear();
    out.resize(BATCH_HEADER, 0);
    let mut count = 0_u32;
    for (shard, payload) in frames {
        out.extend_from_slice(&(shard.len() as u16).to_le_bytes());
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(shard.as_bytes());
        out.extend_from_slice(payload);
        count += 1;
    }
    let body = out.get(BATCH_HEADER..).unwrap_or_default();
    let mut header = Vec::with_capacity(BATCH_HEADER);
    header.extend_from_slice(BATCH_MAGIC);
    header.extend_from_slice(&(body.len() as u32).to_le_bytes());
    header.extend_from_slice(&first_lsn.to_le_bytes());
    header.extend_from_slice(&count.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    let crc = header_crc(&header, salt);
    header.extend_from_slice(&crc.to_le_bytes());
    if let Some(place) = out.get_mut(..BATCH_HEADER) {
        place.copy_from_slice(&header);
    }
}

/// A valid batch of a segment.
#[derive(Debug)]
pub struct Batch {
    /// The lsn of its first frame.
    pub first_lsn: u64,
    count: u32,
    frames: Bytes,
    /// Where it ends in the segment.
    pub end: usize,
}

impl Batch {
    /// Reads the batch at `at` of a segment.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(segment: &Bytes, at: usize, salt: u64) -> Result<Batch, &'static str> {
        const SHORT: &str = "batch is cut short";
        let rest = segment.get(at..).ok_or(SHORT)?;
        let header = rest.get(..24).ok_or(SHORT)?;
        if header.get(..4) != Some(BATCH_MAGIC) {
            return Err("no batch here");
        }
        if number(rest, 24).ok_or(SHORT)? != header_crc(header, salt) {
            return Err("batch header checksum differs");
        }
        let len = number(rest, 4).ok_or(SHORT)? as usize;
        let frames = rest.get(BATCH_HEADER..BATCH_HEADER + len).ok_or(SHORT)?;
        if number(rest, 20).ok_or(SHORT)? != crc32fast::hash(frames) {
            return Err("batch checksum differs");
        }
        Ok(Batch {
            first_lsn: long(rest, 8).ok_or(SHORT)?,
            count: number(rest, 16).ok_or(SHORT)?,
            frames: segment.slice_ref(frames),
            end: at + BATCH_HEADER + len,
        })
    }

    /// Its frames in order, as (shard, payload).
    ///
    /// # Errors
    /// What is wrong.
    pub fn frames(&self) -> Result<Vec<(&str, Bytes)>, &'static str> {
        const ABSURD: &str = "batch has absurd frames";
        let mut frames = Vec::new();
        let mut rest: &[u8] = &self.frames;
        while !rest.is_empty() {
            let (shard, tail) = rest.split_first_chunk::<2>().ok_or(ABSURD)?;
            let (payload, tail) = tail.split_first_chunk::<4>().ok_or(ABSURD)?;
            let (shard, tail) =
                tail.split_at_checked(u16::from_le_bytes(*shard).into()).ok_or(ABSURD)?;
            let (payload, tail) =
                tail.split_at_checked(u32::from_le_bytes(*payload) as usize).ok_or(ABSURD)?;
            let shard = std::str::from_utf8(shard).map_err(|_| ABSURD)?;
            let payload = match payload {
                [] => Bytes::new(),
                some => self.frames.slice_ref(some),
            };
            frames.push((shard, payload));
            rest = tail;
        }
        if frames.is_empty() || frames.len() != self.count as usize {
            return Err(ABSURD);
        }
        Ok(frames)
    }
}

/// Whether a valid batch with an lsn above `lsn` stands anywhere behind `from`. It proves that what
/// is damaged before it had been synced.
#[must_use]
pub fn later_batch(segment: &Bytes, from: usize, salt: u64, lsn: u64) -> bool {
    let rest = segment.get(from..).unwrap_or_default();
    memmem::find_iter(rest, BATCH_MAGIC)
        .filter_map(|at| Batch::parse(segment, from + at, salt).ok())
        .any(|batch| batch.first_lsn > lsn)
}
