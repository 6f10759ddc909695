//! Work that is done once for all who wait for it: whoever comes meanwhile joins in, and when the last one
//! leaves it ends. Never knows what the work is.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Work under way, for who waits for it.
pub(crate) struct Flight<T>(watch::Receiver<Option<T>>);

/// The work under way, each by its name.
pub(crate) struct Flights<K, T>(Mutex<HashMap<K, Weak<Flight<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Flights(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// The names for which somebody waits.
    pub(crate) fn names(&self) -> Vec<K> {
        let flights = self.0.lock();
        let held = flights.iter().filter(|(_, flight)| flight.strong_count() > 0);
        held.map(|(name, _)| name.clone()).collect()
    }

    /// How many hold a flight.
    pub(crate) fn waiting(&self, name: &K) -> u64 {
        self.0.lock().get(name).map_or(0, |flight| flight.strong_count() as u64)
    }

    /// Joins work, or begins it. What `begin` makes is given whom to look after: when nobody holds the
    /// flight any more, it need not go on, and ends at its next await.
    pub(crate) fn join<F>(
        &self,
        name: K,
        begin: impl FnOnce(Weak<Flight<T>>) -> F,
    ) -> Arc<Flight<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&name).and_then(Weak::upgrade)
            && flight.0.borrow().is_none()
            && flight.0.has_changed().is_ok()
        {
            return flight;
        }
        // Ends of flights are seen here, not by themselves: as many stay as there were at once.
        flights.retain(|_, flight| flight.strong_count() > 0);
        let (tell, told) = watch::channel(None);
        let flight = Arc::new(Flight(told));
        flights.insert(name, Arc::downgrade(&flight));
        drop(flights);
        let work = begin(Arc::downgrade(&flight));
        tokio::spawn(async move {
            tokio::select! {
                outcome = work => drop(tell.send_replace(Some(outcome))),
                () = tell.closed() => {}
            }
        });
        flight
    }
}

impl<T: Clone> Flight<T> {
    /// Waits for the end; none if the work was lost.
    pub(crate) async fn ended(&self) -> Option<T> {
        let mut told = self.0.clone();
        let outcome = told.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::{oneshot, watch};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn many_wait_for_the_same_work() {
        let flights: Flights<u8, u8> = Flights::default();
        let (end, ended) = oneshot::channel::<u8>();
        let one = flights.join(1, |_| async { ended.await.unwrap() });
        let other = flights.join(1, |_| async { panic!("begun twice") });
        assert_eq!((flights.waiting(&1), flights.names()), (2, vec![1]));
        end.send(7).unwrap();
        assert_eq!((one.ended().await, other.ended().await), (Some(7), Some(7)));
        let next = flights.join(1, |_| async { 8 });
        assert_eq!(next.ended().await, Some(8));
    }

    #[tokio::test]
    async fn work_ends_when_the_last_one_leaves_wherever_it_waits() {
        let flights: Flights<u8, ()> = Flights::default();
        let (alive, mut watched) = watch::channel(());
        let work = |_| async move {
            std::future::pending::<()>().await;
            drop(alive);
        };
        drop(flights.join(1, work));
        let ended = timeout(Duration::from_secs(10), watched.changed()).await;
        assert!(ended.is_ok_and(|changed| changed.is_err()));
        assert!(flights.names().is_empty());
    }
}
