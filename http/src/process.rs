//! [`Process`]: the process that the front runs in, as far as the front has to do with it. Who wires
//! the program says what it is; nothing here asks an operating system.

/// What the operating system tells of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Bytes of memory that it has.
    pub resident: u64,
    /// Bytes of that which are its own, no file's.
    pub own: u64,
    /// Bytes of its code.
    pub code: u64,
    /// Files and connections that are open.
    pub open_files: u64,
    /// Seconds of all cores that it has used.
    pub cpu_seconds: f64,
    /// Threads.
    pub threads: u64,
    /// Times that a thread made way for another.
    pub context_switches: u64,
    /// Bytes that it has read, from wherever.
    pub read: u64,
    /// Bytes that it has written.
    pub written: u64,
}

/// The process.
pub trait Process: Send + Sync {
    /// What is told of it now; zero for what nobody knows. May read a few small files.
    fn numbers(&self) -> Numbers;

    /// Has it end as it does when it is told to, and begin anew.
    fn restart(&self);
}

/// One of which nothing is known and that cannot begin anew, for tests.
pub struct Unknown;

impl Process for Unknown {
    fn numbers(&self) -> Numbers {
        Numbers::default()
    }

    fn restart(&self) {}
}
