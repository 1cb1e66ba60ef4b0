//! How a session moves on by itself: codes rotate, logins end, mail comes in.

use gateway_core::id::SessionId;
use gateway_core::protocol::{InboundMessage, MessageReport, StartSessionMode};
use gateway_core::time::Timestamp;
use gateway_worker::{Ending, PasskeyAnswer, Refusal, Session};
use serde_json::json;

use super::client::{CODE_LIFE_MS, PASSKEY_LIFE_MS, QR_LIVES_MS, Stage};
use super::clients::Clients;
use crate::worker::phone::{Mail, MailKey, PhoneNetwork, other_form};

impl Clients {
    /// Scans the code, or types the pairing code, of a session. Does nothing when there is none.
    pub(super) fn scan(&mut self, session: SessionId) {
        let now = self.now;
        let asks_for_passkey = self.script.passkey;
        let passkey_life = self.script.scaled(PASSKEY_LIFE_MS);
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        client.scan_at = None;
        if !matches!(client.stage, Stage::Qr { .. } | Stage::Code { .. }) {
            return;
        }
        if asks_for_passkey {
            let stage = Stage::Passkey {
                challenge: json!({"challenge": format!("{session}"), "rpId": "whatsapp.com"}),
                expires_at: now.wall.plus(passkey_life),
                asserted: false,
            };
            client.enter_for(stage, now, passkey_life);
            self.report(session);
            self.reschedule(session);
        } else {
            self.paired(session);
        }
    }

    /// Goes on after the code was accepted: the account is known from here on.
    pub(super) fn paired(&mut self, session: SessionId) {
        let now = self.now;
        let span = self.script.scaled(self.script.pairing_ms);
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        let number = client.code_for.clone();
        client.phone_number = number.or_else(|| Some(PhoneNetwork::phone_number(session)));
        client.enter_for(Stage::Pairing, now, span);
        self.report(session);
        self.reschedule(session);
    }

    pub(super) fn begin_linking(&mut self, session: SessionId) {
        let now = self.now;
        let auto_scan = self.script.auto_scan_ms.map(|ms| self.script.scaled(ms));
        let code_life = self.script.scaled(CODE_LIFE_MS);
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        client.scan_at = auto_scan.map(|span| now.uptime.plus(span));
        if client.mode == StartSessionMode::PairingCode {
            let digits = self.environment.entropy.below(100_000_000);
            let stage = Stage::Code {
                text: format!("{:04}-{:04}", digits / 10_000, digits % 10_000),
                expires_at: now.wall.plus(code_life),
            };
            client.enter_for(stage, now, code_life);
            self.report(session);
            self.reschedule(session);
        } else {
            self.show_qr(session, 0);
        }
    }

    fn show_qr(&mut self, session: SessionId, index: u32) {
        let now = self.now;
        let lives = QR_LIVES_MS.get(index as usize).copied();
        let Some(life) = lives.map(|ms| self.script.scaled(ms)) else {
            return self.end(session, &Ending::disconnected("qr_timeout"));
        };
        let nonce = self.environment.entropy.next_u64();
        if let Some(client) = self.live.get_mut(&session) {
            let stage = Stage::Qr {
                index,
                text: format!("2@sim{nonce:016x},{session},{index}"),
                expires_at: now.wall.plus(life),
            };
            client.enter_for(stage, now, life);
            self.report(session);
            self.reschedule(session);
        }
    }

    /// Performs what is due for a session.
    pub(super) fn fire(&mut self, session: SessionId) {
        let now = self.now;
        let due = |at: Option<gateway_core::time::Uptime>| at.is_some_and(|at| at <= now.uptime);
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        if due(client.scan_at) {
            return self.scan(session);
        }
        if due(client.due) {
            client.due = None;
            return self.stage_ends(session);
        }
        if client.is_connected() && due(client.written_to_at) {
            self.somebody_writes(session);
        }
        self.collect_mail(session);
        self.reschedule(session);
    }

    fn stage_ends(&mut self, session: SessionId) {
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        match &client.stage {
            Stage::Qr { index, .. } => {
                let next = index + 1;
                self.show_qr(session, next);
            }
            Stage::Code { .. } | Stage::Passkey { .. } => {
                self.end(session, &Ending::disconnected("qr_timeout"));
            }
            Stage::Pairing => {
                client.enter(Stage::Saving, None);
                client.device = Some(self.environment.network.link(session));
                self.save_credentials(session);
                self.reschedule(session);
            }
            Stage::Login | Stage::Syncing | Stage::Reconnecting { .. } => {
                self.connected(session);
            }
            Stage::Reading | Stage::Reserving | Stage::Saving | Stage::Connected => {}
        }
    }

    fn connected(&mut self, session: SessionId) {
        let now = self.now;
        let every = self
            .script
            .inbound
            .every_ms
            .map(|ms| self.script.scaled(ms));
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        let removed = client
            .device
            .is_some_and(|d| self.environment.network.is_unlinked(session, d));
        if removed {
            return self.end(session, &Ending::logged_out("device_removed"));
        }
        client.enter(Stage::Connected, None);
        client.written_to_at = every.map(|span| now.uptime.plus(span));
        self.environment.network.attach(session, now.uptime);
        self.report(session);
        self.collect_mail(session);
        self.reschedule(session);
    }

    fn somebody_writes(&mut self, session: SessionId) {
        let now = self.now;
        let every = self
            .script
            .inbound
            .every_ms
            .map(|ms| self.script.scaled(ms));
        let chat = format!(
            "49{:010}@s.whatsapp.net",
            self.environment.entropy.below(10_000_000_000)
        );
        self.environment
            .network
            .post_text(session, now.uptime, &chat, "hello");
        if let Some(client) = self.live.get_mut(&session) {
            client.written_to_at = every.map(|span| now.uptime.plus(span));
        }
    }

    /// Turns what waits for a connected session into facts for the gateway.
    pub(super) fn collect_mail(&mut self, session: SessionId) {
        let now = self.now;
        let Some(client) = self.live.get_mut(&session).filter(|c| c.is_connected()) else {
            return;
        };
        for (key, mail, offline) in self.environment.network.collect(session, now.uptime) {
            let ticket = match mail {
                Mail::Receipt { .. } => {
                    client.last_ack_at = Some(now.wall);
                    let receipt = receipt(&client.session, key, mail, now.wall);
                    client.session.submit_receipt(receipt)
                }
                Mail::Text { .. } => {
                    client.last_inbound_at = Some(now.wall);
                    let message = inbound(&client.session, mail, offline, now.wall);
                    client.session.submit_inbound(message)
                }
            };
            self.unsettled.push((session, key, ticket));
        }
    }

    pub(super) fn passkey(
        &mut self,
        session: SessionId,
        answer: &PasskeyAnswer,
    ) -> Result<(), Refusal> {
        let client = self.live.get_mut(&session);
        let client = client.ok_or(Refusal::UnknownSession)?;
        let Stage::Passkey { asserted, .. } = &mut client.stage else {
            return Err(Refusal::conflict("no_passkey_challenge"));
        };
        match answer {
            PasskeyAnswer::Assertion(_) => *asserted = true,
            PasskeyAnswer::Confirmation if !*asserted => {
                return Err(Refusal::conflict("passkey_not_asserted"));
            }
            PasskeyAnswer::Confirmation => self.paired(session),
        }
        Ok(())
    }
}

fn receipt(session: &Session, key: MailKey, mail: Mail, at: Timestamp) -> MessageReport {
    let mut report = session.draft_receipt("");
    report.report_id = Some(format!("{}-{}", session.id(), key.1));
    report.occurred_at = Some(at);
    if let Mail::Receipt {
        message_id,
        wa_message_id,
        status,
        error,
    } = mail
    {
        report.message_id = Some(message_id.to_string());
        report.wa_message_id = Some(wa_message_id.to_string());
        status.clone_into(&mut report.status);
        report.error = error.map(|code| json!(code));
    }
    report
}

fn inbound(session: &Session, mail: Mail, offline: bool, at: Timestamp) -> InboundMessage {
    let (chat, text, wa_message_id) = match mail {
        Mail::Text {
            chat,
            text,
            wa_message_id,
        } => (chat, text, wa_message_id),
        Mail::Receipt { .. } => Default::default(),
    };
    let mut message = session.draft_inbound(&chat, &wa_message_id);
    message.content.insert("text".to_owned(), json!(text));
    message.chat_alt = other_form(&chat);
    message.sender_alt = other_form(&chat);
    message.sender = Some(chat);
    message.offline = offline;
    message.kind = Some("text".to_owned());
    message.occurred_at = Some(at);
    message
}
