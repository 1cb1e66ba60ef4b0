//! The calls a worker makes: its membership first, then, while its lease stands, what it owes.

use gateway_core::protocol::{
    Beat, HeldSession, PROTOCOL_VERSION, RecoveryReport, Register, SessionCounts,
};

use super::{Membership, Rules};
use crate::call::{Call, Outbound};
use crate::engine::Load;
use crate::gateway::Caller;
use crate::moment::Moment;
use crate::outbox::Flight;

impl Rules {
    pub(super) fn calls_due(&mut self, load: Load, now: Moment) -> Vec<Outbound> {
        let mut calls: Vec<_> = self.membership_call(load, now).into_iter().collect();
        if self.is_registered(now) {
            self.member_calls(now, &mut calls);
        }
        if matches!(self.membership, Membership::Leaving(_)) {
            self.deliveries(now, &mut calls);
        }
        calls
            .into_iter()
            .map(|(flight, call)| self.depart(flight, call, now))
            .collect()
    }

    fn membership_call(&mut self, load: Load, now: Moment) -> Option<(Flight, Call)> {
        let at = now.uptime;
        if let Membership::Leaving(leave) = &self.membership {
            let goodbye = (Flight::Goodbye, Call::Goodbye);
            return self.goodbye_is_due(leave, at).then_some(goodbye);
        }
        match &mut self.membership {
            Membership::Outside(backoff) if backoff.is_over(at) => {
                let idle = !self.outbox.is_flying(&Flight::Register);
                idle.then(|| {
                    let registration = Box::new(self.registration());
                    (Flight::Register, Call::Register(registration))
                })
            }
            Membership::Member {
                interval,
                next_beat,
                ..
            } if *next_beat <= at => {
                *next_beat = at.plus(*interval);
                let beat = Box::new(self.beat(load, now));
                Some((Flight::Beat, Call::Heartbeat(beat)))
            }
            _ => None,
        }
    }

    fn member_calls(&mut self, now: Moment, calls: &mut Vec<(Flight, Call)>) {
        let at = now.uptime;
        let wait = self.wants_assigned.as_ref();
        let asks = wait.is_some_and(|wait| wait.is_over(at));
        if asks && !self.outbox.is_flying(&Flight::Assigned) {
            calls.push((Flight::Assigned, Call::Assigned));
        }
        calls.append(&mut self.due_state_calls(now));
        self.deliveries(now, calls);
    }

    /// Adds the reports whose turn it is.
    fn deliveries(&mut self, now: Moment, calls: &mut Vec<(Flight, Call)>) {
        let at = now.uptime;
        if let Some(results) = self.outbox.due_recovery(at) {
            let report = RecoveryReport {
                results,
                sent_at: None,
            };
            calls.push((Flight::Recovery, Call::Recovery(report)));
        }
        for report in self.outbox.due_reports(at) {
            let number = report.report_seq.unwrap_or_default();
            let flight = Flight::Report(report.session_id, report.epoch, number);
            calls.push((flight, Call::Session(Box::new(report))));
        }
        if let Some(receipts) = self.outbox.due_receipts(at) {
            calls.push((Flight::Receipts, Call::Messages(receipts)));
        }
        if let Some(messages) = self.outbox.due_inbound(at) {
            calls.push((Flight::Inbound, Call::Inbound(messages)));
        }
    }

    fn depart(&mut self, flight: Flight, mut call: Call, now: Moment) -> Outbound {
        call.stamp(now.wall);
        Outbound {
            id: self.outbox.departs(now.uptime, flight),
            caller: Caller {
                owner: self.owner(),
                token: self.token().unwrap_or_default().to_owned(),
            },
            sent_at: now.uptime,
            call,
        }
    }

    fn registration(&self) -> Register {
        let (card, info) = (&self.card, &self.info);
        let (id, run) = (card.id.as_str(), self.incarnation.as_str());
        let mut body = Register::new(id, run, &card.endpoint, card.max_sessions);
        body.protocol_version = Some(PROTOCOL_VERSION);
        body.version = Some(env!("CARGO_PKG_VERSION").to_owned());
        body.environment.clone_from(&card.environment);
        body.labels.clone_from(&card.labels);
        body.engine = Some(info.name.clone());
        body.engine_version = Some(info.version.clone());
        body.state_format = Some(info.state_format.clone());
        body.capabilities = info.capabilities.clone();
        body
    }

    fn beat(&mut self, load: Load, now: Moment) -> Beat {
        let held = self.holds();
        let in_full = std::mem::take(&mut self.send_held);
        Beat {
            incarnation: Some(self.incarnation.to_string()),
            sent_at: None,
            applied_seq: None,
            persist_ok: Some(self.persist_ok),
            cpu_usage: load.cpu,
            memory_usage: load.memory,
            uptime_seconds: Some(now.uptime.since(self.born).as_secs()),
            sessions: Some(self.counts()),
            session_count: None,
            held_digest: (!in_full).then(|| HeldSession::digest(&held)),
            held: in_full.then_some(held),
        }
    }

    pub(super) fn counts(&self) -> SessionCounts {
        let mut counts = SessionCounts::default();
        for held in self.held.values() {
            counts.total += 1;
            match held.status.as_str() {
                "CONNECTED" => counts.connected += 1,
                "QR_REQUIRED" => counts.qr_required += 1,
                _ => counts.disconnected += 1,
            }
        }
        counts
    }
}
