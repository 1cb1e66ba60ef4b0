//! The coordinator as a port: what may be lost and rebuilt at any time.
//!
//! In process for one replica, Redis for many. It holds QR codes until they expire, counters per
//! address and login, numbers about each replica, and hints that something has changed. Nothing here is
//! the truth: a lost QR code is asked for again at the worker, a lost hint is caught up by the next look
//! at the store.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::id::{Epoch, SessionId, TenantId, WorkerId};
use crate::session::ChallengeKind;
use crate::time::Timestamp;

/// The coordinator cannot be reached in time.
#[derive(Debug, thiserror::Error)]
#[error("the coordinator cannot be reached")]
pub struct CoordError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A code to scan, type or sign: a secret of a few minutes, never in the database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingSecret {
    /// The epoch of the owner that made it.
    pub epoch: Epoch,
    /// Which kind.
    pub kind: ChallengeKind,
    /// Which of several, from 0.
    pub index: u32,
    /// The text, opaque.
    pub text: String,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

impl Debug for PairingSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairingSecret")
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("index", &self.index)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The state of a counter after one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many in the present window, this one included.
    pub count: u64,
    /// When the window ends.
    pub resets_in: Duration,
}

/// What a replica says about itself, for operators to see side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaNumbers {
    /// Which replica.
    pub replica: String,
    /// Its numbers, by name.
    pub numbers: BTreeMap<String, u64>,
}

/// That something has changed. A hint: losing one costs time, never truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "camelCase")]
pub enum Notice {
    /// A session's row has a new version.
    Session {
        /// Which.
        session: SessionId,
    },
    /// A worker's row has a new version.
    Worker {
        /// Which.
        worker: WorkerId,
    },
    /// Something is due.
    Due,
    /// The outbox has rows.
    Outbox,
    /// The event log has new events.
    Published,
    /// What a tenant's credentials may do has changed.
    Tenant {
        /// Which.
        tenant: TenantId,
    },
}

/// Hints as they come. Ends when the coordinator goes away; then subscribe again and look at the store.
pub type Notices = Pin<Box<dyn Stream<Item = Notice> + Send>>;

/// Volatile state shared by the replicas.
#[async_trait]
pub trait Coordinator: Debug + Send + Sync {
    /// Keeps a session's code of `secret.kind` for `ttl`. A code of a lower epoch, or of the same epoch
    /// and a lower index, never replaces a higher one.
    async fn put_secret(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        ttl: Duration,
    ) -> Result<(), CoordError>;

    /// The session's code of that kind, if it has not run out.
    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError>;

    /// Forgets the session's codes.
    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError>;

    /// Adds one to the counter `key`. Its window of `window` begins at the first count and is not
    /// extended by later ones.
    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError>;

    /// The counter without adding to it.
    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError>;

    /// Forgets the counter.
    async fn reset_counter(&self, key: &str) -> Result<(), CoordError>;

    /// Shows a replica's numbers to the others for `ttl`, in place of its earlier ones. The default shows
    /// them to nobody.
    async fn publish_numbers(
        &self,
        live: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let _ = (live, ttl);
        Ok(())
    }

    /// The numbers of every replica that has shown some within their time, in the order of their names.
    /// The default knows of none.
    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        Ok(Vec::new())
    }

    /// Notes how many replicas the store counts, this one included: one that has not seen the others here, nor
    /// can, knows its share of a limit all the same. The default has no use for it.
    fn note_replicas(&self, replicas: u32) {
        let _ = replicas;
    }

    /// Tells every subscriber of every replica, this one included. The default tells nobody.
    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        let _ = notice;
        Ok(())
    }

    /// Hints from now on. The default never says anything.
    async fn notices(&self) -> Result<Notices, CoordError> {
        Ok(Box::pin(Silence))
    }
}

struct Silence;

impl Stream for Silence {
    type Item = Notice;

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Notice>> {
        std::task::Poll::Pending
    }
}
