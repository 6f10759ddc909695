//! Waits for the machine to have nothing to do, so that what one side does after its answers
//! (compaction, indexes in the background) is not measured as slowness of the other. Never waits for long:
//! a busy machine still gets its figures.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Part of the processors' time that may be used at rest.
const BUSY: f64 = 0.1;
/// It is measured then, at rest or not.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns when the machine is at rest, or after [`LIMIT`]; at once where that cannot be seen. Whether it
/// is at rest as far as anybody knows.
pub fn rest() -> bool {
    let began = Instant::now();
    let Some(mut before) = Ticks::now() else { return true };
    while began.elapsed() < LIMIT {
        thread::sleep(LOOK);
        let Some(now) = Ticks::now() else { return true };
        if now.busy_since(&before) <= BUSY {
            return true;
        }
        before = now;
    }
    false
}

/// What all processors did since the start, in ticks (proc(5), /proc/stat). Who waits for a disk does not
/// rest, and what others take of the machine is nobody's time here.
struct Ticks {
    all: u64,
    idle: u64,
}

impl Ticks {
    fn now() -> Option<Ticks> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        // user nice system idle iowait irq softirq, then what is stolen, and two that are in the first
        // ones already.
        let fields = stat.lines().next()?.split_whitespace().skip(1).take(7);
        let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
        Some(Ticks { all: ticks.iter().sum(), idle: *ticks.get(3)? })
    }

    /// The part of the time that was used, 0 to 1.
    fn busy_since(&self, before: &Ticks) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        let idle = self.idle.saturating_sub(before.idle);
        1.0 - idle as f64 / all as f64
    }
}
