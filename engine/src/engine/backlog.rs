//! What a shard's file does not hold yet of one life of the shard: frames in order, and whether they
//! can be carried out at all. Pure but for the trees that carrying them out looks into.

use bytes::Bytes;

use super::lives::UNKNOWN;
use crate::Error;
use crate::codec::log::FrameHead;
use crate::shard::replay_frames;
use crate::shard::state::State;

/// Frames are carried out when they are so many bytes together.
const GROUP_BYTES: usize = 1 << 20;

/// See the module's description.
pub(super) struct Backlog {
    /// The shard's file, for reports.
    file: String,
    epoch: u64,
    /// Number of the last frame.
    number: u64,
    /// There is no file of this life.
    fresh: bool,
    /// The newer header is torn and no frame has made up for it yet.
    torn: bool,
    frames: Vec<Bytes>,
    /// How many of them are kept in a file of their own; `None` if that cannot be read.
    kept: Option<usize>,
    /// Lsns of the first frame that is in the log only, and of the last one.
    lsns: Option<(u64, u64)>,
    /// Why they cannot be carried out. Then all frames are gathered, whatever they are.
    damage: Option<Error>,
}

impl Backlog {
    /// Of a life that begins with the frame of that lsn.
    pub(super) fn fresh(file: String, epoch: u64, lsn: u64) -> Backlog {
        Backlog { fresh: true, lsns: Some((lsn, lsn)), ..Backlog::new(file, epoch, 0) }
    }

    /// Of a shard whose file was read.
    pub(super) fn after(file: String, state: &State, torn: bool) -> Backlog {
        Backlog { torn, ..Backlog::new(file, state.epoch, state.counters.number) }
    }

    /// Of a shard whose file cannot be read.
    pub(super) fn damaged(file: String, error: Error) -> Backlog {
        Backlog { damage: Some(error), ..Backlog::new(file, UNKNOWN, 0) }
    }

    fn new(file: String, epoch: u64, number: u64) -> Backlog {
        let (frames, kept, lsns) = (Vec::new(), Some(0), None);
        Backlog { file, epoch, number, fresh: false, torn: false, frames, kept, lsns, damage: None }
    }

    /// Takes the frames that are kept in a file, or why that cannot be read; before all others.
    pub(super) fn take_kept(&mut self, kept: Result<Vec<(FrameHead, Bytes)>, Error>) {
        match kept {
            Ok(frames) => {
                for (head, payload) in frames {
                    self.add(head, payload);
                }
                self.kept = Some(self.frames.len());
            }
            Err(error) => (self.damage, self.kept) = (Some(error), None),
        }
    }

    /// Takes the next frame of the log.
    pub(super) fn take(&mut self, head: FrameHead, payload: Bytes, lsn: u64) {
        if self.add(head, payload) {
            let oldest = self.lsns.map_or(lsn, |(oldest, _)| oldest);
            self.lsns = Some((oldest, lsn));
        }
    }

    /// Takes the next frame: an old one is passed over, a gap is damage. Whether it was taken.
    fn add(&mut self, head: FrameHead, payload: Bytes) -> bool {
        let same = head.epoch == self.epoch;
        if same && head.number <= self.number {
            return false;
        }
        if self.damage.is_none() {
            if !same {
                self.spoil("the log has records of another life of the shard");
            } else if head.number != self.number + 1 {
                self.spoil("records are missing from the log");
            }
        }
        (self.epoch, self.number) = (head.epoch, head.number);
        self.torn = false;
        self.frames.push(payload);
        true
    }

    fn spoil(&mut self, what: &'static str) {
        self.damage = Some(Error::corrupt(&self.file, 0, what));
    }

    /// The epoch of a life that has no file yet.
    pub(super) fn fresh_epoch(&self) -> Option<u64> {
        self.fresh.then_some(self.epoch)
    }

    /// The lsns of the first and the last frame; `None` if there is nothing to carry out.
    pub(super) fn lsns(&self) -> Option<(u64, u64)> {
        self.lsns
    }

    /// All frames, to be kept; `None` if the log must keep them.
    pub(super) fn to_keep(&self) -> Option<&[Bytes]> {
        self.kept.map(|_| &self.frames[..])
    }

    /// Whether frames of it are kept in a file.
    pub(super) fn is_kept(&self) -> bool {
        self.kept != Some(0)
    }

    /// Carries them out.
    pub(super) fn apply(&self, mut state: State) -> Result<State, Error> {
        if let Some(error) = &self.damage {
            return Err(error.clone());
        }
        if self.torn {
            // A torn header is mended by the log; there is no record that could do it.
            return Err(Error::corrupt(&self.file, 0, "the newer header is damaged"));
        }
        let mut bytes = 0;
        let mut from = 0;
        for (i, frame) in self.frames.iter().enumerate() {
            bytes += frame.len();
            if bytes >= GROUP_BYTES || i + 1 == self.frames.len() {
                let group = self.frames.get(from..=i).unwrap_or_default();
                state = replay_frames(&state, group)?;
                (bytes, from) = (0, i + 1);
            }
        }
        Ok(state)
    }
}
