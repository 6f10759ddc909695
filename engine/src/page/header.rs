//! The two header slots that a file of pages begins with (docs/format.md sections 2 and 5): written
//! in turn, so that one is whole whatever happens to the other. Never knows what the fields mean
//! behind the generation.

use crate::Error;
use crate::codec::reader::Reader;
use crate::io::File;
use crate::page::Pages;

/// Bytes of a slot.
const SLOT: usize = 4096;
const CRC_AT: usize = SLOT - 4;

/// Where the first extent of a file begins.
pub(crate) const FIRST_EXTENT: u64 = 2 * SLOT as u64;

/// What tells one kind of file from another.
pub(crate) struct Format {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) version: u32,
}

/// What a slot holds.
pub(crate) enum Slot<T> {
    Valid(T),
    /// Never written.
    Blank,
    Invalid,
}

impl Format {
    /// Writes the slot of that generation, and syncs. `fields` begin with the generation; those that
    /// do not fit are refused.
    pub(crate) fn write(&self, pages: &Pages, generation: u64, fields: &[u8]) -> Result<(), Error> {
        let slot = self.encode(fields).ok_or(Error::TooLarge { what: "a header" })?;
        let written = pages.file().write_at(&slot, slot_offset(generation));
        written.inspect_err(|_| pages.fail())?;
        pages.sync()
    }

    fn encode(&self, fields: &[u8]) -> Option<Vec<u8>> {
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend_from_slice(self.magic);
        slot.extend_from_slice(&self.version.to_le_bytes());
        slot.extend_from_slice(&u32::try_from(fields.len()).ok()?.to_le_bytes());
        slot.extend_from_slice(fields);
        if slot.len() > CRC_AT {
            return None;
        }
        slot.resize(CRC_AT, 0);
        slot.extend_from_slice(&crc32fast::hash(&slot).to_le_bytes());
        Some(slot)
    }

    /// Reads both slots: the one of odd generations, then the other. `decode` takes the fields, and
    /// `generation` says which they are of.
    pub(crate) fn read<T>(
        &self,
        file: &dyn File,
        decode: impl Fn(&[u8]) -> Option<T>,
        generation: impl Fn(&T) -> u64,
    ) -> Result<[Slot<T>; 2], Error> {
        let read = |offset: u64| {
            let mut slot = vec![0; SLOT];
            let len = file.read_at(&mut slot, offset)?;
            let header = self.fields(&slot).filter(|_| len == SLOT).and_then(&decode);
            Ok::<_, Error>(match header {
                Some(header) if slot_offset(generation(&header)) == offset => Slot::Valid(header),
                _ if slot.iter().all(|byte| *byte == 0) => Slot::Blank,
                _ => Slot::Invalid,
            })
        };
        Ok([read(0)?, read(SLOT as u64)?])
    }

    fn fields<'a>(&self, slot: &'a [u8]) -> Option<&'a [u8]> {
        let (body, crc) = slot.split_at_checked(CRC_AT)?;
        if crc != crc32fast::hash(body).to_le_bytes() {
            return None;
        }
        let mut reader = Reader::new(body);
        let magic = reader.take(8).ok()? == self.magic;
        let version = u32::from_le_bytes(reader.array().ok()?);
        if !magic || version != self.version {
            return None;
        }
        let len = u32::from_le_bytes(reader.array().ok()?);
        reader.take(usize::try_from(len).ok()?).ok()
    }
}

/// Odd generations stand in slot A, even ones in slot B.
fn slot_offset(generation: u64) -> u64 {
    if generation % 2 == 1 { 0 } else { SLOT as u64 }
}
