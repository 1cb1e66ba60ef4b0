//! A WhatsApp client without WhatsApp, as an engine of the worker runtime.
//!
//! It keeps the contract of [`Engine`] as a real client must: it asks its session before it acts, stores
//! counters before it uses them, and lets the phone network forget what came in only when the gateway has
//! it. Time does not pass by itself: whoever drives the worker calls [`SimEngine::advance`].

mod client;
mod clients;
mod counters;
mod sending;
mod stages;
mod upstream;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{SendMessage, SessionState};
use gateway_core::time::{Timestamp, Uptime};
use gateway_worker::{Ending, Engine, EngineInfo, Load, Moment, PasskeyAnswer, Refusal, Start};

use self::clients::Clients;
use self::sending::Tried;
pub use self::upstream::Upstream;
use super::environment::SimEnvironment;
use super::script::Script;

/// The simulated client. See the module's page.
#[derive(Debug)]
pub struct SimEngine {
    clients: Mutex<Clients>,
    /// How long a send waits for its counters; it does not, if there is no runtime to wait in.
    #[cfg(feature = "http")]
    patience: Option<Duration>,
    #[cfg(feature = "http")]
    changed: tokio::sync::Notify,
    /// Time has passed.
    #[cfg(feature = "http")]
    passed: tokio::sync::Notify,
}

impl SimEngine {
    /// Makes an engine at `now`, running nothing.
    #[must_use]
    pub fn new(script: Script, environment: SimEnvironment, now: Moment) -> Self {
        Self {
            clients: Mutex::new(Clients::new(script, environment, now)),
            #[cfg(feature = "http")]
            patience: None,
            #[cfg(feature = "http")]
            changed: tokio::sync::Notify::new(),
            #[cfg(feature = "http")]
            passed: tokio::sync::Notify::new(),
        }
    }

    /// Lets sends wait so long for their counters, within a tokio runtime.
    #[cfg(feature = "http")]
    pub(super) const fn waiting(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Waits until something may be due earlier than [`SimEngine::next_due`] said.
    #[cfg(feature = "http")]
    pub(super) async fn changed(&self) {
        let settled = std::future::poll_fn(|context| self.lock().poll_settled(context));
        tokio::select! {
            () = self.changed.notified() => {}
            () = settled => {}
        }
    }

    /// Lets the clients live until `now`.
    pub fn advance(&self, now: Moment) {
        self.lock().advance(now);
        #[cfg(feature = "http")]
        self.passed.notify_waiters();
    }

    /// Returns when [`Self::advance`] next has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Uptime> {
        self.lock().next_due()
    }

    pub(super) fn set_now(&self, now: Moment) {
        self.lock().now = now;
    }

    pub(super) fn with_script<T>(&self, look: impl FnOnce(&Script) -> T) -> T {
        look(&self.lock().script)
    }

    pub(super) fn change_script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.lock().script);
    }

    pub(super) fn scan(&self, session: SessionId) {
        self.act(|clients| clients.scan(session));
    }

    pub(super) fn upstream(&self, session: SessionId, event: Upstream) {
        self.act(|clients| clients.upstream(session, event));
    }

    fn act<T>(&self, act: impl FnOnce(&mut Clients) -> T) -> T {
        let value = act(&mut self.lock());
        #[cfg(feature = "http")]
        self.changed.notify_one();
        value
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "http")]
    async fn send_when_stored(
        &self,
        session: SessionId,
        message: &SendMessage,
        patience: Duration,
    ) -> Result<Timestamp, Refusal> {
        let until = self.lock().now.uptime.plus(patience);
        loop {
            let passed = self.passed.notified();
            match self.act(|clients| clients.try_send(session, message)) {
                Tried::Done(result) => return result,
                Tried::Short if self.lock().now.uptime >= until => return Err(NOT_STORED),
                Tried::Short => {}
            }
            // None if the block has arrived in between.
            let next_block = self.lock().next_block(session);
            let Some(stored) = next_block else { continue };
            tokio::select! {
                outcome = stored => outcome.map_err(|_| Refusal::NotConnected)?,
                () = passed => {}
            }
        }
    }
}

const NOT_STORED: Refusal = Refusal::Busy {
    code: "state_not_stored",
};

#[async_trait]
impl Engine for SimEngine {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            name: "simulated".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state_format: "simulated-1".to_owned(),
            ..EngineInfo::default()
        }
    }

    fn load(&self, uptime: Duration, sessions: usize) -> Load {
        self.with_script(|script| Load {
            cpu: Some(script.cpu.at(uptime, sessions)),
            memory: Some(script.memory.at(uptime, sessions)),
        })
    }

    fn start(&self, start: Start) -> Result<(), Ending> {
        self.act(|clients| clients.start(start))
    }

    fn abandon(&self, session: SessionId, epoch: Epoch) {
        self.act(|clients| clients.abandon(session, epoch));
    }

    async fn state(&self, session: SessionId) -> SessionState {
        self.lock().say(session)
    }

    async fn send(&self, session: SessionId, message: &SendMessage) -> Result<Timestamp, Refusal> {
        #[cfg(feature = "http")]
        if let Some(patience) = self.patience {
            return self.send_when_stored(session, message, patience).await;
        }
        match self.act(|clients| clients.try_send(session, message)) {
            Tried::Done(result) => result,
            Tried::Short => Err(NOT_STORED),
        }
    }

    async fn release(&self, session: SessionId, epoch: Epoch) {
        self.act(|clients| clients.abandon(session, epoch));
    }

    async fn logout(&self, session: SessionId, epoch: Epoch) -> bool {
        self.act(|clients| clients.unlink(session, epoch))
    }

    async fn passkey(&self, session: SessionId, answer: PasskeyAnswer) -> Result<(), Refusal> {
        self.act(|clients| clients.passkey(session, &answer))
    }
}
