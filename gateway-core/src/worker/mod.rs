//! Workers: processes that hold WhatsApp connections.
//!
//! A worker is a *slot* with a stable id; each run of its process is an incarnation. What may change
//! at any moment by reports (load) or by time (the lease) is kept per incarnation, in the lease row;
//! the worker's row changes only when somebody decides something about it.

mod breaker;
pub mod gate;
mod guarded_link;
mod held;
mod latency;
pub mod lease;
pub mod link;
mod repo;
mod stability;
mod vitals;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use breaker::{Breaker, BreakerPolicy, CommandOutcome};
pub use guarded_link::GuardedLink;
pub use held::{HeldPhase, HeldRow, Renewed};
pub use latency::LatencyAverage;
pub use lease::{
    Death, Evidence, Lease, LeaseAuthority, LeasePolicy, Renewal, Silent, StoreLeases,
};
pub use link::{LinkError, Target, WorkerLink};
pub use repo::{LeaseRepo, WorkerRepo};
pub use stability::{Incident, Stability};
pub use vitals::{Reading, Vitals, VitalsPolicy};

use crate::id::{Incarnation, WorkerId};
use crate::session::Owner;
use crate::time::Timestamp;

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkerStatus {
    /// Announced by an admin, not seen yet.
    Pending,
    /// Renews its lease.
    Active,
    /// Has missed heartbeats: nothing new is placed on it, nothing else happens.
    Suspect,
    /// Being emptied.
    Draining,
    /// Said goodbye, was proved dead, or its lease ran out.
    Offline,
    /// Removed by an admin.
    Removed,
}

impl WorkerStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Active,
        Self::Suspect,
        Self::Draining,
        Self::Offline,
        Self::Removed,
    ];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Active => "ACTIVE",
            Self::Suspect => "SUSPECT",
            Self::Draining => "DRAINING",
            Self::Offline => "OFFLINE",
            Self::Removed => "REMOVED",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// What a worker's engine can do; sent at registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Engine {
    /// The name of the engine.
    pub engine: Option<String>,
    /// Its version.
    pub engine_version: Option<String>,
    /// The format of the credentials it stores: a session is bound to it.
    pub state_format: Option<String>,
    /// What it can do: message types, pairing modes, proxy.
    pub capabilities: Capabilities,
}

/// What an engine can do. Empty lists mean "everything".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// Message types it can send.
    pub message_types: Vec<String>,
    /// Ways of linking it offers.
    pub pairing_modes: Vec<String>,
    /// Whether it can use a proxy per session.
    pub proxy: bool,
}

/// The row of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Its slot.
    pub id: WorkerId,
    /// Where it stands.
    pub status: WorkerStatus,
    /// Nothing new is placed on it.
    pub cordoned: bool,
    /// Its base URL, unique among workers that are not offline or removed.
    pub endpoint: Option<String>,
    /// Its newest incarnation.
    pub incarnation: Option<Incarnation>,
    /// The most sessions it may hold.
    pub max_sessions: u32,
    /// The sessions that name it as their owner, in whatever incarnation.
    pub assigned: u32,
    /// The worker program's version.
    pub version: Option<String>,
    /// The deployment environment it says it belongs to.
    pub environment: Option<String>,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
    /// The protocol version it speaks.
    pub protocol_version: u32,
    /// Its engine.
    pub engine: Engine,
    /// SHA-256 of the one-time token of a reserved id, until it is used.
    pub join_token_hash: Option<[u8; 32]>,
    /// Grows with every write of this row but the counting of `assigned`.
    pub row_version: u64,
    /// When it was first announced or registered.
    pub created_at: Timestamp,
    /// When its newest incarnation registered.
    pub registered_at: Option<Timestamp>,
    /// When this row last changed.
    pub updated_at: Timestamp,
}

impl Worker {
    /// A reserved slot: `PENDING` until it registers.
    #[must_use]
    pub fn pending(id: WorkerId, max_sessions: u32, now: Timestamp) -> Self {
        Self {
            id,
            status: WorkerStatus::Pending,
            cordoned: false,
            endpoint: None,
            incarnation: None,
            max_sessions,
            assigned: 0,
            version: None,
            environment: None,
            labels: BTreeMap::new(),
            protocol_version: 1,
            engine: Engine::default(),
            join_token_hash: None,
            row_version: 1,
            created_at: now,
            registered_at: None,
            updated_at: now,
        }
    }

    /// The owner that its newest incarnation is.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        Some(Owner {
            worker: self.id.clone(),
            incarnation: self.incarnation.clone()?,
        })
    }
}

/// A worker with the lease of its newest incarnation.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerView {
    /// The worker.
    pub worker: Worker,
    /// The lease of `worker.incarnation`.
    pub lease: Option<Lease>,
}

/// What moves all the time without a change of a worker's row that caches must obey.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerLoad {
    /// The worker's status.
    pub status: WorkerStatus,
    /// How many sessions it holds.
    pub assigned: u32,
    /// The lease of its newest incarnation.
    pub lease: Lease,
}

/// What a worker last said of itself. Unknown stays unknown: it counts as the fleet's median.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerReport {
    /// Share of its CPU in use, 0 to 1.
    pub cpu: Option<f64>,
    /// Share of its memory in use, 0 to 1.
    pub memory: Option<f64>,
    /// Seconds since its process started.
    pub uptime_seconds: Option<u64>,
    /// Sessions it holds.
    pub total: Option<u32>,
    /// Of them connected.
    pub connected: Option<u32>,
    /// Of them disconnected.
    pub disconnected: Option<u32>,
    /// Of them waiting for a scan.
    pub qr_required: Option<u32>,
    /// Of them failed.
    pub error: Option<u32>,
    /// The highest assignment change it has applied.
    pub applied_seq: Option<u64>,
    /// Whether it can store session state.
    pub persist_ok: Option<bool>,
}
