//! The engine's only door to files, clock and randomness: one small trait with two houses behind
//! it, [`RealStorage`] and [`SimStorage`]. Never knows what is in a file.

mod nofile;
mod real;
mod sim;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

pub(crate) use nofile::NoFile;
pub use real::RealStorage;
pub use sim::{Crash, Fault, SimStorage};

use crate::Error;

/// A directory of files. Paths are relative to it, `/`-separated, without `.` and `..`.
///
/// Data is durable after [`File::sync`]; that a file exists under its name is durable after
/// [`Storage::sync_dir`] of its directory.
pub trait Storage: Send + Sync + 'static {
    /// Opens an existing file for reading and writing; [`Error::Missing`] if there is none.
    fn open(&self, path: &str) -> Result<Arc<dyn File>, Error>;

    /// Creates an empty file, replacing one that is there. Makes missing directories (durably).
    fn create(&self, path: &str) -> Result<Arc<dyn File>, Error>;

    /// Gives a file another name, replacing what has it now. Makes missing directories (durably).
    fn rename(&self, from: &str, to: &str) -> Result<(), Error>;

    /// Removes a file; [`Error::Missing`] if there is none.
    fn remove(&self, path: &str) -> Result<(), Error>;

    /// What is in a directory, in byte order; empty if the directory is missing.
    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error>;

    /// Makes creations, renames and removals in this directory durable.
    fn sync_dir(&self, dir: &str) -> Result<(), Error>;

    /// Makes all that is below a directory durable, names included, whoever wrote it and when. May do
    /// more than that.
    fn sync_below(&self, dir: &str) -> Result<(), Error>;

    /// How full the disk is, about.
    fn room(&self) -> Result<Room, Error>;

    /// The wall clock.
    fn now(&self) -> SystemTime;

    /// A random number that clients cannot guess.
    fn random(&self) -> u64;
}

/// How full a disk is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What may be written until it is full.
    pub free: u64,
    /// What is written, by whomever.
    pub used: u64,
}

impl Room {
    /// Percent of it that are used, rounded up, as `df` counts.
    #[must_use]
    pub fn used_percent(self) -> u8 {
        let (free, used) = (u128::from(self.free), u128::from(self.used));
        let percent = (used * 100).div_ceil((free + used).max(1));
        u8::try_from(percent).unwrap_or(100)
    }
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The last part of the path.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// An open file. Calls from several threads may overlap.
pub trait File: Send + Sync + 'static {
    /// The path it was opened by.
    fn path(&self) -> &str;

    /// Fills `buf` from `offset` on and returns how much there was: less only at the file's end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error>;

    /// Fills `buf` from `offset` on if that needs no wait for the disk, because the operating system
    /// has all of it in memory; whether it did. May always say no.
    fn read_now(&self, _buf: &mut [u8], _offset: u64) -> bool {
        false
    }

    /// Writes all of `buf` at `offset`; the file grows as needed, gaps are zeros.
    fn write_at(&self, buf: &[u8], offset: u64) -> Result<(), Error>;

    /// Makes contents and length durable. After an error nothing is known about either.
    fn sync(&self) -> Result<(), Error>;

    /// Length in bytes.
    fn len(&self) -> Result<u64, Error>;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends (with zeros) to `len`.
    fn truncate(&self, len: u64) -> Result<(), Error>;
}
