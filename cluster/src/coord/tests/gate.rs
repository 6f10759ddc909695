//! A disk whose syncs wait until they are let through.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Condvar, Mutex};
use settee_engine::Error;
use settee_engine::io::{Entry, File, RealStorage, Room, Storage};

/// Whether syncs go through.
#[derive(Default)]
pub(super) struct Gate {
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    pub(super) fn close(&self) {
        *self.closed.lock() = true;
    }

    pub(super) fn open(&self) {
        *self.closed.lock() = false;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock();
        while *closed {
            self.moved.wait(&mut closed);
        }
    }
}

pub(super) struct Gated(pub(super) RealStorage, pub(super) Arc<Gate>);

struct GatedFile(Arc<dyn File>, Arc<Gate>);

impl Gated {
    fn file(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(GatedFile(file, self.1.clone()))
    }
}

impl Storage for Gated {
    fn open(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        self.0.open(path).map(|file| self.file(file))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        self.0.create(path).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        self.0.remove(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        self.0.list(dir)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Error> {
        self.0.sync_dir(dir)
    }

    fn sync_below(&self, dir: &str) -> Result<(), Error> {
        self.0.sync_below(dir)
    }

    fn room(&self) -> Result<Room, Error> {
        self.0.room()
    }

    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

impl File for GatedFile {
    fn path(&self) -> &str {
        self.0.path()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<(), Error> {
        self.0.write_at(buf, offset)
    }

    fn sync(&self) -> Result<(), Error> {
        self.1.pass();
        self.0.sync()
    }

    fn len(&self) -> Result<u64, Error> {
        self.0.len()
    }

    fn truncate(&self, len: u64) -> Result<(), Error> {
        self.0.truncate(len)
    }
}
