//! A disk in memory that forgets, tears, fills up and fails on request. Used by tests only; never
//! touches the host.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::{Entry, File, Room, Storage};
use crate::Error;

/// Bytes that a file may have. Real ones have a limit too, which a damaged length leads beyond.
const LARGEST: usize = 1 << 26;

/// A simulated disk; clones share it.
#[derive(Clone, Default)]
pub struct SimStorage {
    disk: Arc<Mutex<Disk>>,
}

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// That one operation fails. A failed write has written its first half. A failed sync leaves
    /// its writes visible but never durable, as an operating system does that marks pages clean
    /// whose writing failed.
    Fail,
    /// The power goes: that operation and all later ones fail until [`SimStorage::crash`].
    PowerCut,
    /// From that operation on nothing grows, until [`SimStorage::set_capacity`].
    Full,
}

/// What of the unsynced state survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    LoseAll,
    /// Everything, as after the kill of a process. It is still not durable.
    KeepAll,
    /// Whole sectors of `sector` bytes, some kept and some lost, chosen by `seed`.
    Tear {
        /// Sector size: 512 or 4096.
        sector: usize,
        /// Chooses the sectors.
        seed: u64,
    },
}

#[derive(Default)]
struct Disk {
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that no `sync_dir` made durable yet.
    pending_names: Vec<Naming>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    reads: u64,
    failing_read: Option<u64>,
    capacity: Option<u64>,
    /// Handles of an earlier boot are useless.
    boot: u64,
    dark: bool,
    randomness: u64,
    clock: Duration,
    /// Held by each open file of this boot, and how many may be open.
    opened: Arc<()>,
    handles: Option<usize>,
}

#[derive(Default, Clone)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Contents {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
    }
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Clone)]
enum Naming {
    Link { name: String, file: usize },
    Rename { from: String, to: String },
    Unlink { name: String },
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Link { name, file } => {
                names.insert(name.clone(), *file);
            }
            Naming::Rename { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Naming::Unlink { name } => {
                names.remove(name);
            }
        }
    }

    fn is_in(&self, dir: &str) -> bool {
        self.names(|name| parent(name) == dir)
    }

    fn is_below(&self, prefix: &str) -> bool {
        self.names(|name| name.starts_with(prefix))
    }

    /// Whether it is about such a name.
    fn names(&self, within: impl Fn(&str) -> bool) -> bool {
        match self {
            Naming::Link { name, .. } | Naming::Unlink { name } => within(name),
            Naming::Rename { from, to } => within(from) || within(to),
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Change {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Change::Write { offset, data } => write(contents, *offset, data),
            Change::Length(len) => contents.resize(*len, 0),
        }
    }

    /// Applies those sectors that survive.
    fn tear(&self, contents: &mut Vec<u8>, sector: usize, randomness: &mut u64) {
        let Change::Write { offset, data } = self else {
            if next_random(randomness) & 1 == 0 {
                self.apply(contents);
            }
            return;
        };
        // Half of the writes survive or vanish as a whole: both must be seen often.
        let fate = next_random(randomness) & 3;
        let (mut at, mut rest) = (*offset, &data[..]);
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((sector - at % sector).min(rest.len()));
            if fate == 0 || (fate >= 2 && next_random(randomness) & 1 == 0) {
                write(contents, at, piece);
            } else if fate == 3 && contents.len() < at + piece.len() {
                // The length was written, the data was not.
                contents.resize(at + piece.len(), 0);
            }
            (at, rest) = (at + piece.len(), tail);
        }
    }
}

fn write(contents: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if contents.len() < end {
        contents.resize(end, 0);
    }
    if let Some(place) = contents.get_mut(offset..end) {
        place.copy_from_slice(data);
    }
}

/// SplitMix64.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether an operation that meets a fault still reaches the disk's volatile state.
#[derive(PartialEq)]
enum Meets {
    Nothing,
    Failure,
    Darkness,
}

impl Disk {
    fn check(&self, boot: u64, op: &'static str, path: &str) -> Result<(), Error> {
        if self.dark || boot != self.boot {
            return Err(Error::io(op, path, io::Error::other("the power is off")));
        }
        Ok(())
    }

    /// Counts a mutating operation and finds out whether it was meant to fail.
    fn step(&mut self, boot: u64, op: &'static str, path: &str) -> Result<Meets, Error> {
        self.check(boot, op, path)?;
        let number = self.operations;
        self.operations += 1;
        Ok(match self.faults.remove(&number) {
            None => Meets::Nothing,
            Some(Fault::Fail) => Meets::Failure,
            Some(Fault::Full) => {
                self.capacity = Some(self.used());
                Meets::Nothing
            }
            Some(Fault::PowerCut) => {
                self.dark = true;
                Meets::Darkness
            }
        })
    }

    /// Counts a read and finds out whether it was meant to fail.
    fn read(&mut self, boot: u64, path: &str) -> Result<(), Error> {
        self.check(boot, "read", path)?;
        let number = self.reads;
        self.reads += 1;
        match self.failing_read {
            Some(failing) if failing == number => failed(Meets::Failure, "read", path),
            _ => Ok(()),
        }
    }

    /// Changes names: at once for everybody, durably with the next `sync_dir`.
    fn name(&mut self, op: &'static str, path: &str, naming: Naming) -> Result<(), Error> {
        let meets = self.step(self.boot, op, path)?;
        if meets != Meets::Failure {
            naming.apply(&mut self.names);
            self.pending_names.push(naming);
        }
        failed(meets, op, path)
    }

    fn file(&mut self, id: usize) -> Result<&mut Contents, Error> {
        self.files.get_mut(id).ok_or(Error::Closed)
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(*id)).map(|f| f.now.len() as u64).sum()
    }

    fn open_files(&self) -> usize {
        // The disk itself holds one.
        Arc::strong_count(&self.opened) - 1
    }

    fn room_for_handle(&self, op: &'static str, path: &str) -> Result<(), Error> {
        if self.handles.is_some_and(|handles| self.open_files() >= handles) {
            return Err(Error::io(op, path, io::Error::other("too many open files")));
        }
        Ok(())
    }

    fn room_for(&mut self, id: usize, end: usize, path: &str) -> Result<(), Error> {
        if end > LARGEST {
            return Err(Error::io("write", path, io::ErrorKind::FileTooLarge.into()));
        }
        let growth = end.saturating_sub(self.file(id)?.now.len()) as u64;
        match self.capacity {
            Some(capacity) if growth > 0 && self.used() + growth > capacity => {
                Err(Error::DiskFull { file: path.into() })
            }
            _ => Ok(()),
        }
    }
}

fn failed(meets: Meets, op: &'static str, path: &str) -> Result<(), Error> {
    match meets {
        Meets::Nothing => Ok(()),
        _ => Err(Error::io(op, path, io::Error::other("simulated failure"))),
    }
}

impl SimStorage {
    /// An empty disk.
    pub fn new() -> SimStorage {
        SimStorage::default()
    }

    /// An empty disk with randomness of its own.
    pub fn seeded(seed: u64) -> SimStorage {
        let disk = Disk { randomness: seed, ..Disk::default() };
        SimStorage { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Mutating operations (create, rename, remove, sync_dir, sync_below, write, sync, truncate) so far.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// Plans a fault for the mutating operation with this number (0 is the first ever).
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.disk.lock().faults.insert(operation, fault);
    }

    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.disk.lock().reads
    }

    /// Has the read with this number (0 is the first ever) fail, and no other one.
    pub fn fail_read_at(&self, read: u64) {
        self.disk.lock().failing_read = Some(read);
    }

    /// Bytes that fit on the disk; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().capacity = bytes;
    }

    /// Files that may be open at once; `None` is no limit.
    pub fn set_handles(&self, files: Option<usize>) {
        self.disk.lock().handles = files;
    }

    /// Files that are open.
    pub fn open_files(&self) -> usize {
        self.disk.lock().open_files()
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.disk.lock().used()
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.disk.lock().clock += by;
    }

    /// Restarts the machine: applies `crash` to what was not synced, forgets planned faults, and
    /// makes every handle opened before useless.
    pub fn crash(&self, crash: Crash) {
        let mut guard = self.disk.lock();
        let disk = &mut *guard;
        disk.boot += 1;
        disk.opened = Arc::default();
        disk.dark = false;
        disk.faults.clear();
        disk.failing_read = None;
        if let Crash::Tear { sector, seed } = crash {
            let mut randomness = seed;
            for file in &mut disk.files {
                for change in std::mem::take(&mut file.pending) {
                    change.tear(&mut file.durable, sector, &mut randomness);
                }
            }
            let survive = next_random(&mut randomness) % (disk.pending_names.len() as u64 + 1);
            for naming in disk.pending_names.iter().take(survive as usize) {
                naming.apply(&mut disk.durable_names);
            }
        }
        if crash != Crash::KeepAll {
            for file in &mut disk.files {
                file.pending.clear();
                file.now.clone_from(&file.durable);
            }
            disk.pending_names.clear();
            disk.names.clone_from(&disk.durable_names);
        }
    }

    /// A disk of its own with the same state.
    pub fn fork(&self) -> SimStorage {
        let disk = self.disk.lock();
        let copy = Disk {
            files: disk.files.clone(),
            names: disk.names.clone(),
            durable_names: disk.durable_names.clone(),
            pending_names: disk.pending_names.clone(),
            faults: disk.faults.clone(),
            opened: Arc::default(),
            ..*disk
        };
        SimStorage { disk: Arc::new(Mutex::new(copy)) }
    }

    /// Inverts one bit of a file (counted from its start), as a bad disk does.
    pub fn flip_bit(&self, path: &str, bit: u64) {
        let mut disk = self.disk.lock();
        let Some(&id) = disk.names.get(path) else { return };
        let Ok(file) = disk.file(id) else { return };
        for bytes in [&mut file.now, &mut file.durable] {
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn handle(&self, disk: &Disk, id: usize, path: &str) -> Arc<dyn File> {
        let (opened, path) = (disk.opened.clone(), path.to_owned());
        Arc::new(SimFile { disk: self.disk.clone(), id, boot: disk.boot, path, _opened: opened })
    }
}

impl Storage for SimStorage {
    fn open(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        let disk = self.disk.lock();
        disk.check(disk.boot, "open", path)?;
        disk.room_for_handle("open", path)?;
        match disk.names.get(path) {
            Some(&id) => Ok(self.handle(&disk, id, path)),
            None => Err(Error::Missing { file: path.into() }),
        }
    }

    fn create(&self, path: &str) -> Result<Arc<dyn File>, Error> {
        let mut disk = self.disk.lock();
        disk.room_for_handle("create", path)?;
        let id = disk.files.len();
        disk.files.push(Contents::default());
        disk.name("create", path, Naming::Link { name: path.to_owned(), file: id })?;
        Ok(self.handle(&disk, id, path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        if !disk.names.contains_key(from) {
            return Err(Error::Missing { file: from.into() });
        }
        disk.name("rename", from, Naming::Rename { from: from.to_owned(), to: to.to_owned() })
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        if !disk.names.contains_key(path) {
            return Err(Error::Missing { file: path.into() });
        }
        disk.name("remove", path, Naming::Unlink { name: path.to_owned() })
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        let disk = self.disk.lock();
        disk.check(disk.boot, "list", dir)?;
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut found: Vec<Entry> = disk
            .names
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => Entry { name: name.to_owned(), is_dir: true },
                None => Entry { name: rest.to_owned(), is_dir: false },
            })
            .collect();
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Error> {
        let mut guard = self.disk.lock();
        let disk = &mut *guard;
        let meets = disk.step(disk.boot, "sync directory", dir)?;
        if meets == Meets::Nothing {
            let (here, elsewhere): (Vec<_>, Vec<_>) =
                disk.pending_names.drain(..).partition(|naming| naming.is_in(dir));
            here.iter().for_each(|naming| naming.apply(&mut disk.durable_names));
            disk.pending_names = elsewhere;
        }
        failed(meets, "sync directory", dir)
    }

    fn sync_below(&self, dir: &str) -> Result<(), Error> {
        let mut guard = self.disk.lock();
        let disk = &mut *guard;
        let meets = disk.step(disk.boot, "sync all below", dir)?;
        if meets == Meets::Nothing {
            let below = format!("{dir}/");
            let ids = disk.names.iter().filter(|(name, _)| name.starts_with(&below));
            for id in ids.map(|(_, id)| *id).collect::<Vec<_>>() {
                disk.file(id)?.sync();
            }
            let pending = std::mem::take(&mut disk.pending_names);
            let (here, elsewhere): (Vec<_>, Vec<_>) =
                pending.into_iter().partition(|naming| naming.is_below(&below));
            here.iter().for_each(|naming| naming.apply(&mut disk.durable_names));
            disk.pending_names = elsewhere;
        }
        failed(meets, "sync all below", dir)
    }

    fn room(&self) -> Result<Room, Error> {
        let disk = self.disk.lock();
        let used = disk.used();
        let free = disk.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used));
        Ok(Room { free, used })
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.disk.lock().clock
    }

    fn random(&self) -> u64 {
        next_random(&mut self.disk.lock().randomness)
    }
}

struct SimFile {
    disk: Arc<Mutex<Disk>>,
    id: usize,
    boot: u64,
    path: String,
    _opened: Arc<()>,
}

impl SimFile {
    /// Makes a change visible to everybody and leaves it pending until the next sync.
    fn change(&self, op: &'static str, end: usize, mut change: Change) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let meets = disk.step(self.boot, op, &self.path)?;
        disk.room_for(self.id, end, &self.path)?;
        match &mut change {
            Change::Write { data, .. } if meets == Meets::Failure => data.truncate(data.len() / 2),
            Change::Length(_) if meets == Meets::Failure => return failed(meets, op, &self.path),
            _ => {}
        }
        let file = disk.file(self.id)?;
        change.apply(&mut file.now);
        file.pending.push(change);
        failed(meets, op, &self.path)
    }
}

impl File for SimFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        let mut disk = self.disk.lock();
        disk.read(self.boot, &self.path)?;
        let contents = &disk.file(self.id)?.now;
        let from = (offset as usize).min(contents.len());
        let to = (from + buf.len()).min(contents.len());
        if let (Some(source), Some(target)) = (contents.get(from..to), buf.get_mut(..to - from)) {
            target.copy_from_slice(source);
        }
        Ok(to - from)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<(), Error> {
        let offset = offset as usize;
        let change = Change::Write { offset, data: buf.to_vec() };
        self.change("write", offset + buf.len(), change)
    }

    fn sync(&self) -> Result<(), Error> {
        let mut disk = self.disk.lock();
        let meets = disk.step(self.boot, "sync", &self.path)?;
        let file = disk.file(self.id)?;
        match meets {
            Meets::Nothing => file.sync(),
            Meets::Failure => file.pending.clear(),
            Meets::Darkness => {}
        }
        failed(meets, "sync", &self.path)
    }

    fn len(&self) -> Result<u64, Error> {
        let mut disk = self.disk.lock();
        disk.check(self.boot, "stat", &self.path)?;
        Ok(disk.file(self.id)?.now.len() as u64)
    }

    fn truncate(&self, len: u64) -> Result<(), Error> {
        self.change("truncate", len as usize, Change::Length(len as usize))
    }
}
