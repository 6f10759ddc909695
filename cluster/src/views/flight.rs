//! One build for all who wait for it. It is told by [`Quiet`](super::pace::Quiet) whether anybody still
//! does; the last who leaves ends it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use settee_engine::{Index, ShardId};
use tokio::sync::watch;

use super::known::Hash;
use crate::Error;

/// What a build has come to; none if it was stopped.
pub(super) type Outcome = Option<Result<Vec<Arc<Index>>, Error>>;

/// Which shard, and which design document.
type Key = (ShardId, Hash);

/// A build under way, for who waits for it.
pub(crate) struct Flight(watch::Receiver<Option<Outcome>>);

/// The builds under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, Weak<Flight>>>);

impl Flights {
    /// How many hold a flight.
    pub(super) fn waiting(&self, key: &Key) -> u64 {
        self.0.lock().get(key).map_or(0, |flight| flight.strong_count() as u64)
    }

    /// Joins a build, or begins one. What `begin` makes is given whom to look after: when nobody
    /// holds the flight any more, it need not go on.
    pub(super) fn join<F>(&self, key: Key, begin: impl FnOnce(Weak<Flight>) -> F) -> Arc<Flight>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&key).and_then(Weak::upgrade)
            && flight.0.borrow().is_none()
            && flight.0.has_changed().is_ok()
        {
            return flight;
        }
        // Ends of flights are seen here, not by themselves: as many stay as there were at once.
        flights.retain(|_, flight| flight.strong_count() > 0);
        let (tell, told) = watch::channel(None);
        let flight = Arc::new(Flight(told));
        flights.insert(key, Arc::downgrade(&flight));
        drop(flights);
        let work = begin(Arc::downgrade(&flight));
        tokio::spawn(async move {
            let outcome = work.await;
            tell.send_replace(Some(outcome));
        });
        flight
    }
}

impl Flight {
    /// Waits for the end.
    pub(super) async fn ended(&self) -> Outcome {
        let mut told = self.0.clone();
        match told.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().flatten(),
            Err(_) => Some(Err(Error::Closing)),
        }
    }
}
