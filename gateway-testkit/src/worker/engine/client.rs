//! One session, as the simulated client sees it.

use std::time::Duration;

use gateway_core::protocol::{SessionState, StartSession, StartSessionMode};
use gateway_core::time::{Timestamp, Uptime};
use gateway_worker::{Moment, Session};
use serde_json::Value;

use super::counters::Counters;

/// The lives of the QR codes of one linking, in WhatsApp's milliseconds.
pub(super) const QR_LIVES_MS: [u64; 6] = [60_000, 20_000, 20_000, 20_000, 20_000, 20_000];
/// The life of a pairing code.
pub(super) const CODE_LIFE_MS: u64 = 180_000;
/// The life of a passkey challenge.
pub(super) const PASSKEY_LIFE_MS: u64 = 600_000;

/// How far a session has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// Its state has been read.
    Reading,
    /// Restored: the next block of counters is being stored.
    Reserving,
    /// Logging in with stored credentials.
    Login,
    Qr {
        index: u32,
        text: String,
        expires_at: Timestamp,
    },
    Code {
        text: String,
        expires_at: Timestamp,
    },
    Passkey {
        challenge: Value,
        expires_at: Timestamp,
        asserted: bool,
    },
    /// Scanned; the credentials are on their way.
    Pairing,
    /// The credentials are being stored.
    Saving,
    /// Linked; the account's data is being read.
    Syncing,
    Connected,
    Reconnecting {
        reason: &'static str,
        retry_at: Timestamp,
    },
}

impl Stage {
    pub(super) const fn status(&self) -> &'static str {
        match self {
            Self::Reading
            | Self::Reserving
            | Self::Login
            | Self::Pairing
            | Self::Saving
            | Self::Syncing => "CONNECTING",
            Self::Qr { .. } | Self::Code { .. } | Self::Passkey { .. } => "QR_REQUIRED",
            Self::Connected => "CONNECTED",
            Self::Reconnecting { .. } => "RECONNECTING",
        }
    }

    pub(super) const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Reading | Self::Reserving | Self::Login => Some("starting"),
            Self::Pairing | Self::Saving => Some("pairing"),
            Self::Syncing => Some("syncing"),
            Self::Reconnecting { reason, .. } => Some(reason),
            Self::Qr { .. } | Self::Code { .. } | Self::Passkey { .. } | Self::Connected => None,
        }
    }

    /// Writes the codes of this stage into what the worker says of the session.
    pub(super) fn describe(&self, said: &mut SessionState) {
        self.status().clone_into(&mut said.status);
        said.reason = self.reason().map(str::to_owned);
        match self {
            Self::Qr {
                index,
                text,
                expires_at,
            } => {
                said.qr_code = Some(text.clone());
                said.qr_index = Some(*index);
                said.qr_expires_at = Some(*expires_at);
            }
            Self::Code { text, expires_at } => {
                said.pairing_code = Some(text.clone());
                said.pairing_expires_at = Some(*expires_at);
            }
            Self::Passkey {
                challenge,
                expires_at,
                ..
            } => {
                said.passkey_challenge = Some(challenge.clone());
                said.passkey_expires_at = Some(*expires_at);
            }
            _ => {}
        }
    }
}

/// A session that the engine runs.
#[derive(Debug)]
pub(super) struct SimClient {
    pub(super) session: Session,
    pub(super) mode: StartSessionMode,
    /// The phone number that a pairing code was asked for.
    pub(super) code_for: Option<String>,
    pub(super) stage: Stage,
    /// When the stage ends by itself.
    pub(super) due: Option<Uptime>,
    /// When somebody scans by themselves.
    pub(super) scan_at: Option<Uptime>,
    /// When somebody writes by themselves.
    pub(super) written_to_at: Option<Uptime>,
    /// Where the session stands in the engine's timers.
    pub(super) timer: Option<Uptime>,
    /// The linked device, once there is one.
    pub(super) device: Option<u64>,
    pub(super) phone_number: Option<String>,
    pub(super) counters: Counters,
    pub(super) last_inbound_at: Option<Timestamp>,
    pub(super) last_ack_at: Option<Timestamp>,
}

impl SimClient {
    pub(super) fn new(session: Session, order: StartSession, counters: Counters) -> Self {
        Self {
            session,
            mode: order.mode,
            code_for: order.phone_number,
            stage: Stage::Reading,
            due: None,
            scan_at: None,
            written_to_at: None,
            timer: None,
            device: None,
            phone_number: None,
            counters,
            last_inbound_at: None,
            last_ack_at: None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    pub(super) fn enter(&mut self, stage: Stage, due: Option<Uptime>) {
        self.stage = stage;
        self.due = due;
    }

    /// Enters a stage that lasts `span` from `now`.
    pub(super) fn enter_for(&mut self, stage: Stage, now: Moment, span: Duration) {
        self.enter(stage, Some(now.uptime.plus(span)));
    }

    /// Returns the state that the client itself reports at this moment.
    pub(super) fn say(&self, now: Moment) -> SessionState {
        let mut said = SessionState {
            phone_number: self.phone_number.clone(),
            last_inbound_at: self.last_inbound_at,
            last_ack_at: self.last_ack_at,
            last_pong_at: self.is_connected().then_some(now.wall),
            ..SessionState::default()
        };
        self.stage.describe(&mut said);
        said
    }
}
