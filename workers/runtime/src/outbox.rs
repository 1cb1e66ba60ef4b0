//! What a worker owes the gateway: kept until it is acknowledged, one call at a time per line.
//!
//! Session reports have one line per session, because they are numbered and must not overtake each
//! other; facts share one line each, in batches. A line that fails waits, longer each time.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{InboundMessage, MessageReport, RecoveryResult, SessionReport};
use gateway_core::time::Uptime;

use crate::fact::Fact;
use crate::line::{BATCH, Line, Setback};

/// The time after which a call without an answer counts as lost.
pub(crate) const FLIGHT_LIMIT: Duration = Duration::from_secs(10);

/// What a call that is on its way was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flight {
    Register,
    Beat,
    Goodbye,
    Assigned,
    Recovery,
    /// The report with this number.
    Report(SessionId, Epoch, u64),
    Receipts,
    Inbound,
    State(SessionId, Epoch),
    /// Journal entries of several sessions.
    Journal(Vec<(SessionId, Epoch)>),
    /// The question whether state can be stored.
    Probe,
}

/// How much the gateway has not taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undelivered {
    /// Reports of sessions.
    pub(crate) reports: usize,
    /// Reports on messages that were sent.
    pub(crate) receipts: usize,
    /// Messages that came in.
    pub(crate) messages: usize,
}

impl Undelivered {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) reports: BTreeMap<SessionId, Line<SessionReport>>,
    pub(crate) receipts: Line<Fact<MessageReport>>,
    pub(crate) inbound: Line<Fact<InboundMessage>>,
    pub(crate) recovery: Line<RecoveryResult>,
    flights: BTreeMap<u64, (Uptime, Flight)>,
    last_id: u64,
}

impl Outbox {
    pub(crate) fn report(&mut self, report: SessionReport) {
        self.reports
            .entry(report.session_id)
            .or_insert_with(Line::in_order)
            .push(report);
    }

    /// Returns the session reports whose turn it is. Those that follow a recovery wait for the recovery's
    /// result to be known, which they would otherwise seem to undo.
    pub(crate) fn due_reports(&mut self, now: Uptime) -> Vec<SessionReport> {
        let recovery = &self.recovery;
        let lines = self.reports.iter_mut();
        let free = lines.filter(|(id, _)| !recovery.any(|result| result.session_id == **id));
        free.filter_map(|(_, line)| line.take(1, now))
            .flatten()
            .collect()
    }

    pub(crate) fn due_receipts(&mut self, now: Uptime) -> Option<Vec<MessageReport>> {
        self.receipts.take_facts(now)
    }

    pub(crate) fn due_inbound(&mut self, now: Uptime) -> Option<Vec<InboundMessage>> {
        self.inbound.take_facts(now)
    }

    pub(crate) fn due_recovery(&mut self, now: Uptime) -> Option<Vec<RecoveryResult>> {
        self.recovery.take(BATCH, now)
    }

    pub(crate) fn departs(&mut self, now: Uptime, flight: Flight) -> u64 {
        self.last_id += 1;
        self.flights.insert(self.last_id, (now, flight));
        self.last_id
    }

    pub(crate) fn arrives(&mut self, id: u64) -> Option<(Uptime, Flight)> {
        self.flights.remove(&id)
    }

    pub(crate) fn is_flying(&self, flight: &Flight) -> bool {
        self.flights.values().any(|(_, known)| known == flight)
    }

    /// Returns the calls that nobody will answer any more.
    pub(crate) fn lost(&self, now: Uptime) -> Vec<u64> {
        let flights = self.flights.iter();
        let old = flights.take_while(|(_, (sent, _))| now.since(*sent) >= FLIGHT_LIMIT);
        old.map(|(id, _)| *id).collect()
    }

    /// Returns when the oldest call on its way counts as lost.
    pub(crate) fn next_loss(&self) -> Option<Uptime> {
        let (sent_at, _) = self.flights.values().next()?;
        Some(sent_at.plus(FLIGHT_LIMIT))
    }

    /// Forgets a session's reports up to this epoch, because the session has moved on.
    pub(crate) fn forget_reports(&mut self, session: SessionId, epoch: Epoch) {
        let Some(line) = self.reports.get_mut(&session) else {
            return;
        };
        line.forget(|report| report.epoch <= epoch);
        if line.is_empty() {
            self.reports.remove(&session);
        }
    }

    /// The report with this number has arrived, or will never be taken.
    pub(crate) fn report_settled(&mut self, session: SessionId, number: u64) {
        let Some(line) = self.reports_from(session, number) else {
            return;
        };
        line.settled();
        if line.is_empty() {
            self.reports.remove(&session);
        }
    }

    /// Notes that the report with this number was not taken. Returns it if it is given up for that.
    pub(crate) fn report_not_taken(
        &mut self,
        session: SessionId,
        number: u64,
        setback: Setback,
        now: Uptime,
    ) -> Option<SessionReport> {
        let line = self.reports_from(session, number)?;
        let given_up = line.not_taken(setback, now);
        if line.is_empty() {
            self.reports.remove(&session);
        }
        given_up
    }

    /// Returns the session's reports, if the one with this number is the first of them. If it is not, it was
    /// forgotten, and its answer comes too late.
    fn reports_from(
        &mut self,
        session: SessionId,
        number: u64,
    ) -> Option<&mut Line<SessionReport>> {
        let line = self.reports.get_mut(&session)?;
        let first = line.first().and_then(|report| report.report_seq);
        (first == Some(number)).then_some(line)
    }

    /// Returns how much of it is not delivered yet.
    pub(crate) fn rest(&self) -> Undelivered {
        Undelivered {
            reports: self.reports.values().map(Line::len).sum::<usize>() + self.recovery.len(),
            receipts: self.receipts.len(),
            messages: self.inbound.len(),
        }
    }

    /// Prepares for a new incarnation: session reports of the old one would only be refused, facts stay.
    pub(crate) fn start_over(&mut self) {
        self.reports.clear();
        self.recovery = Line::default();
        self.flights.clear();
        self.receipts.ground();
        self.inbound.ground();
    }

    pub(crate) fn next_due(&self) -> Option<Uptime> {
        let reports = self.reports.values().filter_map(Line::next_due).min();
        let facts = [
            self.receipts.next_due(),
            self.inbound.next_due(),
            self.recovery.next_due(),
        ];
        facts.into_iter().flatten().chain(reports).min()
    }
}
