//! Files of the operating system under one root directory. Never buffers and never retries.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{Entry, File, Room, Storage};
use crate::Error;

/// A directory of the host.
#[derive(Debug)]
pub struct RealStorage {
    root: PathBuf,
}

impl RealStorage {
    /// Uses `root`, which is created if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> Result<RealStorage, Error> {
        let storage = RealStorage { root: root.into() };
        storage.make_dirs(&storage.root, "")?;
        Ok(storage)
    }

    fn full(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn make_parent(&self, path: &str) -> Result<(), Error> {
        match self.full(path).parent() {
            Some(dir) => self.make_dirs(dir, path),
            None => Ok(()),
        }
    }

    /// Creates `dir` and what is missing above it, then syncs each new directory's parent.
    fn make_dirs(&self, dir: &Path, path: &str) -> Result<(), Error> {
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.make_dirs(parent, path)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create directory for", path, error));
            }
            _ => {}
        }
        match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => sync_directory(parent, path),
            None => Ok(()),
        }
    }
}

fn sync_directory(dir: &Path, path: &str) -> Result<(), Error> {
    fs::File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(|error| Error::io("sync directory", path, error))
}

impl Storage for RealStorage {
    fn open(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        let handle = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.full(path))
            .map_err(|error| Error::io("open", path, error))?;
        Ok(Arc::new(RealFile { handle, path: path.to_owned() }))
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        self.make_parent(path)?;
        let handle = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.full(path))
            .map_err(|error| Error::io("create", path, error))?;
        Ok(Arc::new(RealFile { handle, path: path.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.make_parent(to)?;
        fs::rename(self.full(from), self.full(to)).map_err(|error| Error::io("rename", from, error))
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        fs::remove_file(self.full(path)).map_err(|error| Error::io("remove", path, error))
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        let failed = |error| Error::io("list", dir, error);
        let entries = match fs::read_dir(self.full(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            // Names that are not UTF-8 are none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                found.push(Entry { name, is_dir });
            }
        }
        found.sort();
        Ok(found)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Error> {
        sync_directory(&self.full(dir), dir)
    }

    fn sync_below(&self, dir: &str) -> Result<(), Error> {
        let handle = match fs::File::open(self.full(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| Error::io("open", dir, error))?,
        };
        // All of its file system: one call, however many files there are.
        rustix::fs::syncfs(handle).map_err(|error| Error::io("sync all below", dir, error.into()))
    }

    fn room(&self) -> Result<Room, Error> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|error| Error::io("ask for the room of", "", error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        Ok(Room { free: bytes(stat.f_bavail), used: bytes(used) })
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&self) -> u64 {
        // The standard library's hash keys come from the operating system's random source.
        RandomState::new().build_hasher().finish()
    }
}

struct RealFile {
    handle: fs::File,
    path: String,
}

impl RealFile {
    fn failed(&self, op: &'static str) -> impl FnOnce(io::Error) -> Error + '_ {
        move |error| Error::io(op, &self.path, error)
    }
}

impl File for RealFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.handle.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("read")(error)),
            }
        }
        Ok(done)
    }

    #[cfg(target_os = "linux")]
    fn read_now(&self, buf: &mut [u8], offset: u64) -> bool {
        let wanted = buf.len();
        let mut parts = [io::IoSliceMut::new(buf)];
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        rustix::io::preadv2(&self.handle, &mut parts, offset, flags) == Ok(wanted)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<(), Error> {
        self.handle.write_all_at(buf, offset).map_err(self.failed("write"))
    }

    fn sync(&self) -> Result<(), Error> {
        self.handle.sync_data().map_err(self.failed("sync"))
    }

    fn len(&self) -> Result<u64, Error> {
        Ok(self.handle.metadata().map_err(self.failed("stat"))?.len())
    }

    fn truncate(&self, len: u64) -> Result<(), Error> {
        self.handle.set_len(len).map_err(self.failed("truncate"))
    }
}
