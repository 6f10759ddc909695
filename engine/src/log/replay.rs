//! Reading the log back: which frames are valid, and whether what is not is a torn end or damage.
//! Never changes a file.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Frame,
    format::{Batch, SEGMENT_HEADER, SegmentHeader, later_batch},
};
use crate::{
    Error,
    io::{File, Storage},
};

/// A segment of the log.
#[derive(Debug, Clone)]
pub struct Segment {
    pub first_lsn: u64,
    /// Bytes up to the end of the last valid batch.
    pub len: u64,
}

/// How the last segment ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// With a whole batch.
    Whole,
    /// With something else: room that was not used yet, or a write that was never acknowledged.
    /// The segment's `len` is where it starts.
    Torn,
    /// There is one more file, which was never used.
    Unused {
        /// Its path.
        path: String,
    },
}

/// What was found.
#[derive(Debug)]
pub struct Scanned {
    pub segments: Vec<Segment>,
    pub tail: Tail,
    /// The lsn behind the last valid frame.
    pub next_lsn: u64,
    /// Salt of the last segment.
    pub salt: u64,
}

/// The path of a segment.
pub fn path(dir: &str, first_lsn: u64) -> String {
    format!("{dir}/{first_lsn:020}.log")
}

/// Reads all segments and hands out every valid frame in order.
pub fn scan(
    storage: &dyn Storage,
    dir: &str,
    each: &mut dyn FnMut(Frame) -> Result<(), Error>,
) -> Result<Scanned, Error> {
    let mut scanned = Scanned { segments: Vec::new(), tail: Tail::Whole, next_lsn: 1, salt: 0 };
    let lsns = first_lsns(storage, dir)?;
    for (i, first_lsn) in lsns.iter().enumerate() {
        let file = storage.open(&path(dir, *first_lsn))?;
        let is_last = i + 1 == lsns.len();
        scan_segment(&*file, *first_lsn, is_last, &mut scanned, each)?;
    }
    Ok(scanned)
}

/// Hands out every frame of a segment that stands alone, begins with 1 and must be valid to its end.
pub fn scan_alone(
    file: &dyn File,
    each: &mut dyn FnMut(Frame) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut scanned = Scanned { segments: Vec::new(), tail: Tail::Whole, next_lsn: 1, salt: 0 };
    scan_segment(file, 1, false, &mut scanned, each)
}

/// The first lsns of all segments, as their names say, ascending.
fn first_lsns(storage: &dyn Storage, dir: &str) -> Result<Vec<u64>, Error> {
    let lsn = |name: &str| {
        let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    Ok(storage.list(dir)?.iter().filter_map(|entry| lsn(&entry.name)).collect())
}

fn scan_segment(
    file: &dyn File,
    first_lsn: u64,
    is_last: bool,
    scanned: &mut Scanned,
    each: &mut dyn FnMut(Frame) -> Result<(), Error>,
) -> Result<(), Error> {
    let corrupt = |at: usize, what| Error::corrupt(file.path(), at as u64, what);
    let bytes = read_all(file)?;
    let header = match SegmentHeader::decode(&bytes) {
        Ok(header) => header,
        Err(_) if is_last && bytes.len() <= SEGMENT_HEADER => {
            scanned.tail = Tail::Unused { path: file.path().to_owned() };
            return Ok(());
        }
        Err(what) => return Err(corrupt(0, what)),
    };
    let follows = scanned.segments.is_empty() || scanned.next_lsn == first_lsn;
    if header.first_lsn != first_lsn || !follows {
        return Err(corrupt(0, "segment is missing before this one"));
    }
    scanned.next_lsn = first_lsn;
    scanned.salt = header.salt;
    let mut at = SEGMENT_HEADER;
    while at < bytes.len() {
        match Batch::parse(&bytes, at, header.salt) {
            Ok(batch) if batch.first_lsn == scanned.next_lsn => {
                let frames = batch.frames().map_err(|what| corrupt(at, what))?;
                hand_out(frames, &mut scanned.next_lsn, each)?;
                at = batch.end;
            }
            Ok(_) => return Err(corrupt(at, "batch has another lsn than it should")),
            // Room that was never used. Were a batch missing here, the next lsn would say so.
            Err(_) if !is_last && is_zero(&bytes, at) => break,
            Err(what) if !is_last => return Err(corrupt(at, what)),
            Err(what) if later_batch(&bytes, at, header.salt, scanned.next_lsn) => {
                return Err(corrupt(at, what));
            }
            Err(_) => {
                scanned.tail = Tail::Torn;
                break;
            }
        }
    }
    scanned.segments.push(Segment { first_lsn, len: at as u64 });
    Ok(())
}

fn is_zero(bytes: &[u8], from: usize) -> bool {
    bytes.get(from..).unwrap_or_default().iter().all(|byte| *byte == 0)
}

fn hand_out(
    frames: Vec<(&str, Bytes)>,
    lsn: &mut u64,
    each: &mut dyn FnMut(Frame) -> Result<(), Error>,
) -> Result<(), Error> {
    // Consecutive frames are mostly of the same shard.
    let mut name: Arc<str> = Arc::from("");
    for (shard, payload) in frames {
        if *name != *shard {
            name = shard.into();
        }
        each(Frame { lsn: *lsn, shard: name.clone(), payload })?;
        *lsn += 1;
    }
    Ok(())
}

fn read_all(file: &dyn File) -> Result<Bytes, Error> {
    let mut bytes = vec![0; file.len()? as usize];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes.into())
}
