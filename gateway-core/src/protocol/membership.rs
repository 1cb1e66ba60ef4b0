//! Registration, heartbeats and recovery.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StartSession;
use crate::id::{Epoch, SessionId};
use crate::session::Desired;
use crate::time::Timestamp;
use crate::worker::Capabilities;

/// The body of `POST /workers/register`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RegisterWorker))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Register {
    /// The id of the worker's slot, 1 to 50 characters; normalised.
    pub worker_id: String,
    /// The base URL under which the gateway reaches it.
    pub endpoint: String,
    /// The most sessions it may hold, 1 to 1000.
    pub max_sessions: u32,
    /// The random id of this run of the process.
    pub incarnation: String,
    /// The protocol version it speaks; 1 if absent.
    #[serde(default)]
    pub protocol_version: Option<u32>,
    /// The worker program's version.
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The name of its engine.
    #[serde(default)]
    pub engine: Option<String>,
    /// The version of its engine.
    #[serde(default)]
    pub engine_version: Option<String>,
    /// The format of the credentials it stores.
    #[serde(default)]
    pub state_format: Option<String>,
    /// What its engine can do.
    #[serde(default)]
    pub capabilities: Capabilities,
}

impl Register {
    /// Makes the registration of a run of a worker that says no more of itself than it must.
    #[must_use]
    pub fn new(worker_id: &str, incarnation: &str, endpoint: &str, max_sessions: u32) -> Self {
        Self {
            worker_id: worker_id.to_owned(),
            endpoint: endpoint.to_owned(),
            max_sessions,
            incarnation: incarnation.to_owned(),
            protocol_version: None,
            version: None,
            environment: None,
            labels: BTreeMap::new(),
            engine: None,
            engine_version: None,
            state_format: None,
            capabilities: Capabilities::default(),
        }
    }
}

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RegisteredWorker))]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The id of the slot, normalised.
    pub worker_id: String,
    /// The token of this run: the worker shows it to the gateway, and the gateway to the worker.
    pub worker_token: String,
    /// How long a renewal lasts, counted from when the worker sent it.
    pub lease_seconds: u64,
    /// How often to send a heartbeat.
    pub heartbeat_interval_ms: u64,
    /// Whether sessions wait to be restored on this worker.
    pub recovery_required: bool,
    /// How many sessions are assigned to the worker.
    pub assigned_session_count: u32,
    /// The time of the gateway's store.
    pub server_time: Timestamp,
}

/// Sessions a worker holds, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SessionCounts {
    pub total: u32,
    pub connected: u32,
    pub disconnected: u32,
    /// Waiting for a scan.
    pub qr_required: u32,
    pub error: u32,
}

/// A session that a worker holds, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeldSession {
    pub session_id: SessionId,
    pub epoch: Epoch,
    /// The status of the session at the worker.
    pub status: String,
}

impl HeldSession {
    /// Returns the digest of what is held: SHA-256 over the sorted lines `sessionId:epoch:status`, in hex.
    #[must_use]
    pub fn digest(held: &[Self]) -> String {
        let mut lines: Vec<String> = held
            .iter()
            .map(|held| format!("{}:{}:{}\n", held.session_id, held.epoch, held.status))
            .collect();
        lines.sort_unstable();
        hex::encode(Sha256::digest(lines.concat().as_bytes()))
    }
}

/// The body of `PUT /workers/{id}/heartbeat`. A heartbeat renews the worker's lease.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Beat {
    /// The run that it comes from; that of the token if absent.
    pub incarnation: Option<String>,
    /// When it was sent, by the worker's clock.
    pub sent_at: Option<Timestamp>,
    /// The number of the newest change of assignments that the worker has applied.
    pub applied_seq: Option<u64>,
    /// Whether the worker can store session state.
    pub persist_ok: Option<bool>,
    /// Share of CPU in use, 0 to 1 (a percentage above 1 is accepted).
    pub cpu_usage: Option<f64>,
    /// Share of memory in use, 0 to 1 (a percentage above 1 is accepted).
    pub memory_usage: Option<f64>,
    /// Seconds since the process started.
    pub uptime_seconds: Option<u64>,
    pub sessions: Option<SessionCounts>,
    /// How many sessions it holds, from workers that send no counts by state.
    pub session_count: Option<u32>,
    /// Every session that it holds.
    pub held: Option<Vec<HeldSession>>,
    /// The digest of what it holds, instead of the list.
    pub held_digest: Option<String>,
}

/// A session that a worker must stop and tombstone, up to and including an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    pub session_id: SessionId,
    /// The highest epoch at which the worker must let go of it.
    pub epoch: Epoch,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BeatAnswer {
    /// How long the renewal lasts, counted from when the worker sent it.
    pub lease_seconds: u64,
    /// Sessions to stop: the worker has no right to them, or was told to stop them.
    #[serde(rename = "drop")]
    pub dropped: Vec<Dropped>,
    /// Orders to start that may not have reached the worker.
    pub start: Vec<StartSession>,
    /// Whether the worker is being emptied.
    pub drain: bool,
    /// Whether the next heartbeat shall carry `held` in full.
    pub send_held: bool,
}

/// One item of the answer to `GET /workers/{id}/sessions/assigned`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssignedSession {
    pub session_id: SessionId,
    pub epoch: Epoch,
    /// Whether the tenant wants the session connected.
    pub desired: Desired,
    /// The sequence of the newest stored session state.
    pub state_version: u64,
    /// Whether credentials of a linked account are stored.
    pub paired: bool,
}

/// The body of `POST /workers/{id}/exit`: a supervisor's word that the process of a worker has ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessExit {
    /// The run that has ended; that of the token if absent.
    pub incarnation: Option<String>,
    /// When it ended, by the supervisor's clock.
    pub exited_at: Option<Timestamp>,
    /// How it ended: an exit status or a signal.
    pub cause: Option<String>,
}

/// The body of `POST /workers/{id}/sessions/recovery-status`: what became of the sessions that a worker
/// restored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryReport {
    pub results: Vec<RecoveryResult>,
    /// When this attempt to deliver the report was made, by the worker's clock.
    #[serde(default)]
    pub sent_at: Option<Timestamp>,
}

/// What became of one session that a worker was to restore.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryResult {
    pub session_id: SessionId,
    pub epoch: Epoch,
    /// `RECOVERED`, `FAILED` or `QR_REQUIRED`.
    pub status: String,
    /// Why the session could not be restored.
    #[serde(default)]
    pub error: Option<String>,
}
