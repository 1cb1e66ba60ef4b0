//! One read for everybody who asks for the same while it is on its way.
//!
//! When many requests of one key or session come to a replica that does not know it, the first one reads and
//! the others wait for what it finds. Nobody joins a read that began before something changed here that
//! it could depend on, nor one that has been on its way for long: what it finds may be from before the
//! request. A read that everybody has given up goes on to its end, which the store bounds.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use gateway_core::store::StoreError;
use gateway_core::time::Uptime;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The age beyond which a read is not joined.
const YOUNG: Duration = Duration::from_secs(1);
/// The longest that anybody waits for one read. A frozen database is otherwise given up in two steps, a
/// connection and then an answer, which together are longer than a caller should hear nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a read ends, for everybody who waits for it.
type Ending<V> = Shared<BoxFuture<'static, Result<V, Arc<StoreError>>>>;

/// Reads on their way, by what they read. `T` is the tickets they were begun with, which say what had
/// changed by then.
pub(super) struct Flights<K, T, V>(Arc<Mutex<HashMap<K, Flight<T, V>>>>);

struct Flight<T, V> {
    sent: Uptime,
    tickets: Arc<T>,
    ending: Ending<V>,
}

impl<K, T, V> Default for Flights<K, T, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T, V> fmt::Debug for Flights<K, T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, T, V> Flights<K, T, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    T: Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Returns what a read of `key` finds: one that is on its way, if its tickets are `good` enough, or a
    /// new one on `control` with these `tickets`, sent at `now`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store could not be reached or did not answer within
    /// [`PATIENCE`], and [`StoreError::Internal`] for every other failure.
    pub(super) async fn read<F>(
        &self,
        control: &Handle,
        key: K,
        now: Uptime,
        tickets: T,
        good: impl FnOnce(&T) -> bool,
        read: impl FnOnce(Arc<T>) -> F,
    ) -> Result<V, StoreError>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let ending = {
            let mut flights = lock(&self.0);
            let flight = flights.get(&key).filter(|flight| flight.is_young(now));
            if let Some(flight) = flight.filter(|flight| good(&flight.tickets)) {
                flight.ending.clone()
            } else {
                let tickets = Arc::new(tickets);
                let read = read(Arc::clone(&tickets));
                let ending = self.begin(control, key.clone(), Arc::clone(&tickets), read);
                let flight = Flight {
                    sent: now,
                    tickets,
                    ending: ending.clone(),
                };
                flights.insert(key, flight);
                ending
            }
        };
        match timeout(PATIENCE, ending).await {
            Ok(outcome) => outcome.map_err(told),
            Err(_) => Err(StoreError::Unavailable(Box::new(Silent))),
        }
    }

    /// Begins a read that takes itself off the list at its end.
    fn begin<F>(&self, control: &Handle, key: K, tickets: Arc<T>, read: F) -> Ending<V>
    where
        F: Future<Output = Result<V, StoreError>> + Send + 'static,
    {
        let flights = Arc::clone(&self.0);
        let task = control.spawn(async move {
            let outcome = read.await;
            let mut flights = lock(&flights);
            let there = flights.get(&key);
            if there.is_some_and(|flight| Arc::ptr_eq(&flight.tickets, &tickets)) {
                flights.remove(&key);
            }
            outcome.map_err(Arc::new)
        });
        let ended = |ended| Err(Arc::new(StoreError::Internal(Box::new(ended))));
        task.map(move |outcome| outcome.unwrap_or_else(ended))
            .boxed()
            .shared()
    }
}

impl<T, V: Clone> Flight<T, V> {
    /// Returns whether the read has not ended and began a short while ago.
    fn is_young(&self, now: Uptime) -> bool {
        self.ending.peek().is_none() && now.since(self.sent) <= YOUNG
    }
}

/// A read took longer than [`PATIENCE`] for one who waited.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer in time")]
struct Silent;

/// The failure of a read that several waited for.
#[derive(Debug, thiserror::Error)]
#[error("a read that others waited for, too, has failed")]
struct Failed(#[source] Arc<StoreError>);

/// Turns the failure of a shared read into one of each who waited: a store that is away stays away, so that
/// the caller tries again.
fn told(failure: Arc<StoreError>) -> StoreError {
    let away = matches!(&*failure, StoreError::Unavailable(_));
    let failed = Box::new(Failed(failure));
    if away {
        StoreError::Unavailable(failed)
    } else {
        StoreError::Internal(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A source of reads that wait until the test lets them go.
    struct Desk {
        flights: Flights<u8, u32, u32>,
        began: AtomicU32,
        gate: Semaphore,
    }

    impl Desk {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                flights: Flights::default(),
                began: AtomicU32::new(0),
                gate: Semaphore::new(0),
            })
        }

        /// Reads at `seconds`, after so many `changes`. Returns how many reads had begun with this one.
        async fn ask(self: &Arc<Self>, seconds: u64, changes: u32) -> Result<u32, StoreError> {
            let now = Uptime(Duration::from_secs(seconds));
            let desk = Arc::clone(self);
            let read = |_| async move {
                let number = desk.began.fetch_add(1, Ordering::SeqCst) + 1;
                let passed = desk.gate.acquire().await;
                drop(passed.map_err(|closed| StoreError::Unavailable(Box::new(closed)))?);
                Ok(number)
            };
            let good = |before: &u32| *before == changes;
            let control = Handle::current();
            self.flights
                .read(&control, 7, now, changes, good, read)
                .await
        }

        async fn began(&self, count: u32) {
            while self.began.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        }

        fn under_way(&self) -> usize {
            lock(&self.flights.0).len()
        }
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_once_cost_one_read() {
        let desk = Desk::new();
        let all = join_all((0..100).map(|_| desk.ask(0, 0)));
        let (found, ()) = tokio::join!(all, async {
            desk.began(1).await;
            desk.gate.add_permits(1);
        });
        for found in found {
            assert_eq!(found.expect("it is there"), 1);
        }
        assert_eq!(desk.under_way(), 0, "who comes later reads again");
    }

    #[tokio::test]
    async fn nobody_joins_a_read_from_before_a_change() {
        let desk = Desk::new();
        let (before, after, with_it, ()) =
            tokio::join!(desk.ask(0, 0), desk.ask(0, 1), desk.ask(0, 1), async {
                desk.began(2).await;
                desk.gate.add_permits(2);
            });
        let found = [before, after, with_it].map(|found| found.expect("it is there"));
        assert_eq!(found, [1, 2, 2]);
    }

    #[tokio::test]
    async fn nobody_joins_a_read_that_has_been_on_its_way_for_long() {
        let desk = Desk::new();
        let (old, young, ()) = tokio::join!(desk.ask(0, 0), desk.ask(2, 0), async {
            desk.began(2).await;
            desk.gate.add_permits(2);
        });
        let found = [old, young].map(|found| found.expect("it is there"));
        assert_eq!(found, [1, 2]);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_waited_and_to_nobody_else() {
        let desk = Desk::new();
        let all = join_all((0..10).map(|_| desk.ask(0, 0)));
        let (failed, ()) = tokio::join!(all, async {
            desk.began(1).await;
            desk.gate.close();
        });
        for failed in failed {
            assert!(matches!(failed, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(desk.under_way(), 0);
        assert!(desk.ask(0, 0).await.is_err());
        assert_eq!(desk.began.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_read_on_a_runtime_that_has_ended_is_a_failure() {
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime");
        let ended = control.handle().clone();
        drop(control);
        let flights = Flights::<u8, (), ()>::default();
        let nothing = |_| async { Ok(()) };
        let read = flights.read(&ended, 7, Uptime::default(), (), |()| true, nothing);
        let another = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let read = another.block_on(read);
        assert!(matches!(read, Err(StoreError::Internal(_))), "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_long_hears_that_the_database_did_not_answer() {
        let desk = Desk::new();
        let failed = desk.ask(0, 0).await;
        assert!(
            matches!(&failed, Err(StoreError::Unavailable(why)) if why.is::<Silent>()),
            "{failed:?}"
        );
    }

    #[tokio::test]
    async fn a_read_that_panics_is_not_joined_by_who_comes_later() {
        let flights = Flights::<u8, (), u32>::default();
        let now = Uptime::default();
        let control = Handle::current();
        let fails = |_| async { panic!("a defect") };
        let read = flights.read(&control, 7, now, (), |()| true, fails).await;
        assert!(matches!(read, Err(StoreError::Internal(_))), "{read:?}");
        let finds = |_| async { Ok(1) };
        let read = flights.read(&control, 7, now, (), |()| true, finds).await;
        assert_eq!(read.expect("it is read again"), 1);
    }
}
