//! The status lattice.
//!
//! Reports arrive in any order, any number of times, from two sides; the folded status must be the same
//! whatever the order. The statuses form a chain and folding takes the higher one, which is commutative,
//! associative and idempotent. Two places in the chain are judgements: `unknown` stands above `sending`,
//! because whoever says it has waited longer and a worker's *accepted* of a repetition is no news; `failed`
//! stands below `sent`, because a receipt is better evidence than a failure that somebody inferred.

use serde::{Deserialize, Serialize};

/// The status of a message, from the least to the most that can be known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// To be sent later.
    Scheduled,
    /// Waiting for its session.
    Queued,
    /// The worker has accepted it.
    Sending,
    /// It may or may not have gone out.
    Unknown,
    /// Taken back before it went out.
    Canceled,
    /// Not sent in time.
    Expired,
    Failed,
    /// WhatsApp's server has it.
    Sent,
    /// A device of the recipient has it.
    Delivered,
    Read,
    Played,
}

impl MessageStatus {
    /// All statuses, lowest first.
    pub const ALL: [Self; 11] = [
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Unknown,
        Self::Canceled,
        Self::Expired,
        Self::Failed,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Played,
    ];

    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Unknown => "unknown",
            Self::Sending => "sending",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
        }
    }

    /// Returns the status of that name, as [`MessageStatus::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Returns the higher of two statuses.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        self.max(other)
    }
}
