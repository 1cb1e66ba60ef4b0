//! A worker: the rules of the protocol around an engine.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use gateway_core::entropy::Entropy;
use gateway_core::id::{Epoch, Incarnation, MessageId, SessionId, WorkerId};
use gateway_core::protocol::{
    Accepted, Health, HeldSession, NamedCall, Passkey, Released, SendMessage, Sent, SessionState,
    StartSession,
};
use gateway_core::session::Owner;
use gateway_core::time::{Clock, Uptime};
use serde_json::Value;

use crate::call::{Answer, Outbound};
use crate::engine::{Engine, PasskeyAnswer, Start};
use crate::gateway::GatewayError;
use crate::moment::Moment;
use crate::observer::{NoObserver, Observer};
use crate::refusal::{Refusal, Stopping};
use crate::rules::{Admitted, Finishing, Looked, Order, Rules, Shared, lock};
use crate::session::Session;
use crate::ticket::Ticket;

/// The identity and the size of a worker, as it registers.
#[derive(Clone, Debug)]
pub struct WorkerCard {
    pub id: WorkerId,
    /// The base URL under which the gateway reaches it.
    pub endpoint: String,
    /// The most sessions it takes.
    pub max_sessions: u32,
    pub environment: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// What its incarnations begin with, so that whoever starts it knows them again; at most 32 characters of
    /// `A-Z a-z 0-9 - _`. Nothing as a rule.
    pub run_mark: String,
    /// How many results of sends it remembers for repetitions.
    pub remembered_sends: usize,
}

impl WorkerCard {
    /// Makes the card of a worker for 100 sessions.
    #[must_use]
    pub fn new(id: WorkerId, endpoint: &str) -> Self {
        Self {
            id,
            endpoint: endpoint.to_owned(),
            max_sessions: 100,
            environment: None,
            labels: BTreeMap::new(),
            run_mark: String::new(),
            remembered_sends: 10_000,
        }
    }
}

/// A worker without runtime, sockets and clock.
///
/// Whoever drives it gives it the time: [`advance`](Self::advance) returns the calls that are due, each of
/// which must be [`answered`](Self::answered), and [`next_due`](Self::next_due) says when to come back. The
/// methods named after commands take the gateway's orders. All methods take `&self`, so that commands,
/// answers and the engine's own tasks may come from different threads.
#[derive(Debug)]
pub struct Worker<E> {
    engine: E,
    shared: Arc<Shared>,
    /// Held while the engine is told something, so that it hears of a session in order.
    turn: Mutex<()>,
}

impl<E: Engine> Worker<E> {
    /// Makes a worker that starts at `now`, holding nothing; the first [`advance`](Self::advance) makes it
    /// register. `entropy` must be cryptographically secure outside of tests.
    #[must_use]
    pub fn new(card: WorkerCard, engine: E, entropy: Arc<dyn Entropy>, now: Moment) -> Self {
        Self::observed(card, engine, entropy, Arc::new(NoObserver), now)
    }

    /// Makes a worker like [`Self::new`], with an observer that is told what the worker holds.
    #[must_use]
    pub fn observed(
        card: WorkerCard,
        engine: E,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
        now: Moment,
    ) -> Self {
        let rules = Rules::new(card, engine.info(), entropy, observer, now);
        Self {
            engine,
            shared: Arc::new(Shared::new(rules)),
            turn: Mutex::default(),
        }
    }

    /// Returns the engine.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// Calls `wake` whenever the engine has said something, so that whoever drives the worker can call
    /// [`advance`](Self::advance) at once. Only the first caller is heard.
    pub fn on_change(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.shared.on_push(Box::new(wake));
    }

    /// Returns the worker's id and present run.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.shared.read(Rules::owner)
    }

    /// Returns the base URL that it registers.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.shared.read(|rules| rules.endpoint().to_owned())
    }

    /// Returns the token that the gateway has to show, once there is one.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.shared.read(|rules| rules.token().map(str::to_owned))
    }

    /// Returns whether it may act for its sessions at `now`.
    #[must_use]
    pub fn is_registered(&self, now: Moment) -> bool {
        self.shared.read(|rules| rules.is_registered(now))
    }

    /// Returns until when it may act for its sessions, unless its lease is renewed.
    #[must_use]
    pub fn lease_until(&self) -> Option<Uptime> {
        self.shared.read(Rules::lease_until)
    }

    /// Returns whether the gateway is emptying it.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.read(Rules::is_draining)
    }

    /// Returns whether it has said goodbye.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.shared.read(Rules::is_gone)
    }

    /// Returns what the engine has failed of, if it has: it panicked, or [`Self::fail`] was called. Then the
    /// worker has given up its sessions and says goodbye.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.read(|rules| rules.failure().map(str::to_owned))
    }

    /// Returns how many reports it has given up, because the gateway does not take them.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.shared.read(Rules::given_up)
    }

    /// Returns the sessions that it holds, as in a heartbeat.
    #[must_use]
    pub fn holds(&self) -> Vec<HeldSession> {
        self.shared.read(Rules::holds)
    }

    /// Closes everything if the lease is over. [`Self::advance`] does so, too; call this first if the
    /// engine's own time is moved by the same hand.
    pub fn enforce_lease(&self, now: Moment) {
        self.change(|rules| rules.enforce_lease(now));
    }

    /// Lets time pass and returns the calls that are due. Each must be answered with
    /// [`Self::answered`]; one that never is counts as lost after ten seconds.
    pub fn advance(&self, now: Moment) -> Vec<Outbound> {
        let (uptime, sessions) = self.shared.read(|rules| rules.load_so_far(now));
        let load = match self.failure() {
            None => self.ask(|engine| engine.load(uptime, sessions)),
            Some(_) => None,
        };
        let load = load.unwrap_or_default();
        self.change(|rules| rules.advance(load, now))
    }

    /// Returns when [`Self::advance`] next has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Uptime> {
        self.shared.read(Rules::next_due)
    }

    /// Takes the gateway's answer to the call `id`.
    pub fn answered(&self, id: u64, now: Moment, result: Result<Answer, GatewayError>) {
        self.change(|rules| rules.answered(id, now, result));
    }

    /// Takes no new sessions and sends any more, as the first step of leaving: then let the engine go of the
    /// sessions with [`Self::let_go`], and call [`Self::stop`]. Heartbeats go on in between. The ticket is settled
    /// once WhatsApp has acknowledged every message that was accepted.
    pub fn quiesce(&self, now: Moment) -> Ticket<()> {
        self.change(|rules| rules.quiesce(now))
    }

    /// Lets the engine release a session by the worker's own decision, if it runs it. Messages that WhatsApp
    /// has not acknowledged by then are reported as `unknown`.
    pub async fn let_go(&self, session: SessionId) {
        let Some(epoch) = self.change(|rules| rules.begin_letting_go(session)) else {
            return;
        };
        let mut underway = UnderwayFinish {
            shared: &self.shared,
            session,
            epoch,
            released: None,
        };
        self.engine.release(session, epoch).await;
        underway.released = Some(self.change(|rules| rules.let_go(session, epoch)));
    }

    /// Drops the sessions that it still holds, delivers what it owes the gateway for at most four seconds, and
    /// says goodbye; [`Self::is_gone`] once that has arrived, and two seconds later in any case. What could not be
    /// delivered is said in one line of the log.
    pub fn stop(&self, now: Moment) {
        self.change(|rules| rules.stop(now));
    }

    /// Notes that the engine cannot go on. The worker gives up its sessions and leaves as after
    /// [`Self::stop`]; [`Self::failure`] says why. A panic in a method of the engine that does not wait does the
    /// same.
    pub fn fail(&self, what: &str) {
        self.shared
            .push(|rules| rules.engine_failed(what.to_owned()));
        self.carry_out_orders();
    }

    /// Starts a session: `POST /sessions`.
    ///
    /// # Errors
    /// A [`Refusal`] if the session cannot be started.
    pub fn start(&self, body: &StartSession, now: Moment) -> Result<Accepted, Refusal> {
        self.change(|rules| rules.start(body, now))
    }

    /// Asks the engine how a session is at this moment: `GET /sessions/{id}`.
    ///
    /// # Errors
    /// A [`Refusal`] if the session is not held.
    pub async fn session(
        &self,
        session: SessionId,
        clock: &dyn Clock,
    ) -> Result<SessionState, Refusal> {
        let now = Moment::of(clock);
        let epoch = match self.change(|rules| rules.look(session, now))? {
            Looked::Starting(state) => return Ok(*state),
            Looked::AskEngine(epoch) => epoch,
        };
        let state = self.engine.state(session).await;
        Ok(SessionState {
            session_id: Some(session),
            epoch,
            sent_at: Some(clock.now()),
            ..state
        })
    }

    /// Sends a message: `POST /sessions/{id}/messages`. A repetition of the same message id gets the
    /// first result and sends nothing. `clock` says the time, here as in the other methods that may wait.
    ///
    /// # Errors
    /// Why it is refused; nothing has gone out.
    pub async fn send(
        &self,
        session: SessionId,
        body: &SendMessage,
        clock: &dyn Clock,
    ) -> Result<Sent, Refusal> {
        loop {
            // The time passes while a repetition waits.
            let now = Moment::of(clock);
            match self.change(|rules| rules.admit_send(session, body, now))? {
                Admitted::Go => break,
                Admitted::Repeated(sent) => return Ok(sent),
                Admitted::Underway(ticket) => {
                    if let Some(sent) = ticket.await {
                        return Ok(sent);
                    }
                }
            }
        }
        let mut underway = Underway {
            shared: &self.shared,
            session,
            epoch: body.epoch,
            message: body.message_id,
            sent: None,
        };
        let accepted_at = self.engine.send(session, body).await?;
        let mut sent = Sent::of(body);
        sent.accepted_at = Some(accepted_at);
        underway.sent = Some(sent.clone());
        Ok(sent)
    }

    /// Makes another call of the engine by name: `POST /sessions/{id}/calls/{name}`.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn call(
        &self,
        session: SessionId,
        name: &str,
        body: &NamedCall,
        now: Moment,
    ) -> Result<Value, Refusal> {
        self.change(|rules| {
            rules.admit(&body.incarnation, now)?;
            rules.admit_connected(session, body.epoch)
        })?;
        self.engine.call(session, name, &body.arguments).await
    }

    /// Stops a session and remembers its epoch as stopped: `POST …/release`, `POST …/logout` and `DELETE
    /// /sessions/{id}`. That works for an epoch that was never started here, too, and gives the same
    /// answer when repeated; while the engine is at it, a repetition waits for it.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn finish(
        &self,
        session: SessionId,
        epoch: Epoch,
        incarnation: &Incarnation,
        how: Stopping,
        clock: &dyn Clock,
    ) -> Result<Released, Refusal> {
        let stopped = loop {
            let now = Moment::of(clock);
            let begun =
                self.change(|rules| rules.begin_finish(session, epoch, incarnation, how, now));
            match begun? {
                Finishing::AskEngine(running) => break running,
                Finishing::Nothing => {
                    let unlinked = (how != Stopping::Release).then_some(false);
                    return Ok(
                        self.change(|rules| rules.end_finish(session, epoch, None, unlinked))
                    );
                }
                Finishing::Underway(first, ticket) => {
                    let released = ticket.await;
                    let same = released.filter(|released| first == how && released.epoch == epoch);
                    if let Some(released) = same {
                        return Ok(released);
                    }
                }
            }
        };
        let mut underway = UnderwayFinish {
            shared: &self.shared,
            session,
            epoch: stopped,
            released: None,
        };
        let unlinked = match how {
            Stopping::Release => {
                self.engine.release(session, stopped).await;
                None
            }
            Stopping::Logout => Some(self.engine.logout(session, stopped).await),
            Stopping::Forget => Some(self.engine.forget(session, stopped).await),
        };
        let released =
            self.change(|rules| rules.end_finish(session, epoch, Some(stopped), unlinked));
        underway.released = Some(released.clone());
        Ok(released)
    }

    /// Passes on the answer to a passkey challenge: `POST …/passkey` and, with `confirm`,
    /// `…/passkey/confirm`.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn passkey(
        &self,
        session: SessionId,
        body: &Passkey,
        confirm: bool,
        now: Moment,
    ) -> Result<(), Refusal> {
        self.change(|rules| {
            rules.admit(&body.incarnation, now)?;
            rules.admit_held(session, body.epoch)
        })?;
        let answer = match (&body.assertion, confirm) {
            (_, true) => PasskeyAnswer::Confirmation,
            (Some(assertion), false) => PasskeyAnswer::Assertion(assertion.clone()),
            (None, false) => return Err(Refusal::conflict("assertion_missing")),
        };
        self.engine.passkey(session, answer).await
    }

    /// Returns how the worker is: `GET /health`.
    #[must_use]
    pub fn health(&self, now: Moment) -> Health {
        self.shared.read(|rules| rules.health(now))
    }

    /// Changes the rules, and then tells the engine what follows from it.
    fn change<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        let value = self.shared.change(act);
        self.carry_out_orders();
        value
    }

    /// Asks the engine something that it answers at once. Returns `None` if it panics: what it holds cannot be
    /// relied on any more, so the worker gives it up.
    fn ask<T>(&self, ask: impl FnOnce(&E) -> T) -> Option<T> {
        let answer = catch_unwind(AssertUnwindSafe(|| ask(&self.engine)));
        let failed = |panic: Box<dyn Any + Send>| {
            let what = message(&*panic);
            self.shared.change(|rules| rules.engine_failed(what));
        };
        answer.map_err(failed).ok()
    }

    fn carry_out_orders(&self) {
        let _turn = lock(&self.turn);
        while let Some(order) = self.shared.change(Rules::next_order) {
            match order {
                Order::Abandon { session, epoch } => {
                    self.ask(|engine| engine.abandon(session, epoch));
                }
                Order::Start {
                    session: id,
                    epoch,
                    owner,
                    order,
                    stored,
                } => {
                    let session = Session {
                        id,
                        epoch,
                        owner,
                        shared: Arc::clone(&self.shared),
                    };
                    let start = Start {
                        session,
                        order: *order,
                        stored,
                    };
                    match self.ask(|engine| engine.start(start)) {
                        Some(Ok(())) => self.shared.change(|rules| rules.started(id, epoch)),
                        Some(Err(ending)) => {
                            self.shared.change(|rules| rules.end(id, epoch, &ending));
                        }
                        None => {}
                    }
                }
            }
        }
    }
}

/// Returns what a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A send that the engine is making. When it ends, in whatever way, its repetitions get the result.
struct Underway<'a> {
    shared: &'a Shared,
    session: SessionId,
    epoch: Epoch,
    message: MessageId,
    sent: Option<Sent>,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let sent = self.sent.take();
        self.shared
            .push(|rules| rules.finish_send(self.session, self.epoch, self.message, sent));
    }
}

/// A session that the engine is stopping; when it ends, however it ends, the repetitions are told.
struct UnderwayFinish<'a> {
    shared: &'a Shared,
    session: SessionId,
    epoch: Epoch,
    released: Option<Released>,
}

impl Drop for UnderwayFinish<'_> {
    fn drop(&mut self) {
        let released = self.released.take();
        self.shared
            .change(|rules| rules.finish_over(self.session, self.epoch, released));
    }
}
