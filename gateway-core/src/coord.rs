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

/// The coordinator cannot be reached, or does not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the coordinator cannot be reached")]
pub struct CoordError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A code to scan, type or sign: a secret of a few minutes, never in the database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingSecret {
    /// The epoch of the owner that made it.
    pub epoch: Epoch,
    pub kind: ChallengeKind,
    /// The position of this code among those of one attempt to link, from 0.
    pub index: u32,
    /// What to show, scan, type or sign; opaque to the gateway.
    pub text: String,
    /// Until when the code can be used.
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

/// The state of a counter after it was read or increased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How much was counted in the present window, this call included.
    pub count: u64,
    /// When the window ends.
    pub resets_in: Duration,
}

/// What a replica says about itself, for operators to see side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaNumbers {
    pub replica: String,
    /// The numbers, by name.
    pub numbers: BTreeMap<String, u64>,
}

/// A hint that something has changed. Losing one costs time, never correctness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "camelCase")]
pub enum Notice {
    /// A session's row has a new version.
    Session {
        session: SessionId,
    },
    /// A worker's row has a new version.
    Worker {
        worker: WorkerId,
    },
    Due,
    /// The outbox has rows.
    Outbox,
    /// The event log has new events.
    Published,
    /// What a tenant's credentials may do has changed.
    Tenant {
        tenant: TenantId,
    },
}

/// A stream of hints. It ends when the coordinator goes away; then subscribe again and look at the store.
pub type Notices = Pin<Box<dyn Stream<Item = Notice> + Send>>;

/// Volatile state that the replicas share.
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

    /// Returns the session's code of that kind, if it has not run out.
    async fn secret(
        &self,
        session: SessionId,
        kind: ChallengeKind,
    ) -> Result<Option<PairingSecret>, CoordError>;

    /// Forgets all codes of the session.
    async fn drop_secrets(&self, session: SessionId) -> Result<(), CoordError>;

    /// Adds one to the counter `key` and returns its state. The counter's window begins at its first count,
    /// lasts `window`, and is not extended by later counts.
    async fn count(&self, key: &str, window: Duration) -> Result<Counted, CoordError>;

    /// Returns the counter `key` without adding to it; `None` when its window is over or never began.
    async fn counted(&self, key: &str) -> Result<Option<Counted>, CoordError>;

    /// Forgets the counter `key`.
    async fn reset_counter(&self, key: &str) -> Result<(), CoordError>;

    /// Shows a replica's numbers to the others for `ttl`, in place of its earlier ones. The default shows
    /// them to nobody.
    async fn publish_numbers(
        &self,
        numbers: &ReplicaNumbers,
        ttl: Duration,
    ) -> Result<(), CoordError> {
        let _ = (numbers, ttl);
        Ok(())
    }

    /// Returns the numbers of every replica that has published some which have not run out, in the order of
    /// the replicas' names. The default returns none.
    async fn replica_numbers(&self) -> Result<Vec<ReplicaNumbers>, CoordError> {
        Ok(Vec::new())
    }

    /// Tells the coordinator how many replicas the store counts, this one included. One that shares nothing
    /// with the others (in process, or cut off) divides limits by this number. The default ignores it.
    fn note_replicas(&self, replicas: u32) {
        let _ = replicas;
    }

    /// Sends a hint to every subscriber on every replica, this one included. The default sends it to
    /// nobody.
    async fn notify(&self, notice: &Notice) -> Result<(), CoordError> {
        let _ = notice;
        Ok(())
    }

    /// Subscribes to hints from now on. The default never yields one.
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
