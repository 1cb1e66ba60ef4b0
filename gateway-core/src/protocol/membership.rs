//! Registration, heartbeats and recovery.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StartSession;
use crate::id::{Epoch, SessionId};
use crate::session::Desired;
use crate::time::Timestamp;
use crate::worker::Capabilities;

/// `POST /workers/register`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RegisterWorker))]
#[serde(rename_all = "camelCase")]
pub struct Register {
    /// The slot, 1 to 50 characters; normalised.
    pub worker_id: String,
    /// The base URL under which the gateway reaches it.
    pub endpoint: String,
    /// The most sessions it may hold, 1 to 1000.
    pub max_sessions: u32,
    /// The random id of this run.
    pub incarnation: String,
    /// The protocol version it speaks; 1 if absent.
    #[serde(default)]
    pub protocol_version: Option<u32>,
    /// The worker program's version.
    #[serde(default)]
    pub version: Option<String>,
    /// The deployment environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// Labels for placement.
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

/// The answer to a registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RegisteredWorker))]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The normalised slot.
    pub worker_id: String,
    /// The token of this run, in both directions.
    pub worker_token: String,
    /// How long a renewal lasts, from when it was sent.
    pub lease_seconds: u64,
    /// How often to send one.
    pub heartbeat_interval_ms: u64,
    /// Whether sessions wait to be restored.
    pub recovery_required: bool,
    /// How many.
    pub assigned_session_count: u32,
    /// The store's time.
    pub server_time: Timestamp,
}

/// Sessions a worker holds, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct SessionCounts {
    /// All.
    pub total: u32,
    /// Connected.
    pub connected: u32,
    /// Not connected.
    pub disconnected: u32,
    /// Waiting for a scan.
    pub qr_required: u32,
    /// Failed.
    pub error: u32,
}

/// One session that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeldSession {
    /// Which.
    pub session_id: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// In which status.
    pub status: String,
}

impl HeldSession {
    /// The digest of what is held: SHA-256 over the sorted lines `sessionId:epoch:status`, in hex.
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

/// `PUT /workers/{id}/heartbeat`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Beat {
    /// The run it comes from; that of the token if absent.
    pub incarnation: Option<String>,
    /// When it was sent, by the worker's clock; for people.
    pub sent_at: Option<Timestamp>,
    /// The highest assignment change applied.
    pub applied_seq: Option<u64>,
    /// Whether session state can be stored.
    pub persist_ok: Option<bool>,
    /// Share of CPU in use, 0 to 1 (a percentage above 1 is accepted).
    pub cpu_usage: Option<f64>,
    /// Share of memory in use, 0 to 1 (a percentage above 1 is accepted).
    pub memory_usage: Option<f64>,
    /// Seconds since the process started.
    pub uptime_seconds: Option<u64>,
    /// Sessions by state.
    pub sessions: Option<SessionCounts>,
    /// A bare count, from simple workers.
    pub session_count: Option<u32>,
    /// What it holds, in full.
    pub held: Option<Vec<HeldSession>>,
    /// What it holds, as a digest.
    pub held_digest: Option<String>,
}

/// A session that a worker must stop and tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Which.
    pub session_id: SessionId,
    /// Up to and including this epoch.
    pub epoch: Epoch,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BeatAnswer {
    /// How long the renewal lasts, from when it was sent.
    pub lease_seconds: u64,
    /// Sessions to stop: not the worker's, or told to stop.
    #[serde(rename = "drop")]
    pub dropped: Vec<Dropped>,
    /// Orders to start that it may not have got.
    pub start: Vec<StartSession>,
    /// Whether it is being emptied.
    pub drain: bool,
    /// Whether the next heartbeat shall carry `held` in full.
    pub send_held: bool,
}

/// One line of `GET /workers/{id}/sessions/assigned`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssignedSession {
    /// Which session.
    pub session_id: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// What the tenant wants.
    pub desired: Desired,
    /// The sequence of its newest stored state.
    pub state_version: u64,
    /// Whether it has credentials.
    pub paired: bool,
}

/// `POST /workers/{id}/sessions/recovery-status`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryReport {
    /// One per session.
    pub results: Vec<RecoveryResult>,
}

/// What became of one session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryResult {
    /// Which session.
    pub session_id: SessionId,
    /// At which epoch.
    pub epoch: Epoch,
    /// `RECOVERED`, `FAILED` or `QR_REQUIRED`.
    pub status: String,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
}
