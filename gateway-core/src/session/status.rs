//! The status a tenant sees: a pure projection of the row.

use serde::{Deserialize, Serialize};

use super::phase::{Next, Observed, ParkKind, Parked, Phase, Silence};
use super::{Desired, Reason, Session};
use crate::time::Timestamp;

/// The status of a session that a tenant sees.
///
/// `MIGRATING` is not among them yet: nothing migrates a session until planned migration exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// No connection is held.
    Disconnected,
    /// The connection is being made: waiting for a worker, starting, pairing, syncing.
    Connecting,
    /// A person has to scan, type a code or use a passkey.
    QrRequired,
    Connected,
    /// The connection is lost and the worker is on it, or nothing is heard of the worker.
    Reconnecting,
    /// Unlinked on the phone.
    LoggedOut,
    /// Locked or capped by WhatsApp.
    Restricted,
    /// Failed; see reason and `actionRequired`.
    Error,
}

impl Status {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 8] = [
        Self::Disconnected,
        Self::Connecting,
        Self::QrRequired,
        Self::Connected,
        Self::Reconnecting,
        Self::LoggedOut,
        Self::Restricted,
        Self::Error,
    ];

    /// Returns the name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::Connecting => "CONNECTING",
            Self::QrRequired => "QR_REQUIRED",
            Self::Connected => "CONNECTED",
            Self::Reconnecting => "RECONNECTING",
            Self::LoggedOut => "LOGGED_OUT",
            Self::Restricted => "RESTRICTED",
            Self::Error => "ERROR",
        }
    }

    /// Returns the status of that name, as [`Status::name`] gives it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A status with everything that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView {
    pub status: Status,
    pub reason: Option<Reason>,
    /// Since when status and reason are what they are.
    pub since: Timestamp,
    /// When the status ends by force.
    pub deadline: Option<Timestamp>,
    /// When the gateway or the worker tries again.
    pub retry_at: Option<Timestamp>,
    /// What a person has to do, as a slug.
    pub action_required: Option<String>,
}

impl Session {
    /// Returns the status a tenant sees.
    #[must_use]
    pub fn status(&self) -> StatusView {
        let (status, reason, action_required) = self.project();
        let silence = self.shown_silence();
        StatusView {
            status,
            reason,
            since: self.status_since,
            deadline: silence.map_or(self.deadline, |silence| Some(silence.until)),
            retry_at: self.retry_at,
            action_required,
        }
    }

    /// Returns the silence of the owner, if it is what a tenant has to know: the session would count as
    /// connected, and nobody can use it.
    const fn shown_silence(&self) -> Option<Silence> {
        match &self.phase {
            Phase::Active {
                observed: Observed::Connected,
                ..
            } => self.silence,
            Phase::Active { .. }
            | Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Parked { .. } => None,
        }
    }

    fn project(&self) -> (Status, Option<Reason>, Option<String>) {
        let plain = |status, reason| (status, Some(reason), None);
        match &self.phase {
            Phase::Idle => (Status::Disconnected, self.reason.clone(), None),
            Phase::Waiting => (Status::Connecting, self.reason.clone(), None),
            Phase::Starting { .. } => plain(Status::Connecting, Reason::Starting),
            Phase::Active { .. } if self.shown_silence().is_some() => {
                plain(Status::Reconnecting, Reason::WorkerSilent)
            }
            Phase::Active { observed, .. } => observed.project(),
            Phase::Stopping { next, .. } => match next {
                Next::Rest | Next::Start if self.desired == Desired::Connected => {
                    plain(Status::Connecting, Reason::Restarting)
                }
                Next::Park { parked } if self.desired == Desired::Connected => parked.project(),
                Next::Rest | Next::Start | Next::Park { .. } => {
                    plain(Status::Disconnected, Reason::Stopping)
                }
                Next::Logout => plain(Status::Disconnected, Reason::LoggingOut),
                Next::Delete => plain(Status::Disconnected, Reason::Deleting),
            },
            Phase::Parked { parked } => parked.project(),
        }
    }
}

impl Observed {
    fn project(&self) -> (Status, Option<Reason>, Option<String>) {
        match self {
            Self::Connecting { stage } => (Status::Connecting, Some(stage.reason()), None),
            Self::QrRequired { challenge } => (
                Status::QrRequired,
                None,
                Some(challenge.kind.action().to_owned()),
            ),
            Self::Connected => (Status::Connected, None, None),
            Self::Reconnecting { reason, .. } => (Status::Reconnecting, reason.clone(), None),
        }
    }
}

impl Parked {
    fn project(&self) -> (Status, Option<Reason>, Option<String>) {
        let status = match self.kind {
            ParkKind::QrTimeout => Status::Disconnected,
            ParkKind::LoggedOut => Status::LoggedOut,
            ParkKind::Restricted => Status::Restricted,
            ParkKind::Error => Status::Error,
        };
        (
            status,
            Some(self.reason.clone()),
            self.action_required.clone(),
        )
    }
}
