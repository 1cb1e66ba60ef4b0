//! Notices of this replica reach its own caches first.
//!
//! A notice travels over the coordinator and comes back, or not; a client that has just seen a session
//! `CONNECTED` here and sends must not meet the entry from before. So whoever announces does it through
//! this one, which is the coordinator in everything else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::coord::{
    CoordError, Coordinator, Counted, Notice, Notices, PairingSecret, ReplicaNumbers,
};
use gateway_core::id::SessionId;
use gateway_core::session::ChallengeKind;

use super::Caches;

impl Caches {
    /// Returns a coordinator that passes everything on to `coord`, after these caches have obeyed the
    /// notices published through it.
    #[must_use]
    pub fn announcing(&self, coord: Arc<dyn Coordinator>) -> Arc<dyn Coordinator> {
        let caches = self.clone();
        Arc::new(Announcing { coord, caches })
    }
}

#[derive(Debug)]
struct Announcing {
    coord: Arc<dyn Coordinator>,
    caches: Caches,
}

#[async_trait]
impl Coordinator for Announcing {
    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        self.caches.hear(notice);
        self.coord.notify(notice).await
    }

    async fn notices(&self) -> Result<Notices, CoordError> {
        self.coord.notices().await
    }

    async fn publish_numbers(
        &self,
        live: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        self.coord.publish_numbers(live, ttl).await
    }

    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        self.coord.replica_numbers().await
    }

    fn note_replicas(&self, replicas: u32) {
        self.coord.note_replicas(replicas);
    }

    async fn put_secret(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        self.coord.put_secret(session, secret, ttl).await
    }

    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError> {
        self.coord.secret(session, kind).await
    }

    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError> {
        self.coord.drop_secrets(session).await
    }

    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError> {
        self.coord.count(key, window).await
    }

    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError> {
        self.coord.counted(key).await
    }

    async fn reset_counter(&self, key: &str) -> Result<(), CoordError> {
        self.coord.reset_counter(key).await
    }
}
