//! A coordinator that may vanish, with this process's own memory behind it.
//!
//! While it is away, each replica counts for itself. What it counts is taken times the number of replicas
//! that were last seen, here or in the store, so that all together let through about what one limit allows. Codes that cannot be
//! put there are kept here: the replica that took the report shows them at once, any other one asks the
//! worker for them. Nothing is carried over when it is back: windows and codes are short.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::coord::{
    CoordError, Coordinator, Counted, Notice, Notices, PairingSecret, ReplicaNumbers,
};
use gateway_core::id::SessionId;
use gateway_core::session::ChallengeKind;

use super::local::LocalCoordinator;

/// A [`Coordinator`] that goes on with this process's memory while the shared one is away.
#[derive(Debug)]
pub struct Sheltered {
    shared: Arc<dyn Coordinator>,
    own: LocalCoordinator,
    replicas: AtomicU64,
    /// How many replicas the store lists: a start may find nobody at the coordinator.
    stored: AtomicU32,
}

impl Sheltered {
    /// Makes a coordinator that uses `shared`, and `own` while that is away.
    #[must_use]
    pub fn new(shared: Arc<dyn Coordinator>, own: LocalCoordinator) -> Self {
        Self {
            shared,
            own,
            replicas: AtomicU64::new(1),
            stored: AtomicU32::new(1),
        }
    }

    fn share(&self, counted: Counted) -> Counted {
        let stored = self.stored.load(Ordering::Relaxed);
        let replicas = self.replicas.load(Ordering::Relaxed).max(stored.into());
        Counted {
            // The first one here is let through whatever the others count: with many replicas nobody
            // could do anything at all otherwise.
            count: counted.count.saturating_sub(1).saturating_mul(replicas) + counted.count.min(1),
            ..counted
        }
    }
}

#[async_trait]
impl Coordinator for Sheltered {
    async fn put_secret(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        match self.shared.put_secret(session, secret, ttl).await {
            Ok(()) => Ok(()),
            Err(_) => self.own.put_secret(session, secret, ttl).await,
        }
    }

    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError> {
        let shared = self.shared.secret(session, kind).await.unwrap_or(None);
        let own = self.own.secret(session, kind).await?;
        let both = shared.into_iter().chain(own);
        Ok(both.max_by_key(|secret| (secret.epoch, secret.index)))
    }

    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError> {
        self.own.drop_secrets(session).await?;
        self.shared.drop_secrets(session).await
    }

    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError> {
        match self.shared.count(key, window).await {
            Ok(counted) => Ok(counted),
            Err(_) => Ok(self.share(self.own.count(key, window).await?)),
        }
    }

    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError> {
        match self.shared.counted(key).await {
            Ok(counted) => Ok(counted),
            Err(_) => {
                let own = self.own.counted(key).await?;
                Ok(own.map(|counted| self.share(counted)))
            }
        }
    }

    async fn reset_counter(&self, key: &str) -> Result<(), CoordError> {
        self.own.reset_counter(key).await?;
        self.shared.reset_counter(key).await
    }

    async fn publish_numbers(
        &self,
        live: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        self.shared.publish_numbers(live, ttl).await
    }

    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        let live = self.shared.replica_numbers().await?;
        let replicas = u64::try_from(live.len()).unwrap_or(u64::MAX);
        self.replicas.store(replicas.max(1), Ordering::Relaxed);
        Ok(live)
    }

    fn note_replicas(&self, replicas: u32) {
        self.stored.store(replicas, Ordering::Relaxed);
    }

    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        self.shared.notify(notice).await
    }

    async fn notices(&self) -> Result<Notices, CoordError> {
        self.shared.notices().await
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::id::Epoch;
    use gateway_core::time::Timestamp;
    use gateway_testkit::clock::ManualClock;
    use gateway_testkit::memory::MemoryCoordinator;

    use super::super::local::LocalLimits;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const QR: ChallengeKind = ChallengeKind::Qr;

    fn sheltered() -> (Arc<MemoryCoordinator>, Sheltered) {
        let clock = Arc::new(ManualClock::default());
        let shared = Arc::new(MemoryCoordinator::new(clock.clone()));
        let own = LocalCoordinator::new(clock, LocalLimits::default());
        (shared.clone(), Sheltered::new(shared, own))
    }

    fn code(epoch: u64, index: u32) -> PairingSecret {
        PairingSecret {
            epoch: Epoch(epoch),
            kind: QR,
            index,
            text: format!("{epoch}.{index}"),
            expires_at: Timestamp::from_micros(0),
        }
    }

    #[tokio::test]
    async fn an_outage_leaves_each_replica_its_share_of_a_limit() {
        let (shared, coordinator) = sheltered();
        for replica in ["a", "b", "c"] {
            let live = ReplicaNumbers {
                replica: replica.to_owned(),
                numbers: [].into(),
            };
            coordinator
                .publish_numbers(&live, MINUTE)
                .await
                .expect("shown");
        }
        coordinator.replica_numbers().await.expect("seen");
        coordinator.count("key", MINUTE).await.expect("counted");
        shared.set_available(false);
        assert_eq!(coordinator.counted("key").await.expect("none"), None);
        for count in [1, 4] {
            let counted = coordinator.count("key", MINUTE).await.expect("counted");
            assert_eq!(counted.count, count, "one of three counts for all");
        }
        shared.set_available(true);
        let counted = coordinator.counted("key").await.expect("read");
        assert_eq!(counted.map(|counted| counted.count), Some(1));
    }

    #[tokio::test]
    async fn a_start_without_the_others_in_sight_counts_those_in_the_store() {
        let (shared, coordinator) = sheltered();
        shared.set_available(false);
        coordinator.note_replicas(3);
        for count in [1, 4] {
            let counted = coordinator.count("key", MINUTE).await.expect("counted");
            assert_eq!(counted.count, count, "one of three counts for all");
        }
    }

    #[tokio::test]
    async fn a_code_that_cannot_be_shared_is_shown_all_the_same() {
        let (shared, coordinator) = sheltered();
        let session = SessionId::from_u128(1);
        let put = async |code: PairingSecret| {
            let put = coordinator.put_secret(session, &code, MINUTE).await;
            put.expect("it is kept somewhere");
        };
        let shown = async || coordinator.secret(session, QR).await.expect("an answer");
        put(code(1, 0)).await;
        shared.set_available(false);
        assert_eq!(shown().await, None);
        put(code(1, 1)).await;
        assert_eq!(shown().await, Some(code(1, 1)));
        shared.set_available(true);
        assert_eq!(shown().await, Some(code(1, 1)), "the later of both");
        put(code(2, 0)).await;
        assert_eq!(shown().await, Some(code(2, 0)));
        coordinator.drop_secrets(session).await.expect("forgotten");
        assert_eq!(shown().await, None);
    }
}
