//! What WhatsApp does to a connection, and what the worker makes of it: the table of causes in the
//! worker protocol, as far as the gateway can tell the rows apart.

use std::time::Duration;

use gateway_core::id::SessionId;
use gateway_worker::Ending;

use super::client::Stage;
use super::clients::Clients;

/// Something that WhatsApp does to a session's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The connection breaks and is back after so long.
    ConnectionLost {
        back_after_ms: u64,
    },
    /// Another client took over the stream; the worker tries once more after five seconds.
    Replaced,
    /// The device was removed on the phone.
    LoggedOut,
    TemporaryBan {
        code: u16,
        for_ms: u64,
    },
    /// The account is locked.
    Locked,
    /// The client is too old.
    ClientOutdated,
    /// Any other refusal to connect.
    ConnectFailure {
        code: u16,
    },
}

impl Clients {
    /// Lets WhatsApp do something to a session; nothing happens if it is not run here.
    pub(super) fn upstream(&mut self, session: SessionId, event: Upstream) {
        let now = self.now;
        let minutes = |n: u64| Duration::from_secs(n * 60);
        match event {
            Upstream::ConnectionLost { back_after_ms } => {
                self.reconnect(session, "connection_lost", back_after_ms);
            }
            Upstream::Replaced => self.reconnect(session, "replaced", 5_000),
            Upstream::LoggedOut => {
                self.environment.network.unlink(session);
                self.end(session, &Ending::logged_out("device_removed"));
            }
            Upstream::TemporaryBan { code, for_ms } => {
                let until = now.wall.plus(self.script.scaled(for_ms));
                let reason = format!("temp_ban_{code}");
                self.end(session, &Ending::restricted(&reason, Some(until)));
            }
            Upstream::Locked => {
                self.end(session, &Ending::restricted("account_locked", None));
            }
            Upstream::ClientOutdated => {
                let mut ending = Ending::error("client_outdated", None);
                ending.retry_at = Some(now.wall.plus(minutes(15)));
                self.end(session, &ending);
            }
            Upstream::ConnectFailure { code } => {
                let reason = format!("connect_failure_{code}");
                self.end(session, &Ending::error(&reason, Some("operator")));
            }
        }
    }

    fn reconnect(&mut self, session: SessionId, reason: &'static str, ms: u64) {
        let (now, span) = (self.now, self.script.scaled(ms));
        let client = self.live.get_mut(&session);
        let Some(client) = client.filter(|client| client.is_connected()) else {
            return;
        };
        let retry_at = now.wall.plus(span);
        client.enter_for(Stage::Reconnecting { reason, retry_at }, now, span);
        self.report(session);
        self.reschedule(session);
    }
}
