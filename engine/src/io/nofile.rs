//! The file of something that is in memory only: nothing can be read from it, and nothing is ever
//! written.

use std::sync::Arc;

use super::File;
use crate::Error;

/// See the module's description.
pub(crate) struct NoFile(
    /// What reports name it.
    pub(crate) Arc<str>,
);

impl NoFile {
    fn missing<T>(&self) -> Result<T, Error> {
        Err(Error::Missing { file: self.0.clone() })
    }
}

impl File for NoFile {
    fn path(&self) -> &str {
        &self.0
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize, Error> {
        self.missing()
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), Error> {
        self.missing()
    }

    fn sync(&self) -> Result<(), Error> {
        self.missing()
    }

    fn len(&self) -> Result<u64, Error> {
        Ok(0)
    }

    fn truncate(&self, _: u64) -> Result<(), Error> {
        self.missing()
    }
}
