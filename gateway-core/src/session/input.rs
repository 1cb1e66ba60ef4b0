//! What can happen to a session, and what [`super::decide()`] answers with.

use super::phase::{Observed, Owner, Silence};
use super::{Pairing, Reason, Session};
use crate::id::{Epoch, SessionId};
use crate::time::Timestamp;

/// One thing that happens to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The tenant asks for something.
    Command(Command),
    /// A slot on `owner` was reserved in this very transaction.
    Placed {
        /// The worker whose slot was reserved.
        owner: Owner,
        /// The state format of that worker's engine.
        state_format: Option<String>,
    },
    /// No worker has room, or none passes the filters.
    NoCapacity,
    /// The owner has reported; epoch and incarnation have been checked.
    Reported(Report),
    /// The owner has answered an order to stop, or refused an order to start as one of an epoch that it has
    /// closed.
    Stopped,
    /// What the owner holds, listed in full, does not name the session: after the owner was told to let go of
    /// it, or twice in a row.
    NotHeld,
    /// The owner has answered an order to stop that it does not know the session.
    Disclaimed,
    /// Nothing is heard of the owner.
    OwnerSilent(Silence),
    /// The owner is heard again.
    OwnerHeard,
    /// The owner is proved dead or fenced.
    OwnerGone,
    /// The owner has said goodbye after closing everything it held.
    OwnerLeft,
    /// The time at which the row falls due has come.
    Due,
}

impl Input {
    /// Returns the name that errors, events and logs use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Command(command) => command.name(),
            Self::Placed { .. } => "placed",
            Self::NoCapacity => "no_capacity",
            Self::Reported(_) => "reported",
            Self::Stopped => "stopped",
            Self::NotHeld => "not_held",
            Self::Disclaimed => "disclaimed",
            Self::OwnerSilent(_) => "owner_silent",
            Self::OwnerHeard => "owner_heard",
            Self::OwnerGone => "owner_gone",
            Self::OwnerLeft => "owner_left",
            Self::Due => "due",
        }
    }
}

/// What a tenant can ask of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Hold a connection, from now on.
    Connect {
        /// How to link the account if it is not linked.
        pairing: Pairing,
        /// The tier's placement priority.
        priority: u8,
    },
    /// Hold no connection; credentials are kept.
    Disconnect,
    /// Stop and start again, perhaps on another worker.
    Restart,
    Logout,
    /// Unlink the device and delete the session.
    Delete,
}

impl Command {
    /// Returns the name that errors, events and logs use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Disconnect => "disconnect",
            Self::Restart => "restart",
            Self::Logout => "logout",
            Self::Delete => "delete",
        }
    }
}

/// A report of the owner, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The number of the report per incarnation and session; one that is not higher than the last is
    /// ignored.
    pub seq: Option<u64>,
    pub observation: Observation,
    /// When the worker tries again by itself.
    pub retry_at: Option<Timestamp>,
    /// The linked account's number, once known.
    pub phone_number: Option<String>,
}

/// What a report says of the session.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The worker holds the session.
    Live(Observed),
    /// The worker has closed and tombstoned the session, which also answers an order to stop.
    Closed(Closure),
    /// A status that this gateway does not know; the worker may still hold the session.
    Unknown(String),
}

/// Why the worker closed a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closure {
    /// Closed without fault, or because nobody scanned (`qr_timeout`).
    Disconnected { reason: Option<Reason> },
    /// Unlinked on the phone.
    LoggedOut { reason: Option<Reason> },
    /// Locked or capped by WhatsApp.
    Restricted {
        reason: Option<Reason>,
        /// When it ends, if WhatsApp said so.
        until: Option<Timestamp>,
    },
    /// A failure that the worker does not retry.
    Error {
        reason: Option<Reason>,
        /// What a person has to do.
        action_required: Option<String>,
    },
}

/// Names a session at one owner and epoch, as every command to a worker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub session: SessionId,
    pub owner: Owner,
    pub epoch: Epoch,
}

/// An order to start a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOrder {
    /// The session, its owner and its epoch.
    pub order: Order,
    /// Whether to restore the account from stored credentials or to link it.
    pub mode: StartMode,
}

impl StartOrder {
    /// Returns the order that the row of a session in `STARTING` stands for; none if the row has no owner.
    #[must_use]
    pub fn of(session: &Session) -> Option<Self> {
        let mode = match (&session.pairing, session.paired) {
            (_, true) => StartMode::Restore,
            (Pairing::Qr, false) => StartMode::Qr,
            (Pairing::PairingCode { phone_number }, false) => StartMode::PairingCode {
                phone_number: phone_number.clone(),
            },
        };
        Some(Self {
            order: session.order()?,
            mode,
        })
    }
}

/// How a worker starts a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Restores the account from stored credentials.
    Restore,
    /// Links an account by QR code.
    Qr,
    /// Links the account with this number by a code to type on the phone.
    PairingCode {
        /// The number in international digits.
        phone_number: String,
    },
}

/// What shall happen outside the row.
///
/// An effect is only the first, prompt attempt: it may be lost without harm, because the committed row
/// falls due again until it has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Find a worker for a session in `WAITING`.
    Place(SessionId),
    /// Tell the owner to start.
    Start(StartOrder),
    /// Tell the owner to stop and keep the credentials.
    Release(Order),
    /// Tell the owner to unlink the device and stop.
    Logout(Order),
    /// Tell the owner to unlink, stop and erase.
    Forget(Order),
    /// Place nothing new on the owner, which does not answer this order to stop.
    Cordon(Order),
    /// Note that the owner does not hold the session: a full list of what it holds does not name it.
    NotHeld(Order),
    /// Stop renewing the lease of a worker that has ignored an order to stop for too long.
    Disown(Owner),
    /// Erase the stored state of a deleted session.
    Erase(SessionId),
    /// Archive the credentials of an account that is no longer linked: whatever is sealed to at
    /// most this epoch, so that one carried out late leaves the next account's alone.
    Archive(SessionId, Epoch),
    /// Look for due rows early: something else may be due now.
    Nudge,
}
