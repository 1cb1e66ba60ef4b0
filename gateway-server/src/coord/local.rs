//! Coordination inside one process, for a single replica.
//!
//! Everything is in memory and bounded: a flood of addresses makes the oldest counters go, never the
//! process. After a restart it is empty, which is allowed by contract.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::coord::{
    CoordError, Coordinator, Counted, Notice, Notices, PairingSecret, ReplicaNumbers,
};
use gateway_core::id::SessionId;
use gateway_core::session::ChallengeKind;
use gateway_core::time::Clock;

use super::expiring::Expiring;
use super::hints::Hints;

pub(super) const KINDS: [ChallengeKind; 3] = [
    ChallengeKind::Qr,
    ChallengeKind::PairingCode,
    ChallengeKind::Passkey,
];

/// The most entries of each kind that are kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct LocalLimits {
    /// The most codes that wait to be scanned.
    pub secrets: usize,
    pub counters: usize,
    /// How many notices a slow subscriber may be behind; then its stream ends and it looks at the store.
    pub notices: usize,
}

impl Default for LocalLimits {
    fn default() -> Self {
        Self {
            secrets: 100_000,
            counters: 100_000,
            notices: 4_096,
        }
    }
}

/// The most replicas that show themselves in one process; there is hardly ever more than one.
const REPLICAS: usize = 64;

/// [`Coordinator`] of a single replica.
#[derive(Debug)]
pub struct LocalCoordinator {
    clock: Arc<dyn Clock>,
    secrets: Mutex<Expiring<(SessionId, ChallengeKind), PairingSecret>>,
    counters: Mutex<Expiring<Box<str>, u64>>,
    live: Mutex<Expiring<String, ReplicaNumbers>>,
    notices: Hints,
}

impl LocalCoordinator {
    /// Makes an empty coordinator whose entries run out by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: LocalLimits) -> Self {
        Self {
            clock,
            secrets: Mutex::new(Expiring::new(limits.secrets)),
            counters: Mutex::new(Expiring::new(limits.counters)),
            live: Mutex::new(Expiring::new(REPLICAS)),
            notices: Hints::new(limits.notices),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Coordinator for LocalCoordinator {
    async fn put_secret(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let now = self.clock.uptime();
        let key = (session, secret.kind);
        let mut secrets = lock(&self.secrets);
        let newer = secrets
            .get_mut(&key, now)
            .is_some_and(|(known, _)| (known.epoch, known.index) > (secret.epoch, secret.index));
        if !newer {
            secrets.insert(key, secret.clone(), ttl, now);
        }
        Ok(())
    }

    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError> {
        let now = self.clock.uptime();
        let mut secrets = lock(&self.secrets);
        let known = secrets.get_mut(&(session, kind), now);
        Ok(known.map(|(secret, _)| secret.clone()))
    }

    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError> {
        let mut secrets = lock(&self.secrets);
        for kind in KINDS {
            secrets.remove(&(session, kind));
        }
        Ok(())
    }

    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError> {
        let now = self.clock.uptime();
        let mut counters = lock(&self.counters);
        let key = Box::from(key);
        if let Some((count, resets_in)) = counters.get_mut(&key, now) {
            *count = count.saturating_add(1);
            return Ok(Counted {
                count: *count,
                resets_in,
            });
        }
        counters.insert(key, 1, window, now);
        Ok(Counted {
            count: 1,
            resets_in: window,
        })
    }

    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError> {
        let now = self.clock.uptime();
        let mut counters = lock(&self.counters);
        let running = counters.get_mut(&Box::from(key), now);
        Ok(running.map(|(count, resets_in)| Counted {
            count: *count,
            resets_in,
        }))
    }

    async fn reset_counter(&self, key: &str) -> Result<(), CoordError> {
        lock(&self.counters).remove(&Box::from(key));
        Ok(())
    }

    async fn publish_numbers(
        &self,
        live: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let now = self.clock.uptime();
        lock(&self.live).insert(live.replica.clone(), live.clone(), ttl, now);
        Ok(())
    }

    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        let now = self.clock.uptime();
        Ok(lock(&self.live).values(now).cloned().collect())
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        self.notices.tell(notice.clone());
        Ok(())
    }

    async fn notices(&self) -> Result<Notices, CoordError> {
        // Falling behind ends the stream, as an outage would: the listener looks at the store.
        Ok(self.notices.listen())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use gateway_core::id::Epoch;
    use gateway_core::time::{Timestamp, Uptime};

    use super::*;

    #[derive(Debug, Default)]
    struct Hands(Mutex<Uptime>);

    impl Hands {
        fn advance(&self, seconds: u64) {
            let mut now = lock(&self.0);
            *now = now.plus(Duration::from_secs(seconds));
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(0)
        }

        fn uptime(&self) -> Uptime {
            *lock(&self.0)
        }
    }

    fn coordinator(limits: LocalLimits) -> (Arc<Hands>, LocalCoordinator) {
        let clock = Arc::new(Hands::default());
        let coordinator = LocalCoordinator::new(Arc::<Hands>::clone(&clock), limits);
        (clock, coordinator)
    }

    fn qr(epoch: u64, index: u32) -> PairingSecret {
        PairingSecret {
            epoch: Epoch(epoch),
            kind: ChallengeKind::Qr,
            index,
            text: format!("{epoch}.{index}"),
            expires_at: Timestamp::from_micros(0),
        }
    }

    #[tokio::test]
    async fn an_older_code_never_replaces_a_newer_one() {
        let (clock, coordinator) = coordinator(LocalLimits::default());
        let session = SessionId::from_u128(1);
        let minute = Duration::from_secs(60);
        for (epoch, index) in [(2, 1), (2, 0), (1, 9)] {
            let code = qr(epoch, index);
            coordinator
                .put_secret(session, &code, minute)
                .await
                .expect("put");
        }
        let read = coordinator.secret(session, ChallengeKind::Qr).await;
        assert_eq!(read.expect("read"), Some(qr(2, 1)));
        clock.advance(60);
        let read = coordinator.secret(session, ChallengeKind::Qr).await;
        assert_eq!(read.expect("read"), None);
    }

    #[tokio::test]
    async fn later_counts_do_not_extend_the_window() {
        let (clock, coordinator) = coordinator(LocalLimits::default());
        let window = Duration::from_secs(60);
        coordinator.count("login", window).await.expect("counted");
        clock.advance(40);
        let second = coordinator.count("login", window).await.expect("counted");
        let left = Duration::from_secs(20);
        let expected = Counted {
            count: 2,
            resets_in: left,
        };
        assert_eq!(second, expected);
        clock.advance(20);
        assert_eq!(coordinator.counted("login").await.expect("read"), None);
        let fresh = coordinator.count("login", window).await.expect("counted");
        assert_eq!(fresh.count, 1);
    }

    #[tokio::test]
    async fn whoever_falls_behind_is_told_to_look() {
        let (_, coordinator) = coordinator(LocalLimits {
            notices: 2,
            ..LocalLimits::default()
        });
        let mut keeps_up = coordinator.notices().await.expect("stream");
        let mut falls_behind = coordinator.notices().await.expect("stream");
        for notice in [Notice::Due, Notice::Outbox, Notice::Due] {
            coordinator.notify(&notice).await.expect("told");
            assert_eq!(keeps_up.next().await, Some(notice));
        }
        for _ in 0..2 {
            assert_eq!(falls_behind.next().await, None, "however often it is asked");
        }
    }
}
