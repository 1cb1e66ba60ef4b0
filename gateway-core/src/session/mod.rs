//! A session: one WhatsApp account of a tenant.
//!
//! The row has two independent parts: what the tenant wants ([`Desired`]) and what the gateway
//! is doing about it ([`Phase`]). What the owner last reported ([`Observed`]) lives inside the phases
//! in which it can be true. The status a tenant sees is a projection ([`Session::status`]), never a
//! column of its own, so it cannot disagree with the row. [`decide()`] is the only writer.

mod decide;
mod input;
mod phase;
mod policy;
mod reason;
mod repo;
mod route;
mod setbacks;
mod status;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use decide::{Decision, InvalidTransition, decide};
pub use input::{
    Closure, Command, Effect, Input, Observation, Order, Report, StartMode, StartOrder,
};
pub use phase::{
    Challenge, ChallengeKind, Next, Observed, Owner, ParkKind, Parked, Phase, Silence, Stage,
};
pub use policy::SessionPolicy;
pub use reason::Reason;
pub use repo::{
    CardLabel, CardRepo, Inserted, Placement, PlacementRepo, SessionFilter, SessionRepo,
};
pub use route::{Open, Route, Routes, Standing, StoreRoutes};
pub use setbacks::{Setback, Setbacks};
pub use status::{Status, StatusView};

use crate::id::{Epoch, InvalidId, InvalidSlug, SessionId, SessionName, TenantId};
use crate::time::Timestamp;

/// What the tenant wants of a session. Only the tenant changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Desired {
    /// Hold a connection, for ever, on whatever worker.
    Connected,
    Disconnected,
}

/// How to link an account that is not linked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Pairing {
    /// By scanning a QR code.
    #[default]
    Qr,
    /// By typing an eight-character code on the phone.
    #[serde(rename_all = "camelCase")]
    PairingCode {
        /// The phone's number in international digits.
        phone_number: String,
    },
}

/// The row of a session.
///
/// Stores keep it as it is; only [`decide()`] changes the fields below `desired`.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its id, which never changes.
    pub id: SessionId,
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// Its name, unique among the tenant's sessions that are not being deleted.
    pub name: SessionName,
    /// What the tenant typed as its name; none if that is the name itself.
    pub display_name: Option<String>,
    /// Free text of the tenant.
    pub description: Option<String>,
    /// Free key-value pairs of the tenant, returned in every event.
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// When the card was made.
    pub created_at: Timestamp,
    /// When a field of the row last changed.
    pub updated_at: Timestamp,

    pub desired: Desired,
    /// How to link the account if it is not.
    pub pairing: Pairing,
    /// The tier's placement priority, copied at `connect`; larger is served first.
    pub priority: u8,
    /// What the gateway is doing, with exactly the data that is true meanwhile.
    pub phase: Phase,
    /// When `phase` was entered.
    pub phase_since: Timestamp,
    /// When the status or its reason last changed.
    pub status_since: Timestamp,
    /// The epoch of the newest assignment; 0 before the first.
    pub epoch: Epoch,
    /// Grows with every write but a claim; every write of something read is conditional on it.
    pub version: u64,
    /// Starts since the session was last connected for [`SessionPolicy::stable`], without those whose worker
    /// was lost.
    pub attempt: u32,
    /// What went wrong lately, and on which workers.
    pub setbacks: Setbacks,
    /// Why the session is where it is.
    pub reason: Option<Reason>,
    /// When the phase or status ends by force.
    pub deadline: Option<Timestamp>,
    /// When the row is looked at next: the earliest of deadline, retry and repetition.
    pub due_at: Option<Timestamp>,
    /// When the gateway or the worker tries again, if it said so.
    pub retry_at: Option<Timestamp>,
    /// Before when it is not started again, because its last start came to nothing.
    pub not_before: Option<Timestamp>,
    /// The highest `reportSeq` folded in at this epoch; lower ones are ignored.
    pub report_seq: u64,

    /// Since when nothing is heard of the worker that holds the session, and when that ends by force.
    pub silence: Option<Silence>,

    /// Whether credentials of a linked account are stored.
    pub paired: bool,
    /// The linked account's number.
    pub phone_number: Option<String>,
    /// The engine's state format the credentials are bound to.
    pub state_format: Option<String>,
    /// When the present linking began: the first start of a session that is not linked.
    pub linking_since: Option<Timestamp>,
    /// When the present linking ends as `qr_timeout`.
    pub linking_until: Option<Timestamp>,
    /// When the sequencer last saw a message of this session.
    pub last_activity_at: Option<Timestamp>,
}

impl Session {
    /// Creates a session that is `DISCONNECTED` and on no worker. Such a row is also called a card.
    #[must_use]
    pub fn new(id: SessionId, tenant: TenantId, name: SessionName, now: Timestamp) -> Self {
        Self {
            id,
            tenant,
            name,
            display_name: None,
            description: None,
            metadata: BTreeMap::new(),
            created_at: now,
            updated_at: now,
            desired: Desired::Disconnected,
            pairing: Pairing::Qr,
            priority: 1,
            phase: Phase::Idle,
            phase_since: now,
            status_since: now,
            epoch: Epoch::default(),
            version: 1,
            attempt: 0,
            setbacks: Setbacks::default(),
            reason: None,
            deadline: None,
            due_at: None,
            retry_at: None,
            not_before: None,
            report_seq: 0,
            silence: None,
            paired: false,
            phone_number: None,
            state_format: None,
            linking_since: None,
            linking_until: None,
            last_activity_at: None,
        }
    }

    /// Returns the worker that holds the session, in the phases in which one does.
    #[must_use]
    pub const fn owner(&self) -> Option<&Owner> {
        self.phase.owner()
    }

    /// Returns whether the tenant has deleted it, and it is gone as soon as its owner lets go of it. It has given
    /// up its name and its place among those that the plan allows.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        matches!(
            self.phase,
            Phase::Stopping {
                next: Next::Delete,
                ..
            }
        )
    }

    /// Returns the order that names this session at its present owner and epoch; none if it has no owner.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        let owner = self.owner()?.clone();
        Some(Order {
            session: self.id,
            owner,
            epoch: self.epoch,
        })
    }
}

/// How a path or a command names a session: by id or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionRef {
    Id(SessionId),
    Name(SessionName),
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for SessionRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let pattern = "^(ses_[0-7][0-9a-hjkmnp-tv-z]{25}|[a-z0-9]+(-[a-z0-9]+)*)$";
        crate::id::openapi::text("A session, by its id or its name.", pattern, 64)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for SessionRef {
    fn name() -> std::borrow::Cow<'static, str> {
        "SessionIdOrName".into()
    }
}

/// The error of a text that is neither a session id nor a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSessionRef {
    /// It starts like an id and is not one.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// It cannot be a name.
    #[error(transparent)]
    Name(#[from] InvalidSlug),
}

impl SessionRef {
    /// Reads a path segment: what starts with `ses_` is an id, everything else a name.
    ///
    /// # Errors
    /// A malformed id, or a name with nothing left after normalisation.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionRef> {
        if text.starts_with("ses_") {
            return Ok(Self::Id(text.parse()?));
        }
        Ok(Self::Name(SessionName::parse(text)?))
    }
}
