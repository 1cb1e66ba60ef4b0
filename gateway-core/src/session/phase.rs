//! What the gateway is doing with a session, and what its owner last said.
//!
//! Every variant carries the data that is true in it and nothing else: a session in `STARTING` has an
//! owner, one in `WAITING` cannot have one, so no code asks twice.

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::id::{Incarnation, WorkerId};
use crate::time::Timestamp;

/// The run of a worker that holds a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The id of the worker's slot.
    pub worker: WorkerId,
    /// The run of the worker's process.
    pub incarnation: Incarnation,
}

/// What the gateway is doing with a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Nothing wanted, nothing held.
    Idle,
    /// A worker is wanted, and there is none yet.
    Waiting,
    /// A worker is assigned; it has been told to start, or will be, and has not reported yet.
    Starting { owner: Owner },
    /// The owner holds the session and reports on it.
    Active {
        owner: Owner,
        /// What the owner last reported.
        observed: Observed,
    },
    /// The owner has been told to stop; the session is placed nowhere else until it has.
    Stopping {
        owner: Owner,
        /// What follows once it has stopped.
        next: Next,
    },
    /// What the tenant wants is kept, but nothing is held, and nothing is tried before the row is due.
    Parked { parked: Parked },
}

impl Phase {
    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Waiting => "WAITING",
            Self::Starting { .. } => "STARTING",
            Self::Active { .. } => "ACTIVE",
            Self::Stopping { .. } => "STOPPING",
            Self::Parked { .. } => "PARKED",
        }
    }

    /// Returns the worker that holds the session, in the phases in which one does.
    #[must_use]
    pub const fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Starting { owner }
            | Self::Active { owner, .. }
            | Self::Stopping { owner, .. } => Some(owner),
            Self::Idle | Self::Waiting | Self::Parked { .. } => None,
        }
    }
}

/// What the owner last reported of a session that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Observed {
    /// The connection is being made.
    Connecting {
        stage: Stage,
    },
    /// A person has to do something on the phone.
    QrRequired {
        /// What the person has to answer, and until when.
        challenge: Challenge,
    },
    Connected,
    /// The connection is lost and the worker is on it.
    Reconnecting {
        reason: Option<Reason>,
        /// Since when it has been reconnecting; in all that may take
        /// [`super::SessionPolicy::reconnect_limit`].
        since: Timestamp,
    },
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The worker is opening the connection.
    Starting,
    /// The code was scanned.
    Pairing,
    /// The account is linked and its data is being read.
    Syncing,
}

impl Stage {
    /// Returns the reason that a tenant sees.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Starting => Reason::Starting,
            Self::Pairing => Reason::Pairing,
            Self::Syncing => Reason::Syncing,
        }
    }
}

/// What a person has to answer. The text itself is kept by the coordinator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    pub kind: ChallengeKind,
    /// The position of this code among those of one attempt to link, from 0.
    pub index: u32,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// The kinds of challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChallengeKind {
    /// A QR code to scan.
    Qr,
    /// A code to type on the phone.
    PairingCode,
    Passkey,
}

impl ChallengeKind {
    /// Returns the `actionRequired` that a tenant sees.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Qr => "scan_qr",
            Self::PairingCode => "enter_pairing_code",
            Self::Passkey => "passkey",
        }
    }
}

/// The silence of a worker that holds a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When something was last heard of the worker.
    pub since: Timestamp,
    /// When the worker counts as dead, unless something is heard of it.
    pub until: Timestamp,
}

/// What follows a stop. The variants stand in ascending rank: only a later one replaces an earlier one
///
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Next {
    /// Nothing, unless the tenant has asked for a connection meanwhile.
    Rest,
    /// A new start at the next epoch, unless the tenant has disconnected meanwhile.
    Start,
    /// Wait for a person, a time or an operator.
    Park { parked: Parked },
    /// The device is unlinked and its credentials are archived.
    Logout,
    /// The session is removed.
    Delete,
}

impl Next {
    const fn rank(&self) -> u8 {
        match self {
            Self::Rest => 0,
            Self::Start => 1,
            Self::Park { .. } => 3,
            Self::Logout => 4,
            Self::Delete => 5,
        }
    }

    /// Returns whether `other` may replace this one.
    #[must_use]
    pub const fn yields_to(&self, other: &Self) -> bool {
        other.rank() > self.rank()
    }
}

/// Why a session is set aside, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// The state a tenant sees.
    pub kind: ParkKind,
    pub reason: Reason,
    /// Until when the session is set aside; none means until a person acts.
    pub until: Option<Timestamp>,
    /// What a person has to do, as a slug.
    pub action_required: Option<String>,
}

/// The kinds of reasons why a session is set aside, each with the status that a tenant sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ParkKind {
    /// Nobody answered the QR code: `DISCONNECTED`.
    QrTimeout,
    /// Unlinked on the phone: `LOGGED_OUT`.
    LoggedOut,
    /// Locked or capped by WhatsApp: `RESTRICTED`.
    Restricted,
    Error,
}
