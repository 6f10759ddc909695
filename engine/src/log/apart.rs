//! Frames that stand in a file of their own, in the form of a segment (docs/format.md section 4):
//! those of a shard that cannot be read, so that the log need not keep them. Their lsns count from 1.
//! Never chooses the shard or the file (see `engine/kept`).

use std::sync::Arc;

use super::Frame;
use super::format::{SegmentHeader, encode_batch};
use super::replay::scan_alone;
use crate::Error;
use crate::io::File;

/// Writes frames into an empty file and syncs it.
pub(crate) fn write<'a>(
    file: &Arc<dyn File>,
    salt: u64,
    shard: &str,
    payloads: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Error> {
    let header = SegmentHeader { first_lsn: 1, salt }.encode();
    file.write_at(&header, 0)?;
    let mut end = header.len() as u64;
    let mut batch = Vec::new();
    for (lsn, payload) in (1..).zip(payloads) {
        encode_batch(&mut batch, salt, lsn, std::iter::once((shard, payload)));
        file.write_at(&batch, end)?;
        end += batch.len() as u64;
    }
    file.sync()
}

/// All frames of such a file; it is damaged unless it is valid to its end.
pub(crate) fn read(file: &dyn File) -> Result<Vec<Frame>, Error> {
    let mut frames = Vec::new();
    scan_alone(file, &mut |frame| {
        frames.push(frame);
        Ok(())
    })?;
    Ok(frames)
}
