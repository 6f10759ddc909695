//! How many files and connections may be open at once, and who gets how many of them. Opens none of them,
//! and never sees whether anybody keeps to a share.

use rustix::process::{Resource, getrlimit, setrlimit};
use settee_engine::Options;

/// What nobody else may use: log, files being written, the metadata's store, what the system needs.
const RESERVE: u64 = 128;

/// Where the system tells no limit.
const ENOUGH: u64 = 1 << 20;

/// Handles by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Shards that may be open at once; indexes may be beside them.
    pub open_shards: usize,
    /// Connections of clients.
    pub connections: usize,
}

/// Asks the system for as many handles as it lets this program have; how many that are.
pub fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let now = limit.current;
    limit.current = limit.maximum.or(Some(ENOUGH));
    let raised = if setrlimit(Resource::Nofile, limit).is_ok() { limit.current } else { now };
    raised.unwrap_or(ENOUGH)
}

/// Shares out so many handles; nobody gets more than is wanted.
pub fn share(handles: u64, open_shards: usize, connections: usize) -> Shares {
    let free = usize::try_from(handles.saturating_sub(RESERVE)).unwrap_or(usize::MAX);
    let open_shards = open_shards.min(free / 2).max(1);
    let files = open_shards + Options::indexes_beside(open_shards);
    let connections = connections.min(free.saturating_sub(files)).max(1);
    Shares { open_shards, connections }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_what_others_need() {
        let shares = |handles| share(handles, 1000, 16_384);
        assert_eq!(shares(1 << 20), Shares { open_shards: 1000, connections: 16_384 });
        assert_eq!(shares(1024), Shares { open_shards: 448, connections: 336 });
        assert_eq!(shares(4096), Shares { open_shards: 1000, connections: 2718 });
        assert_eq!(shares(10), Shares { open_shards: 1, connections: 1 });
    }

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        let handles = raise();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH), handles);
    }
}
