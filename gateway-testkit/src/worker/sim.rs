//! The simulated worker: the runtime with the simulated engine, and a script around both.
//!
//! Commands go in, calls to the gateway come out as values, and time is an argument, so the same worker
//! runs in a unit test, in a simulation with virtual time and behind a real HTTP server.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gateway_core::id::{Epoch, Incarnation, SessionId, WorkerId};
use gateway_core::protocol::{
    Accepted, Health, HeldSession, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::Owner;
use gateway_core::time::Uptime;
use gateway_worker::{Answer, GatewayError, Moment, Refusal, Stopping, Worker, WorkerCard};

use super::engine::{SimEngine, Upstream};
use super::environment::SimEnvironment;
use super::faults::SimCall;
use super::script::{Restart, Script};

/// Makes a card for 100 sessions, with an endpoint that is made up from the id.
#[must_use]
pub fn sim_card(id: WorkerId) -> WorkerCard {
    let endpoint = format!("http://{id}.sim.invalid:3000");
    WorkerCard::new(id, &endpoint)
}

/// A simulated worker. See the module's page.
#[derive(Debug)]
pub struct SimWorker {
    pub(super) environment: SimEnvironment,
    card: WorkerCard,
    worker: Arc<Worker<SimEngine>>,
    born: Uptime,
    crashed: bool,
    pub(super) sends: u64,
    pub(super) faulty_commands: u64,
    pub(super) calls: u64,
}

impl SimWorker {
    /// Makes a process that starts at `now`, holding nothing; [`Self::advance`] makes it register.
    #[must_use]
    pub fn new(card: WorkerCard, script: Script, environment: SimEnvironment, now: Moment) -> Self {
        let engine = SimEngine::new(script, environment.clone(), now);
        Self::with_engine(card, engine, environment, now)
    }

    pub(super) fn with_engine(
        mut card: WorkerCard,
        engine: SimEngine,
        environment: SimEnvironment,
        now: Moment,
    ) -> Self {
        card.remembered_sends = engine.with_script(|script| script.remembered_sends);
        let (entropy, recorder) = (
            Arc::clone(&environment.entropy),
            Arc::clone(&environment.recorder),
        );
        let worker = Worker::observed(card.clone(), engine, entropy, recorder, now);
        Self {
            environment,
            card,
            worker: Arc::new(worker),
            born: now.uptime,
            crashed: false,
            sends: 0,
            faulty_commands: 0,
            calls: 0,
        }
    }

    /// Returns the process started anew, as a new incarnation that holds nothing.
    #[must_use]
    pub(super) fn started_anew(&self, now: Moment) -> Self {
        let (card, environment) = (self.card.clone(), self.environment.clone());
        Self::new(card, self.with_script(Script::clone), environment, now)
    }

    #[cfg(feature = "http")]
    pub(super) const fn runtime(&self) -> &Arc<Worker<SimEngine>> {
        &self.worker
    }

    /// Returns the worker's id and present run.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.worker.owner()
    }

    /// Returns the base URL it registers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.card.endpoint
    }

    /// Calls `look` with the script.
    pub fn with_script<T>(&self, look: impl FnOnce(&Script) -> T) -> T {
        self.worker.engine().with_script(look)
    }

    /// Changes the script while it runs.
    pub fn change_script(&mut self, change: impl FnOnce(&mut Script)) {
        self.worker.engine().change_script(change);
    }

    /// Returns the token that the gateway has to show, once there is one.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.worker.token()
    }

    /// Returns whether it may act for its sessions at `now`.
    #[must_use]
    pub fn is_registered(&self, now: Moment) -> bool {
        self.worker.is_registered(now)
    }

    /// Returns until when it may act for its sessions, unless its lease is renewed.
    #[must_use]
    pub fn lease_until(&self) -> Option<Uptime> {
        self.worker.lease_until()
    }

    /// Returns whether the gateway is emptying it.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.worker.is_draining()
    }

    /// Returns whether its process has died by its script.
    #[must_use]
    pub const fn has_crashed(&self) -> bool {
        self.crashed
    }

    /// Returns whether it has said goodbye.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.worker.is_gone()
    }

    /// Returns whether its script has it stopped at `now`.
    #[must_use]
    pub fn is_frozen(&self, now: Moment) -> bool {
        let age = now.uptime.since(self.born);
        let window = self.with_script(|script| script.faults.freeze);
        window.is_some_and(|window| window.contains(age))
    }

    /// Returns when it goes on, if its script has it stopped at `now`.
    pub(super) fn thaws_at(&self, now: Moment) -> Option<Uptime> {
        let window = self.with_script(|script| script.faults.freeze);
        let window = window.filter(|_| self.is_frozen(now))?;
        let end = window.after_ms.saturating_add(window.for_ms);
        Some(self.born.plus(Duration::from_millis(end)))
    }

    /// Returns whether its script cuts it off at `now`.
    #[must_use]
    pub fn is_partitioned(&self, now: Moment) -> bool {
        let age = now.uptime.since(self.born);
        let window = self.with_script(|script| script.faults.partition);
        window.is_some_and(|window| window.contains(age))
    }

    /// Returns whether a restart brings back the image of before.
    pub(super) fn is_resumed(&self) -> bool {
        self.with_script(|script| script.faults.restart == Restart::OldEpochs)
    }

    /// Returns the sessions that it holds, as in a heartbeat.
    #[must_use]
    pub fn holds(&self) -> Vec<HeldSession> {
        self.worker.holds()
    }

    /// Returns the state that the client of a session reports, or `None` if the session is not held.
    #[must_use]
    pub fn look(&self, session: SessionId, now: Moment) -> Option<SessionState> {
        at_once(self.at(now).session(session, &now)).ok()
    }

    /// Lets time pass and returns the calls that are due. Each must be answered with
    /// [`Self::answered`]; one that never is counts as lost after ten seconds.
    pub fn advance(&mut self, now: Moment) -> Vec<SimCall> {
        if self.crashed || self.is_gone() || self.is_frozen(now) {
            return Vec::new();
        }
        self.live(now);
        let calls = self.worker.advance(now);
        let calls = calls.into_iter().map(|outbound| SimCall {
            outbound,
            loss: self.next_loss(now),
        });
        calls.collect()
    }

    /// Lets the engine live until `now`, if the lease still allows it.
    pub(super) fn live(&self, now: Moment) {
        self.worker.enforce_lease(now);
        self.worker.engine().advance(now);
    }

    /// Returns when [`Self::advance`] next has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Uptime> {
        if self.crashed || self.is_gone() {
            return None;
        }
        let due = [self.worker.next_due(), self.worker.engine().next_due()];
        due.into_iter().flatten().min()
    }

    /// Takes the gateway's answer to the call `id`.
    pub fn answered(&mut self, id: u64, now: Moment, result: Result<Answer, GatewayError>) {
        if !self.crashed && !self.is_frozen(now) {
            self.at(now).answered(id, now, result);
        }
    }

    /// SIGTERM: closes its sessions and says goodbye; [`Self::is_gone`] once that has arrived.
    pub fn stop(&mut self, now: Moment) {
        self.at(now).stop(now);
    }

    /// The process dies: nothing it holds is live any more.
    pub fn crash(&mut self, now: Moment) {
        self.crashed = true;
        self.environment.recorder.ended(&self.owner(), now.uptime);
    }

    /// The process image comes back as it was, as a resumed virtual machine does.
    pub fn resurrect(&mut self, now: Moment) {
        self.crashed = false;
        let owner = self.owner();
        if self.lease_until().is_none_or(|until| now.uptime >= until) {
            return;
        }
        for held in self.holds() {
            let (session, epoch) = (held.session_id, held.epoch);
            let recorder = &self.environment.recorder;
            recorder.reopened(session, &owner, epoch, now.uptime);
        }
    }

    /// Somebody scans the code, or types the pairing code; nothing happens when there is none.
    pub fn scan(&mut self, session: SessionId, now: Moment) {
        self.at(now).engine().scan(session);
    }

    /// Lets WhatsApp do something to a held session; nothing happens if it is not held.
    pub fn upstream(&mut self, session: SessionId, event: Upstream, now: Moment) {
        self.worker.enforce_lease(now);
        self.at(now).engine().upstream(session, event);
    }

    /// `POST /sessions`
    ///
    /// # Errors
    /// Why it is refused.
    pub fn start(&mut self, body: &StartSession, now: Moment) -> Result<Accepted, Refusal> {
        self.at(now).start(body, now)
    }

    /// `GET /sessions/{id}`
    ///
    /// # Errors
    /// It is not held.
    pub fn session(&mut self, session: SessionId, now: Moment) -> Result<SessionState, Refusal> {
        at_once(self.at(now).session(session, &now))
    }

    /// `POST /sessions/{id}/messages`
    ///
    /// # Errors
    /// Why it is refused; nothing has gone out.
    pub fn send(
        &mut self,
        session: SessionId,
        body: &SendMessage,
        now: Moment,
    ) -> Result<Sent, Refusal> {
        at_once(self.at(now).send(session, body, &now))
    }

    /// `POST …/release`, `POST …/logout` and `DELETE /sessions/{id}`
    ///
    /// # Errors
    /// Why it is refused.
    pub fn finish(
        &mut self,
        session: SessionId,
        epoch: Epoch,
        incarnation: &Incarnation,
        how: Stopping,
        now: Moment,
    ) -> Result<Released, Refusal> {
        at_once(self.at(now).finish(session, epoch, incarnation, how, &now))
    }

    /// `POST …/passkey` and, with `confirm`, `…/passkey/confirm`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn passkey(
        &mut self,
        session: SessionId,
        body: &Passkey,
        confirm: bool,
        now: Moment,
    ) -> Result<(), Refusal> {
        at_once(self.at(now).passkey(session, body, confirm, now))
    }

    /// `GET /health`
    #[must_use]
    pub fn health(&self, now: Moment) -> Health {
        self.worker.health(now)
    }

    /// Moves the engine to `now` and returns the worker.
    fn at(&self, now: Moment) -> &Worker<SimEngine> {
        self.worker.engine().set_now(now);
        &self.worker
    }
}

/// Returns the answer of an engine that does not wait. One that would wait has no time to do so here and
/// is refused as busy: dropping its future takes the command back.
fn at_once<T>(answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    poll_once(answer).unwrap_or(Err(Refusal::Busy {
        code: "engine_waits",
    }))
}

/// Returns the outcome of a future that does not wait; none if it would.
pub(super) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}
