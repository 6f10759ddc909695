//! All that is left to chance comes from the seed: the schedule of faults and clients, and whatever the
//! process asks the operating system for (hash maps, Raft's timeouts, nonces, `select!`). Its clocks show
//! simulated time, for a date in a header is chance, too.

#![allow(unsafe_code, reason = "there is no other door to what dependencies leave to chance")]

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// A stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed and purpose give the same numbers.
    pub fn new(seed: u64, purpose: u64) -> Chance {
        let mut chance = Chance(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ purpose);
        chance.next();
        chance
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most + 1 - least)
    }

    /// Whether something happens that does so once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What the operating system's randomness is, once it is decided.
static SYSTEM: Mutex<Option<Chance>> = Mutex::new(None);

/// From now on all randomness of this process is this.
pub fn decide(seed: u64) {
    *SYSTEM.lock() = Some(Chance::new(seed, u64::MAX));
}

/// Nanoseconds of simulated time; none before it begins.
static NOW: AtomicU64 = AtomicU64::new(0);
/// What clocks show when simulated time begins, in seconds.
const EPOCH: u64 = 1_700_000_000;

/// From now on the clocks of this process show this time of the simulation.
pub fn set_clocks(now: Duration) {
    NOW.store(now.as_nanos() as u64 + 1, Ordering::Relaxed);
}

/// `timespec` of the C library.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// The number of the system call, for the real clock.
#[cfg(target_arch = "x86_64")]
const CLOCK_GETTIME: i64 = 228;
#[cfg(target_arch = "aarch64")]
const CLOCK_GETTIME: i64 = 113;

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

/// Takes the place of the C library's function in this program: standard library and crates ask it.
///
/// # Safety
///
/// As of `getrandom(2)`: `buffer` points to `length` bytes that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _: u32) -> isize {
    if buffer.is_null() || length == 0 {
        return 0;
    }
    // SAFETY: the caller says that so many bytes are there and its own.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    match &mut *SYSTEM.lock() {
        Some(chance) => bytes.fill_with(|| chance.next() as u8),
        None => match File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes)) {
            Ok(()) => {}
            Err(_) => return -1,
        },
    }
    length as isize
}

/// The same for clocks.
///
/// # Safety
///
/// As of `clock_gettime(2)`: `time` points to a `timespec` that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    let now = NOW.load(Ordering::Relaxed);
    if now == 0 {
        // SAFETY: what the caller says of `time` is what the system asks for.
        return unsafe { syscall(CLOCK_GETTIME, i64::from(clock), time) as i32 };
    }
    let now = Duration::from_secs(EPOCH) + Duration::from_nanos(now);
    let seconds = now.as_secs() as i64;
    // SAFETY: the caller says that it may be written.
    unsafe { time.write(Timespec { seconds, nanoseconds: i64::from(now.subsec_nanos()) }) };
    0
}
