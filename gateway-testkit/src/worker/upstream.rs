//! What WhatsApp does to a connection, and what the worker makes of it: the table of causes in the
//! worker protocol, as far as the gateway can tell the rows apart.

use gateway_core::id::SessionId;
use std::time::Duration;

use super::held::{Moment, Stage};
use super::sim::{Ending, SimWorker};

/// Something that WhatsApp does to a session's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The connection breaks and is back after so long.
    ConnectionLost {
        /// In WhatsApp's milliseconds.
        back_after_ms: u64,
    },
    /// Another client took over the stream; the worker tries once more after five seconds.
    Replaced,
    /// The device was removed on the phone.
    LoggedOut,
    /// A temporary ban.
    TemporaryBan {
        /// 101 to 106.
        code: u16,
        /// In WhatsApp's milliseconds.
        for_ms: u64,
    },
    /// The account is locked.
    Locked,
    /// The client is too old.
    ClientOutdated,
    /// Any other refusal to connect.
    ConnectFailure {
        /// Its number.
        code: u16,
    },
}

impl SimWorker {
    /// Lets WhatsApp do something to a held session; nothing happens if it is not held.
    pub fn upstream(&mut self, session: SessionId, event: Upstream, now: Moment) {
        self.check_gate(now);
        let minutes = |n: u64| Duration::from_secs(n * 60);
        match event {
            Upstream::ConnectionLost { back_after_ms } => {
                self.reconnect(session, "connection_lost", back_after_ms, now);
            }
            Upstream::Replaced => self.reconnect(session, "replaced", 5_000, now),
            Upstream::LoggedOut => {
                self.world.network.unlink(session);
                self.end(session, now, &Ending::logged_out("device_removed"));
            }
            Upstream::TemporaryBan { code, for_ms } => {
                let until = now.wall.plus(self.script.scaled(for_ms));
                let reason = format!("temp_ban_{code}");
                self.end(session, now, &Ending::restricted(&reason, Some(until)));
            }
            Upstream::Locked => {
                self.end(session, now, &Ending::restricted("account_locked", None));
            }
            Upstream::ClientOutdated => {
                let mut ending = Ending::error("client_outdated", None);
                ending.retry_at = Some(now.wall.plus(minutes(15)));
                self.end(session, now, &ending);
            }
            Upstream::ConnectFailure { code } => {
                let reason = format!("connect_failure_{code}");
                self.end(session, now, &Ending::error(&reason, Some("operator")));
            }
        }
    }

    fn reconnect(&mut self, session: SessionId, reason: &'static str, ms: u64, now: Moment) {
        let span = self.script.scaled(ms);
        let Some(held) = self.held.get_mut(&session).filter(|h| h.is_connected()) else {
            return;
        };
        let retry_at = now.wall.plus(span);
        held.enter_for(Stage::Reconnecting { reason, retry_at }, now, span);
        self.report(session, now);
        self.reschedule(session);
    }
}
