//! The calls a worker makes: its membership first, then, while its lease stands, what it owes.

use gateway_core::protocol::{
    Beat, HeldSession, PROTOCOL_VERSION, RecoveryReport, Register, SessionCounts,
};

use super::gateway_api::{Call, Caller, Loss, Outbound};
use super::held::Moment;
use super::outbox::{Flight, Outbox};
use super::sim::{Membership, SimWorker};

impl SimWorker {
    pub(super) fn calls_due(&mut self, now: Moment) -> Vec<Outbound> {
        let mut calls = self.membership_calls(now);
        if self.is_registered(now) {
            let at = now.uptime;
            let asks = self
                .wants_assigned
                .as_ref()
                .is_some_and(|wait| wait.is_over(at));
            if asks && !self.outbox.is_flying(&Flight::Assigned) {
                calls.push((Flight::Assigned, Call::Assigned));
            }
            if let Some(results) = self.outbox.due_recovery(at) {
                calls.push((Flight::Recovery, Call::Recovery(RecoveryReport { results })));
            }
            for report in self.outbox.due_reports(at) {
                let flight = Flight::Report(report.session_id, report.epoch);
                calls.push((flight, Call::Session(Box::new(report))));
            }
            calls.append(&mut self.due_state_calls(now));
            if let Some(receipts) = self.outbox.due_receipts(at) {
                calls.push((Flight::Receipts, Call::Messages(receipts)));
            }
            if let Some(messages) = self.outbox.due_inbound(at) {
                calls.push((Flight::Inbound, Call::Inbound(messages)));
            }
        }
        calls
            .into_iter()
            .map(|(flight, call)| self.depart(flight, call, now))
            .collect()
    }

    fn membership_calls(&mut self, now: Moment) -> Vec<(Flight, Call)> {
        let at = now.uptime;
        let idle = |flight: &Flight, outbox: &Outbox| !outbox.is_flying(flight);
        match &mut self.membership {
            Membership::Outside(backoff) if backoff.is_over(at) => {
                if !idle(&Flight::Register, &self.outbox) {
                    return Vec::new();
                }
                vec![(
                    Flight::Register,
                    Call::Register(Box::new(self.registration())),
                )]
            }
            Membership::Leaving { backoff, .. } if backoff.is_over(at) => {
                if !idle(&Flight::Goodbye, &self.outbox) {
                    return Vec::new();
                }
                vec![(Flight::Goodbye, Call::Goodbye)]
            }
            Membership::Member {
                interval,
                next_beat,
                ..
            } if *next_beat <= at => {
                *next_beat = at.plus(*interval);
                vec![(Flight::Beat, Call::Heartbeat(Box::new(self.beat(now))))]
            }
            _ => Vec::new(),
        }
    }

    fn depart(&mut self, flight: Flight, call: Call, now: Moment) -> Outbound {
        self.calls += 1;
        let nth = |every: Option<u64>| every.is_some_and(|n| n > 0 && self.calls.is_multiple_of(n));
        let faults = &self.script.faults;
        let loss = if self.is_partitioned(now) || nth(faults.lost_report_every) {
            Loss::Request
        } else if nth(faults.lost_answer_every) {
            Loss::Answer
        } else {
            Loss::None
        };
        Outbound {
            id: self.outbox.departs(now.uptime, flight),
            caller: Caller {
                owner: self.owner(),
                token: self.token().unwrap_or_default().to_owned(),
            },
            sent_at: now.uptime,
            call,
            loss,
        }
    }

    fn registration(&self) -> Register {
        Register {
            worker_id: self.card.id.to_string(),
            endpoint: self.card.endpoint.clone(),
            max_sessions: self.card.max_sessions,
            incarnation: self.incarnation.to_string(),
            protocol_version: Some(PROTOCOL_VERSION),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            environment: self.card.environment.clone(),
            labels: self.card.labels.clone(),
            engine: Some("simulated".to_owned()),
            engine_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            state_format: Some("simulated-1".to_owned()),
            capabilities: gateway_core::worker::Capabilities::default(),
        }
    }

    fn beat(&mut self, now: Moment) -> Beat {
        let held = self.holds();
        let age = now.uptime.since(self.born);
        let in_full = std::mem::take(&mut self.send_held);
        Beat {
            incarnation: Some(self.incarnation.to_string()),
            sent_at: Some(now.wall),
            applied_seq: None,
            persist_ok: Some(self.persist_ok),
            cpu_usage: Some(self.script.cpu.at(age, held.len())),
            memory_usage: Some(self.script.memory.at(age, held.len())),
            uptime_seconds: Some(age.as_secs()),
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
            match held.stage.status() {
                "CONNECTED" => counts.connected += 1,
                "QR_REQUIRED" => counts.qr_required += 1,
                _ => counts.disconnected += 1,
            }
        }
        counts
    }
}
