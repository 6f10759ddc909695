//! This process as the front sees it: what Linux tells of it in `/proc`, and how it is asked to begin
//! anew. Never ends it: `serve` is told, and closes everything first.

use std::fs;
use std::sync::Arc;

use settee_http::Process;
use settee_http::process::Numbers;
use tokio::sync::Notify;

/// Clock ticks in a second, as Linux tells times to programs.
const TICKS: f64 = 100.0;

/// This process.
pub struct Own {
    /// Told when it is to begin anew.
    again: Arc<Notify>,
}

impl Own {
    /// One that tells `again` when it is to begin anew.
    pub fn new(again: Arc<Notify>) -> Self {
        Own { again }
    }
}

impl Process for Own {
    fn numbers(&self) -> Numbers {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}"));
        let (status, io) = (text("status").unwrap_or_default(), text("io").unwrap_or_default());
        let files = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Numbers {
            // Not the one that lists them.
            open_files: (files as u64).saturating_sub(1),
            cpu_seconds: cpu_seconds(&text("stat").unwrap_or_default()),
            context_switches: context_switches(),
            ..numbers(&status, &io)
        }
    }

    fn restart(&self) {
        self.again.notify_one();
    }
}

fn numbers(status: &str, io: &str) -> Numbers {
    let kilobytes = |name| field(status, name).saturating_mul(1024);
    Numbers {
        resident: kilobytes("VmRSS:"),
        own: kilobytes("RssAnon:"),
        code: kilobytes("VmExe:"),
        threads: field(status, "Threads:"),
        read: field(io, "rchar:"),
        written: field(io, "wchar:"),
        ..Numbers::default()
    }
}

/// The number behind a name at the beginning of a line; 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Time in the program and for it in the kernel. What precedes them may hold anything, up to a `)`.
fn cpu_seconds(stat: &str) -> f64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// Of all threads that there are now.
fn context_switches() -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let statuses =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let names = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    statuses.map(|status| names.map(|name| field(&status, name)).iter().sum::<u64>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_understood() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 1024 kB\nThreads:\t7\n";
        let told = numbers(status, "rchar: 10\nwchar: 20\nsyscr: 3\n");
        assert_eq!((told.resident, told.own, told.code), (2 << 20, 1 << 20, 0));
        assert_eq!((told.threads, told.read, told.written), (7, 10, 20));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 9";
        assert!((cpu_seconds(stat) - 2.0).abs() < 1e-9);
        assert!(cpu_seconds("").abs() < 1e-9);
    }

    #[test]
    fn this_process_has_numbers() {
        let numbers = Own::new(Arc::default()).numbers();
        assert!(numbers.resident > 1 << 20 && numbers.own < numbers.resident);
        assert!(numbers.open_files > 2 && numbers.threads > 0);
    }
}
