//! Workers: processes that hold WhatsApp connections.
//!
//! A worker is a *slot* with a stable id; each run of its process is an incarnation. What may change
//! at any moment by reports (load) or by time (the lease) is kept per incarnation, in the lease row;
//! the worker's row changes only when somebody decides something about it.

mod allowed_host;
mod breaker;
mod endpoint;
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

pub use allowed_host::{AllowedHost, InvalidHost};
pub use breaker::{Breaker, BreakerPolicy, CommandOutcome};
pub use endpoint::{Endpoint, EndpointHost, InvalidEndpoint};
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

/// The status of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkerStatus {
    /// Announced by an admin, not seen yet.
    Pending,
    /// Its lease is renewed.
    Active,
    /// It has missed heartbeats: no new session is placed on it, nothing else happens.
    Suspect,
    /// It is being emptied.
    Draining,
    /// It said goodbye, was proved dead, or its lease ran out.
    Offline,
    /// Removed by an admin.
    Removed,
}

impl WorkerStatus {
    /// All statuses, in the order of a worker's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Active,
        Self::Suspect,
        Self::Draining,
        Self::Offline,
        Self::Removed,
    ];

    /// Returns the name on the wire and in the store.
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

    /// Returns the status of that name, as [`WorkerStatus::name`] gives it.
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
    pub engine_version: Option<String>,
    /// The format of the credentials that it stores. A linked session can only move to a worker with the
    /// same format.
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
    pub id: WorkerId,
    pub status: WorkerStatus,
    /// Whether an operator wants no new sessions on it.
    pub cordoned: bool,
    /// The run that gets no new sessions because it does not answer an order to stop one.
    pub stuck: Option<Incarnation>,
    /// Its base URL, unique among workers that are not offline or removed.
    pub endpoint: Option<String>,
    pub incarnation: Option<Incarnation>,
    /// The most sessions it may hold.
    pub max_sessions: u32,
    /// How many sessions name it as their owner, in whatever incarnation.
    pub assigned: u32,
    /// The worker program's version.
    pub version: Option<String>,
    /// The deployment environment that it says it belongs to.
    pub environment: Option<String>,
    /// The labels that an operator has given it.
    pub labels: BTreeMap<String, String>,
    /// The labels that its newest run has registered with.
    pub reported_labels: BTreeMap<String, String>,
    /// The protocol version it speaks.
    pub protocol_version: u32,
    pub engine: Engine,
    /// SHA-256 of the one-time token of a reserved id, until another run than the one that used it registers.
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
    /// Creates a reserved slot, which is `PENDING` until a worker registers under it.
    #[must_use]
    pub fn pending(id: WorkerId, max_sessions: u32, now: Timestamp) -> Self {
        Self {
            id,
            status: WorkerStatus::Pending,
            cordoned: false,
            stuck: None,
            endpoint: None,
            incarnation: None,
            max_sessions,
            assigned: 0,
            version: None,
            environment: None,
            labels: BTreeMap::new(),
            reported_labels: BTreeMap::new(),
            protocol_version: 1,
            engine: Engine::default(),
            join_token_hash: None,
            row_version: 1,
            created_at: now,
            registered_at: None,
            updated_at: now,
        }
    }

    /// Returns whether its newest incarnation does not answer an order to stop a session.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck.is_some() && self.stuck == self.incarnation
    }

    /// Returns whether it gets no new sessions, by an operator's wish or because it is stuck.
    #[must_use]
    pub fn is_cordoned(&self) -> bool {
        self.cordoned || self.is_stuck()
    }

    /// Returns the label of that name that counts, as [`Worker::labels_in_force`] has it.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let own = self.labels.get(name);
        own.or_else(|| self.reported_labels.get(name))
            .map(String::as_str)
    }

    /// Returns the labels that count: what the worker says of itself, and over it what an operator says.
    #[must_use]
    pub fn labels_in_force(&self) -> BTreeMap<String, String> {
        let mut labels = self.reported_labels.clone();
        labels.extend(self.labels.clone());
        labels
    }

    /// Returns the newest incarnation as an owner of sessions; none before the first registration.
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
    pub worker: Worker,
    /// The lease of the worker's newest incarnation.
    pub lease: Option<Lease>,
}

/// The part of a worker that moves all the time, without a change of its row that caches must obey.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerLoad {
    pub status: WorkerStatus,
    /// How many sessions it holds.
    pub assigned: u32,
    /// The lease of its newest incarnation.
    pub lease: Lease,
}

/// What a worker last said of itself. A value that is not known counts as the fleet's median.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerReport {
    /// Share of the processors in use, 0 to 1.
    pub cpu: Option<f64>,
    /// Share of the memory in use, 0 to 1.
    pub memory: Option<f64>,
    /// Seconds since its process started.
    pub uptime_seconds: Option<u64>,
    /// How many sessions it holds.
    pub total: Option<u32>,
    /// How many of them are connected.
    pub connected: Option<u32>,
    /// How many of them are disconnected.
    pub disconnected: Option<u32>,
    /// How many of them wait for a scan.
    pub qr_required: Option<u32>,
    /// How many of them have failed.
    pub error: Option<u32>,
    /// The number of the newest change of assignments that it has applied.
    pub applied_seq: Option<u64>,
    /// Whether it can store session state.
    pub persist_ok: Option<bool>,
}
