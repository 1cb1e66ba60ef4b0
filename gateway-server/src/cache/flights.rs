//! One read for everybody who asks for the same while it is on its way.
//!
//! When many requests of one key or session come to a replica that does not know it, the first one reads and
//! the others wait for what it finds. Nobody joins a read that began before something changed here that
//! it could depend on, nor one that has been on its way for long: what it finds may be from before the
//! request. A read ends when nobody waits for it any more, and its failure is told to those who waited
//! and to nobody else. Each waits for as long as one caller may.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use gateway_core::store::StoreError;
use gateway_core::time::Uptime;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// The age beyond which a read is not joined.
const YOUNG: Duration = Duration::from_secs(1);
/// The longest that anybody waits for one read. A frozen database is otherwise given up in two steps, a
/// connection and then an answer, which together are longer than a caller should hear nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a read ends.
type Ending<V> = BoxFuture<'static, Result<V, Arc<StoreError>>>;

/// Reads on their way, by what they read. `T` is the tickets they were begun with, which say what had
/// changed by then.
pub(super) struct Flights<K, T, V>(Arc<Mutex<HashMap<K, Flight<T, V>>>>);

struct Flight<T, V> {
    sent: Uptime,
    tickets: Arc<T>,
    task: AbortHandle,
    reading: WeakShared<Ending<V>>,
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

/// Takes a flight off the list when it has ended or nobody waits for it any more.
struct Landing<K: Hash + Eq, T, V> {
    flights: Arc<Mutex<HashMap<K, Flight<T, V>>>>,
    key: K,
    tickets: Arc<T>,
}

impl<K: Hash + Eq, T, V> Drop for Landing<K, T, V> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        let there = flights.get(&self.key);
        if there.is_some_and(|flight| Arc::ptr_eq(&flight.tickets, &self.tickets)) {
            flights.remove(&self.key);
        }
    }
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
    /// The read's own, or [`StoreError::Unavailable`] after [`PATIENCE`].
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
        let reading = {
            let mut flights = lock(&self.0);
            let flight = flights.get(&key);
            let joined = flight.and_then(|flight| flight.board(now, good));
            joined.unwrap_or_else(|| {
                let tickets = Arc::new(tickets);
                let task = AbortOnDropHandle::new(control.spawn(read(Arc::clone(&tickets))));
                let abort = task.abort_handle();
                let landing = Landing {
                    flights: Arc::clone(&self.0),
                    key: key.clone(),
                    tickets: Arc::clone(&tickets),
                };
                let reading = landed(task, landing).boxed().shared();
                if let Some(weak) = reading.downgrade() {
                    let flight = Flight {
                        sent: now,
                        tickets,
                        task: abort,
                        reading: weak,
                    };
                    flights.insert(key, flight);
                }
                reading
            })
        };
        match timeout(PATIENCE, reading).await {
            Ok(outcome) => outcome.map_err(|failure| told(&failure)),
            Err(_) => Err(StoreError::Unavailable(Box::new(Silent))),
        }
    }
}

impl<T, V> Flight<T, V> {
    /// Returns the read if it is on its way and may be joined at `now`.
    fn board(&self, now: Uptime, good: impl FnOnce(&T) -> bool) -> Option<Shared<Ending<V>>> {
        if self.task.is_finished() || now.since(self.sent) > YOUNG || !good(&self.tickets) {
            return None;
        }
        self.reading.upgrade()
    }
}

/// Waits for a read and takes it off the list; dropping this does so, too, and ends the read.
async fn landed<V>(
    task: AbortOnDropHandle<Result<V, StoreError>>,
    landing: impl Send,
) -> Result<V, Arc<StoreError>> {
    let ended = task.await;
    drop(landing);
    match ended {
        Ok(outcome) => outcome.map_err(Arc::new),
        Err(ended) => Err(Arc::new(StoreError::Internal(Box::new(ended)))),
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

/// Copies the failure of a shared read, so that every caller decides as it would on the original.
fn told(failure: &Arc<StoreError>) -> StoreError {
    let cause = || Box::new(Failed(Arc::clone(failure)));
    match &**failure {
        StoreError::Conflict => StoreError::Conflict,
        StoreError::Duplicate(what) => StoreError::Duplicate(*what),
        StoreError::Unavailable(_) => StoreError::Unavailable(cause()),
        StoreError::Corrupt { table, id, why } => StoreError::Corrupt {
            table,
            id: id.clone(),
            why: why.clone(),
        },
        StoreError::Refused(_) => StoreError::Refused(cause()),
        StoreError::Internal(_) => StoreError::Internal(cause()),
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
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_long_hears_that_the_database_did_not_answer() {
        let desk = Desk::new();
        let failed = desk.ask(0, 0).await;
        assert!(
            matches!(&failed, Err(StoreError::Unavailable(why)) if why.is::<Silent>()),
            "{failed:?}"
        );
        while desk.under_way() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_read_ends_with_the_last_who_waits_for_it() {
        let desk = Desk::new();
        let mut first = Box::pin(desk.ask(0, 0));
        let mut second = Box::pin(desk.ask(0, 0));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        desk.began(1).await;
        drop(first);
        assert_eq!(desk.under_way(), 1, "the second still waits");
        drop(second);
        while desk.under_way() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(desk.began.load(Ordering::SeqCst), 1);
    }
}
