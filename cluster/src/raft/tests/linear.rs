//! A checker of histories of registers. Every write names the revision that it replaces and gets
//! the revision that it made, so the order that linearizability asks for is known and only has to
//! be checked against what clients saw and when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one client did to one register, and what it saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Ticks of one clock of all clients, before and after.
    pub began: u64,
    pub ended: u64,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub enum Act {
    /// Wrote `value` over what `over` had written; `made` is the revision, if it is known that the
    /// write happened.
    Write { over: u64, value: u64, made: Option<u64> },
    /// Was told that `over` is not what the register holds.
    Refused { over: u64, holds: u64 },
    /// Read a value that `made` had written, behind a barrier.
    Read { value: u64, made: u64 },
}

#[derive(Default)]
pub struct Ticks(AtomicU64);

impl Ticks {
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Whether an order of all acts exists in which each sees what the one before it left.
pub fn check(history: &[Seen]) -> Result<(), String> {
    let mut writes = BTreeMap::new();
    for seen in history {
        let Act::Write { over, value, made: Some(made) } = seen.act else { continue };
        if writes.insert(made, (over, value)).is_some() {
            return Err(format!("two writes made {made}"));
        }
    }
    // Writes whose answer was lost are known by what others saw of them.
    let lost: Vec<_> = history
        .iter()
        .filter_map(|seen| match seen.act {
            Act::Write { over, value, made: None } => Some((over, value)),
            _ => None,
        })
        .collect();
    for seen in history {
        let Act::Read { value, made } = seen.act else { continue };
        match writes.get(&made) {
            Some((_, written)) if *written == value => {}
            None if made == 0 && value == 0 => {}
            None if lost.iter().any(|(_, written)| *written == value) => {
                let over = lost.iter().find(|(_, written)| *written == value).unwrap().0;
                writes.insert(made, (over, value));
            }
            other => return Err(format!("{seen:?}, but {other:?} was written")),
        }
    }
    let mut overwritten = BTreeMap::new();
    for (made, (over, _)) in &writes {
        if let Some(other) = overwritten.insert(*over, *made) {
            return Err(format!("{made} and {other} both replaced {over}"));
        }
        if over >= made {
            return Err(format!("{made} replaced the later {over}"));
        }
    }
    in_time(history)
}

/// Nothing may see less than what was seen before it began.
fn in_time(history: &[Seen]) -> Result<(), String> {
    let point = |seen: &Seen| match seen.act {
        Act::Write { made, .. } => made,
        Act::Refused { holds, .. } => Some(holds),
        Act::Read { made, .. } => Some(made),
    };
    for after in history {
        let Some(to) = point(after) else { continue };
        for before in history.iter().filter(|before| before.ended < after.began) {
            let Some(from) = point(before) else { continue };
            let writes = matches!(after.act, Act::Write { .. });
            if to < from || (writes && to == from) {
                return Err(format!("{after:?} after {before:?}"));
            }
        }
        if let Act::Refused { over, holds } = after.act
            && over == holds
        {
            return Err(format!("refused for nothing: {after:?}"));
        }
    }
    Ok(())
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let seen = |began, ended, act| Seen { began, ended, act };
    let write = |over, value, made| Act::Write { over, value, made };
    let read = |value, made| Act::Read { value, made };
    let good = vec![
        seen(0, 1, write(0, 7, Some(1))),
        seen(2, 5, write(1, 8, None)),
        seen(3, 4, read(7, 1)),
        seen(6, 7, read(8, 2)),
        seen(8, 9, Act::Refused { over: 1, holds: 2 }),
    ];
    assert_eq!(check(&good), Ok(()));
    let with = |act| [good.clone(), vec![seen(10, 11, act)]].concat();
    for (bad, act) in [
        ("a read of the past", read(7, 1)),
        ("a value that nobody wrote", read(9, 3)),
        ("a lost update", write(1, 9, Some(3))),
        ("one revision twice", write(2, 9, Some(1))),
        ("a conflict that is none", Act::Refused { over: 2, holds: 2 }),
    ] {
        assert!(check(&with(act)).is_err(), "{bad} was not found");
    }
}
