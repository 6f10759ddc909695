//! JavaScript of design documents, run in process on QuickJS within limits of memory, time and
//! depth. Never sees the host: no files, no network, no clock but `Date`, no other design document.
//!
//! A [`Views`] holds what an index of one signature runs (maps and reduces), a [`Design`] the other
//! functions of one design document of one database. Each has an engine of its own, made when it
//! is first needed, thrown away when a call reached a limit, and made anew by the next call. Both
//! may move between threads and are used by one at a time; for more cores make more of them.
//!
//! A thread that calls them needs [`Limits::thread_stack`].
//!
//! As in CouchDB 3.5, each function is compiled in a realm of its own, so globals that one sets
//! are unknown to others, and documents come from yet another realm (`doc instanceof Object` is
//! false). What differs: a view whose rows for a document can't be written as JSON is skipped and
//! logged for that document, where CouchDB fails the whole index; a module that fails to load fails
//! each time, not only the first; who throws `null` is told that memory ran out, as the engine does
//! so then; `eval` sees globals only; native functions refuse arrays of more than ten million
//! places, and megabytes of text to be searched in megabytes of text.
//!
//! The engine looks at the clock once in ten thousand steps of a program. Native functions that
//! work through much look for themselves (`boot/tame.js`); what is left are operators of the
//! language on huge values, which can stretch a call's time many times.

mod design;
mod engine;
mod error;
mod render;
#[cfg(test)]
mod tests;
mod text;
mod views;

use std::sync::Arc;
use std::time::Duration;

pub use design::Design;
pub use error::Error;
pub use render::{Gone, ListPeer, Piece, Updated};
pub use views::{Reduced, Rows, ViewFunction, Views, ViewsSource, check_views};

/// What a call may take. Values of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that one engine may hold: code, globals, the document and the rows at work; 16 MiB
    /// at least.
    pub memory: usize,
    /// Time for one document, one batch of rows to reduce, or one other call
    /// (`couchdb/os_process_timeout`).
    pub time: Duration,
    /// Bytes of stack that recursion may use, 16 MiB at most.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 64 << 20, time: Duration::from_secs(5), stack: 1 << 20 }
    }
}

impl Limits {
    /// Bytes of stack that a thread needs which calls functions: theirs, what is under them, and what
    /// native code takes before it looks how much is left, or walks JSON that is nested as deep as may
    /// be ([`settee_model::json::DEPTH_MAX`]).
    #[must_use]
    pub const fn thread_stack(&self) -> usize {
        self.stack + (3 << 20)
    }
}

/// Where the lines go that functions `log`, and the reasons why documents were skipped. Called on
/// the thread that runs the function; must not block.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;
