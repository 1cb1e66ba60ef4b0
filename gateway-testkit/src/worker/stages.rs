//! How a session moves on by itself: codes rotate, logins end, mail comes in.

use gateway_core::id::SessionId;
use gateway_core::protocol::{InboundMessage, MessageReport, Mode};
use serde_json::{Map, json};

use super::held::{CODE_LIFE_MS, Held, Moment, PASSKEY_LIFE_MS, QR_LIVES_MS, Stage};
use super::phone::{Mail, MailKey, PhoneNetwork, other_form};
use super::sim::{Ending, SimWorker};

impl SimWorker {
    /// Somebody scans the code, or types the pairing code; nothing happens when there is none.
    pub fn scan(&mut self, session: SessionId, now: Moment) {
        let asks_for_passkey = self.script.passkey;
        let passkey_life = self.script.scaled(PASSKEY_LIFE_MS);
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        held.scan_at = None;
        if !matches!(held.stage, Stage::Qr { .. } | Stage::Code { .. }) {
            return;
        }
        if asks_for_passkey {
            let stage = Stage::Passkey {
                challenge: json!({"challenge": format!("{session}"), "rpId": "whatsapp.com"}),
                expires_at: now.wall.plus(passkey_life),
                asserted: false,
            };
            held.enter_for(stage, now, passkey_life);
            self.report(session, now);
            self.reschedule(session);
        } else {
            self.paired(session, now);
        }
    }

    /// The code was accepted; the account is known from here on.
    pub(super) fn paired(&mut self, session: SessionId, now: Moment) {
        let span = self.script.scaled(self.script.pairing_ms);
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        let number = held.code_for.clone();
        held.phone_number = number.or_else(|| Some(PhoneNetwork::phone_number(session)));
        held.enter_for(Stage::Pairing, now, span);
        self.report(session, now);
        self.reschedule(session);
    }

    pub(super) fn begin_linking(&mut self, session: SessionId, now: Moment) {
        let auto_scan = self.script.auto_scan_ms.map(|ms| self.script.scaled(ms));
        let code_life = self.script.scaled(CODE_LIFE_MS);
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        held.scan_at = auto_scan.map(|span| now.uptime.plus(span));
        if held.mode == Mode::PairingCode {
            let digits = self.world.entropy.below(100_000_000);
            let stage = Stage::Code {
                text: format!("{:04}-{:04}", digits / 10_000, digits % 10_000),
                expires_at: now.wall.plus(code_life),
            };
            held.enter_for(stage, now, code_life);
            self.report(session, now);
            self.reschedule(session);
        } else {
            self.show_qr(session, 0, now);
        }
    }

    fn show_qr(&mut self, session: SessionId, index: u32, now: Moment) {
        let lives = QR_LIVES_MS.get(index as usize).copied();
        let Some(life) = lives.map(|ms| self.script.scaled(ms)) else {
            return self.end(session, now, &Ending::disconnected("qr_timeout"));
        };
        let nonce = self.world.entropy.next_u64();
        if let Some(held) = self.held.get_mut(&session) {
            let stage = Stage::Qr {
                index,
                text: format!("2@sim{nonce:016x},{session},{index}"),
                expires_at: now.wall.plus(life),
            };
            held.enter_for(stage, now, life);
            self.report(session, now);
            self.reschedule(session);
        }
    }

    /// What is due for a session at `now`.
    pub(super) fn fire(&mut self, session: SessionId, now: Moment) {
        let due = |at: Option<gateway_core::time::Uptime>| at.is_some_and(|at| at <= now.uptime);
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        if due(held.scan_at) {
            return self.scan(session, now);
        }
        if due(held.due) {
            held.due = None;
            return self.stage_ends(session, now);
        }
        if held.is_connected() && due(held.written_to_at) {
            self.somebody_writes(session, now);
        }
        self.collect_mail(session, now);
        self.reschedule(session);
    }

    fn stage_ends(&mut self, session: SessionId, now: Moment) {
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        match &held.stage {
            Stage::Qr { index, .. } => {
                let next = index + 1;
                self.show_qr(session, next, now);
            }
            Stage::Code { .. } | Stage::Passkey { .. } => {
                self.end(session, now, &Ending::disconnected("qr_timeout"));
            }
            Stage::Pairing => {
                held.enter(Stage::Saving, None);
                held.device = Some(self.world.network.link(session));
                self.save_credentials(session);
                self.reschedule(session);
            }
            Stage::Login | Stage::Syncing | Stage::Reconnecting { .. } => {
                self.connected(session, now);
            }
            Stage::Reading | Stage::Reserving | Stage::Saving | Stage::Connected => {}
        }
    }

    fn connected(&mut self, session: SessionId, now: Moment) {
        let every = self
            .script
            .inbound
            .every_ms
            .map(|ms| self.script.scaled(ms));
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        let removed = held
            .device
            .is_some_and(|d| self.world.network.is_unlinked(session, d));
        if removed {
            return self.end(session, now, &Ending::logged_out("device_removed"));
        }
        held.enter(Stage::Connected, None);
        held.written_to_at = every.map(|span| now.uptime.plus(span));
        self.world.network.attach(session, now.uptime);
        self.report(session, now);
        self.collect_mail(session, now);
        self.reschedule(session);
    }

    fn somebody_writes(&mut self, session: SessionId, now: Moment) {
        let every = self
            .script
            .inbound
            .every_ms
            .map(|ms| self.script.scaled(ms));
        let chat = format!(
            "49{:010}@s.whatsapp.net",
            self.world.entropy.below(10_000_000_000)
        );
        self.world
            .network
            .post_text(session, now.uptime, &chat, "hello");
        if let Some(held) = self.held.get_mut(&session) {
            held.written_to_at = every.map(|span| now.uptime.plus(span));
        }
    }

    /// Turns what waits for a connected session into facts for the gateway.
    pub(super) fn collect_mail(&mut self, session: SessionId, now: Moment) {
        let owner = self.owner();
        let Some(held) = self.held.get_mut(&session).filter(|h| h.is_connected()) else {
            return;
        };
        for (key, mail, offline) in self.world.network.collect(session, now.uptime) {
            let common = Common {
                worker_id: owner.worker.to_string(),
                incarnation: owner.incarnation.to_string(),
                session,
                now,
            };
            match mail {
                Mail::Receipt { .. } => {
                    held.last_ack_at = Some(now.wall);
                    let report = common.receipt(held, key, &mail);
                    self.outbox.receipts.push((session, key, report));
                }
                Mail::Text { .. } => {
                    held.last_inbound_at = Some(now.wall);
                    let message = common.inbound(held, mail, offline);
                    self.outbox.inbound.push((session, key, message));
                }
            }
        }
    }

    /// Puts the session where it belongs in the timers.
    pub(super) fn reschedule(&mut self, session: SessionId) {
        let Some(held) = self.held.get_mut(&session) else {
            return;
        };
        if let Some(old) = held.timer.take() {
            self.timers.remove(&(old, session));
        }
        let mut next = [held.due, held.scan_at, None, None];
        if held.is_connected() {
            next[2] = held.written_to_at;
            next[3] = self.world.network.next_due(session);
        }
        held.timer = next.into_iter().flatten().min();
        if let Some(timer) = held.timer {
            self.timers.insert((timer, session));
        }
    }
}

/// What every fact of a session carries.
struct Common {
    worker_id: String,
    incarnation: String,
    session: SessionId,
    now: Moment,
}

impl Common {
    fn receipt(self, held: &Held, key: MailKey, mail: &Mail) -> MessageReport {
        let mut report = MessageReport {
            worker_id: Some(self.worker_id),
            session_id: self.session,
            incarnation: Some(self.incarnation),
            epoch: held.epoch,
            report_id: Some(format!("{}-{}", self.session, key.1)),
            message_id: None,
            wa_message_id: None,
            status: String::new(),
            error: None,
            occurred_at: Some(self.now.wall),
        };
        if let Mail::Receipt {
            message_id,
            wa_message_id,
            status,
            error,
        } = mail
        {
            report.message_id = Some(message_id.to_string());
            report.wa_message_id = Some(wa_message_id.to_string());
            (*status).clone_into(&mut report.status);
            report.error = error.as_ref().map(|code| json!(code));
        }
        report
    }

    fn inbound(self, held: &Held, mail: Mail, offline: bool) -> InboundMessage {
        let (chat, text, wa_message_id) = match mail {
            Mail::Text {
                chat,
                text,
                wa_message_id,
            } => (chat, text, wa_message_id),
            Mail::Receipt { .. } => Default::default(),
        };
        let mut content = Map::new();
        content.insert("text".to_owned(), json!(text));
        InboundMessage {
            worker_id: Some(self.worker_id),
            session_id: self.session,
            incarnation: Some(self.incarnation),
            epoch: held.epoch,
            chat_alt: other_form(&chat),
            sender: Some(chat.clone()),
            sender_alt: other_form(&chat),
            chat,
            wa_message_id,
            offline,
            kind: Some("text".to_owned()),
            occurred_at: Some(self.now.wall),
            content,
        }
    }
}
