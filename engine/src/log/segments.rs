//! The files of the open log: appending batches, beginning segments, removing old ones. Never
//! writes again through a handle that failed.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    Options,
    format::{SEGMENT_HEADER, SegmentHeader, encode_batch},
    replay::{Scanned, Segment, Tail, path},
};
use crate::{
    Error,
    io::{File, Storage},
};

/// All segments, oldest first. The last one is written to.
#[derive(Clone)]
pub struct Segments {
    storage: Arc<dyn Storage>,
    dir: Arc<str>,
    list: Arc<Mutex<Vec<Segment>>>,
}

impl Segments {
    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.list.lock().iter().map(|segment| segment.len).sum()
    }

    /// Removes segments whose frames are all below `lsn`, oldest first. The last one stays.
    pub fn trim(&self, lsn: u64) -> Result<(), Error> {
        loop {
            let oldest = match self.list.lock().as_slice() {
                [oldest, next, ..] if next.first_lsn <= lsn => oldest.first_lsn,
                _ => return Ok(()),
            };
            match self.storage.remove(&path(&self.dir, oldest)) {
                // Another trim was quicker.
                Ok(()) | Err(Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
            // Each removal durable before the next: a gap in the middle would look like damage.
            self.storage.sync_dir(&self.dir)?;
            self.list.lock().retain(|segment| segment.first_lsn != oldest);
        }
    }

    fn push(&self, first_lsn: u64) {
        let mut list = self.list.lock();
        list.retain(|segment| segment.first_lsn != first_lsn);
        list.push(Segment { first_lsn, len: SEGMENT_HEADER as u64 });
    }

    fn grow(&self, len: u64) {
        if let Some(last) = self.list.lock().last_mut() {
            last.len = len;
        }
    }
}

/// Appends to the last segment.
pub struct Appender {
    segments: Segments,
    segment_bytes: u64,
    file: Arc<dyn File>,
    salt: u64,
    /// End of what is durable in the last segment.
    end: u64,
    /// End of what the last segment's file has room for: behind `end` there are zeros.
    allocated: u64,
    next_lsn: u64,
    buffer: Vec<u8>,
}

/// The file grows by zeros of this size, so that most syncs need not write the file's metadata.
const ALLOCATE: u64 = 1 << 20;

/// A write buffer larger than this is given back.
const KEEP_BUFFER: usize = 4 << 20;

impl Appender {
    /// Makes the files fit for appending after they were scanned.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: &Options,
        scanned: Scanned,
    ) -> Result<Appender, Error> {
        let dir: Arc<str> = options.dir.as_str().into();
        if let Tail::Unused { path } = &scanned.tail {
            storage.remove(path)?;
            storage.sync_dir(&dir)?;
        }
        let Scanned { segments: list, next_lsn, salt, .. } = scanned;
        let last = list.last().cloned();
        let segments = Segments { storage, dir, list: Arc::new(Mutex::new(list)) };
        let (file, salt, end) = match last {
            None => begin(&segments, next_lsn)?,
            Some(Segment { first_lsn, len }) => {
                let file = segments.storage.open(&path(&segments.dir, first_lsn))?;
                if scanned.tail == Tail::Torn {
                    file.truncate(len)?;
                }
                // What was replayed may have been in the operating system's memory only.
                file.sync()?;
                segments.storage.sync_dir(&segments.dir)?;
                (file, salt, len)
            }
        };
        Ok(Appender {
            segments,
            segment_bytes: options.segment_bytes,
            file,
            salt,
            end,
            allocated: end,
            next_lsn,
            buffer: Vec::new(),
        })
    }

    /// The files, for everything but appending.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The lsn behind the last durable frame.
    pub fn next_lsn(&self) -> u64 {
        self.next_lsn
    }

    /// Makes one batch durable.
    pub fn append<'a>(
        &mut self,
        count: usize,
        frames: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), Error> {
        if self.end >= self.segment_bytes {
            self.rotate()?;
        }
        encode_batch(&mut self.buffer, self.salt, self.next_lsn, frames);
        let batch_end = self.end + self.buffer.len() as u64;
        if batch_end > self.allocated {
            self.allocated = batch_end.max(self.segment_bytes.min(self.end + ALLOCATE));
            self.buffer.resize((self.allocated - self.end) as usize, 0);
        }
        self.file.write_at(&self.buffer, self.end)?;
        self.file.sync()?;
        self.end = batch_end;
        self.next_lsn += count as u64;
        self.segments.grow(self.end);
        if self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// After a failure: cuts off what may be there of the failed batch, through a new handle, and
    /// goes on in a new segment.
    pub fn recover(&mut self) -> Result<(), Error> {
        let file = self.segments.storage.open(self.file.path())?;
        file.truncate(self.end)?;
        file.sync()?;
        self.rotate()
    }

    fn rotate(&mut self) -> Result<(), Error> {
        (self.file, self.salt, self.end) = begin(&self.segments, self.next_lsn)?;
        self.allocated = self.end;
        Ok(())
    }
}

/// Creates the segment that starts with `first_lsn`, durably: its file, salt and end.
fn begin(segments: &Segments, first_lsn: u64) -> Result<(Arc<dyn File>, u64, u64), Error> {
    let salt = segments.storage.random();
    let file = segments.storage.create(&path(&segments.dir, first_lsn))?;
    file.write_at(&SegmentHeader { first_lsn, salt }.encode(), 0)?;
    file.sync()?;
    segments.storage.sync_dir(&segments.dir)?;
    segments.push(first_lsn);
    Ok((file, salt, SEGMENT_HEADER as u64))
}
