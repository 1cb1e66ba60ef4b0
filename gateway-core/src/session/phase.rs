//! What the gateway is doing with a session, and what its owner last said.
//!
//! Every variant carries the data that is true in it and nothing else: a session in `STARTING` has an
//! owner, one in `WAITING` cannot have one, so no code asks twice.

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::id::{Incarnation, WorkerId};
use crate::time::Timestamp;

/// Who holds a session: one run of one worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The slot.
    pub worker: WorkerId,
    /// The run of its process.
    pub incarnation: Incarnation,
}

/// What the gateway is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Nothing wanted, nothing held.
    Idle,
    /// Wants a worker and has none.
    Waiting,
    /// Assigned; the worker has been told, or will be, and has not reported yet.
    Starting {
        /// Who was told.
        owner: Owner,
    },
    /// The owner reports.
    Active {
        /// Who holds it.
        owner: Owner,
        /// What it last said.
        observed: Observed,
    },
    /// The owner has been told to stop; placed nowhere else until it has.
    Stopping {
        /// Who was told.
        owner: Owner,
        /// What follows.
        next: Next,
    },
    /// Desired is kept, nothing is held, nothing is tried before the row is due.
    Parked {
        /// Why.
        parked: Parked,
    },
}

impl Phase {
    /// The name on the wire and in the store.
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

    /// Who holds the session, in the phases in which somebody does.
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
    /// On its way.
    Connecting {
        /// How far.
        stage: Stage,
    },
    /// A person has to do something on the phone.
    QrRequired {
        /// What, and until when.
        challenge: Challenge,
    },
    /// Linked and live.
    Connected,
    /// The connection is lost and the worker is on it.
    Reconnecting {
        /// The worker's reason.
        reason: Option<Reason>,
        /// Since when; the whole of it may take [`super::SessionPolicy::reconnect_limit`].
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

/// What a person has to answer. The text itself lives in the coordinator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// Which kind.
    pub kind: ChallengeKind,
    /// Which of several, from 0.
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
    /// A passkey assertion.
    Passkey,
}

impl ChallengeKind {
    /// The `actionRequired` a tenant sees.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Qr => "scan_qr",
            Self::PairingCode => "enter_pairing_code",
            Self::Passkey => "passkey",
        }
    }
}

/// What follows a stop. Declared in ascending rank: only a later one replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Next {
    /// Nothing, unless the tenant has asked for a connection meanwhile.
    Rest,
    /// A new start at the next epoch, unless the tenant has disconnected meanwhile.
    Start,
    /// Wait for a person, a time or an operator.
    Park {
        /// In which state.
        parked: Parked,
    },
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

    /// Whether `other` may take this one's place.
    #[must_use]
    pub const fn yields_to(&self, other: &Self) -> bool {
        other.rank() > self.rank()
    }
}

/// Why a session is set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// The state a tenant sees.
    pub kind: ParkKind,
    /// Why.
    pub reason: Reason,
    /// Until when; none: until a person acts.
    pub until: Option<Timestamp>,
    /// What a person has to do, if anything.
    pub action_required: Option<String>,
}

/// The states of a session that is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ParkKind {
    /// Nobody answered the QR code: `DISCONNECTED`.
    QrTimeout,
    /// Unlinked on the phone: `LOGGED_OUT`.
    LoggedOut,
    /// Locked or capped by WhatsApp: `RESTRICTED`.
    Restricted,
    /// `ERROR`.
    Error,
}
