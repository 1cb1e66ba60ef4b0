//! Sending: at most once per message id, under the id that the gateway chose.

use std::collections::{BTreeMap, VecDeque};

use gateway_core::id::{MessageId, SessionId};
use gateway_core::protocol::{SendMessage, Sent};

use super::commands::Refusal;
use super::held::Moment;
use super::phone::{ACK_LIMIT, Mail, ShownMessage};
use super::recorder::Frame;
use super::sim::SimWorker;

/// First results of sends, by message id; the oldest are forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct SentLog {
    results: BTreeMap<(SessionId, MessageId), (String, Sent)>,
    order: VecDeque<(SessionId, MessageId)>,
}

impl SentLog {
    fn repeated(&self, session: SessionId, body: &SendMessage) -> Option<Result<Sent, Refusal>> {
        let (hash, sent) = self.results.get(&(session, body.message_id))?;
        let same = *hash == body.body_hash;
        Some(same.then(|| sent.clone()).ok_or(Refusal::BodyMismatch))
    }

    fn remember(&mut self, session: SessionId, body: &SendMessage, sent: Sent, most: usize) {
        let key = (session, body.message_id);
        self.results.insert(key, (body.body_hash.clone(), sent));
        self.order.push_back(key);
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.results.remove(&oldest);
            }
        }
    }
}

impl SimWorker {
    /// `POST /sessions/{id}/messages`: repeated by message id, the first result again.
    ///
    /// # Errors
    /// Why it is refused; nothing has gone out.
    pub fn send(
        &mut self,
        session: SessionId,
        body: &SendMessage,
        now: Moment,
    ) -> Result<Sent, Refusal> {
        self.admit(&body.incarnation, now)?;
        self.at_epoch(session, body.epoch)?;
        if let Some(result) = self.sent.repeated(session, body) {
            return result;
        }
        if !self.at_epoch(session, body.epoch)?.is_connected() {
            return Err(Refusal::NotConnected);
        }
        if let Some(rule) = self.script.refusal(&body.to) {
            return Err(Refusal::Final {
                status: rule.status,
                code: rule.code.clone(),
            });
        }
        let stored = self.at_epoch(session, body.epoch)?.state.use_counter();
        self.reserve_counters(session);
        if !stored {
            return Err(Refusal::Busy {
                code: "state_not_stored",
            });
        }
        self.put_on_the_wire(session, body, now);
        let sent = Sent {
            message_id: body.message_id,
            wa_message_id: body.wa_message_id.clone(),
            status: "accepted".to_owned(),
            accepted_at: Some(now.wall),
        };
        let most = self.script.remembered_sends;
        self.sent.remember(session, body, sent.clone(), most);
        Ok(sent)
    }

    fn put_on_the_wire(&mut self, session: SessionId, body: &SendMessage, now: Moment) {
        self.world.recorder.frame(Frame {
            at: now.uptime,
            owner: self.owner(),
            session,
            epoch: body.epoch,
        });
        if let Some(rule) = self.script.rejection(&body.to) {
            let code = rule.code.clone();
            self.receipt(
                session,
                body,
                "failed",
                Some(code),
                self.script.receipts.sent_ms,
                now,
            );
            return self.reschedule(session);
        }
        let shown = self.world.network.arrive(ShownMessage {
            session,
            wa_message_id: body.wa_message_id.clone(),
            message_id: body.message_id,
            to: body.to.clone(),
            kind: body.kind.clone(),
            content: body.content.clone(),
            arrivals: 1,
        });
        if shown {
            self.receipts(session, body, now);
        }
        self.reschedule(session);
    }

    fn receipts(&self, session: SessionId, body: &SendMessage, now: Moment) {
        let receipts = &self.script.receipts;
        let limit = u64::try_from(ACK_LIMIT.as_millis()).unwrap_or(u64::MAX);
        match receipts.sent_ms {
            Some(_) => self.receipt(session, body, "sent", None, receipts.sent_ms, now),
            None => self.receipt(session, body, "unknown", None, Some(limit), now),
        }
        self.receipt(session, body, "delivered", None, receipts.delivered_ms, now);
        self.receipt(session, body, "read", None, receipts.read_ms, now);
        if let Some(ms) = self.script.inbound.echo_ms {
            let due = now.uptime.plus(self.script.scaled(ms));
            let text = body.content.get("text").and_then(|text| text.as_str());
            let network = &self.world.network;
            network.post_text(session, due, &body.to, text.unwrap_or("ok"));
        }
    }

    fn receipt(
        &self,
        session: SessionId,
        body: &SendMessage,
        status: &'static str,
        error: Option<String>,
        after_ms: Option<u64>,
        now: Moment,
    ) {
        let Some(ms) = after_ms else { return };
        let mail = Mail::Receipt {
            message_id: body.message_id,
            wa_message_id: body.wa_message_id.clone(),
            status,
            error,
        };
        let due = now.uptime.plus(self.script.scaled(ms));
        self.world.network.post(session, due, mail);
    }
}
