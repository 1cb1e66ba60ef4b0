//! Sending: a counter for each message, and what becomes of it afterwards.

use gateway_core::id::SessionId;
use gateway_core::protocol::{MessageTarget, SendMessage};
use gateway_core::time::Timestamp;
use gateway_worker::Refusal;

use super::clients::Clients;
use crate::worker::phone::{ACK_LIMIT, Mail, PhoneNetwork, ShownMessage};
use crate::worker::recorder::Frame;

/// How an attempt to send went.
#[derive(Debug)]
pub(super) enum Tried {
    Done(Result<Timestamp, Refusal>),
    /// There is no counter left until the next block is stored.
    Short,
}

/// Returns whether WhatsApp knows the messages that this one is about: a real client has to name them by their id, chat
/// and sender there, and has nothing but what the command says.
fn knows_targets(network: &PhoneNetwork, session: SessionId, body: &SendMessage) -> bool {
    let named = |name: &str| body.content.get(name);
    let is_reaction = body.kind == "reaction";
    if named("quotedMessageId").is_some() || (is_reaction && named("target").is_none()) {
        return false;
    }
    [named("quoted"), named("target")]
        .into_iter()
        .flatten()
        .all(|target| {
            let target = serde_json::from_value::<MessageTarget>(target.clone());
            target.is_ok_and(|target| network.knows(session, &target))
        })
}

impl Clients {
    pub(super) fn try_send(&mut self, session: SessionId, body: &SendMessage) -> Tried {
        self.settle_write(session);
        let now = self.now;
        let client = self.live.get_mut(&session);
        let Some(client) = client.filter(|client| client.is_connected()) else {
            return Tried::Done(Err(Refusal::NotConnected));
        };
        if !client.session.is_open(now.uptime) {
            return Tried::Done(Err(Refusal::NotConnected));
        }
        if let Some(rule) = self.script.refusal(&body.to) {
            return Tried::Done(Err(Refusal::Final {
                status: rule.status,
                code: rule.code.clone(),
            }));
        }
        if !knows_targets(&self.environment.network, session, body) {
            return Tried::Done(Err(Refusal::Final {
                status: 422,
                code: "unknown_message".to_owned(),
            }));
        }
        let stored = client.counters.use_one();
        self.reserve_counters(session);
        if !stored {
            return Tried::Short;
        }
        self.put_on_the_wire(session, body);
        Tried::Done(Ok(now.wall))
    }

    fn put_on_the_wire(&mut self, session: SessionId, body: &SendMessage) {
        let Some(client) = self.live.get(&session) else {
            return;
        };
        self.environment.recorder.frame(Frame {
            at: self.now.uptime,
            owner: client.session.owner().clone(),
            session,
            epoch: body.epoch,
        });
        if let Some(rule) = self.script.rejection(&body.to) {
            let code = rule.code.clone();
            let after = self.script.receipts.sent_ms;
            self.receipt(session, body, "failed", Some(code), after);
            return self.reschedule(session);
        }
        let shown = self.environment.network.arrive(ShownMessage {
            session,
            wa_message_id: body.wa_message_id.clone(),
            message_id: body.message_id,
            to: body.to.clone(),
            kind: body.kind.clone(),
            content: body.content.clone(),
            arrivals: 1,
        });
        if shown {
            self.receipts(session, body);
        }
        self.reschedule(session);
    }

    fn receipts(&self, session: SessionId, body: &SendMessage) {
        let receipts = &self.script.receipts;
        let limit = u64::try_from(ACK_LIMIT.as_millis()).unwrap_or(u64::MAX);
        match receipts.sent_ms {
            Some(_) => self.receipt(session, body, "sent", None, receipts.sent_ms),
            None => self.receipt(session, body, "unknown", None, Some(limit)),
        }
        self.receipt(session, body, "delivered", None, receipts.delivered_ms);
        self.receipt(session, body, "read", None, receipts.read_ms);
        if let Some(ms) = self.script.inbound.echo_ms {
            let due = self.now.uptime.plus(self.script.scaled(ms));
            let text = body.content.get("text").and_then(|text| text.as_str());
            let network = &self.environment.network;
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
    ) {
        let Some(ms) = after_ms else { return };
        let mail = Mail::Receipt {
            message_id: body.message_id,
            wa_message_id: body.wa_message_id.clone(),
            status,
            error,
        };
        let due = self.now.uptime.plus(self.script.scaled(ms));
        self.environment.network.post(session, due, mail);
    }
}
