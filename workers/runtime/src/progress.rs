//! What an engine says of a session: how it is getting on, or how it ended.

use gateway_core::protocol::SessionState;
use gateway_core::time::Timestamp;
use serde_json::Value;

/// How a session is getting on. It stays with the worker.
///
/// The constructors cover what a client meets; set the fields of [`Self::state`] for what else is known
/// (`phone_number` once the account is, the times of the last sign of life).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The state; the runtime fills in the session and its epoch.
    pub state: SessionState,
    /// When a broken connection is tried again.
    pub retry_at: Option<Timestamp>,
}

impl Progress {
    fn new(status: &str, reason: Option<&str>) -> Self {
        let state = SessionState {
            status: status.to_owned(),
            reason: reason.map(str::to_owned),
            ..SessionState::default()
        };
        Self {
            state,
            retry_at: None,
        }
    }

    /// Makes a report of a session on its way. `reason` is `starting`, `pairing` (the code was accepted)
    /// or `syncing` (the account's data is being read).
    #[must_use]
    pub fn connecting(reason: &str) -> Self {
        Self::new("CONNECTING", Some(reason))
    }

    /// Makes a report of a session that waits for somebody to scan a code. `index` counts the codes of
    /// one linking from 0.
    #[must_use]
    pub fn qr(code: &str, index: u32, expires_at: Timestamp) -> Self {
        let mut progress = Self::new("QR_REQUIRED", None);
        progress.state.qr_code = Some(code.to_owned());
        progress.state.qr_index = Some(index);
        progress.state.qr_expires_at = Some(expires_at);
        progress
    }

    /// Makes a report of a session that waits for somebody to type a pairing code on the phone.
    #[must_use]
    pub fn pairing_code(code: &str, expires_at: Timestamp) -> Self {
        let mut progress = Self::new("QR_REQUIRED", None);
        progress.state.pairing_code = Some(code.to_owned());
        progress.state.pairing_expires_at = Some(expires_at);
        progress
    }

    /// Makes a report of a session that waits for a passkey. The challenge is passed on as it is.
    #[must_use]
    pub fn passkey(challenge: Value, expires_at: Timestamp) -> Self {
        let mut progress = Self::new("QR_REQUIRED", None);
        progress.state.passkey_challenge = Some(challenge);
        progress.state.passkey_expires_at = Some(expires_at);
        progress
    }

    /// Makes a report of a connected session, which can send and receive.
    #[must_use]
    pub fn connected(phone_number: Option<&str>) -> Self {
        let mut progress = Self::new("CONNECTED", None);
        progress.state.phone_number = phone_number.map(str::to_owned);
        progress
    }

    /// Makes a report of a session whose connection broke. The engine tries again at `retry_at`.
    #[must_use]
    pub fn reconnecting(reason: &str, retry_at: Timestamp) -> Self {
        Self {
            retry_at: Some(retry_at),
            ..Self::new("RECONNECTING", Some(reason))
        }
    }

    /// Returns what a person has to do, according to the codes in the state.
    pub(crate) fn action_required(&self) -> Option<&'static str> {
        if self.state.qr_code.is_some() {
            Some("scan_qr")
        } else if self.state.pairing_code.is_some() {
            Some("enter_pairing_code")
        } else if self.state.passkey_challenge.is_some() {
            Some("passkey")
        } else {
            None
        }
    }
}

/// Why a session ended. The worker does not hold it any more; the gateway decides whether and when it is
/// started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    /// What a person has to do: `operator` if the operator of the gateway must act.
    pub action_required: Option<&'static str>,
    /// When a restriction ends.
    pub until: Option<Timestamp>,
    /// When to try again.
    pub retry_at: Option<Timestamp>,
}

impl Ending {
    fn new(status: &'static str, reason: &str) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            action_required: None,
            until: None,
            retry_at: None,
        }
    }

    /// Makes an ending without a fault, such as `qr_timeout`: nobody scanned the last code.
    #[must_use]
    pub fn disconnected(reason: &str) -> Self {
        Self::new("DISCONNECTED", reason)
    }

    /// Makes an ending because the account does not know this device any more (`device_removed`), or
    /// there is nothing to log in with (`no_credentials`). The gateway archives the credentials.
    #[must_use]
    pub fn logged_out(reason: &str) -> Self {
        Self::new("LOGGED_OUT", reason)
    }

    /// Makes an ending because WhatsApp does not let the account in, such as `temp_ban_<code>` or
    /// `account_locked`. `until` says when that ends, if it is known.
    #[must_use]
    pub fn restricted(reason: &str, until: Option<Timestamp>) -> Self {
        Self {
            until,
            ..Self::new("RESTRICTED", reason)
        }
    }

    /// Makes an ending by a fault, such as `client_outdated`, `connect_failure_<code>` or
    /// `state_unreadable`.
    #[must_use]
    pub fn error(reason: &str, action_required: Option<&'static str>) -> Self {
        Self {
            action_required,
            ..Self::new("ERROR", reason)
        }
    }

    /// Returns the reason as it is reported.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
