//! Internal replication: the copies of a range become equal again after any fault. Each node looks
//! after its own copies: it pulls what other copies have and its own one lacks, and sends nothing
//! but purges. Security objects and limits are no business of this room: they are metadata.
//!
//! `ask` and `answer` are the questions to a copy and what a snapshot says to them; `checkpoint`,
//! `narrow`, `plan` and `pace` decide without IO; `session` pulls from one copy, `fetch` brings
//! documents with their attachments, `compare` finds by digests what sequences did not tell,
//! `remake` replaces a damaged copy, `job` does one of these and what follows from it, and `scheduler`
//! says when. See docs/sync.md.

pub(crate) mod answer;
pub(crate) mod ask;
mod checkpoint;
mod compare;
mod fetch;
mod job;
mod narrow;
mod pace;
mod plan;
mod remake;
pub(crate) mod scheduler;
mod session;
#[cfg(test)]
mod tests;
mod work;
