//! The simulated worker: one state machine, without a runtime and without a clock.
//!
//! Commands go in, calls to the gateway come out as values, and time is an argument, so the same worker
//! runs in a unit test, in a simulation with virtual time and behind a real HTTP server. It keeps the
//! worker's half of R-36 itself: before anything goes out it asks its [`Gate`], refuses epochs that it
//! has seen, remembers what it has stopped, and when its lease is over it closes its sessions, takes a
//! new incarnation and registers as empty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::{Epoch, Incarnation, SessionId, WorkerId};
use gateway_core::protocol::{HeldSession, RecoveryResult, SessionReport, SessionState};
use gateway_core::session::Owner;
use gateway_core::time::{Timestamp, Uptime};
use gateway_core::worker::gate::Gate;

use super::gateway_api::{GatewayError, Outbound};
use super::held::{Held, Moment};
use super::outbox::{Backoff, Flight, Outbox};
use super::phone::PhoneNetwork;
use super::recorder::Recorder;
use super::script::Script;
use super::sending::SentLog;

/// Who a worker is.
#[derive(Clone, Debug)]
pub struct WorkerCard {
    /// The slot.
    pub id: WorkerId,
    /// The base URL under which the gateway reaches it.
    pub endpoint: String,
    /// The most sessions it takes.
    pub max_sessions: u32,
    /// The deployment environment.
    pub environment: Option<String>,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
}

impl WorkerCard {
    /// A worker for 100 sessions whose endpoint is made up from its id.
    #[must_use]
    pub fn new(id: WorkerId) -> Self {
        Self {
            endpoint: format!("http://{id}.sim.invalid:3000"),
            id,
            max_sessions: 100,
            environment: None,
            labels: BTreeMap::new(),
        }
    }
}

/// What the workers of a fleet share.
#[derive(Clone, Debug)]
pub struct World {
    /// All phones.
    pub network: Arc<PhoneNetwork>,
    /// Who did what.
    pub recorder: Arc<Recorder>,
    /// Where incarnations and codes come from.
    pub entropy: Arc<dyn Entropy>,
}

impl World {
    /// A new network and a recorder that keeps everything.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            network: Arc::default(),
            recorder: Arc::new(Recorder::on()),
            entropy,
        }
    }
}

/// Where the worker stands with the gateway.
#[derive(Clone, Debug)]
pub(super) enum Membership {
    /// Has to register.
    Outside(Backoff),
    Member {
        token: String,
        interval: Duration,
        next_beat: Uptime,
    },
    /// Has to say goodbye.
    Leaving { token: String, backoff: Backoff },
    /// Has said goodbye.
    Gone,
}

/// Why a session ended, as it is reported.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) status: &'static str,
    pub(super) reason: String,
    pub(super) action_required: Option<&'static str>,
    pub(super) until: Option<Timestamp>,
    pub(super) retry_at: Option<Timestamp>,
}

impl Ending {
    fn new(status: &'static str, reason: &str) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            action_required: None,
            until: None,
            retry_at: None,
        }
    }

    pub(super) fn disconnected(reason: &str) -> Self {
        Self::new("DISCONNECTED", reason)
    }

    pub(super) fn logged_out(reason: &str) -> Self {
        Self::new("LOGGED_OUT", reason)
    }

    pub(super) fn restricted(reason: &str, until: Option<Timestamp>) -> Self {
        Self {
            until,
            ..Self::new("RESTRICTED", reason)
        }
    }

    pub(super) fn error(reason: &str, action_required: Option<&'static str>) -> Self {
        Self {
            action_required,
            ..Self::new("ERROR", reason)
        }
    }
}

/// The newest epoch of a session that this process has seen; a tombstone unless it is held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) epoch: Epoch,
    pub(super) last_seq: u64,
}

/// A worker. See the module's page.
#[derive(Clone, Debug)]
pub struct SimWorker {
    pub(super) card: WorkerCard,
    pub(super) world: World,
    pub(super) script: Script,
    pub(super) incarnation: Incarnation,
    pub(super) born: Uptime,
    pub(super) gate: Gate,
    pub(super) membership: Membership,
    pub(super) held: BTreeMap<SessionId, Held>,
    pub(super) timers: BTreeSet<(Uptime, SessionId)>,
    pub(super) storing: BTreeSet<SessionId>,
    pub(super) seen: BTreeMap<SessionId, Seen>,
    pub(super) recovering: BTreeMap<SessionId, Epoch>,
    /// Set while the assigned sessions have to be asked for.
    pub(super) wants_assigned: Option<Backoff>,
    pub(super) sent: SentLog,
    pub(super) outbox: Outbox,
    pub(super) persist_ok: bool,
    pub(super) send_held: bool,
    pub(super) draining: bool,
    pub(super) crashed: bool,
    pub(super) sends: u64,
    pub(super) faulty_commands: u64,
    report_seq: BTreeMap<SessionId, u64>,
    pub(super) calls: u64,
}

impl SimWorker {
    /// A process that starts at `now`, holding nothing; [`Self::advance`] makes it register.
    #[must_use]
    pub fn new(card: WorkerCard, script: Script, world: World, now: Moment) -> Self {
        Self {
            incarnation: Incarnation::generate(&*world.entropy),
            sent: SentLog::default(),
            card,
            world,
            script,
            born: now.uptime,
            gate: Gate::default(),
            membership: Membership::Outside(Backoff::default()),
            held: BTreeMap::new(),
            timers: BTreeSet::new(),
            storing: BTreeSet::new(),
            seen: BTreeMap::new(),
            recovering: BTreeMap::new(),
            wants_assigned: None,
            outbox: Outbox::default(),
            persist_ok: true,
            send_held: true,
            draining: false,
            crashed: false,
            sends: 0,
            faulty_commands: 0,
            report_seq: BTreeMap::new(),
            calls: 0,
        }
    }

    /// The slot and the present run.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner {
            worker: self.card.id.clone(),
            incarnation: self.incarnation.clone(),
        }
    }

    /// The base URL it registers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.card.endpoint
    }

    /// The script, to be changed while it runs.
    pub fn script_mut(&mut self) -> &mut Script {
        &mut self.script
    }

    /// The script.
    #[must_use]
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// The token that the gateway has to show, once there is one.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match &self.membership {
            Membership::Member { token, .. } | Membership::Leaving { token, .. } => Some(token),
            Membership::Outside(_) | Membership::Gone => None,
        }
    }

    /// Whether it may act for its sessions at `now`.
    #[must_use]
    pub fn is_registered(&self, now: Moment) -> bool {
        matches!(self.membership, Membership::Member { .. }) && self.gate.is_open(now.uptime)
    }

    /// Until when it may act for its sessions, unless its lease is renewed.
    #[must_use]
    pub const fn lease_until(&self) -> Option<Uptime> {
        self.gate.deadline()
    }

    /// Whether it is being emptied.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether its process has died by its script.
    #[must_use]
    pub const fn has_crashed(&self) -> bool {
        self.crashed
    }

    /// Whether it has said goodbye.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self.membership, Membership::Gone)
    }

    /// Whether its script has it stopped at `now`.
    #[must_use]
    pub fn is_frozen(&self, now: Moment) -> bool {
        let age = now.uptime.since(self.born);
        self.script.faults.freeze.is_some_and(|w| w.contains(age))
    }

    /// When it goes on, if its script has it stopped at `now`.
    pub(super) fn thaws_at(&self, now: Moment) -> Option<Uptime> {
        let window = self.script.faults.freeze.filter(|_| self.is_frozen(now))?;
        let end = window.after_ms.saturating_add(window.for_ms);
        Some(self.born.plus(Duration::from_millis(end)))
    }

    /// Whether its script cuts it off at `now`.
    #[must_use]
    pub fn is_partitioned(&self, now: Moment) -> bool {
        let age = now.uptime.since(self.born);
        let window = self.script.faults.partition;
        window.is_some_and(|w| w.contains(age))
    }

    /// What it holds, as it stands in a heartbeat.
    #[must_use]
    pub fn holds(&self) -> Vec<HeldSession> {
        let lines = self.held.iter();
        lines.map(|(id, held)| held.line(*id)).collect()
    }

    /// What the client of a held session says; none if it is not held.
    #[must_use]
    pub fn look(&self, session: SessionId, now: Moment) -> Option<SessionState> {
        self.held.get(&session).map(|held| held.say(session, now))
    }

    /// Lets time pass and returns the calls that are due. Each must be answered with
    /// [`Self::answered`]; one that never is counts as lost after ten seconds.
    pub fn advance(&mut self, now: Moment) -> Vec<Outbound> {
        if self.crashed || self.is_gone() || self.is_frozen(now) {
            return Vec::new();
        }
        self.check_gate(now);
        for id in self.outbox.lost(now.uptime) {
            self.answered(id, now, Err(GatewayError::Unreachable));
        }
        self.run_timers(now);
        self.calls_due(now)
    }

    /// When [`Self::advance`] next has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Uptime> {
        if self.crashed || self.is_gone() {
            return None;
        }
        let membership = match &self.membership {
            Membership::Outside(backoff) if !self.outbox.is_flying(&Flight::Register) => {
                Some(backoff.until())
            }
            Membership::Leaving { backoff, .. } if !self.outbox.is_flying(&Flight::Goodbye) => {
                Some(backoff.until())
            }
            Membership::Member { next_beat, .. } => Some(*next_beat),
            Membership::Outside(_) | Membership::Leaving { .. } | Membership::Gone => None,
        };
        let timer = self.timers.first().map(|(at, _)| *at);
        let owed = self.owed();
        let calls = [
            membership,
            timer,
            owed,
            self.gate.deadline(),
            self.outbox.next_loss(),
        ];
        calls.into_iter().flatten().min()
    }

    /// When what it owes as a member is due.
    fn owed(&self) -> Option<Uptime> {
        if !matches!(self.membership, Membership::Member { .. }) {
            return None;
        }
        let storing = self.storing.iter();
        let storing = storing.filter_map(|session| self.held.get(session)?.state.next_due());
        let assigned = self.wants_assigned.as_ref().map(Backoff::until);
        let assigned = assigned.filter(|_| !self.outbox.is_flying(&Flight::Assigned));
        storing.chain(self.outbox.next_due()).chain(assigned).min()
    }

    /// SIGTERM: closes its sessions and says goodbye; [`Self::is_gone`] once that has arrived.
    pub fn stop(&mut self, now: Moment) {
        self.drop_everything(now.uptime);
        self.outbox.reports.clear();
        self.membership = match std::mem::replace(&mut self.membership, Membership::Gone) {
            Membership::Member { token, .. } => Membership::Leaving {
                token,
                backoff: Backoff::default(),
            },
            other @ Membership::Leaving { .. } => other,
            Membership::Outside(_) | Membership::Gone => Membership::Gone,
        };
    }

    /// The process dies: nothing it holds is live any more.
    pub fn crash(&mut self, now: Moment) {
        self.crashed = true;
        self.world.recorder.ended(&self.owner(), now.uptime);
    }

    /// The process image comes back as it was, as a resumed virtual machine does.
    pub fn resurrect(&mut self, now: Moment) {
        self.crashed = false;
        let owner = self.owner();
        if self.gate.is_open(now.uptime) {
            for (session, held) in &self.held {
                self.world
                    .recorder
                    .opened(*session, &owner, held.epoch, now.uptime);
            }
        }
    }

    /// Asked before everything that goes out: closes everything once the lease is over.
    pub(super) fn check_gate(&mut self, now: Moment) {
        let member = matches!(self.membership, Membership::Member { .. });
        if member && !self.gate.is_open(now.uptime) {
            let deadline = self.gate.deadline().unwrap_or(now.uptime);
            self.lose_lease(deadline.min(now.uptime), now);
        }
    }

    /// The lease ended at `at`: everything is closed, and a new incarnation registers as empty.
    pub(super) fn lose_lease(&mut self, at: Uptime, now: Moment) {
        tracing::info!(worker.id = %self.card.id, "the lease is over: starting again as empty");
        self.gate.shut();
        self.drop_everything(at);
        let mut backoff = Backoff::default();
        if matches!(self.membership, Membership::Outside(_)) {
            backoff.failed(now.uptime, None);
        }
        self.incarnation = Incarnation::generate(&*self.world.entropy);
        self.gate = Gate::default();
        self.membership = Membership::Outside(backoff);
        self.outbox.start_over();
        self.recovering.clear();
        self.wants_assigned = None;
        self.send_held = true;
        self.draining = false;
    }

    fn drop_everything(&mut self, at: Uptime) {
        let owner = self.owner();
        for (session, held) in std::mem::take(&mut self.held) {
            self.bury(session, &held);
            self.world.recorder.closed(session, &owner, held.epoch, at);
        }
        self.timers.clear();
        self.storing.clear();
    }

    /// Closes a session without a word: it is no longer ours.
    pub(super) fn close(&mut self, session: SessionId, at: Uptime) -> Option<Held> {
        let held = self.held.remove(&session)?;
        if let Some(timer) = held.timer {
            self.timers.remove(&(timer, session));
        }
        self.storing.remove(&session);
        self.bury(session, &held);
        let owner = self.owner();
        self.world.recorder.closed(session, &owner, held.epoch, at);
        Some(held)
    }

    fn bury(&mut self, session: SessionId, held: &Held) {
        let seen = self.seen.entry(session).or_default();
        seen.epoch = seen.epoch.max(held.epoch);
        seen.last_seq = held.state.seq;
    }

    /// Closes a session and reports why.
    pub(super) fn end(&mut self, session: SessionId, now: Moment, ending: &Ending) {
        let Some(held) = self.close(session, now.uptime) else {
            return;
        };
        if self.recovering.remove(&session).is_some() {
            let fresh = ending.reason == "no_credentials";
            let status = if fresh { "QR_REQUIRED" } else { "FAILED" };
            self.outbox.recovery.push(RecoveryResult {
                session_id: session,
                epoch: held.epoch,
                status: status.to_owned(),
                error: Some(ending.reason.clone()),
            });
            return;
        }
        let mut report = self.blank_report(session, held.epoch, now);
        ending.status.clone_into(&mut report.status);
        report.reason = Some(ending.reason.clone());
        report.action_required = ending.action_required.map(str::to_owned);
        report.until = ending.until;
        report.retry_at = ending.retry_at;
        self.outbox.report(report);
    }

    /// Reports what a held session is doing now.
    pub(super) fn report(&mut self, session: SessionId, now: Moment) {
        let Some(held) = self.held.get(&session) else {
            return;
        };
        let said = held.say(session, now);
        let action_required = held.stage.action_required();
        let retry_at = match &held.stage {
            super::held::Stage::Reconnecting { retry_at, .. } => Some(*retry_at),
            _ => None,
        };
        let blank = self.blank_report(session, said.epoch, now);
        self.outbox.report(SessionReport {
            status: said.status,
            reason: said.reason,
            retry_at,
            action_required: action_required.map(str::to_owned),
            qr_code: said.qr_code,
            qr_expires_at: said.qr_expires_at,
            qr_index: said.qr_index,
            pairing_code: said.pairing_code,
            pairing_expires_at: said.pairing_expires_at,
            passkey_challenge: said.passkey_challenge,
            passkey_expires_at: said.passkey_expires_at,
            phone_number: said.phone_number,
            last_inbound_at: said.last_inbound_at,
            last_ack_at: said.last_ack_at,
            last_pong_at: said.last_pong_at,
            ..blank
        });
    }

    fn blank_report(&mut self, session: SessionId, epoch: Epoch, now: Moment) -> SessionReport {
        let seq = self.report_seq.entry(session).or_default();
        *seq += 1;
        SessionReport {
            worker_id: Some(self.card.id.to_string()),
            session_id: session,
            incarnation: Some(self.incarnation.to_string()),
            epoch,
            report_id: Some(format!("{}-{session}-{seq}", self.incarnation)),
            report_seq: Some(*seq),
            status: String::new(),
            reason: None,
            until: None,
            retry_at: None,
            action_required: None,
            qr_code: None,
            qr_expires_at: None,
            qr_index: None,
            pairing_code: None,
            pairing_expires_at: None,
            passkey_challenge: None,
            passkey_expires_at: None,
            phone_number: None,
            last_inbound_at: None,
            last_ack_at: None,
            last_pong_at: None,
            occurred_at: Some(now.wall),
        }
    }

    fn run_timers(&mut self, now: Moment) {
        for session in self.world.network.take_fresh(|s| self.held.contains_key(s)) {
            self.reschedule(session);
        }
        while let Some((at, session)) = self.timers.first().copied() {
            if at > now.uptime {
                return;
            }
            self.timers.pop_first();
            if let Some(held) = self.held.get_mut(&session) {
                held.timer = None;
                self.fire(session, now);
            }
        }
    }
}
