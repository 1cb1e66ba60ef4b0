//! What a worker owes the gateway: kept until it is acknowledged, one call at a time per line.
//!
//! Session reports have one line per session, because they are numbered and must not overtake each
//! other; facts share one line each, in batches. A line that fails waits, longer each time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{InboundMessage, MessageReport, RecoveryResult, SessionReport};
use gateway_core::time::Uptime;

use crate::fact::Fact;

/// The most things in one call, and about how many bytes of facts.
const BATCH: usize = 200;
const BATCH_BYTES: usize = 512 * 1024;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The time after which a call without an answer counts as lost.
pub(crate) const FLIGHT_LIMIT: Duration = Duration::from_secs(10);

/// The pause between attempts, which doubles from a tenth of a second to five.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Uptime,
}

impl Backoff {
    pub(crate) fn failed(&mut self, now: Uptime, at_least: Option<Duration>) {
        let wait = FIRST_WAIT * 2u32.saturating_pow(self.failures.min(6));
        let wait = wait.min(LONGEST_WAIT).max(at_least.unwrap_or_default());
        self.failures += 1;
        self.not_before = now.plus(wait);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_over(&self, now: Uptime) -> bool {
        now >= self.not_before
    }

    pub(crate) const fn until(&self) -> Uptime {
        self.not_before
    }
}

/// A queue of things in order, of which the first `flying` are on their way.
#[derive(Clone, Debug)]
pub(crate) struct Line<T> {
    waiting: VecDeque<T>,
    flying: usize,
    /// The most that one call carries; less than a batch while it is searched for what is refused.
    most: usize,
    backoff: Backoff,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            flying: 0,
            most: BATCH,
            backoff: Backoff::default(),
        }
    }
}

impl<T: Clone> Line<T> {
    pub(crate) fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn any(&self, test: impl Fn(&T) -> bool) -> bool {
        self.waiting.iter().any(test)
    }

    /// Returns the next things to send, if none are on their way.
    fn take(&mut self, most: usize, now: Uptime) -> Option<Vec<T>> {
        if self.flying > 0 || self.waiting.is_empty() || !self.backoff.is_over(now) {
            return None;
        }
        self.flying = most.min(self.most).min(self.waiting.len());
        Some(self.waiting.iter().take(self.flying).cloned().collect())
    }

    /// Removes and returns what was on its way: it has arrived, or will never be taken.
    pub(crate) fn settled(&mut self) -> Vec<T> {
        self.backoff.succeeded();
        self.most = BATCH.min(self.most * 2);
        let flying = std::mem::take(&mut self.flying);
        self.waiting
            .drain(..flying.min(self.waiting.len()))
            .collect()
    }

    pub(crate) fn failed(&mut self, now: Uptime, at_least: Option<Duration>) {
        self.flying = 0;
        self.backoff.failed(now, at_least);
    }

    /// Puts back what was on its way, because the gateway refuses it as a whole, and lets the next call carry
    /// half as much. Returns `false`, and changes nothing, if it was a single thing.
    pub(crate) fn halve(&mut self) -> bool {
        let several = self.flying > 1;
        if several {
            self.most = self.flying / 2;
            self.flying = 0;
        }
        several
    }

    /// Notes that nothing is on its way any more: what was will be sent again.
    fn ground(&mut self) {
        self.flying = 0;
        self.backoff = Backoff::default();
    }

    fn next_due(&self) -> Option<Uptime> {
        (self.flying == 0 && !self.waiting.is_empty()).then(|| self.backoff.until())
    }
}

impl<T: Clone> Line<Fact<T>> {
    /// Returns the next facts to send, as many as fit into one call, if none are on their way.
    fn take_facts(&mut self, now: Uptime) -> Option<Vec<T>> {
        let sizes = self.waiting.iter().scan(0, |sum, fact| {
            *sum += fact.bytes;
            Some(*sum)
        });
        let fitting = sizes.take_while(|sum| *sum <= BATCH_BYTES).take(BATCH);
        let fitting = fitting.count().max(1);
        let facts = self.take(fitting, now)?;
        Some(facts.into_iter().map(|fact| fact.content).collect())
    }
}

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
            .or_default()
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
        if line
            .waiting
            .front()
            .is_some_and(|first| first.epoch <= epoch)
        {
            line.ground();
        }
        line.waiting.retain(|report| report.epoch > epoch);
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

    /// Notes that the report with this number has to be sent again.
    pub(crate) fn report_failed(
        &mut self,
        session: SessionId,
        number: u64,
        now: Uptime,
        at_least: Option<Duration>,
    ) {
        if let Some(line) = self.reports_from(session, number) {
            line.failed(now, at_least);
        }
    }

    /// Returns the session's reports, if the one with this number is the first of them. If it is not, it was
    /// forgotten, and its answer comes too late.
    fn reports_from(
        &mut self,
        session: SessionId,
        number: u64,
    ) -> Option<&mut Line<SessionReport>> {
        let line = self.reports.get_mut(&session)?;
        let first = line.waiting.front().and_then(|report| report.report_seq);
        (first == Some(number)).then_some(line)
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
