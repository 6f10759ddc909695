//! How much memory the engine may use where nobody says: a small part of what the machine has, for
//! the operating system keeps the files in memory as well. Reads what Linux tells; elsewhere the
//! engine's own defaults hold.

use std::fs;

use settee_engine::Options;

/// The engine's options with budgets that fit the machine.
pub fn budgets() -> Options {
    of(size())
}

fn of(memory: Option<u64>) -> Options {
    let defaults = Options::default();
    let Some(memory) = memory else { return defaults };
    Options {
        cache_bytes: (memory / 1024).clamp(8 << 20, 512 << 20),
        dirty_bytes: (memory / 2048).clamp(8 << 20, 128 << 20),
        shard_dirty_bytes: (memory / 4096).clamp(4 << 20, 16 << 20),
        ..defaults
    }
}

/// What the machine has, or what of it this program may use if that is less.
fn size() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let machine = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let machine: u64 = machine.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok()).unwrap_or(u64::MAX);
    Some(limit.min(machine.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_grow_with_the_machine_within_limits() {
        let small = of(Some(256 << 20));
        assert_eq!((small.cache_bytes, small.dirty_bytes), (8 << 20, 8 << 20));
        let usual = of(Some(24 << 30));
        assert_eq!((usual.cache_bytes, usual.dirty_bytes), (24 << 20, 12 << 20));
        let large = of(Some(4 << 40));
        assert_eq!((large.cache_bytes, large.shard_dirty_bytes), (512 << 20, 16 << 20));
        assert_eq!(of(None).cache_bytes, Options::default().cache_bytes);
    }
}
