//! [`Sink`]: where lines go. Whoever tells something puts it into a buffer and goes on; a thread of
//! its own writes what has gathered. The buffer is bounded: what does not fit is counted and lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that wait to be written.
const MOST: usize = 4 << 20;
/// How long lines gather that are not urgent, so that few calls write many of them.
const GATHER: Duration = Duration::from_millis(20);
/// How often a file is looked at: whoever rotates logs has moved it away.
const LOOK: Duration = Duration::from_secs(30);
/// How long the end of the program waits for the last lines.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where lines are written.
pub enum Output {
    /// Standard error.
    Stderr,
    /// A file, opened anew when it was moved away.
    File(LogFile),
}

/// A file that lines are appended to.
pub struct LogFile {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl Output {
    /// Appends to a file; its directory is made if it is missing.
    pub fn file(path: PathBuf) -> io::Result<Output> {
        let file = open(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
        })?;
        Ok(Output::File(LogFile { path, file, looked: Instant::now() }))
    }

    /// A log that cannot be written is no reason to stop: there is nobody to tell.
    fn write(&mut self, bytes: &[u8]) {
        let _ = match self {
            Output::Stderr => io::stderr().write_all(bytes),
            Output::File(log) => log.write(bytes),
        };
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

impl LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() > LOOK {
            self.looked = Instant::now();
            let there = fs::metadata(&self.path).map(|there| there.ino()).ok();
            if there != Some(self.file.metadata()?.ino()) {
                self.file = open(&self.path)?;
            }
        }
        self.file.write_all(bytes)
    }
}

/// Takes lines from anybody, and gives them to one writer.
#[derive(Clone)]
pub struct Sink(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// The writer waits for lines, and who ends the program for the writer.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    lost: u64,
    urgent: bool,
    writing: bool,
}

impl Sink {
    /// Starts a thread that writes, for as long as the program runs.
    pub fn new(output: Output) -> io::Result<Sink> {
        let shared = Arc::new(Shared::default());
        let writer = shared.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write(output))?;
        Ok(Sink(shared))
    }

    /// Takes a line, or counts it if there is no room.
    pub fn push(&self, line: &[u8], urgent: bool) {
        let mut state = self.0.lock();
        if state.lines.len() + line.len() > MOST {
            state.lost += 1;
            return;
        }
        let wakes = state.lines.is_empty() || (urgent && !state.urgent);
        state.lines.extend_from_slice(line);
        state.urgent |= urgent;
        drop(state);
        if wakes {
            self.0.changed.notify_all();
        }
    }

    /// Waits until all is written, but not for ever.
    pub fn flush(&self) {
        let mut state = self.0.lock();
        state.urgent = true;
        self.0.changed.notify_all();
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(state, FAREWELL, busy));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut output: Output) {
        let mut batch = Vec::new();
        loop {
            let lost = self.next(&mut batch);
            if lost > 0 {
                let told = format!("[warning] {lost} lines are missing before these\n");
                output.write(told.as_bytes());
            }
            output.write(&batch);
            batch.clear();
            batch.shrink_to(MOST / 4);
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines, and a little more unless they are urgent; takes them all. Says how many are
    /// not among them.
    fn next(&self, batch: &mut Vec<u8>) -> u64 {
        let empty = |state: &mut State| state.lines.is_empty();
        let state = self.changed.wait_while(self.lock(), empty);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let calm = |state: &mut State| !state.urgent && state.lines.len() < MOST / 2;
        let waited = self.changed.wait_timeout_while(state, GATHER, calm);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        state.writing = true;
        std::mem::swap(&mut state.lines, batch);
        std::mem::take(&mut state.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_file_when_it_is_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/couch.log");
        let sink = Sink::new(Output::file(path.clone()).unwrap()).unwrap();
        for number in 0..1000 {
            sink.push(format!("{number}\n").as_bytes(), number % 7 == 0);
        }
        sink.flush();
        let text = fs::read_to_string(&path).unwrap();
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("couch.log");
        let Output::File(mut log) = Output::file(path.clone()).unwrap() else { panic!("a file") };
        log.write(b"1\n").unwrap();
        fs::rename(&path, dir.path().join("old")).unwrap();
        log.looked = Instant::now().checked_sub(LOOK * 2).unwrap();
        log.write(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
        assert_eq!(fs::read_to_string(dir.path().join("old")).unwrap(), "1\n");
    }
}
