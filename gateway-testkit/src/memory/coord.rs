//! The coordinator in memory: codes, counters, numbers, hints.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::coord::{
    CoordError, Coordinator, Counted, Notice, Notices, PairingSecret, ReplicaNumbers,
};
use gateway_core::id::SessionId;
use gateway_core::session::ChallengeKind;
use gateway_core::time::{Clock, Uptime};

use super::channel::{Queue, subscribe};

#[derive(Debug, Default)]
struct Volatile {
    away: bool,
    secrets: BTreeMap<(SessionId, ChallengeKind), (PairingSecret, Uptime)>,
    counters: BTreeMap<String, (u64, Uptime)>,
    live: BTreeMap<String, (ReplicaNumbers, Uptime)>,
    subscribers: Vec<Queue<Notice>>,
}

/// A coordinator for any number of replicas in one process; share it behind an `Arc`.
///
/// What it keeps runs out by the uptime of its clock, so a test ends a code's life by advancing a
/// [`crate::clock::ManualClock`].
#[derive(Debug)]
pub struct MemoryCoordinator {
    clock: Arc<dyn Clock>,
    volatile: Mutex<Volatile>,
}

/// The test has switched the coordinator off.
#[derive(Debug, thiserror::Error)]
#[error("the coordinator is switched off; see MemoryCoordinator::set_available")]
struct SwitchedOff;

impl MemoryCoordinator {
    /// Makes an empty coordinator whose entries run out by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let volatile = Mutex::default();
        Self { clock, volatile }
    }

    /// Switches the coordinator off or on. Off, it fails everything and ends every stream of hints. What
    /// it kept is still there afterwards, unless [`MemoryCoordinator::lose_everything`] was called.
    pub fn set_available(&self, available: bool) {
        let mut volatile = self.lock();
        volatile.away = !available;
        if !available {
            volatile.subscribers.clear();
        }
    }

    /// Forgets everything and ends every stream of hints: a restart without a disk.
    pub fn lose_everything(&self) {
        let mut volatile = self.lock();
        let away = volatile.away;
        *volatile = Volatile {
            away,
            ..Volatile::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, Volatile> {
        self.volatile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what has run out, and returns the rest with the present time.
    fn fresh(&self) -> Result<(MutexGuard<'_, Volatile>, Uptime), CoordError> {
        let now = self.clock.uptime();
        let mut volatile = self.lock();
        if volatile.away {
            return Err(CoordError(Box::new(SwitchedOff)));
        }
        volatile.secrets.retain(|_, (_, ends)| now < *ends);
        volatile.counters.retain(|_, (_, ends)| now < *ends);
        volatile.live.retain(|_, (_, ends)| now < *ends);
        Ok((volatile, now))
    }
}

#[async_trait]
impl Coordinator for MemoryCoordinator {
    async fn put_secret(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let (mut volatile, now) = self.fresh()?;
        let key = (session, secret.kind);
        let newer =
            |known: &PairingSecret| (known.epoch, known.index) > (secret.epoch, secret.index);
        if !volatile
            .secrets
            .get(&key)
            .is_some_and(|(known, _)| newer(known))
        {
            volatile
                .secrets
                .insert(key, (secret.clone(), now.plus(ttl)));
        }
        Ok(())
    }

    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError> {
        let (volatile, _) = self.fresh()?;
        let known = volatile.secrets.get(&(session, kind));
        Ok(known.map(|(secret, _)| secret.clone()))
    }

    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError> {
        let (mut volatile, _) = self.fresh()?;
        volatile.secrets.retain(|(of, _), _| *of != session);
        Ok(())
    }

    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError> {
        let (mut volatile, now) = self.fresh()?;
        let counter = volatile.counters.entry(key.to_owned());
        let (count, ends) = counter.or_insert((0, now.plus(window)));
        *count += 1;
        Ok(Counted {
            count: *count,
            resets_in: ends.since(now),
        })
    }

    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError> {
        let (volatile, now) = self.fresh()?;
        let counter = volatile.counters.get(key);
        Ok(counter.map(|(count, ends)| Counted {
            count: *count,
            resets_in: ends.since(now),
        }))
    }

    async fn reset_counter(&self, key: &str) -> Result<(), CoordError> {
        self.fresh()?.0.counters.remove(key);
        Ok(())
    }

    async fn publish_numbers(
        &self,
        live: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let (mut volatile, now) = self.fresh()?;
        let shown = (live.clone(), now.plus(ttl));
        volatile.live.insert(live.replica.clone(), shown);
        Ok(())
    }

    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        let (volatile, _) = self.fresh()?;
        Ok(volatile
            .live
            .values()
            .map(|(live, _)| live.clone())
            .collect())
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        let (mut volatile, _) = self.fresh()?;
        volatile
            .subscribers
            .retain(|subscriber| subscriber.push(notice.clone()));
        Ok(())
    }

    async fn notices(&self) -> Result<Notices, CoordError> {
        let (queue, stream) = subscribe();
        self.fresh()?.0.subscribers.push(queue);
        Ok(Box::pin(stream))
    }
}
